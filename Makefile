# Two commands: `make demo` shows what robench does, `make test` checks that it does it.
PYTHON ?= python3
PYTEST = .venv/bin/python -m pytest -q --durations=15
PIP_INSTALL = .venv/bin/uv pip install --quiet --python .venv/bin/python -c constraints.txt

.PHONY: demo test slow fast lint gate golden mutants faults paper papers papers-shown corruptions board speed docs clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "robench needs Python 3.11 or newer; try make PYTHON=python3.12")'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet uv
	$(PIP_INSTALL) -e '.[art,robustbench,imagenet,video,docs,dev]'
	touch $@

# ViT and KSA-ViT, trained now on handwritten digits, under FGSM, PGD and targeted CW; then the table, the report, and the
# leaderboard of both against what a board requires.
demo: .venv/installed
	.venv/bin/robench run --dataset digits --n 100 --store results/demo \
	  --defense "vit(epochs=30)" --defense "ksa(model=vit(epochs=30))" \
	  --attack fgsm --attack "pgd_linf(steps=20)" \
	  --attack "cw_l2(targets='random', search_steps=4, initial_c=1.0)" --attack "cw_linf(targets='random', steps=40)"
	.venv/bin/robench run --quiet --dataset digits --n 50 --store results/demo --suite "linf(eps=0.1)" \
	  --defense "vit(epochs=30)" --defense "ksa(model=vit(epochs=30))" > results/demo/board.log
	.venv/bin/robench leaderboard --store results/demo --out results/demo/leaderboard.html --out results/demo/leaderboard.md

# Lint, types and all tests but the slow ones: 10 minutes at most on two quiet cores.
test: .venv/installed lint
	$(PYTEST) -n auto -m "not slow"

# Whole matrices of entries and contracts, processes that are killed, wheels. CI runs this after `make test`.
slow: .venv/installed
	$(PYTEST) -n auto -m slow

# What needs no training: while one works.
fast: .venv/installed
	$(PYTEST) -n auto -m "not slow" tests/attacking tests/cli tests/data tests/entries tests/records tests/reporting \
	  tests/attacks/test_closed_form.py tests/attacks/test_alone.py tests/test_structure.py tests/test_golden.py

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# robench's gate on itself: attacks of now on weights of then (a small checkpoint in the repository), on the digits; then the
# records of the project's own board, without training.
GATE = reports/gate
BOARDED = reports/leaderboard
gate: .venv/installed
	rm -rf results/gate
	.venv/bin/robench run --quiet --config $(GATE)/robench.toml --store results/gate > /dev/null
	.venv/bin/robench check --config $(GATE)/robench.toml --store results/gate --baseline $(GATE)/digits.json
	.venv/bin/robench check --config $(BOARDED)/robench.toml --store $(BOARDED)/records.parquet --baseline $(BOARDED)/baseline.json

# Put the golden numbers down anew, after ENGINE was raised (see tests/golden.py).
golden: .venv/installed
	.venv/bin/python -W ignore tests/golden.py

# Break the code in one place after another and see that the tests notice; beside CI (make mutants ONLY=ksa for some).
mutants: .venv/installed
	.venv/bin/python tests/mutants.py $(ONLY)

# Faults on purpose, as many as docs/measurements/faults.md counts; hours. `make slow` takes a few minutes of them.
faults: .venv/installed
	status=0; for script in kills crash_points damage hostile calls; do \
	  .venv/bin/python -W ignore tests/faults/$$script.py || status=1; done; exit $$status

# KSA on CIFAR-10, with robench's map and with a linear one, targeted CW at the weak budget and at the strong one, and what
# adapts to it (set ROBENCH_DATA to where its files are, or let it be downloaded). Four trainings of half an hour and more.
paper: .venv/installed
	.venv/bin/robench run --dataset cifar10 --n 500 --store results/cifar10 \
	  --defense vit --defense ksa --defense "ksa(attention='linear')" \
	  --attack "pgd_linf(eps=[1/255,2/255,4/255])" --attack "through_softmax(eps=[1/255,2/255,4/255])" \
	  --attack "attention_fool(eps=[1/255,2/255,4/255])" \
	  --attack "transfer(source=ksa(attention='softmax'), eps=[1/255,2/255,4/255])" \
	  --attack "cw_l2(preset='art', targets='random')" --attack "cw_linf_ball(targets='random')" \
	  --attack "through_softmax(attack=cw_l2(preset='art'), norm='l2', targets='random')" \
	  --attack "cw_linf(targets='random')"

# The papers' tables and figures, made anew: many hours on two cores; what is in the store is taken from there. What was measured so far
# is in $(PAPERS).
PAPERS = reports/papers
REPORTS = $(basename $(notdir $(wildcard $(PAPERS)/*.toml)))
papers: .venv/installed
	for name in $(REPORTS); do .venv/bin/robench reproduce $$name --store results/papers > /dev/null || [ $$? = 5 ] || exit; done
	.venv/bin/robench report --store results/papers --format parquet --merge $(PAPERS)/records.parquet --out $(PAPERS)/records.parquet
	$(MAKE) papers-shown SHOWN="$(REPORTS)"

# Those that are there already, again from the records that are kept; nothing is computed.
SHOWN = $(filter-out README,$(basename $(notdir $(wildcard $(PAPERS)/*.md))))
papers-shown: .venv/installed
	for name in $(SHOWN); do for form in md html; do \
	  .venv/bin/robench report $$name --store $(PAPERS)/records.parquet --out $(PAPERS)/$$name.$$form > /dev/null || exit; done; done

# CIFAR-10 under corruptions, of what the RSPC study compares, at the size that docs/measurements/corruptions.md has.
corruptions: .venv/installed
	.venv/bin/robench run --dataset "cifar10(train_share=0.22222)" --n 200 --store results/corruptions \
	  --defense "vit(epochs=15)" --defense "ksa(model=vit(epochs=15))" --defense "rspc(model=vit(epochs=15))" \
	  --defense "rspc(model=vit(epochs=15), weight=1.0)" --defense "noise(model=vit(epochs=15))" \
	  --defense "augmix(model=vit(epochs=15))" --defense "madry(model=vit(epochs=15))" \
	  --attack corruptions --attack perturbations --attack "patch_noise(share=[0.05, 0.1, 0.25, 0.5], masks=50)"
	.venv/bin/robench report --store results/corruptions --base "vit(epochs=15)" --format text

# The project's own board, made anew from trainings on 10,000 of CIFAR-10's images (15 epochs) and 200 test images: some hours on two
# cores; what is in the store is taken from there. The page, its text forms and the records go to reports/leaderboard/.
BOARD = --dataset "cifar10(train_share=0.22222)" --n 200 --store results/board
WRAPPED = model=vit(epochs=15)
board: .venv/installed
	mkdir -p results
	.venv/bin/robench run $(BOARD) --suite "linf(eps=8/255)" --attack "transfer(source=vit(epochs=15, seed=1), eps=8/255)" \
	  --attack "cw_linf(targets='random')" \
	  --attack corruptions --attack "patch_noise(share=[0.1, 0.25], masks=10)" --defense "vit(epochs=15)" \
	  $(foreach name,ksa noise madry half_half rspc fat augmix,--defense "$(name)($(WRAPPED))") \
	  $(foreach layer,1 6,--defense "ksa($(WRAPPED), layers=[$(layer)])") > results/board.txt
	.venv/bin/robench leaderboard --store results/board $(foreach form,html md json,--out reports/leaderboard/leaderboard.$(form))
	.venv/bin/robench report --store results/board --format parquet --out $(BOARDED)/records.parquet
	.venv/bin/robench check --config $(BOARDED)/robench.toml --store $(BOARDED)/records.parquet --baseline $(BOARDED)/baseline.json

# What trainings and attacks cost beside the passes that they need, and beside other libraries: ratios measured in one run.
speed: .venv/installed
	OMP_NUM_THREADS=1 .venv/bin/python tests/speed/training.py
	OMP_NUM_THREADS=1 .venv/bin/python tests/speed/attacks.py
	OMP_NUM_THREADS=1 .venv/bin/python tests/speed/corruptions.py
	OMP_NUM_THREADS=1 .venv/bin/python tests/speed/natural.py

# The pages, with warnings as errors; they are in build/docs.
docs: .venv/installed
	.venv/bin/sphinx-build -q -W --keep-going -b html docs build/docs

clean:
	rm -rf .venv build *.egg-info results .mypy_cache .ruff_cache .pytest_cache

"""Sabotage in the source: robench is run on it and on the code as it is, and the gate's verdict must be right each time.

Attacks of now on weights of then: reports/gate's checkpoint, all test images of the digits, the attacks that a fault would show in.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Robench
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parents[2]
FOLDERS = ("robench", "attacks", "defenses", "datasets", "reports")
CHECKPOINT = "checkpoint(path='reports/gate/digits.safetensors', arch=vit(dim=32, depth=2, heads=4, mlp=64))"
SMALL = "vit(dim=32, depth=2, heads=4, mlp=64, batch_size=32)"
PGD, TWICE, CW = (
    "pgd_linf(eps=0.15, steps=10)",
    "pgd_linf(eps=0.2, steps=2, restarts=2)",
    "cw_l2(search_steps=3, steps=20)",
)
REFERENCE = """
[[gate]]
id = "attacks are no weaker"
max_rise = 2.5

[[gate]]
id = "smallest perturbations"
metric = "mean_distance"
max_rise = 5
"""
MODEL = """
[[gate]]
id = "models are no easier to fool"
max_drop = 3
"""


@dataclass(frozen=True)
class Tree:
    """A copy of the source, in which robench is run as a user would."""

    root: Path
    process: Robench

    def replace(self, file: str, before: str, after: str) -> None:
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{file} holds {before!r} {text.count(before)} times"
        path.write_text(text.replace(before, after), encoding="utf-8")

    def robench(self, *words: str, status: int = 0) -> str:
        """What a process of this tree's code says."""
        found, said = self.process(self.root, *words)
        assert found == status, said
        return said

    def run(self, store: Path, defense: str, attacks: tuple[str, ...], *words: str) -> None:
        asked = [word for attack in attacks for word in ("--attack", attack)]
        self.robench(
            "run", "--quiet", "--dataset", "digits", "--defense", defense, *asked, "--store", str(store), *words
        )

    def check(self, store: Path, baseline: Path, gates: str, status: int) -> dict[str, Any]:
        (self.root / "gates.toml").write_text(gates)
        words = ("--store", str(store), "--baseline", str(baseline), "--config", "gates.toml", "--format", "json")
        plain: dict[str, Any] = json.loads(self.robench("check", *words, status=status))
        return plain


Grow = Callable[[Path], Tree]


@pytest.fixture(scope="module")
def tree() -> Iterator[Grow]:
    """Copies the source to a folder."""
    process = Robench()

    def grown(folder: Path) -> Tree:
        for name in FOLDERS:
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.parquet", "*.html")
            )
        return Tree(folder, process)

    yield grown
    process.close()


def kinds(plain: dict[str, Any]) -> dict[str, str]:
    """Verdicts by the name of the attack."""
    return {str(one["attack"]).partition("(")[0] + str(one["eps"] or ""): one["verdict"] for one in plain["verdicts"]}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, tree: Grow) -> Path:
    """The store of the code as it is."""
    own = tree(tmp_path_factory.mktemp("as_it_is"))
    own.run(own.root / "store", CHECKPOINT, (PGD, TWICE, CW))
    return own.root / "store"


WEAKER = [
    ("step size a tenth", "attacks/pgd.py", "size = step_size or 2.5 * eps / steps\n\n    def start(restart: int, rows: Tensor) -> Tensor:\n        return eps", "size = 0.25 * eps / steps\n\n    def start(restart: int, rows: Tensor) -> Tensor:\n        return eps", PGD),
    ("sign flipped", "attacks/pgd.py", "size * gradient.sign(),", "-size * gradient.sign(),", PGD),
    ("one restart left out", "robench/attacking/descent.py", "range(restarts if start else 1)", "range(restarts - 1 if start and restarts > 1 else 1)", TWICE),
    ("it stops early", "robench/attacking/descent.py", "for _ in range(steps):", "for _ in range(steps // 4):", PGD),
    ("one search for many", "attacks/cw_l2.py", "for search in range(search_steps):", "for search in range(1):", CW),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("what", "file", "before", "after", "attack"), WEAKER, ids=[case[0] for case in WEAKER])
def test_an_attack_that_got_weaker_is_red(
    tmp_path: Path, tree: Grow, reference: Path, what: str, file: str, before: str, after: str, attack: str
) -> None:
    own = tree(tmp_path / "tree")
    own.replace(file, before, after)
    own.run(tmp_path / "store", CHECKPOINT, (attack,))
    plain = own.check(tmp_path / "store", reference, REFERENCE, status=1)
    first = plain["verdicts"][0]
    assert (first["verdict"], first["weaker_attack"]) == ("regressed", True)
    assert first["points"] > 2.5


@pytest.mark.slow
def test_the_code_as_it_is_is_green(tmp_path: Path, tree: Grow, reference: Path) -> None:
    own = tree(tmp_path / "tree")
    own.run(tmp_path / "store", CHECKPOINT, (PGD, TWICE, CW))
    plain = own.check(tmp_path / "store", reference, REFERENCE, status=0)
    assert {one["verdict"] for one in plain["verdicts"]} == {"pass"}
    assert {(one["lost"], one["won"]) for one in plain["verdicts"]} == {(0, 0), (None, None)}


def half_zeroed(own: Tree) -> None:
    """Half of the weights of one layer."""
    path = own.root / "reports" / "gate" / "digits.safetensors"
    weights = load_file(path)
    name = max((key for key, value in weights.items() if value.ndim == 2 and "mlp" in key), default="")
    assert name, sorted(weights)
    weights[name][:, : weights[name].shape[1] // 2] = 0
    save_file({key: value.contiguous() for key, value in weights.items()}, path)
    assert not torch.equal(load_file(path)[name], load_file(ROOT / "reports" / "gate" / "digits.safetensors")[name])


def normalised_otherwise(own: Tree) -> None:
    own.replace("robench/models/vit.py", "(inputs - self.mean) / self.std", "(inputs - 0.5 * self.mean) / self.std")


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", [half_zeroed, normalised_otherwise], ids=lambda one: one.__name__)
def test_a_model_that_got_weaker_is_red(tmp_path: Path, tree: Grow, reference: Path, sabotage: Any) -> None:
    own = tree(tmp_path / "tree")
    sabotage(own)
    own.run(tmp_path / "store", CHECKPOINT, (PGD,))
    gates = MODEL.replace("max_drop", 'select = { attack = "pgd*" }\nmax_drop')
    plain = own.check(tmp_path / "store", reference, gates, status=1)
    found = {one["attack"].partition("steps=2")[1]: one for one in plain["verdicts"]}
    assert found[""]["verdict"] == "regressed" and found[""]["points"] < -3
    assert found["steps=2"]["verdict"] == "missing"


@pytest.mark.slow
def test_two_epochs_fewer_are_red(tmp_path: Path, tree: Grow) -> None:
    """Trained twice, on the same images in the same order: for 10 epochs, which is few, and for 8."""
    stores, trees = [], []
    for epochs in (10, 8):
        own = tree(tmp_path / f"tree{epochs}")
        own.replace("datasets/digits.py", "epochs=60,", f"epochs={epochs},")
        stores.append(tmp_path / f"store{epochs}")
        own.run(stores[-1], SMALL, ("fgsm(eps=0.02)",))
        trees.append(own)
    plain = trees[1].check(
        stores[1],
        stores[0],
        MODEL + 'alpha = 0.01\n[[gate]]\nid = "clean"\nmetric = "clean_accuracy"\nmax_drop = 3\n',
        status=1,
    )
    assert {one["gate"]: one["verdict"] for one in plain["verdicts"]} == {
        "models are no easier to fool": "regressed",
        "clean": "regressed",
    }


@pytest.mark.slow
def test_other_data_fewer_images_and_a_cell_that_is_gone_are_not_compared(
    tmp_path: Path, tree: Grow, reference: Path
) -> None:
    own = tree(tmp_path / "tree")
    own.run(tmp_path / "half", CHECKPOINT, (PGD,), "--n", "180")
    shutil.copytree(reference, tmp_path / "gone")
    (deleted,) = (tmp_path / "gone" / "records").glob("checkpoint-cw_l2-*")
    shutil.rmtree(deleted)
    gates = '[[gate]]\nid = "pgd"\nselect = { attack = "pgd_linf(preset*" }\nmax_rise = 2.5\n'
    half = own.check(tmp_path / "half", reference, gates, status=3)["verdicts"][0]
    assert half["verdict"] == "incomparable" and "images: 180 of the baseline's 359 are there" in half["notes"]
    gone = own.check(tmp_path / "gone", reference, REFERENCE, status=3)["verdicts"][0]
    assert gone["verdict"] == "missing" and gone["attack"].startswith("cw_l2")
    own.replace("datasets/digits.py", "* (255 / 16)", "* (240 / 16)")
    own.run(tmp_path / "other", CHECKPOINT, (PGD,))
    other = own.check(tmp_path / "other", reference, gates, status=3)["verdicts"][0]
    assert other["verdict"] == "incomparable" and other["notes"][0].startswith("data ")


@pytest.mark.slow
def test_another_number_of_threads_is_green_and_again_repeats_what_was_lost(
    tmp_path: Path, tree: Grow, reference: Path
) -> None:
    """Two workers instead of one, in other batches; then a lost image is attacked with two other seeds."""
    own = tree(tmp_path / "tree")
    own.run(tmp_path / "store", CHECKPOINT, (PGD,), "--workers", "3", "--batch-size", "17")
    plain = own.check(
        tmp_path / "store",
        reference,
        MODEL.replace("max_drop = 3", 'select = { attack = "pgd_linf(preset*" }\nmax_drop = 3'),
        0,
    )
    assert plain["verdicts"][0]["verdict"] == "pass"
    own.robench("baseline", "write", "--store", str(tmp_path / "store"), "--out", "b.json", "--seeds", "3", "--quiet")
    (cell,) = json.loads((own.root / "b.json").read_text())["cells"]
    assert 0 < int(cell["unsteady"].split()[0]) < 40 and 0 < cell["flips"] < 0.05
    words = ("--store", str(tmp_path / "store"), "--baseline", "kept.json", "--again", "--quiet", "--format", "json")
    content = json.loads((own.root / "b.json").read_text())
    import numpy as np

    from robench.gate.baseline import _bits

    content["cells"][0].update(robust="359 of 359", robust_bits=_bits(np.ones(359, dtype=bool)))
    (own.root / "kept.json").write_text(json.dumps(content))
    again = json.loads(own.robench("check", *words, status=1))["verdicts"][0]
    assert again["verdict"] == "regressed" and "held against two other seeds" in "; ".join(again["notes"])

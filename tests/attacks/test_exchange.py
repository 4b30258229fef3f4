"""Adversarial images go out to other libraries, and theirs come in."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import Linear, split_of
from conftest import small_run
from torch import nn
from typer.testing import CliRunner

import robench
from robench import DATASETS, Call, DataError, Places, Split, Splits, UsageError
from robench.cli import app
from robench.data.loading import Data
from robench.entries.cards import DatasetCard
from robench.reporting.pages import render
from robench.running.rows import positions_of
from robench.running.subject import Subject

MINE = '''import torch
from torch import nn
import robench

@robench.defense()
def own(task: robench.Task, *, tag: str = "") -> robench.Recipe:
    """One linear layer."""
    return robench.Recipe(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), robench.Schedule(steps=60, lr=0.02))
'''


def run(attack: str, **changes: object) -> robench.Result:
    Path("mine.py").write_text(MINE)
    return small_run(defense="./mine.py", attack=attack, **changes)[0]


def robench_command(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.stdout, done.stderr


def test_images_come_out_in_the_order_of_the_test_set() -> None:
    test = DATASETS["digits"].function(Places.of()).test
    found = run("fgsm(eps=0.1)", n=40, keep_images=True).images()
    assert found.images.shape == (40, 1, 8, 8) and found.images.dtype == np.float32
    assert list(found.positions) == sorted(found.positions)
    assert (test.image_ids()[found.positions] == found.ids).all()
    assert (test.targets().numpy()[found.positions] == found.labels).all()
    assert np.allclose(found.clean, test.inputs(found.positions).numpy(), atol=1e-7)
    size = np.abs(found.images - found.clean).max((1, 2, 3))
    assert size.max() <= 0.1 + 1e-6 and (size == 0).sum() < 20, "those misclassified before stay as they are"


def test_images_that_were_not_kept_are_said_and_kept_by_running_again() -> None:
    before = run("fgsm(eps=0.1)", n=40)
    with pytest.raises(UsageError, match=r"32 of 40 adversarial images were not kept; run .* again with --keep-images"):
        before.images()
    again = run("fgsm(eps=0.1)", n=40, keep_images=True)
    assert len(again.images().images) == 40
    assert again.table() == before.table()


def test_the_command_writes_files_that_other_libraries_read() -> None:
    run("fgsm(eps=0.1)", n=20, keep_images=True)
    run("pgd_linf(eps=0.1, steps=3)", n=20, keep_images=True)
    code, _, err = robench_command("images", "--out", "a.npz")
    assert code == 2 and "several cells are meant" in err and "./mine.py under fgsm(eps=0.1) on digits" in err
    for attack in ("fgsm", "fgsm(eps=0.1)", "fgsm( eps = 1/10 )"):
        assert robench_command("images", "--attack", attack, "--out", "a.npz")[0] == 0, attack
    code, out, err = robench_command("images", "--attack", "fgsm", "--out", "a.pt")
    assert code == 0 and "20 of the 359 images of the test set; .pt files do not say which" in err, err
    tensor = torch.load("a.pt", weights_only=True)
    assert tensor.shape == (20, 1, 8, 8) and tensor.dtype == torch.float32
    with np.load("a.npz") as arrays:
        assert (arrays["images"] == tensor.numpy()).all() and arrays["ids"].shape == arrays["labels"].shape == (20,)
    assert robench_command("images", "--attack", "fgsm", "--out", "a.csv")[0] == 2
    assert robench_command("images", "--attack", "cw", "--out", "a.pt")[0] == 2


@pytest.mark.parametrize("form", ["npz", "npy", "pt", "tuple", "dict", "uint8", "npz without ids", "half"])
def test_what_goes_out_comes_in_as_it_was(form: str) -> None:
    """The digits' pinned subset is the beginning of their test split, so that files without ids fit."""
    made = run("fgsm(eps=0.1)", n=30, keep_images=True)
    found = made.images()
    path, tensor = Path(f"made.{form[:3] if form in ('npz', 'npy') else 'pt'}"), torch.from_numpy(found.images)
    if form in ("npz", "npy", "pt"):
        found.write(path)
    elif form == "npz without ids":
        path = path.with_suffix(".npz")
        np.savez(path, adv=found.images)
    elif form == "uint8":
        path = path.with_suffix(".npy")
        np.save(path, np.round(found.images * 255).astype(np.uint8))
    else:
        shapes = {"tuple": (tensor, torch.zeros(30)), "dict": {"adv": tensor, "accuracy": 0.5}, "half": tensor.double()}
        torch.save(shapes[form], path)
    judged = run(f"images(path='{path}')", n=30)
    own, other = (r.records.set_index("image").sort_index() for r in (made, judged))
    assert (own["success"] == other["success"]).mean() >= (0.9 if form == "uint8" else 1)
    assert np.allclose(own["linf"], other["linf"], atol=0.003 if form == "uint8" else 1e-7)
    assert judged.summary()[0]["attacked"] == judged.summary()[0]["asr"]["total"]  # type: ignore[index,call-overload]


def test_some_images_are_judged_whatever_the_batch_and_the_table_says_how_many() -> None:
    made = run("fgsm(eps=0.1)", n=12, keep_images=True).images()
    broken = np.flatnonzero(np.abs(made.images - made.clean).max((1, 2, 3)) > 0)[:2]
    np.savez("some.npz", ids=made.ids[broken], images=made.images[broken])
    results = [run("images(path='some.npz')", n=12, batch_size=size, workers=1, store=f"s{size}") for size in (32, 1)]
    assert results[0].table() == results[1].table()
    (summary,) = results[0].summary()
    right = summary["asr"]["total"]  # type: ignore[index,call-overload]
    assert summary["attacked"] == 2
    for form in ("text", "markdown", "latex", "html", "csv"):
        assert f"(2 of {right} attacked)" in render(results[0], form) or f"2 of {right} attacked" in render(
            results[0], form
        ), form
    assert f"adversarial images of 2 of {right} correctly classified images were given" in render(results[0], "text")
    np.savez("none.npz", ids=["x"], images=made.images[:1])
    with pytest.raises(UsageError, match="has none of these 12 images"):
        run("images(path='none.npz')", n=12, batch_size=1, store="none")
    assert not Path("none").exists(), "said before any work"


def test_a_minimal_file_joins_the_worst_case_at_a_radius() -> None:
    made = run("fgsm(eps=0.1)", n=30, keep_images=True)
    made.images().write(Path("made.npz"))
    both = run(["fgsm(eps=0.1)", "images(path='made.npz')"], n=30)  # type: ignore[arg-type]
    table = both.tables()[0]
    place = [column.name for column in table.columns].index("L∞ 0.1")
    worst = table.rows[0][1][place]
    assert table.columns[place].group == "Worst case, robust accuracy"
    assert worst.value == made.summary()[0]["robust_accuracy"]["value"]  # type: ignore[index,call-overload]


def test_a_pinned_subset_knows_its_places_in_the_order_of_the_file() -> None:
    test = split_of(40).select(np.random.default_rng(2).permutation(40))
    data = Data(Call("mine"), DatasetCard(), Splits(test, test, test, 2), "", "", test.first(10))
    places = positions_of(data)
    assert (test.image_ids()[places] == data.split.image_ids()).all()
    assert list(places) != sorted(places)


def net() -> nn.Module:
    return Linear(torch.randn(10, 64, generator=torch.Generator().manual_seed(0)), torch.zeros(10))


def test_a_submission_is_judged_by_evaluate_in_the_order_of_the_split() -> None:
    split = DATASETS["digits"].function(Places.of()).test.select(np.arange(30)[::-1].copy())
    torch.save(torch.cat([split.inputs(slice(0, 30)), torch.zeros(5, 1, 8, 8)]), "all.pt")
    records = robench.evaluate(net(), "images(path='all.pt')", split, classes=10)
    assert (records["linf"] == 0).all()
    torch.save(split.inputs(slice(0, 30)).flip(0), "turned.pt")
    with pytest.raises(DataError, match="does not seem to be in the order of the data set's test split"):
        robench.evaluate(net(), "images(path='turned.pt')", split, classes=10)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: torch.save(net(), "x.pt"), "holds objects besides tensors"),
        (
            lambda: torch.save({"a": torch.rand(4, 1, 8, 8), "b": torch.rand(4, 1, 8, 8)}, "x.pt"),
            "name the one that is meant",
        ),
        (lambda: torch.save(torch.rand(4, 8, 8, 1), "x.pt"), r"holds images of shape \(8, 8, 1\); \(1, 8, 8\)"),
        (lambda: torch.save(torch.rand(4, 64), "x.pt"), "arrays"),
        (lambda: torch.save(torch.rand(4, 1, 8, 8) * 255, "x.pt"), "divide them by 255"),
        (lambda: torch.save(torch.randint(0, 255, (4, 1, 8, 8)), "x.pt"), "holds int64 of shape"),
        (lambda: Path("x.pt").write_bytes(b"nothing"), "x.pt"),
        (lambda: Path("x.pt").touch(), "x.pt"),
    ],
)
def test_what_is_no_submission_is_one_message(make: object, said: str) -> None:
    make()  # type: ignore[operator]
    split = DATASETS["digits"].function(Places.of()).test.first(20)
    with pytest.raises(DataError, match=said) as told:
        robench.evaluate(net(), "images(path='x.pt')", split, classes=10)
    assert "weights_only" not in str(told.value)


def test_a_damaged_npz_is_one_message() -> None:
    split: Split = DATASETS["digits"].function(Places.of()).test.first(20)
    np.save("x.npy", np.zeros((2, 1, 8, 8)))
    for content in (Path("x.npy").read_bytes(), b"", b"PK\x03\x04nothing", b"x" * 100):
        Path("x.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.npz"):
            robench.evaluate(net(), "images(path='x.npz')", split, classes=10)


@pytest.mark.parametrize("attack", ["pgd_linf(eps=0.05, steps=5)", "cw_l2(targets='random', preset='quick')"])
def test_other_libraries_count_the_same_successes(attack: str, subject: Subject) -> None:
    """ART's and foolbox's own counts, on the images that are given out and the model that was attacked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own, when they are imported
        import eagerpy
        import foolbox
        from art.estimators.classification import PyTorchClassifier
        from art.utils import compute_success_array
    result, _ = small_run(attack=attack, n=40, keep_images=True)
    found = result.images()
    rows = result.records.set_index("image").loc[list(found.ids)]
    module = subject.module
    right, targeted = rows["correct"].to_numpy(bool), "targets" in attack
    clean, images, labels = found.clean[right], found.images[right], found.labels[right]
    targets = rows["target"].to_numpy()[right].astype(int) if targeted else labels
    art = PyTorchClassifier(module, torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1))
    theirs = compute_success_array(art, clean, np.eye(10)[targets], images, targeted=targeted)
    goal = foolbox.criteria.TargetedMisclassification if targeted else foolbox.criteria.Misclassification
    points = eagerpy.astensor(torch.tensor(images))
    model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
    also = goal(torch.tensor(targets))(points, model(points)).numpy()
    ours = rows["success"].to_numpy(bool)[right]
    assert ours.sum() > 0
    assert (theirs == ours).all() and (also == ours).all()

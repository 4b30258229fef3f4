"""A model with more outputs than a folder has classes: read among those present, or among all, and never by guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import robench
from robench import Among, DataError, ModelError, Places
from robench.console import Silent
from robench.data.loading import load_data
from tests.class_folders import pictures
from tests.data.test_classes import PLAIN

WNIDS = [
    "n01440764",
    "n02102040",
    "n02979186",
    "n03000684",
    "n03028079",
    "n03394916",
    "n03417042",
    "n03425413",
    "n03445777",
    "n03888257",
]
"""Imagenette's ten of ImageNet's classes."""
INDICES = [0, 217, 482, 491, 497, 566, 569, 571, 574, 701]
ATTACK = "fgsm(eps=0.02)"


@pytest.fixture
def plain(tmp_path: Path) -> str:
    (tmp_path / "plain.py").write_text(PLAIN)
    return "./plain.py"


def named(root: Path, **options: object) -> str:
    return (
        f"folder(path={str(root)!r}, size=9" + "".join(f", {name}={value!r}" for name, value in options.items()) + ")"
    )


def clean_predictions(model: str, data: str, outputs: list[int] | None) -> list[int]:
    """What the untrained model says by its logits, by hand: among some of its outputs, or all."""
    loaded = load_data(data, Places.of())
    from robench.training.checkpoints import Checkpoint

    net = Checkpoint.of(model, loaded.splits, loaded.card, Places.of().cache).recipe().model.eval()
    with torch.no_grad():
        logits = net(loaded.split.inputs(slice(None)))
    return (logits if outputs is None else logits[:, outputs]).argmax(1).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("train", [False, True])
def test_ten_of_imagenets_classes_among_those_present_and_among_all(tmp_path: Path, plain: str, train: bool) -> None:
    root = pictures(tmp_path / "nette", [f"val/{wnid}" for wnid in WNIDS])
    if train:
        pictures(root, [f"train/{wnid}" for wnid in WNIDS], count=2)
    told, model = Silent(), f"{plain}(outputs=1000)"
    result = robench.run(model, ATTACK, [named(root), named(root, among="all")], reporter=told)
    present, everything = result.measured
    assert (present.unit.facts.classes, everything.unit.facts.classes) == (10, 1000)
    assert (present.unit.identity.subset, everything.unit.identity.subset) == (INDICES, None)
    assert present.unit.identity.model != everything.unit.identity.model
    assert present.records["label"].tolist() != everything.records["label"].tolist()
    assert sorted(everything.records["label"].tolist()) == INDICES
    for one, outputs in ((present, INDICES), (everything, None)):
        by_id = load_data(str(one.unit.spec.dataset), Places.of()).split.image_ids().tolist()
        wanted = dict(zip(by_id, clean_predictions(model, str(one.unit.spec.dataset), outputs), strict=True))
        assert one.records.set_index("image")["clean_prediction"].to_dict() == wanted
    assert [m for m in told.messages if "outputs" in m] == [
        "of the outputs of ./plain.py(outputs=1000) those of the 10 classes are read (0, 217, 482, 491, 497, 566, 569, 571, 574, 701)"
    ]


def test_a_model_with_as_many_outputs_as_classes_needs_none_of_it(tmp_path: Path, plain: str) -> None:
    root = pictures(tmp_path / "nette", WNIDS)
    (one,) = robench.run(plain, ATTACK, named(root)).measured
    assert (one.unit.identity.subset, one.unit.facts.classes) == (None, 10)


@pytest.mark.parametrize(
    ("folders", "classes_file", "outputs", "among"),
    [
        (["3", "17", "207"], None, 1000, Among((3, 17, 207), None, everything=False)),
        (["3", "17", "207"], None, 208, Among((3, 17, 207), None, everything=False)),
        (
            ["cat", "dog"],
            ("classes.csv", "folder,index\ndog,5\ncat,281\n"),
            1000,
            Among((5, 281), None, everything=False),
        ),
        (["cat", "dog"], ("classes.txt", "eel\ndog\nape\ncat\n"), 4, Among((1, 3), 4, everything=False)),
    ],
)
def test_the_outputs_are_known_of_numbers_and_of_a_file(
    tmp_path: Path, plain: str, folders: list[str], classes_file: tuple[str, str] | None, outputs: int, among: Among
) -> None:
    root = pictures(tmp_path / "pics", folders)
    if classes_file:
        (root / classes_file[0]).write_text(classes_file[1])
    splits = load_data(named(root), Places.of()).splits
    assert splits.among is not None
    assert (splits.among.outputs, splits.among.width) == (among.outputs, among.width)
    present, everything = robench.run(
        f"{plain}(outputs={outputs})", ATTACK, [named(root), named(root, among="all")]
    ).measured
    assert (present.unit.identity.subset, present.unit.facts.classes) == (list(among.outputs), len(folders))
    assert (everything.unit.identity.subset, everything.unit.facts.classes) == (None, outputs)
    assert sorted(everything.records["label"].tolist()) == sorted(among.outputs)


def test_both_ways_are_two_rows_also_where_their_labels_are_the_same(tmp_path: Path, plain: str) -> None:
    root = pictures(tmp_path / "pics", ["0", "1", "2"])
    both = [named(root), named(root, among="all")]
    present, everything = robench.run(f"{plain}(outputs=9)", ATTACK, both).measured
    assert present.unit.identity.data == everything.unit.identity.data
    assert present.unit.identity.model != everything.unit.identity.model
    assert present.unit.folder != everything.unit.folder


@pytest.mark.parametrize(
    ("folders", "outputs", "told"),
    [
        (
            ["ape", "dog"],
            1000,
            "2 classes .'ape', 'dog'., and nothing says which .* classes.csv .* columns folder and index",
        ),
        (WNIDS, 1001, "10 classes .* some of a model's 1,000 outputs; or give a model with 10 outputs"),
        (["3", "17"], 17, "the outputs 3, 17… of a model with more than 17"),
        (["ape", "dog", "eel"], 2, "3 classes .* a model with 3 outputs"),
    ],
)
def test_a_model_with_another_number_of_outputs_is_one_message(
    tmp_path: Path, plain: str, folders: list[str], outputs: int, told: str
) -> None:
    root = pictures(tmp_path / "pics", folders)
    with pytest.raises(ModelError, match=rf"plain.py\(outputs={outputs}\) returned \(1, {outputs}\), but .*{told}"):
        robench.run(f"{plain}(outputs={outputs})", ATTACK, named(root))


def test_some_outputs_of_a_wide_model_are_not_trained(tmp_path: Path) -> None:
    """Labels 0 and 1 are other outputs than 17 and 3: the training would teach the wrong ones."""
    (tmp_path / "plain.py").write_text(PLAIN.replace("steps=0", "steps=2"))
    root = pictures(pictures(tmp_path / "pics", ["test/3", "test/17"]), ["train/3", "train/17"], count=20)
    with pytest.raises(ModelError, match="is to be trained and has 18 outputs; .*among='all'"):
        robench.run("./plain.py(outputs=18)", ATTACK, named(root))
    assert len(robench.run("./plain.py(outputs=18)", ATTACK, named(root, among="all")).measured) == 1
    assert len(robench.run("./plain.py", ATTACK, named(root)).measured) == 1


def test_probabilities_of_a_wide_model_are_seen_through_a_choice_of_them(tmp_path: Path) -> None:
    softmax = PLAIN.replace("nn.Linear(243, count))", "nn.Linear(243, count), nn.Softmax(1))")
    (tmp_path / "plain.py").write_text(softmax)
    root = pictures(tmp_path / "pics", ["3", "17"])
    with pytest.raises(ModelError, match="returns probabilities"):
        robench.run("./plain.py(outputs=18)", ATTACK, named(root))


def test_numbers_that_cannot_be_outputs_are_names(tmp_path: Path) -> None:
    root = pictures(tmp_path / "pics", ["20240101", "20250101"])
    assert load_data(named(root, among="all"), Places.of()).splits.classes == 2


def test_a_targeted_attack_aims_at_classes_that_are_read(tmp_path: Path, plain: str) -> None:
    root = pictures(tmp_path / "nette", WNIDS)
    (one,) = robench.run(
        f"{plain}(outputs=1000)", "pgd_linf(eps=0.02, steps=2, targets='random')", named(root)
    ).measured
    aimed = one.records["target"].dropna().astype(int)
    assert aimed.between(0, 9).all()


def test_imagenets_order_of_wnids_is_that_of_its_folders_sorted() -> None:
    from robench.data.classes import imagenet_wnids

    wnids = imagenet_wnids()
    assert (len(wnids), [wnids.index(wnid) for wnid in WNIDS]) == (1000, INDICES)
    assert wnids == sorted(wnids)
    assert np.unique(wnids).size == 1000
    with pytest.raises(DataError):
        load_data("folder(path='nowhere')", Places.of())

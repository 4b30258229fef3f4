"""Images and labels of one's own: taken as they are, or refused with what to do; a subset of n is as balanced as it can be."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import robench
from robench import DataError, ModelError, Places, Split, Splits, UsageError
from robench.training import adversary
from tests.cases import split_of

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (12, 3, 6, 5), dtype=np.uint8)
LABELS = np.arange(12) % 4
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of quantized tensors, which torch gives up
    QUANTIZED = torch.quantize_per_tensor(torch.rand(12, 3, 6, 5), 0.1, 0, torch.quint8)


def test_an_array_and_a_tensor_are_the_same_split() -> None:
    arrays = Split.of("own", IMAGES, LABELS)
    tensors = Split.of("own", torch.from_numpy(IMAGES), torch.from_numpy(LABELS).to(torch.int32))
    listed = Split.of("own", IMAGES, LABELS.tolist())
    assert arrays.fingerprint == tensors.fingerprint == listed.fingerprint
    assert (tensors.pixels(slice(None)) == IMAGES).all()
    assert tensors.targets().dtype == torch.int64


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (IMAGES / 255, r"float64, from 0 to 1; .*numpy.round\(255 \* images\)"),
        (torch.from_numpy(IMAGES).float() / 255, r"float32, from 0 to 1; .*numpy.round\(255 \* images\)"),
        (torch.from_numpy(IMAGES).bfloat16() / 255, "float32, from 0 to 1"),
        (IMAGES.astype(np.float32), r"float32, from 0 to 255; .*numpy.round\(images\)"),
        (IMAGES.astype(np.int64), r"int64, from 0 to 255"),
        (IMAGES.astype(np.uint16) * 257, r"uint16, from 0 to 65535; .*images / 257"),
        ((IMAGES / 255 - 0.5) / 0.2, "a normalisation"),
        (np.where(IMAGES > 200, np.nan, IMAGES / 255), "not all are finite"),
        (IMAGES > 127, "bool; .*255 "),
        ((IMAGES > 127).astype(np.uint8), "hold only 0 and 1"),
        (IMAGES.transpose(0, 2, 3, 1), r"is \(N, H, W, C\): channels come last"),
        (IMAGES[:, :, :4, :3].transpose(0, 2, 3, 1), r"is \(N, H, W, C\)"),
        (RANDOM.integers(0, 256, (12, 9, 9, 4), dtype=np.uint8), r"is \(N, H, W, C\)"),
        (RANDOM.integers(0, 256, (12, 8, 9, 4), dtype=np.uint8), r"is \(N, H, W, C\)"),
        (RANDOM.integers(0, 256, (12, 8, 8, 2), dtype=np.uint8), r"is \(N, H, W, C\)"),
        (RANDOM.random((12, 3, 6, 5)).astype(np.uint8), "hold only 0, as pixels from 0 to 1 become"),
        (IMAGES.astype(np.int8), r"int8, from -\d+ to \d+; .*images\.view\(numpy\.uint8\)"),
        (IMAGES.astype(np.int16) - 128, r"int16, from -128 to \d+; .*images \+ 128"),
        (np.ma.masked_array(IMAGES, IMAGES > 3), "a masked array"),
        (torch.from_numpy(IMAGES).to_sparse(), r"no array \(torch.uint8, torch.sparse_coo"),
        (torch.empty(12, 3, 6, 5, dtype=torch.uint8, device="meta"), r"no array .*on meta"),
        (QUANTIZED, r"no array \(torch.quint8"),
        (torch.zeros(12, 3, 6, 5).to(torch.float8_e4m3fn), "float32, from 0 to 0"),
        (torch.zeros(12, 3, 6, 5, dtype=torch.complex64).conj(), "complex64"),
        (IMAGES[:, 0], r"the shape \(12, 6, 5\); .*images\[:, None\]"),
        (IMAGES.reshape(12, -1), r"the shape \(12, 90\); .*reshape"),
        (IMAGES[:0], "are none"),
        (IMAGES[:, :, :0], "no pixels"),
        (list(IMAGES), "of type list, not an array; try numpy.stack"),
        (np.array([None, *IMAGES.tolist()], dtype=object), "array of objects"),
        (IMAGES.astype("U3"), "<U3; give uint8"),
        ("photos", "of type str"),
        (None, "of type NoneType"),
    ],
)
def test_images_that_are_not_8_bit_are_refused_with_what_to_do(images: object, told: str) -> None:
    with pytest.raises(DataError, match=f"(?s)images of 'own' .*{told}"):
        Split.of("own", images, LABELS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.where(LABELS == 3, -1, LABELS), "hold the label -1 .image 3."),
        (LABELS[:11], "are 11, the images 12"),
        (np.append(LABELS, 0), "are 13, the images 12"),
        (LABELS.astype(float), r"float64 .*labels.astype\(int\)"),
        (np.where(LABELS == 3, np.nan, LABELS), "float64"),
        (LABELS > 1, "are bool"),
        (np.eye(4, dtype=int)[LABELS], r"the shape \(12, 4\); .*labels.argmax\(1\)"),
        (LABELS[:, None], r"the shape \(12, 1\); .*labels\[:, 0\]"),
        (np.array(["cat"] * 12), "<U3"),
        ([0, 1, None] * 4, "are object"),
        ([0, 1, "x"] * 4, "are <U"),
        ([[0], [1, 2]] * 6, "are a list that is no array"),
        ([10**30] * 12, "are "),
        (np.full(12, 2**63, dtype=np.uint64), "hold the label 9223372036854775808"),
        (np.ma.masked_array(LABELS, LABELS > 1), "a masked array"),
        (torch.zeros(12).to(torch.float8_e4m3fn), "are float32"),
        (torch.zeros(12, dtype=torch.int64).to_sparse(), "no array"),
        (torch.zeros(12, dtype=torch.int64, device="meta"), "no array"),
        (7, "of type int"),
        (None, "of type NoneType"),
    ],
)
def test_labels_that_are_no_whole_numbers_from_0_are_refused(labels: object, told: str) -> None:
    with pytest.raises(DataError, match=f"(?s)labels of 'own' .*{told}"):
        Split.of("own", IMAGES, labels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (list(range(12)), r"of type list and not all texts; .*astype\(str\)"),
        (np.arange(12), r"of type int64 and not all texts; .*astype\(str\)"),
        (np.array([None, *"abcdefghijk"], dtype=object), "of type object and not all texts"),
        (np.array(list("abcdefghijkl"), dtype="S1"), "not all texts"),
        ("abcdefghijkl", "of type str and not all texts"),
        (list("abc"), "are 3, the images 12"),
        (list("abcdefghijka"), r"hold 'a' twice \(image 0"),
        ([["a", "b"]] * 6, "not all texts"),
        (7, "of type int"),
    ],
)
def test_ids_that_are_no_texts_or_alike_are_refused(ids: object, told: str) -> None:
    with pytest.raises(DataError, match=f"ids of 'own' .*{told}"):
        Split.of("own", IMAGES, LABELS, ids)  # type: ignore[arg-type]


def test_ids_may_be_listed() -> None:
    for ids in (list("abcdefghijkl"), tuple("abcdefghijkl"), np.array(list("abcdefghijkl"), dtype=object)):
        split = Split.of("own", IMAGES, LABELS, ids)  # type: ignore[arg-type]
        assert sorted(split.first(12).image_ids().tolist()) == list("abcdefghijkl")


def test_a_split_made_by_hand_is_held_to_the_same_rule() -> None:
    with pytest.raises(DataError, match=r"use Split\.of"):
        Split("own", IMAGES / 255, LABELS, np.array(["x"] * 12), np.arange(12))  # type: ignore[arg-type]


def test_a_data_set_has_labels_names_and_shapes_that_fit_its_classes() -> None:
    whole, other = Split.of("own", IMAGES, LABELS), split_of(4)
    with pytest.raises(DataError, match=r"the label 3 \(image 3 of .*\) is none of the 3 classes 0 to 2"):
        Splits(whole, whole, whole, 3)
    with pytest.raises(DataError, match="4 classes, but 3 names"):
        Splits(whole, whole, whole, 4, names=("a", "b", "c"))
    with pytest.raises(DataError, match="all must be alike"):
        Splits(other, whole, whole, 4)
    with pytest.raises(DataError, match="they look counted from 1: give labels - 1"):
        Splits(whole, whole, Split.of("own", IMAGES, LABELS + 1), 4)


def net(classes: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(90, classes))


def judged(classes: int, labels: object, given: int | None) -> int:
    split = Split.of("own", IMAGES, labels)  # type: ignore[arg-type]
    return len(robench.evaluate(net(classes), "fgsm(eps=0.1)", split, classes=given))


def test_evaluate_names_the_label_that_is_no_class() -> None:
    assert judged(4, LABELS, None) == judged(4, LABELS, 4) == judged(10, LABELS, 10) == 12
    for given in (4, None):
        with pytest.raises(
            DataError, match=r"the label 4 \(image 3 of .*'own'.*\) is none of the 4 classes 0 to 3; look"
        ):
            judged(4, np.where(LABELS == 3, 4, LABELS), given)
        with pytest.raises(DataError, match="label 4 .*counted from 1: give labels - 1"):
            judged(4, LABELS + 1, given)


@pytest.mark.parametrize("given", [None, 4, 7])
def test_evaluate_asks_for_classes_where_only_some_are_present(given: int | None) -> None:
    model = net(10).train()
    with pytest.raises(
        ModelError, match=r"returns 10 logits for an image, but logits of shape \(12, \d\).*give classes=10"
    ):
        robench.evaluate(model, "fgsm(eps=0.1)", Split.of("own", IMAGES, LABELS), classes=given)
    assert model.training


@pytest.mark.parametrize("given", [0, 1, -3, True, 2.0, "4"])
def test_evaluate_refuses_what_is_no_number_of_classes(given: object) -> None:
    with pytest.raises(UsageError, match=re.escape(f"classes={given!r}")):
        judged(4, LABELS, given)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [[9, 9, 9, 9], [12, 9, 4, 1]])
def test_every_prefix_is_as_balanced_as_it_can_be_and_a_larger_one_only_adds(size: list[int]) -> None:
    labels = np.repeat(np.arange(4), size)
    split = Split.of("own", RANDOM.integers(0, 256, (len(labels), 1, 4, 4), dtype=np.uint8), labels)
    before: list[str] = []
    for n in range(1, len(split) + 1):
        first = split.first(n)
        counts = np.bincount(first.targets().numpy(), minlength=4)
        open_classes = counts[counts < size]
        assert not len(open_classes) or counts.max() - open_classes.min() <= 1
        assert first.image_ids().tolist()[:-1] == before
        before = first.image_ids().tolist()
    assert sorted(before) == sorted(split.image_ids().tolist())


def test_fewer_images_than_classes_are_not_always_of_the_first_classes() -> None:
    test = robench.DATASETS["digits"].function(Places.of()).test
    assert len(set(test.first(5).targets().tolist())) == 5
    assert sorted(test.first(10).targets().tolist()) == list(range(10))
    assert test.first(np.int64(10)).image_ids().tolist() == test.first(10).image_ids().tolist()
    seen = {
        label
        for seed in range(20)
        for label in Split.of(
            "own", np.random.default_rng(seed).integers(0, 256, (30, 1, 4, 4), dtype=np.uint8), np.arange(30) % 10
        )
        .first(3)
        .targets()
        .tolist()
    }
    assert seen == set(range(10))


def test_the_order_that_splits_training_from_validation_is_by_class_within_a_turn() -> None:
    """No training's data, and so no weights, may change with how a subset is chosen."""
    split = split_of(40, classes=4)
    assert split.targets()[split.pinned_order()].tolist() == [0, 1, 2, 3] * 10
    train = robench.DATASETS["digits"].function(Places.of()).train
    assert train.fingerprint == "d0a429e7b0c248c5"


def test_the_epoch_that_is_kept_is_chosen_on_the_images_that_it_always_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the order of training, not of subsets: of the first five of ten classes here."""
    monkeypatch.setattr(adversary, "SELECTION_IMAGES", 5)

    class Low(nn.Module):
        """Says the class that a pixel is, and is wrong about the higher half."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            said = (x[:, 0, 0, 0] * 255).round().long() // 20
            wrong = torch.where(said < 5, said, 0)
            return nn.functional.one_hot(wrong, 10).float() + 0 * x.sum((1, 2, 3))[:, None]

    pixels = RANDOM.integers(0, 256, (30, 1, 4, 4), dtype=np.uint8)
    pixels[:, 0, 0, 0] = 20 * (np.arange(30) % 10) + 10
    split = Split.of("own", pixels, np.arange(30) % 10)
    measured = adversary.robust_accuracy(Low(), split, robench.Call("fgsm", {"eps": 0.0}), torch.device("cpu"))
    assert measured == 1.0

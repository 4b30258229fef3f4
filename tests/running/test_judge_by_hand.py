"""The judge by hand: a model of one pixel, where every logit, norm and rounding can be worked out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from cases import split_of
from torch import Tensor, nn

from robench import AttackError, Classifier, Split, attack, evaluate
from robench.running.judge import Asked, Verdict, judge, records_of_attacked, records_of_clean_errors


class Pixel(nn.Module):
    """Logits (100 x, 100 t, −50) of the mean x of an image: class 0 where x is above the threshold t."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, inputs: Tensor) -> Tensor:
        level = 100 * inputs.flatten(1).mean(1)
        return torch.stack([level, torch.full_like(level, 100 * self.threshold), torch.full_like(level, -50)], 1)


def judged(clean: list[float], adversarial: list[float], threshold: float = 0.5, **changed: Any) -> Verdict:
    """What the judge says of images of one pixel, all of class 0."""
    given = {"targets": None, "norm": "linf", "eps": None, "classes": 3, **changed}
    images = (torch.tensor(values)[:, None, None, None] for values in (clean, adversarial))
    labels = torch.zeros(len(clean), dtype=torch.int64)
    return judge(
        Pixel(threshold), *images, labels, ids=[f"image {i}" for i in range(len(clean))], attack="mine", **given
    )


def test_what_is_recorded_is_the_probability_of_the_label() -> None:
    """Logits of 50 and 50 − ln 3: 3/4 and 1/4."""
    verdict = judged([0.5], [0.5], threshold=0.5 - math.log(3) / 100)
    assert verdict.confidence.tolist() == pytest.approx([0.75], rel=1e-4)
    verdict = judged([0.6], [0.5], threshold=0.5 + math.log(3) / 100)
    assert verdict.confidence.tolist() == pytest.approx([0.25], rel=1e-4)


def test_rounding_to_8_bits_is_to_the_nearest_level() -> None:
    """Between 127 and 128 of 255: 127.4 becomes 127 and fools, 127.6 becomes 128 and does not."""
    verdict = judged([0.6, 0.6], [127.4 / 255, 127.6 / 255], threshold=127.7 / 255)
    assert verdict.success.tolist() == [True, True]
    assert verdict.success_uint8.tolist() == [True, False]
    assert verdict.prediction_uint8.tolist() == [1, 0]


@pytest.mark.parametrize("eps", [0.1, 0.01])
def test_the_ball_ends_at_its_radius(eps: float) -> None:
    judged([0.5], [0.5 - eps], eps=eps)
    for outside in (1.002 * eps, 2 * eps):
        with pytest.raises(AttackError, match="lies outside the linf ball"):
            judged([0.5], [0.5 - outside], eps=eps)
    for norm in ("l1", "l2"):
        judged([0.5], [0.5 - eps], eps=eps, norm=norm)
        with pytest.raises(AttackError, match=f"lies outside the {norm} ball"):
            judged([0.5], [0.5 - 1.002 * eps], eps=eps, norm=norm)


def test_norms_are_those_of_the_perturbation() -> None:
    """Four pixels that change by 0.3, −0.4, 0.001 and 0; half a grey level is 0.00196."""
    clean = torch.full((1, 1, 2, 2), 0.5)
    moved = clean + torch.tensor([[0.3, -0.4], [0.001, 0.0]])
    verdict = judge(
        Pixel(0.6), clean, moved, torch.tensor([0]), None, classes=3, norm="l2", eps=None, ids=["a"], attack="mine"
    )
    sizes = {name: value.item() for name, value in verdict.norms.items()}
    assert sizes == pytest.approx({"l0": 2, "l1": 0.701, "l2": (0.25 + 1e-6) ** 0.5, "linf": 0.4}, rel=1e-5)


def test_an_aim_is_reached_where_the_target_has_the_largest_logit() -> None:
    """Class 1 where x is below the threshold; class 2 is never predicted."""
    for target, reached in ((1, True), (2, False)):
        verdict = judged([0.6], [0.4], targets=torch.tensor([target]))
        assert (verdict.fooled.tolist(), verdict.success.tolist()) == ([True], [reached])
    verdict = judged([0.6], [0.4], targets=torch.tensor([1]))
    assert verdict.margin.tolist() == pytest.approx([10], rel=1e-5)  # 100 · (0.5 − 0.4)


def test_only_the_patches_that_are_allowed_may_change() -> None:
    clean = torch.full((2, 1, 2, 2), 0.5)
    allowed = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    allowed[0, 0, 0, 0] = allowed[1, 0, 1, 1] = True
    moved = torch.where(allowed, 0.9, clean)
    labels, given = torch.tensor([0, 0]), {"classes": 3, "norm": "linf", "eps": None, "ids": ["a", "b"], "attack": "x"}
    judge(Pixel(0.4), clean, moved, labels, None, allowed=allowed, **given)  # type: ignore[arg-type]
    moved[1, 0, 0, 1] = 0.501
    with pytest.raises(AttackError, match="image b changed outside its patches"):
        judge(Pixel(0.4), clean, moved, labels, None, allowed=allowed, **given)  # type: ignore[arg-type]


@attack(norm="linf", goal="natural", knowledge="none", confined=True)
def sprawling(
    model: Classifier, inputs: Tensor, labels: Tensor, *, share: float = 0.25, patch: int | None = 2
) -> Tensor:
    """Says that it is confined to patches, and is not."""
    return 1 - inputs


def test_an_attack_that_is_confined_to_patches_is_judged_so_in_a_run() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(AttackError, match="changed outside its patches"):
        evaluate(model, sprawling, split_of(20))


def test_an_image_that_was_misclassified_before_is_fooled_at_no_distance() -> None:
    """Logits (0, ln 3): class 1 with 3/4, though the label is 0. Towards class 1 it has succeeded, towards 2 it has not."""
    clean = torch.tensor([[0.0, math.log(3), -50.0]] * 2)
    asked = Asked(["a", "b"], torch.tensor([0, 0]), clean, torch.tensor([1, 2]), None)
    records = records_of_clean_errors(asked)
    assert records["success"].tolist() == [True, False]
    assert records["fooled"].tolist() == [True, True]
    assert records["confidence"].tolist() == pytest.approx([0.25, 0.25], rel=1e-4)
    assert (records[["l0", "l1", "l2", "linf"]] == 0).all(axis=None)
    assert records_of_clean_errors(asked.__class__(["a"], asked.labels[:1], clean[:1], None, 0.1))["success"].all()


def test_records_say_what_was_attacked_with_which_passes() -> None:
    """FGSM: a forward and a backward pass; from 0.6 to 0.48, and from 0.65 to 0.53, of a threshold of 0.5."""
    pixels = torch.tensor([153, 51, 166, 204], dtype=torch.uint8).view(4, 1, 1, 1)
    split = Split.of("test", pixels.numpy(), np.array([0, 0, 0, 2]))  # class 2 is never predicted
    records = evaluate(Pixel(0.5), "fgsm(eps=0.12)", split).set_index("image").loc[split.image_ids()]
    assert records["correct"].tolist() == [True, False, True, False]
    assert records["success"].tolist() == [True, True, False, True]
    assert records["fooled"].tolist() == [True, True, False, True]
    assert records["forwards"].tolist() == records["backwards"].tolist() == [1, 0, 1, 0]
    assert records["linf"].tolist() == pytest.approx([0.12, 0, 0.12, 0], abs=1e-6)
    assert records["margin"].tolist()[::2] == pytest.approx([2, 62 - 100 * 166 / 255], rel=1e-4)
    assert records["clean_prediction"].tolist() == [0, 1, 0, 0]
    assert records["prediction"].tolist() == [1, 1, 0, 0]


def test_a_class_that_is_left_out_does_not_hide_a_success() -> None:
    """Logits (x, 0.5, −1e9): success is measured by the two that compete, not by the one that stands for never."""

    class Masked(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            level = inputs.flatten(1).mean(1)
            return torch.stack(
                [level, torch.full_like(level, 0.5), torch.full_like(level, 0.2), torch.full_like(level, -1e9)], 1
            )

    clean, moved = torch.full((1, 1, 1, 1), 0.6), torch.full((1, 1, 1, 1), 0.4)
    label = torch.tensor([0])
    verdict = judge(Masked(), clean, moved, label, None, classes=4, norm="linf", eps=None, ids=["a"], attack="mine")
    assert bool(verdict.success)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_single_value_that_is_not_finite_is_refused(value: float) -> None:
    moved = torch.full((2, 1, 2, 2), 0.5)
    moved[1, 0, 1, 0] = value
    with pytest.raises(AttackError, match="image image 1 holds values that are not finite; 1 of 2"):
        judge(
            Pixel(0.4), torch.full((2, 1, 2, 2), 0.5), moved, torch.tensor([0, 0]), None,
            classes=3, norm="linf", eps=None, ids=["image 0", "image 1"], attack="mine",
        )  # fmt: skip


def test_the_margin_that_is_recorded_is_that_of_the_aim() -> None:
    """Of logits (40, 50, −50): class 2 is 100 below the largest, though the label is left by 10."""
    verdict = judged([0.6], [0.4], targets=torch.tensor([2]))
    assert verdict.margin.tolist() == pytest.approx([-100], rel=1e-5)
    assert judged([0.6], [0.4]).margin.tolist() == pytest.approx([10], rel=1e-5)


def test_the_spread_is_that_of_the_logits_before_the_attack() -> None:
    """A success by 0.01 of clean logits that span 100 or 10,000, whatever they span afterwards: 0.001 or 0.1 is wanted."""
    for span, success in ((100.0, True), (10_000.0, False)):
        clean = torch.tensor([[0.0, -span / 2, -span]])
        before, after = (torch.tensor(level).view(1, 1, 1, 1) for level in (0.6, 0.4999))
        given = {"classes": 3, "norm": "linf", "eps": None, "ids": ["a"], "attack": "mine"}
        verdict = judge(Pixel(0.5), before, after, torch.tensor([0]), None, clean=clean, **given)  # type: ignore[arg-type]
        assert verdict.success.tolist() == [success]


def test_the_seconds_of_a_shard_are_shared_by_its_rows() -> None:
    verdict, ids = judged([0.6] * 4, [0.4] * 4), [f"image {i}" for i in range(4)]
    asked = Asked(ids, torch.zeros(4, dtype=torch.int64), torch.zeros(4, 3), None, None)
    passes = (torch.tensor([1, 2, 3, 4]), torch.tensor([0, 1, 2, 3]), 10.0)
    found = records_of_attacked(asked, verdict, passes, {})
    assert found["seconds"].tolist() == [2.5] * 4
    assert (found["forwards"].tolist(), found["backwards"].tolist()) == ([1, 2, 3, 4], [0, 1, 2, 3])


@pytest.mark.parametrize(("gap", "success"), [(2.0, True), (0.5, False)])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_the_margin_is_a_hundred_thousandth_of_the_spread(gap: float, success: bool, scale: float) -> None:
    """Clean logits (60, 50, −50): a spread of 110, so that 1.1e-3 is wanted."""

    class Scaled(Pixel):
        def forward(self, inputs: Tensor) -> Tensor:
            return scale * super().forward(inputs.double())

    clean, moved = torch.tensor([0.6], dtype=torch.float64), torch.tensor([0.5 - gap * 1.1e-5], dtype=torch.float64)
    shape = (1, 1, 1, 1)
    verdict = judge(
        Scaled(0.5),
        clean.view(shape),
        moved.view(shape),
        torch.tensor([0]),
        None,
        classes=3,
        norm="linf",
        eps=None,
        ids=["a"],
        attack="mine",
    )
    assert bool(verdict.success) is success
    assert bool(verdict.fooled) is success
    assert int(verdict.prediction) == 1

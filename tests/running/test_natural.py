"""Natural threats as a run judges them: all images, the same pixels for every model, no question to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from cases import split_of
from conftest import small_run
from torch import Tensor, nn

import robench
from robench import AttackError, Classifier, Split, UsageError, attack, corrupt, evaluate
from robench.attacking.draws import Draws
from robench.attacking.patches import masks_of, patch_mask
from robench.benchmarks import CORRUPTIONS, SEVERITIES


class Bright(nn.Module):
    """Class 1 where the mean is above a level, class 0 below."""

    def __init__(self, level: float = 0.5) -> None:
        super().__init__()
        self.level = level
        self.seen: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(inputs.clone())
        mean = inputs.flatten(1).mean(1)
        return torch.stack([self.level - mean, mean - self.level], 1)


def flat(levels: list[int], labels: list[int], side: int = 8) -> Split:
    """Images of one grey level each, all different in one pixel so that no two are the same."""
    images = np.stack([np.full((1, side, side), level, dtype=np.uint8) for level in levels])
    return Split.of("test", images, np.array(labels))


def test_an_image_that_is_wrong_before_is_judged_too_and_may_become_right() -> None:
    """Contrast draws towards the image's own mean, brightness raises it: the dark image of class 1 becomes right."""
    split = flat([100, 200, 30], [1, 1, 0])
    records = evaluate(Bright(), "corruptions(names='brightness', severities=5)", split).set_index("image")
    records = records.loc[split.image_ids()]
    assert records["correct"].tolist() == [False, True, True]
    assert records["fooled"].tolist() == [False, False, False], "100 + 0.3 * 255 is above the middle, 30 + 76 is not"
    assert records["prediction"].tolist() == [1, 1, 0]
    assert records["corruption"].tolist() == ["brightness"] * 3
    assert records["severity"].tolist() == [5] * 3
    assert (records["forwards"].sum(), records["backwards"].sum()) == (0, 0)
    raised = np.floor(np.array([100, 200, 30]) + 0.3 * 255)
    assert records["linf"].to_numpy() == pytest.approx((np.minimum(raised, 255) - [100, 200, 30]) / 255, abs=1e-6)
    assert records["certainty"].to_numpy() == pytest.approx(records["confidence"].to_numpy())


def test_a_model_meets_each_image_once_and_never_the_attack() -> None:
    split, model = split_of(12, side=8), Bright()
    evaluate(model, "clean", split)
    asked = sum(len(batch) for batch in model.seen)
    model.seen.clear()
    evaluate(model, ["clean", "corruptions(names=['contrast', 'fog'], severities=[1, 4])"][1], split)
    assert sum(len(batch) for batch in model.seen) - asked == 3 * (12 + 1), (
        "a pass each, and one to see that it is still"
    )


def test_all_models_meet_the_same_pixels_whatever_the_batch_and_the_workers() -> None:
    split = split_of(40, side=12)
    first, second = Bright(0.4), Bright(0.6)
    evaluate(first, "corruptions(names='gaussian_noise', severities=3)", split, workers=1)
    evaluate(second, "corruptions(names='gaussian_noise', severities=3)", split, workers=2)

    def pixels(model: Bright) -> set[bytes]:
        return {image.numpy().tobytes() for batch in model.seen for image in batch}

    assert pixels(first) == pixels(second)
    wanted = corrupt(split.inputs(slice(None)), "gaussian_noise", 3, Draws(0, split.image_ids().tolist()))
    assert {image.numpy().tobytes() for image in wanted} <= pixels(first)


def test_corruptions_without_options_are_the_fifteen_at_five_severities() -> None:
    from robench.entries.cards import DatasetCard
    from robench.running.conditions import conditions

    every = conditions("corruptions", DatasetCard())
    assert [(c.corruption, c.severity) for c in every] == [(c, s) for c in CORRUPTIONS for s in SEVERITIES]
    some = conditions("corruptions(names=['fog', 'saturate'], severities=2)", DatasetCard())
    assert [c.text for c in some] == [f"corruptions(names='{name}', severities=2)" for name in ("fog", "saturate")]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("corruptions(names='fogg')", "fog"),
        ("corruptions(severities=0)", "at least 1 and at most 5"),
        ("corruptions(severities=[1, 6])", "at least 1 and at most 5"),
        ("perturbations(names='tillt')", "tilt"),
    ],
)
def test_what_is_no_corruption_or_severity_is_told(call: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        small_run(attack=call)


def test_one_corruption_at_one_severity_is_wanted_outside_a_run() -> None:
    net, images = Bright(), torch.rand(2, 1, 8, 8)
    with pytest.raises(UsageError, match="names='fog', severities=3"):
        robench.ATTACKS["corruptions"](net, images, torch.zeros(2, dtype=torch.int64))
    found = robench.ATTACKS["corruptions"](net, images, net(images).argmax(1), names="contrast", severities=2)
    assert found.shape == images.shape


def wrong(function: object) -> str:
    with pytest.raises(AttackError) as caught:
        evaluate(Bright(), function, split_of(4, side=8))  # type: ignore[arg-type]
    return str(caught.value)


def test_a_natural_threat_that_is_none_is_refused() -> None:
    @attack(norm="linf", goal="natural", knowledge="none")
    def asking(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Asks."""
        model(inputs)
        return inputs.clone()

    @attack(norm="linf", goal="natural", knowledge="none")
    def between(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Lies between the levels."""
        return (inputs + 0.5 / 255).clamp(0, 1)

    @attack(norm="linf", goal="natural", knowledge="none")
    def smaller(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Is of another size."""
        return inputs[..., 1:]

    @attack(norm="linf", goal="natural", knowledge="none")
    def outside(model: Classifier, inputs: Tensor, labels: Tensor) -> Tensor:
        """Leaves the box."""
        return inputs + 1

    assert "asked the model" in wrong(asking)
    assert "8 bits" in wrong(between)
    assert "returned (4, 1, 8, 7)" in wrong(smaller)
    assert "leaves the box" in wrong(outside)


def test_a_patch_threat_may_not_touch_other_pixels() -> None:
    @attack(norm="linf", goal="natural", knowledge="none", confined=True)
    def everywhere(model: Classifier, inputs: Tensor, labels: Tensor, *, share: float = 0.25, patch: int = 2) -> Tensor:
        """Inverts all."""
        return 1 - inputs

    assert "changed outside its patches" in wrong(everywhere)


def test_shared_masks_are_the_same_for_all_images_and_own_masks_are_not() -> None:
    draws, shape = Draws(0, ["a", "b", "c"]), torch.Size([3, 1, 8, 8])
    options = {"share": 0.25, "patch": 2, "masks": 5}
    shared = masks_of(draws, shape, options)
    assert shared.shape == (3, 5, 1, 8, 8)
    assert torch.equal(shared[0], shared[1])
    assert len({mask.numpy().tobytes() for mask in shared[0]}) == 5
    assert (shared.flatten(2).sum(2) == 16).all(), "a quarter of 16 patches of 4 pixels"
    assert torch.equal(masks_of(Draws(0, ["z"]), torch.Size([1, 1, 8, 8]), options)[0], shared[0])
    own = masks_of(draws, shape, {**options, "masks": None})
    assert torch.equal(own[:, 0], patch_mask(draws, shape, 2, 0.25))
    assert not torch.equal(own[0], own[1])


def test_a_run_over_masks_has_a_row_for_each_mask_and_a_table_of_their_spread() -> None:
    result, _ = small_run(attack="patch_noise(share=0.25, masks=6)", n=30)
    records = result.records
    assert sorted(records["draw"].unique()) == list(range(6))
    assert len(records) == 30 * 6
    (table,) = [table for table in result.tables() if "over masks" in table.title]
    accuracy = 1 - records.groupby("draw")["fooled"].mean()
    cells = dict(zip([c.name for c in table.columns], table.rows[0][1], strict=True))
    assert cells["least"].value == pytest.approx(accuracy.min())
    assert cells["median"].value == pytest.approx(accuracy.median())
    assert cells["largest"].value == pytest.approx(accuracy.max())
    assert cells["masks"].value == 6


def test_more_images_of_a_corruption_go_beside_those_that_are_there() -> None:
    few, _ = small_run(attack="corruptions(names='contrast', severities=2)", n=20)
    more, _ = small_run(attack="corruptions(names='contrast', severities=2)", n=35)
    both = pd.merge(few.records, more.records, on="image")
    assert len(both) == 20
    assert (both["seconds_x"] == both["seconds_y"]).all(), "read, not run again"


def test_only_what_leaves_images_as_they_are_shows_the_frames_that_they_begin() -> None:
    """A set of sequences that is corrupted besides has one picture an image, and no frames."""
    split = split_of(4, side=8)
    frames = np.stack([split.pixels(slice(None)), 255 - split.pixels(slice(None))], 1)
    begun = replace(split, frames=frames)
    shown = evaluate(Bright(), "clean", begun)
    assert sorted(shown["frame"]) == [0, 0, 0, 0, 1, 1, 1, 1]
    assert shown["top5"].notna().all()
    later = shown[shown["frame"] == 1].set_index("image").loc[split.image_ids()]
    dark = torch.from_numpy(255 - split.pixels(slice(None))).float().flatten(1).mean(1) / 255
    assert later["prediction"].tolist() == (dark > 0.5).long().tolist()
    corrupted = evaluate(Bright(), "corruptions(names='contrast', severities=1)", begun)
    assert len(corrupted) == 4
    assert corrupted["frame"].isna().all()
    assert corrupted["top5"].isna().all()
    assert corrupted["linf"].notna().all()

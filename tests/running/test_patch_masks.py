"""Adversarial patches within masks that all images share."""

from __future__ import annotations

import pytest
import torch
from conftest import SMALL
from torch import Tensor

import robench
from robench import AttackError, Classifier
from robench.attacking.patches import masks_of
from robench.running.subject import Subject

ATTACK = "patch_pgd(masks=3, patch='model', steps=4)"


def test_every_image_is_attacked_within_every_mask() -> None:
    found = robench.run(SMALL, [ATTACK, "patch_noise(masks=3, patch='model')"], "digits", n=40, quiet=True)
    pgd, noise = (one.records for one in found.measured)
    assert len(pgd) == len(noise) == 120 and sorted(pgd["draw"].unique()) == [0, 1, 2]
    assert pgd.groupby("image").size().eq(3).all(), "also of images that were wrong before"
    errors = [1 - (~one["fooled"].astype(bool)).groupby(one["draw"].astype(int)).mean() for one in (pgd, noise)]
    assert (errors[0] > errors[1]).all(), "what is sought is worse than noise, under each mask"
    attacked = pgd[pgd["correct"]]
    assert attacked["l0"].gt(0).any() and attacked["l0"].max() <= 8, "two patches of 2 x 2 pixels"
    assert attacked["forwards"].gt(0).all()
    assert "Patch threats over masks" in found.table()


def test_the_masks_are_those_of_noise(attackable: tuple[Tensor, Tensor, list[str]], subject: Subject) -> None:
    inputs, labels, ids = (part[:10] for part in attackable)
    model = Classifier(subject.module, 10, ids)
    entry = robench.ATTACKS["patch_pgd"]
    found = entry.function(model, inputs, labels, share=0.125, patch=2, masks=3, steps=3, until_success=False)
    allowed = masks_of(model.draws, inputs.shape, {"share": 0.125, "patch": 2, "masks": 3})
    moved = found != inputs[:, None]
    assert found.shape == (10, 3, 1, 8, 8) and not (moved & ~allowed).any()
    assert all(moved[:, number].any() for number in range(3))
    alone = entry.function(model, inputs, labels, share=0.125, patch=2, steps=3, until_success=False)
    assert alone.shape == inputs.shape


def test_the_judge_knows_each_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attack that changes a pixel outside the mask of its draw has broken its threat model."""
    entry = robench.ATTACKS["patch_pgd"]
    function = entry.function

    def cheating(*given: object, **options: object) -> Tensor:
        found = function(*given, **options)
        return torch.roll(found, 1, dims=1)  # each image is within another mask

    monkeypatch.setitem(entry.__dict__, "function", cheating)
    with pytest.raises(AttackError, match="changed outside its patches"):
        robench.run(SMALL, "patch_pgd(masks=2, patch=2, share=0.125, steps=2)", "digits", n=10, quiet=True)

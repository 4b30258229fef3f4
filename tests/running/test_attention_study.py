"""What is kept of a model's attention: gaps of sorted rows, cosines under noise in patches, maps of one patch."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import torch

from robench import build_vit
from robench.models.attention import attentions, watched
from robench.records.cards import ModelCard
from robench.running.attention_study import attention_study, gap_weights
from robench.running.subject import Subject


def test_gaps_are_weighted_as_the_paper_says() -> None:
    rows = torch.tensor([[0.0, 0.5, 0.5], [0.8, 0.1, 0.1], [0.1, 0.2, 0.7]])
    # gaps 0, 0.5: at 2, of weight 1 - 0.5; 0.7, 0: at 1, of 1 - 0.8; 0.5, 0.1: at 1, of 1 - 0.7
    assert gap_weights(rows).tolist() == pytest.approx([(0.2 + 0.3) / 3, 0.5 / 3])
    assert gap_weights(rows.view(1, 3, 1, 3)).tolist() == pytest.approx([(0.2 + 0.3) / 3, 0.5 / 3])


def test_a_study_is_of_each_layer_and_of_the_models_own_patches(subject: Subject) -> None:
    found = attention_study(subject)
    assert found is not None and found.maps is not None
    assert [len(gaps) for gaps in found.gaps] == [16, 16] and [len(own) for own in found.cosines] == [100, 100]
    assert all(0 < sum(gaps) < 1 for gaps in found.gaps)
    assert (found.images, found.patch, found.share) == (100, 2, 2 / 16)
    assert all(0 < cosine <= 1 for own in found.cosines for cosine in own)
    assert found.maps.grid == (4, 4) and [len(row) for row in found.maps.clean] == [16, 16]
    assert found.maps.clean != found.maps.covered
    before, after = (np.frombuffer(base64.b64decode(image), np.uint8).reshape(8, 8) for image in found.maps.images)
    changed = (before != after).reshape(4, 2, 4, 2).any((1, 3)).flatten()
    assert changed.sum() == 2 and not changed[found.maps.query], "noise is in two patches, and not in the one that asks"
    with torch.no_grad(), watched(attentions(subject.module)) as seen:
        subject.module(subject.split.inputs(np.array([0])))
    row = seen[0][0][0].mean(0)[found.maps.query + 1, 1:]  # behind the class token, which is no patch
    assert found.maps.clean[0] == pytest.approx(row.tolist(), abs=1e-4)
    shown = subject.split.inputs(np.array([0]))[0, 0].mul(255).round().numpy().astype(np.uint8)
    assert (before == shown).all()


def test_of_attention_that_cannot_be_watched_there_is_none(subject: Subject) -> None:
    from dataclasses import replace

    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
    assert attention_study(replace(subject, module=flat)) is None


def test_covered_patches_alone_change_attention(subject: Subject) -> None:
    """A layer whose rows do not depend on the image keeps a cosine of one."""
    from dataclasses import replace

    model = build_vit((1, 8, 8), 10, [0.5], [0.2], patch=2, dim=16, depth=2, heads=2, mlp=32).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "qkv" in name:
                weight.zero_()
    found = attention_study(replace(subject, module=model))
    assert found is not None and found.cosines == [[1.0] * 100] * 2


def test_it_is_kept_in_the_models_card(subject: Subject) -> None:
    study = attention_study(subject)
    from robench import parse

    plain = {"model": "m", "defense": parse("vit"), "dataset": parse("digits"), "weights": "w", "data": "d"}
    numbers = {"images": 1, "seconds": 0.0, "epochs": 1, "parameters": 1, "macs": 1, "approximate_slopes": False}
    lists: dict[str, list[float]] = {"attention": [], "attention_cosines": [], "feature_distances": []}
    card = ModelCard(**plain, **numbers, **lists, study=study)  # type: ignore[arg-type]
    card.write(Path("card.json"))
    read = ModelCard.read(Path("card.json"))
    assert read.study is not None and study is not None and read.study.cosines == study.cosines
    assert read.study.maps is not None and study.maps is not None and read.study.maps.clean == study.maps.clean

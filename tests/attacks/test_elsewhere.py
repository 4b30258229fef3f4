"""Attacks and images that come from elsewhere, on robench's own judge and records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cases import split_of
from conftest import SMALL, small_run
from PIL import Image
from torch import Tensor, nn

import robench
from robench import ATTACKS, Classifier, DataError, ModelError, Split, UsageError, evaluate, lengths, spread
from robench.running.subject import Subject


def test_arts_attacks_are_called_by_their_names() -> None:
    pgd = "art('ProjectedGradientDescent', eps=0.1, together=True, eps_step=0.0625, max_iter=4, num_random_init=0)"
    ours = "pgd_linf(eps=0.1, steps=4, random_start=False, until_success=False)"
    result, _ = small_run(attack=[pgd, ours], n=40)
    told = result.summary()
    assert told[0]["attack"] == pgd.replace("art('ProjectedGradientDescent'", "art(name='ProjectedGradientDescent'")
    assert told[0]["asr"]["value"] == pytest.approx(told[1]["asr"]["value"], abs=0.06)
    assert told[0]["forwards"] >= 4
    wrong = robench.run(SMALL, "art('CarliniLInfMethod', targets='random', max_iter=5)", "digits", n=12).summary()[0]
    assert wrong["asr"]["value"] < 0.2  # its success test ignores the target; the judge does not


@pytest.mark.parametrize(
    ("call", "said"),
    [("art('HopSkipJmp')", "did you mean 'HopSkipJump'"), ("art('DeepFool', max_itr=3)", "did you mean 'max_iter'")],
)
def test_what_art_does_not_have_is_said(call: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        small_run(attack=call, n=10)


@pytest.mark.parametrize("form", ["file", "folder"])
def test_images_made_elsewhere_are_judged_as_our_own(form: str, subject: Subject, tmp_path: Path) -> None:
    made, _ = small_run(attack="pgd_linf(eps=0.1, steps=5)", n=40, keep_images=True)
    kept = made.measured[0].unit.read(pixels=True).dropna(subset=["adversarial"])
    ids = kept["image"].tolist()
    pixels = np.stack([np.frombuffer(p, np.float32).reshape(1, 8, 8) for p in kept["adversarial"]])
    path = tmp_path / "made"
    if form == "file":
        path = path.with_suffix(".npz")
        np.savez(path, ids=ids, images=pixels)
    else:
        path.mkdir()
        for name, image in zip(ids, pixels, strict=True):
            np.save(path / f"{name}.npy", image)
    judged, _ = small_run(attack=f"images(path='{path}')", n=40)
    own, other = (r.records.set_index("image").sort_index() for r in (made, judged))
    assert (own["success"] == other["success"]).all()
    attacked = own["correct"]
    assert np.allclose(own["linf"][attacked], other["linf"][attacked])
    if form == "file":
        np.savez(path, ids=ids, images=np.zeros_like(pixels))
        again, said = small_run(attack=f"images(path='{path}')", n=40)
        assert any(
            f"the contents of {path} changed" in line for line in said
        )  # the file's contents are part of the cell's identity
        assert (again.records["linf"] > 0.5).any()


def test_arts_attacks_that_ask_for_answers_alone_need_no_slopes() -> None:
    class Rounded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            rows = (x * 8).round().flatten(1)
            return torch.stack([rows[:, :8].sum(1), rows[:, 8:].sum(1)], 1)

    with pytest.raises(ModelError, match="zero everywhere"):
        evaluate(Rounded(), "art('DeepFool', norm='l2')", split_of(20))
    records = evaluate(Rounded(), "art('HopSkipJump', norm='l2', max_iter=1, max_eval=20, init_eval=5)", split_of(20))
    assert len(records) == 20


def test_pictures_in_a_folder_are_read_as_pictures(subject: Subject, tmp_path: Path) -> None:
    """Of palettes the colours count, not their places in the palette."""
    split = subject.split.select(np.arange(4))
    pixels = split.pixels(slice(None))
    folder = tmp_path / "made"
    folder.mkdir()
    for name, image in zip(split.image_ids(), pixels, strict=True):
        Image.fromarray(255 - image[0]).convert("RGB").quantize(64).save(folder / f"{name}.png")
    with pytest.raises(DataError, match=r"is of shape \(3, 8, 8\); \(1, 8, 8\) was wanted"):
        evaluate(subject.module, f"images(path='{folder}')", split, classes=10)
    coloured = Split.of("colours", np.repeat(pixels, 3, 1), split.targets().numpy(), split.image_ids())

    class Grey(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            logits: Tensor = subject.module(inputs[:, :1])
            return logits

    found = evaluate(Grey(), f"images(path='{folder}')", coloured, classes=10)
    wanted = np.abs(pixels.astype(int) * 2 - 255).reshape(4, -1).max(1) / 255
    told = found.set_index("image").loc[coloured.image_ids()]
    attacked = told["correct"].to_numpy().astype(bool)
    assert attacked.any()
    assert np.allclose(told["linf"].to_numpy()[attacked], wanted[attacked], atol=1e-6)
    for name in split.image_ids():
        (folder / f"{name}.png").unlink()
        np.save(folder / f"{name}.npy", pixels[0].astype(np.int64))
    with pytest.raises(DataError, match="holds int64 of shape"):
        evaluate(subject.module, f"images(path='{folder}')", split, classes=10)


def test_images_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no"):
        small_run(attack="images(path='nowhere.npz')", n=10)
    with pytest.raises(DataError, match="there is no .made.npy. to read"):
        small_run(attack="images(path='made.npy')", n=10)
    np.savez(tmp_path / "other.npz", ids=["x"], images=np.zeros((1, 1, 8, 8)))
    with pytest.raises(UsageError, match="has none of these"):
        small_run(attack=f"images(path='{tmp_path}/other.npz')", n=10)


@pytest.mark.parametrize("by", [1e-6, 1e6])
def test_art_sees_logits_of_a_usual_scale(
    by: float, subject: Subject, attackable: tuple[Tensor, Tensor, list[str]]
) -> None:
    inputs, labels, ids = (part[:4] for part in attackable)

    class Scaled(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.factor * subject.module(images)
            return logits

    won = []
    for module in (Scaled(1.0), Scaled(by)):
        with torch.no_grad():
            model = Classifier(module, 10, ids, spread=spread(module(inputs)))
        found = ATTACKS["art"].function(model, inputs, labels, name="DeepFool", norm="l2", max_iter=20)
        with torch.no_grad():
            won.append(model.reached(module(found), labels, None))
    assert won[0].any()
    assert torch.equal(won[0], won[1])


def test_the_nearest_queries_of_art_count_also_where_it_has_all_images_in_one_call(
    subject: Subject, attackable: tuple[Tensor, Tensor, list[str]]
) -> None:
    inputs, labels, ids = (part[:3] for part in attackable)
    smallest = torch.full((3,), torch.inf, dtype=torch.float64)

    class Watched(Classifier):
        def __call__(self, points: Tensor, rows: Tensor | None = None) -> Tensor:
            logits = super().__call__(points, rows)
            places = torch.arange(len(points)) if rows is None else rows
            sizes = lengths(points.double() - inputs[places].double())["l2"]
            sizes[~self.reached(logits.detach(), labels[places], None, places)] = torch.inf
            smallest.scatter_reduce_(0, places, sizes.detach(), "amin")
            return logits

    model = Watched(subject.module, 10, ids)
    found = ATTACKS["art"].function(
        model, inputs, labels, name="HopSkipJump", norm="l2", together=True, max_iter=1, max_eval=100, init_eval=10
    )
    assert (lengths(found.double() - inputs.double())["l2"] <= smallest * (1 + 1e-4) + 1e-6).all()

"""What a model card says of a model, on models whose attention and features are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robench import Attention, Split
from robench.running.diagnostics import attention_mass, occlusion, probe_digest
from robench.running.subject import Subject


def grey(count: int = 12, side: int = 28) -> Split:
    images = np.full((count, 1, side, side), 128, dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(count)  # so that each has its own id
    return Split.of("test", images, np.arange(count) % 2)


def subject(module: nn.Module, split: Split) -> Subject:
    return Subject("mine", module.eval(), 2, torch.device("cpu"), split)


class Watching(nn.Module):
    """Two logits of no account; keeps the images that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.append(inputs)
        return torch.zeros(len(inputs), 2)


def test_a_tenth_of_the_patches_is_covered_with_uniform_noise() -> None:
    """Patches are a fourteenth of the side: 2 pixels of 28, and 20 of the 196 are covered."""
    model = Watching()
    assert occlusion(subject(model, grey())) == {"attention": [], "features": []}
    clean, covered = model.seen
    changed = (clean != covered).flatten(1)
    assert (changed.sum(1) == 20 * 4).all()
    values = covered.flatten(1)[changed]
    assert float(values.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(values.std()) == pytest.approx(12**-0.5, rel=0.1)


class Even(nn.Module):
    """A layer of attention over the 16 pixels of an image, whose scores are all the same or of the pixels alone."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.attend = Attention(1, 1, "softmax")
        self.attend.qkv.weight.data = torch.tensor([[0.0], [slope], [1.0]])
        self.attend.qkv.bias.data = torch.tensor([1.0, 0.0, 0.0])

    def forward(self, inputs: Tensor) -> Tensor:
        return self.attend(inputs.flatten(1)[..., None]).mean(1).expand(-1, 2)  # type: ignore[no-any-return]


def test_the_mass_of_the_largest_weights_is_of_one_then_two_then_all() -> None:
    """Scores of 0 make weights of 1/16 each; black pixels beside a white one with a slope of ln 15 hold 1/30 each."""
    (layer,) = attention_mass(subject(Even(0.0), grey(side=4)))
    assert layer == pytest.approx([i / 16 for i in range(1, 17)], abs=1e-4)
    images = np.zeros((2, 1, 4, 4), dtype=np.uint8)
    images[:, 0, 1, 1] = 255
    split = Split.of("test", images, np.array([0, 1]))
    (layer,) = attention_mass(subject(Even(float(np.log(15))), split))
    assert layer == pytest.approx([0.5 + i / 30 for i in range(16)], abs=1e-4)


def test_the_mass_is_a_mean_over_images_however_they_are_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 12 images, in batches of 5, 5 and 2."""
    part = subject(Even(2.0), grey(side=4))
    whole = attention_mass(part)
    monkeypatch.setattr("robench.running.diagnostics.ATTENTION_BATCH", 5)
    assert attention_mass(part) == [pytest.approx(layer, abs=2e-4) for layer in whole]


def test_even_attention_does_not_turn_and_features_move_by_what_is_covered() -> None:
    found = occlusion(subject(Even(0.0), grey(side=4)))
    assert found["attention"] == [1.0]
    turned = occlusion(subject(Even(20.0), grey(side=4)))["attention"][0]
    assert turned < 0.99


def test_answers_that_change_in_their_second_decimal_change_the_digest() -> None:
    class Constant(nn.Module):
        def __init__(self, level: float) -> None:
            super().__init__()
            self.level = level

        def forward(self, inputs: Tensor) -> Tensor:
            return torch.full((len(inputs), 2), self.level)

    digests = [probe_digest(subject(Constant(level), grey()), grey()) for level in (1.0, 1.001, 1.02)]
    assert digests[0] == digests[1] != digests[2]

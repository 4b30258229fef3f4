"""What is looked at before an attack, by hand: just below and just above each threshold."""

from __future__ import annotations

import pytest
import torch
from cases import split_of
from torch import Tensor, nn

from robench import ModelError
from robench.attacking.expectation import Expectation
from robench.running.preflight import preflight
from robench.running.subject import Subject


class Odd(nn.Module):
    """Logits (10, −4) plus a hundredth of two pixels, with one thing changed.

    Args:
        again: added to the first logit at the second call.
        beside: added to the first logit of images that are not alone.
        steep: how many of the two pixels have slopes.
    """

    def __init__(self, again: float = 0.0, beside: float = 0.0, steep: int = 2) -> None:
        super().__init__()
        self.again, self.beside, self.steep, self.calls = again, beside, steep, 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        flat = inputs.flatten(1)
        steep = torch.arange(2) < self.steep
        seen = torch.where(steep, flat[:, :2], flat[:, :2].detach()) + 0 * flat[:, :2]
        extra = self.again * (self.calls == 2) + self.beside * (len(inputs) > 1)
        return torch.tensor([10.0, -4.0]) + 0.01 * seen + torch.tensor([extra, 0.0])


class Fixed(nn.Module):
    """The same row for every image, whatever it is."""

    def __init__(self, *row: float) -> None:
        super().__init__()
        self.row = torch.tensor(row, dtype=torch.float64)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.row.expand(len(inputs), -1)


def look(module: nn.Module, *, gradients: bool = False, classes: int = 2) -> None:
    preflight(Subject("mine", module, classes, torch.device("cpu"), split_of(20)), gradients=gradients)


@pytest.mark.parametrize("kind", ["again", "beside"])
def test_logits_may_differ_by_a_thousandth_of_the_largest(kind: str) -> None:
    """Of 10.01: from call to call, and from an image alone to the same one beside others."""
    for small in (0.0, 1e-4, 0.009):
        look(Odd(**{kind: small}))
    said = "other logits when the same" if kind == "again" else "depend on the batch"
    for large in (0.0115, -0.0115, 1.0):
        with pytest.raises(ModelError, match=said):
            look(Odd(**{kind: large}))


def test_a_model_that_is_random_by_declaration_may_differ() -> None:
    torch.manual_seed(0)
    look(Expectation(nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(16, 2)).train()))


@pytest.mark.parametrize(
    ("row", "refused"),
    [
        ((0.25, 0.75), True),
        ((0.0, 1.0), True),
        ((0.25, 0.75 + 5e-5), True),  # rounded
        ((0.25, 0.75 + 2e-4), False),
        ((-0.25, 1.25), False),  # of sum 1, but not shares
        ((0.25, 0.85), False),
    ],
)
def test_what_is_not_negative_and_sums_to_one_is_taken_for_probabilities(
    row: tuple[float, float], refused: bool
) -> None:
    if refused:
        with pytest.raises(ModelError, match="returns probabilities"):
            look(Fixed(*row))
    else:
        look(Fixed(*row))


def test_a_model_may_be_flat_in_most_pixels_but_not_in_all() -> None:
    """Of 16 pixels two have slopes, then one, then none."""
    for steep in (2, 1):
        look(Odd(steep=steep), gradients=True)
    with pytest.raises(ModelError, match="zero everywhere"):
        look(Odd(steep=0), gradients=True)
    look(Odd(steep=0), gradients=False)


def test_four_images_are_looked_at() -> None:
    """Twice together, the first one alone, and together for their slopes."""

    class Counted(Odd):
        asked: list[int] = []

        def forward(self, inputs: Tensor) -> Tensor:
            self.asked.append(len(inputs))
            return super().forward(inputs)

    model = Counted()
    look(model, gradients=True)
    assert model.asked == [4, 4, 1, 4]

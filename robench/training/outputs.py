"""Which outputs of a model are the classes of a data set, where the model has more of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robench.attacking.classifier import checked_forward, count_classes
from robench.attacking.stillness import refuse_unmade
from robench.data.splits import Splits
from robench.errors import ModelError
from robench.training.recipe import Recipe

SHOWN = 10
NEVER = 1000.0
"""So far below the least logit stands a class that no output stands for: its probability is 0 in double precision."""


@dataclass(frozen=True)
class Outputs:
    """The outputs of a model that are read.

    Attributes:
        classes: how many, with those that no output stands for.
        chosen: the places of the others among the model's; None: all of them.
        unseen: how many no output stands for, the last ones.
    """

    classes: int
    chosen: tuple[int, ...] | None = None
    unseen: int = 0

    def said(self, name: str) -> str:
        """Which outputs of a model are read, for a person; empty where they are all."""
        if self.chosen is None:
            return ""
        first = ", ".join(map(str, self.chosen[:SHOWN])) + (", …" if len(self.chosen) > SHOWN else "")
        return f"of the outputs of {name} those of the {self.classes - self.unseen} classes are read ({first})"

    def of(self, module: nn.Module) -> nn.Module:
        """The module with these outputs alone."""
        chosen = module if self.chosen is None else Chosen(module, self.chosen)
        return Silent(chosen, self.unseen) if self.unseen else chosen


class Chosen(nn.Module):
    """A model of which some outputs are read: what it says is the best of these, as if it had no others."""

    places: Tensor

    def __init__(self, module: nn.Module, places: tuple[int, ...]) -> None:
        super().__init__()
        self.module, self.training = module, module.training
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.module(inputs)
        return logits.index_select(1, self.places)


class Silent(nn.Module):
    """A model with further classes behind its own, which it never names."""

    def __init__(self, module: nn.Module, unseen: int) -> None:
        super().__init__()
        self.module, self.unseen, self.training = module, unseen, module.training

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.module(inputs)
        never = logits.amin(1, keepdim=True) - NEVER
        return torch.cat([logits, never.expand(-1, self.unseen)], 1)


def fitted(recipe: Recipe, splits: Splits, name: str) -> Outputs:
    """Pass an image through a recipe's model: which of its outputs are the data set's classes.

    Raises:
        ModelError: the model raises, its logits are not finite, they are none of the classes, or it is to be trained and has
            more of them than there are classes.
    """
    model, image = recipe.model.eval(), splits.test.inputs(slice(0, 1))
    refuse_unmade(model, name)
    count = count_classes(model, image, name)
    with torch.no_grad():
        checked_forward(model, image, count, name)
    outputs = outputs_of(splits, count, name)
    if outputs.chosen and recipe.learns:
        raise ModelError(
            f"{name} is to be trained and has {count:,} outputs; the {splits.classes} classes of {splits.source} are some of "
            "them: train it with folder(among='all', ...), or give a model with as many outputs as there are classes"
        )
    return outputs


def outputs_of(splits: Splits, outputs: int, name: str) -> Outputs:
    """The outputs that are read of a model with so many, on this data set.

    Raises:
        ModelError: it has as many outputs neither as there are classes nor as a wider model has that they are known of.
    """
    among, seen = splits.among, splits.classes - splits.unseen
    if outputs == seen:
        return Outputs(splits.classes, unseen=splits.unseen)
    if among is not None and among.fits(outputs):
        chosen = None if among.everything else among.outputs
        return Outputs(splits.classes if chosen else outputs, chosen, splits.unseen)
    first = f" ({', '.join(map(repr, splits.names[:3]))}{', …' if seen > 3 else ''})" if splits.names else ""
    wanted = f"images of {splits.source} are of {seen} classes{first}"
    if among is None:
        way = "nothing says which of its outputs they are: name the class folders by wnid or by the outputs' numbers"
        way += " from 0, or lay a classes.csv beside them, with the columns folder and index"
    elif among.width:
        way = f"they are known as some of a model's {among.width:,} outputs"
    else:
        way = f"they are known as the outputs {', '.join(map(str, among.outputs[:3]))}… of a model with more than {max(among.outputs)}"
    raise ModelError(
        f"{name} returned (1, {outputs}), but logits of shape (1, {seen}) (images, classes) were wanted: {wanted}, and "
        f"{way}; or give a model with {seen} outputs"
    )

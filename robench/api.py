"""The same from Python: `robench.run` gives what the command gives, `robench.evaluate` attacks a model of your own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from robench.attacking.expectation import Expectation
from robench.attacking.stillness import Kept, held_still, native, refuse_unmade
from robench.console import Reporter, Silent
from robench.console import reporter as progress
from robench.data.loading import load_data
from robench.data.splits import Split
from robench.entries.calls import Call, Name, plain_value
from robench.entries.cards import DatasetCard
from robench.errors import ModelError, UsageError
from robench.places import Places
from robench.records.store import Store
from robench.reporting.leaderboard.suites import attacks_of
from robench.reporting.result import Result
from robench.running.conditions import Condition, conditions
from robench.running.costs import announce
from robench.running.harness import run_rows
from robench.running.keeping import InMemory, Keeping
from robench.running.natural import batch_of
from robench.running.preflight import preflight
from robench.running.rows import rows_of
from robench.running.settings import Settings
from robench.running.subject import Precision, Subject, evaluated_classes
from robench.running.workers import best_batch, complete, one_intra_op_thread
from robench.training.given import Defense

T = TypeVar("T")


class Loaded(NamedTuple):
    """Images of a data set.

    Attributes:
        images: float32 in [0, 1], (N, C, H, W).
        labels: int64, (N,).
        names: of the classes, in their order; empty where the data set has none.

    Example:
        >>> images, labels, names = load("digits", n=20)
        >>> images.shape, names[:3]
        (torch.Size([20, 1, 8, 8]), ('0', '1', '2'))
    """

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]


def load(dataset: Name, n: int | None = None, *, data: str | Path | None = None) -> Loaded:
    """The test images that a run evaluates on: the pinned, class-balanced subset of n, or all of them.

    Args:
        dataset: such as "cifar10" or "folder(path='photos')".
        data: folder of data sets; None: ROBENCH_DATA.

    Raises:
        DataError: the files are missing or damaged.

    Example:
        images, labels, names = robench.load("digits", n=100)
    """
    loaded = load_data(dataset, Places.of(data), n)
    return Loaded(loaded.split.inputs(slice(None)), loaded.split.targets(), loaded.splits.names)


def run(
    defense: Defense | Sequence[Defense],
    attack: Name | Sequence[Name],
    dataset: Name | Sequence[Name],
    *,
    n: int | None = None,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    workers: int | None = None,
    batch_size: int | Literal["auto"] = "auto",
    keep_images: bool = False,
    precision: Precision = "float32",
    diagonal: bool = False,
    data: str | Path | None = None,
    store: str | Path = "results",
    cache: str | Path | None = None,
    quiet: bool = False,
    reporter: Reporter | None = None,
) -> Result:
    """Train what is not trained, attack what is not in the store, and return all that was asked for.

    Args:
        defense: a call such as "ksa(k=4)", a file "./mine.py" or its path, a decorated function, a torch.nn.Module that maps images in [0, 1],
            (N, C, H, W), to logits, or a list of them. A module is copied, and named by its class and its weights.
        attack, dataset: calls, files, decorated functions, or lists of them; `suite("linf")` is such a list. The product of all
            three is run.
        n: the pinned, class-balanced subset of the test split; None: all of it.
        seed: of the attacks. A defense's own `seed` option is that of its training.
        workers: threads that attack, one core each; None: as many as there are cores.
        precision: of the attacks' passes; what they find is judged in float32 all the same.
        diagonal: attack what was trained in a ball at that radius alone (trained at ε, attacked at ε).
        data, store, cache: folders; see `Places`.
        quiet: show no progress. Else it is on standard error.
        reporter: where progress is shown instead.

    A model that is refused and an attack that breaks down do not stop the others: `Result.refused` holds them, with their
    reasons.

    Raises:
        RobenchError: with one clear message; also where nothing at all could be measured.

    Example:
        result = robench.run("ksa(k=4)", ["pgd_linf(eps=0.1)", "cw_l2"], "digits", n=100)
        print(result.table())
        robench.run(net, robench.suite("linf(eps=0.1)"), "digits").leaderboard("board.html")
    """
    settings = Settings(n, seed, device, workers, batch_size, keep_images, precision, diagonal)
    places = Places.of(data, store, cache)
    if not _list(attack):
        raise UsageError("run was given no attack; name at least one, such as 'pgd_linf(eps=8/255)'")
    told = reporter or progress(quiet=quiet)
    with torch.inference_mode(False), torch.enable_grad():  # wherever it is called, attacks need slopes
        rows = rows_of(_list(defense), _list(attack), _list(dataset), settings, places)
        if n is None and not isinstance(told, Silent):
            announce([row for row in rows if not row.refused], settings, places, told)
        measured, refused = run_rows(rows, settings, places, told)
    if refused.errors and not measured:
        raise refused.errors[0]
    return Result.of(measured, Store(places.store), refused.found)


def evaluate(
    model: nn.Module,
    attack: Name,
    split: Split,
    *,
    classes: int | None = None,
    seed: int = 0,
    workers: int = 1,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    stochastic: bool = False,
) -> pd.DataFrame:
    """Attack any model that maps images in [0, 1], (N, C, H, W), to logits, and return the records; nothing is stored.

    It is judged as it is, in its own precision, and comes back as it was: weights, modes, precision, what learns.

    Args:
        attack: one with a single condition; give eps where it takes one. Natural threats may have many, such as "corruptions".
        split: see `Split.of`.
        classes: number of logits, where the split has images of some of the classes only; None: the largest label + 1.
        stochastic: the model is random; the mean of many draws is attacked and judged.

    Raises:
        ModelError: the model raises, or does not return finite logits of shape (N, classes).
        DataError: a label is none of the classes.

    Example:
        records = robench.evaluate(net, "pgd_linf(eps=8/255)", robench.Split.of("mine", images, labels))
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"evaluate was given a {type(model).__name__}; give a torch.nn.Module that maps images in [0, 1] to logits"
        )
    if not isinstance(split, Split) or not len(split):
        given = "an empty split" if isinstance(split, Split) else f"a {type(split).__name__}"
        raise UsageError(f"evaluate was given {given}; give images with labels: robench.Split.of(name, images, labels)")
    asked: list[Condition] = conditions(attack, DatasetCard())
    if len(asked) != 1 and asked[0].goal != "natural":
        raise UsageError(f"evaluate runs one condition at a time; {attack!r} names {len(asked)}: give a single eps")
    if asked[0].entry.sources:
        raise UsageError(
            f"{asked[0].text} needs a data set to train its source on; use robench.run, with the model as a defense"
        )
    refuse_unmade(model, "the model")
    if not isinstance(stochastic, bool):
        raise UsageError(f"stochastic={stochastic!r} given to evaluate: True or False is wanted")
    classes, settings = plain_value(classes), Settings(seed=seed, device=device, workers=workers)
    if classes is not None and not isinstance(classes, int):
        raise UsageError(f"classes={classes!r} given to evaluate: a whole number is wanted")
    where = settings.torch_device()
    memory, home = InMemory(), next((p.device for p in model.parameters()), where)
    before = Kept([model])
    try:
        with one_intra_op_thread(), held_still(model):
            module = native(model.to(where), torch.float32)
            count = evaluated_classes(module, split, classes, where, "the model")
            attacked = Expectation(module) if stochastic else module
            subject = Subject("the model", attacked, count, where, split).with_clean_logits()
            preflight(subject, gradients=asked[0].knowledge == "white-box")
            keep = set(split.image_ids().tolist()) if len(asked) == 1 else set()
            batch = batch_of(split.shape) if asked[0].goal == "natural" else best_batch(subject)[0]
            for condition in asked:
                complete(
                    Keeping.of(memory, subject, condition, keep),
                    subject,
                    condition,
                    settings.seed,
                    np.arange(len(split)),
                    keep,
                    workers=settings.worker_count(where),
                    batch=batch,
                    done=lambda _: None,
                )
    finally:
        model.to(home)
        before.restore()
    return pd.concat(memory.frames, ignore_index=True)


def suite(name: str) -> list[Call]:
    """The attacks that a board asks of every row: "linf", at the data set's radii, or "linf(eps=8/255)".

    Raises:
        UsageError: there is no such suite, or it is given something else than eps.

    Example:
        >>> [str(attack) for attack in suite("l2(eps=0.5)")]
        ['pgd_l2(eps=0.5)', 'autoattack_l2(eps=0.5)', 'square_l2(eps=0.5)']
    """
    return attacks_of(name)


def _list(names: T | Sequence[T]) -> list[T]:
    """A list of what was given; a path is the text that names its file."""
    given = list(names) if isinstance(names, list | tuple) else [names]
    return [_text(one) if isinstance(one, PurePath) else one for one in given]  # type: ignore[misc]


def _text(path: PurePath) -> str:
    return str(path) if path.is_absolute() or len(path.parts) > 1 else f"./{path}"

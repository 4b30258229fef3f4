"""The same from Python: `robench.run` gives what the command gives, `robench.evaluate` attacks a model of your own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from torch import nn

from robench.calls import Name
from robench.cards import DatasetCard
from robench.classifier import frozen
from robench.common_norms import norms_on_common
from robench.comparisons import robustness_tables
from robench.console import Reporter, Silent
from robench.errors import ModelError, UsageError
from robench.execution import best_batch, complete, one_intra_op_thread
from robench.expectation import Expectation
from robench.harness import Measured, Settings, rows_of, run_rows
from robench.images import Split
from robench.metrics import (
    all_distances,
    attack_success_rate,
    attack_success_rate_all,
    clean_accuracy,
    confidence,
    passes,
    robust_accuracy,
    success_rate_uint8,
    target_rates,
)
from robench.places import Places
from robench.plan import Condition, conditions
from robench.preflight import preflight
from robench.seeds import over_seeds
from robench.shards import Precision, Subject
from robench.store import Store
from robench.tables import Table


@dataclass(frozen=True)
class Result:
    """What a run measured: the records of every unit, and the tables made of them."""

    measured: list[Measured]
    models: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def records(self) -> pd.DataFrame:
        """All records, with the columns defense, attack, dataset and seed before them."""
        frames = []
        for one in self.measured:
            frame = one.records.copy()
            for place, name in enumerate(("defense", "attack", "dataset", "seed")):
                frame.insert(place, name, one.unit.spec[name])
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def tables(self) -> list[Table]:
        """A table a data set in the style of the papers, averages over training seeds, norms on images broken in both rows."""
        robustness = robustness_tables(self.measured, self.models)
        averaged = [over_seeds(table) for table in robustness]
        return [*robustness, *filter(None, averaged), *norms_on_common(self.measured)]

    def table(self) -> str:
        """All tables as text."""
        return "\n\n".join(table.text() for table in self.tables())

    def summary(self) -> list[dict[str, Any]]:
        """The numbers of each unit with their denominators and intervals, as plain values."""
        return [{**one.unit.spec, **summarise(one.records, one.unit.facts)} for one in self.measured]


def summarise(records: pd.DataFrame, facts: dict[str, Any]) -> dict[str, Any]:
    """The metrics of one unit as plain values; distances that are infinite are None."""
    shares = {
        "clean_accuracy": clean_accuracy(records),
        "robust_accuracy": robust_accuracy(records, facts["norm"], facts["eps"]),
        "asr": attack_success_rate(records),
        "asr_all": attack_success_rate_all(records),
        "asr_uint8": success_rate_uint8(records),
    }
    told: dict[str, Any] = {"n": int(records["image"].nunique())}
    for name, share in shares.items():
        told[name] = {
            "value": _plain(share.value),
            "count": share.count,
            "total": share.total,
            "interval": [_plain(x) for x in share.interval],
        }
    for norm, size in all_distances(records).items():
        told[norm] = {
            "mean": _plain(size.mean), "median": _plain(size.median), "mean_all": _plain(size.mean_all), "median_all": _plain(size.median_all), "successes": size.successes,
        }  # fmt: skip
    if facts["targets"] == "all":
        told["targets"] = dict(zip(("average", "best", "worst"), map(_plain, target_rates(records)), strict=True))
    told["confidence"] = _plain(confidence(records))
    told["forwards"], told["backwards"], told["seconds"] = (_plain(x) for x in passes(records))
    return told


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def run(
    defense: Name | Sequence[Name],
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
    data: str | Path | None = None,
    store: str | Path = "results",
    cache: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Result:
    """Train what is not trained, attack what is not in the store, and return all that was asked for.

    Args:
        defense, attack, dataset: calls such as "ksa(k=4)", decorated functions, or lists of them; their product is run.
        n: the pinned, class-balanced subset of the test split; None: all of it.
        seed: of the attacks. A defense's own `seed` option is that of its training.
        workers: threads that attack, one core each; None: as many as there are cores.
        precision: of the attacks' passes; what they find is judged in float32 all the same.
        data, store, cache: folders; see `Places`.
        reporter: where progress is shown; None: nowhere.

    Raises:
        RobenchError: with one clear message.
    """
    settings = Settings(n, seed, device, workers, batch_size, keep_images, precision)
    places = Places.of(data, store, cache)
    rows = rows_of(_list(defense), _list(attack), _list(dataset), settings, places)
    measured = run_rows(rows, settings, places, reporter or Silent())
    return Result(measured, Store(places.store).models())


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

    Args:
        attack: one with a single condition; give eps where it takes one.
        split: see `Split.of`.
        classes: number of logits; None: the largest label + 1.
        stochastic: the model is random; the mean of many draws is attacked and judged.

    Raises:
        ModelError: the model raises, or does not return finite logits of shape (N, classes).
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"evaluate was given a {type(model).__name__}; give a torch.nn.Module that maps images in [0, 1] to logits"
        )
    asked: list[Condition] = conditions(attack, DatasetCard())
    if len(asked) != 1:
        raise UsageError(f"evaluate runs one condition at a time; {attack!r} names {len(asked)}: give a single eps")
    if asked[0].entry.sources:
        raise UsageError(
            f"{asked[0].text} needs a data set to train its source on; use robench.run, with the model as a defense"
        )
    where = Settings(device=device).torch_device()
    gradients = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    mode = model.training
    module, count = frozen(model, where), classes or int(split.targets().max()) + 1
    collected: list[pd.DataFrame] = []

    class Memory:
        def add(self, frame: pd.DataFrame) -> None:
            collected.append(frame)

    try:
        with one_intra_op_thread():
            subject = Subject("the model", Expectation(module) if stochastic else module, count, where, split).asked()
            preflight(subject, gradients=asked[0].knowledge == "white-box")
            complete(
                Memory(), subject, asked[0], seed, np.arange(len(split)), set(split.image_ids().tolist()),
                workers=workers, batch=best_batch(subject)[0], done=lambda _: None,
            )  # fmt: skip
    finally:
        model.train(mode)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(gradients[name])
    return pd.concat(collected, ignore_index=True)


def _list(names: Name | Sequence[Name]) -> list[Name]:
    return list(names) if isinstance(names, list | tuple) else [names]  # type: ignore[list-item]

"""Rows that differ only in the seed of their training, averaged, with their spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from robench.entries.calls import Call
from robench.hashing import digest
from robench.records.manifest import Identity, without_weights
from robench.reporting.tables import Cell, Column, Table


@dataclass(frozen=True)
class Training:
    """What a row was trained from.

    Attributes:
        call: the defense as a person writes it.
        seed: of the training.
        recipe: names all else that it was made from, its code included.
    """

    call: Call
    seed: int
    recipe: str


def training_of(call: Call, identity: Identity) -> Training:
    """The training of a row, from the identity of one of its units."""
    made_from = without_weights(identity.defense)
    entry = made_from.get("defense") if isinstance(made_from, dict) else None
    options = entry.get("options") if isinstance(entry, dict) else None
    if not isinstance(made_from, dict) or not isinstance(entry, dict) or not isinstance(options, dict):
        return Training(call, 0, identity.model)
    rest = {**made_from, "defense": {**entry, "options": {n: v for n, v in options.items() if n != "seed"}}}
    seed = options.get("seed")
    return Training(call, seed if isinstance(seed, int) else 0, digest([rest, identity.data, identity.subset]))


def over_seeds(table: Table, trainings: Sequence[Training]) -> Table | None:
    """Mean ± sample standard deviation over training seeds; None where no defense was trained with several.

    Args:
        trainings: of the table's rows.

    Marked in each column: the best mean, and those whose difference from it Welch's t-test (5 %) does not find.
    """
    groups: dict[str, list[list[Cell]]] = {}
    names: dict[str, str] = {}
    seeds: dict[str, set[int]] = {}
    remarks: dict[str, list[str]] = {}
    for training, (_, cells), remark in zip(
        trainings, table.rows, table.remarks or [""] * len(table.rows), strict=True
    ):
        groups.setdefault(training.recipe, []).append(cells)
        remarks.setdefault(training.recipe, []).append(remark)
        names[training.recipe] = str(_without_seed(training.call))
        seeds.setdefault(training.recipe, set()).add(training.seed)
    repeated = {recipe: rows for recipe, rows in groups.items() if len(rows) == len(seeds[recipe]) > 1}
    several = {recipe: rows for recipe, rows in repeated.items() if _on_the_same_images(rows)}
    if not several:
        return None
    columns = [
        _averaged(column, [[cells[place] for cells in rows] for rows in several.values()])
        for place, column in enumerate(table.columns)
    ]
    rows = [
        (f"{names[recipe]} ({len(found)} seeds)", [column[place] for column in columns])
        for place, (recipe, found) in enumerate(several.items())
    ]
    caption = [
        "Mean ± sample standard deviation over training seeds.",
        "The trainings differ only in their seed; the images are the same.",
        "Marked: the best mean for the defender in each column, and those that Welch's t-test over seeds (5 %) cannot tell from it.",
    ]
    left_out = [names[recipe] for recipe in repeated if recipe not in several]
    if left_out:
        caption.append(f"Left out, because their trainings were measured on different images: {', '.join(left_out)}.")
    said = ["; ".join(dict.fromkeys(filter(None, remarks[recipe]))) for recipe in several]
    recipes = [training.recipe for training in trainings]
    of = [replace(table.of[recipes.index(one)], defense=names[one], weights="") for one in several] if table.of else []
    title = f"{table.title}, over training seeds"
    return Table(title, table.columns, rows, caption, said, of=of, name="means over training seeds")


def _on_the_same_images(rows: list[list[Cell]]) -> bool:
    """Whether the cells of each column that have a number are of the same images."""
    return all(
        len({cell.images for cell in cells if not math.isnan(cell.value)}) < 2 for cells in zip(*rows, strict=True)
    )


def _without_seed(call: Call) -> Call:
    return Call(call.name, {name: value for name, value in call.options.items() if name != "seed"})


def _averaged(column: Column, groups: list[list[Cell]]) -> list[Cell]:
    """The cells of a column, from each group's cells. A group with a cell that has no rank has none."""
    known = [[cell for cell in group if not math.isnan(cell.value)] for group in groups]
    cells = [_mean(column, group) if len(group) > 1 else column.cell(math.nan) for group in known]
    merits = [[cell.merit for cell in group] for group in known]
    present = [place for place, cell in enumerate(cells) if not math.isnan(cell.value) and not math.isnan(cell.merit)]
    if len(present) < 2:
        return cells
    best = max(present, key=lambda place: cells[place].merit)
    return [
        replace(cell, best=place == best or (place in present and _alike(merits[best], merits[place])))
        for place, cell in enumerate(cells)
    ]


def _mean(column: Column, cells: list[Cell]) -> Cell:
    values = [cell.value for cell in cells]
    at_most = any(cell.at_most for cell in cells)
    mean = column.cell(statistics.mean(values), spread=statistics.stdev(values), at_most=at_most)
    notes = "; ".join(dict.fromkeys(filter(None, (cell.note for cell in cells))))
    told = replace(mean, n=cells[0].n, images=cells[0].images, merit=statistics.mean(cell.merit for cell in cells))
    return told.saying(notes) if notes else told


def _alike(first: list[float], second: list[float]) -> bool:
    """Whether Welch's t-test (5 %) finds no difference. Groups without any spread differ if their values do."""
    from scipy.stats import ttest_ind_from_stats

    if len(set(first)) == len(set(second)) == 1:
        return first[0] == second[0]
    moments = [(statistics.mean(group), statistics.stdev(group), len(group)) for group in (first, second)]
    return bool(ttest_ind_from_stats(*moments[0], *moments[1], equal_var=False).pvalue > 0.05)

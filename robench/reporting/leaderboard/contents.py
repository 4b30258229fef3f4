"""What a leaderboard says, as plain values: for machines, and packed for the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from robench.entries.calls import written_float
from robench.records.cards import ModelCard
from robench.records.schema import NORMS
from robench.reporting.groups import Group
from robench.reporting.leaderboard.about import About, abouts
from robench.reporting.leaderboard.boards import Board, Faced, Standing, boards
from robench.reporting.leaderboard.outcomes import Flags, Outcomes, Sizes
from robench.reporting.leaderboard.sprites import sprite
from robench.reporting.leaderboard.suites import Suite
from robench.reporting.same_weights import published
from robench.reporting.summaries import plain_rate

PICTURE_BYTES = 2_000_000
"""Of all pictures of a page together, as they stand in it; the first rows have theirs."""

Plain = dict[str, Any]


@dataclass(frozen=True)
class Leaderboard:
    """All boards of a store.

    Attributes:
        about: the models by the names of their groups and their own.
        notes: about what is not shown.
    """

    boards: list[Board]
    about: dict[tuple[str, str], About]
    notes: list[str]
    made: str
    version: str

    @classmethod
    def of(
        cls,
        groups: Sequence[Group],
        cards: Mapping[str, ModelCard],
        notes: Sequence[str] = (),
        suite: Suite | None = None,
    ) -> Leaderboard:
        """Of what was measured.

        Args:
            cards: of the models, by their names.
            suite: that is required of every row; None: the norm's own.
        """
        found = [Outcomes.of(group) for group in groups]
        about = {(g.group.name, model): one for g in found for model, one in abouts(g, cards).items()}
        made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return cls(boards(found, suite), about, list(notes), made, version("robench"))

    def behind(self, board: Board, standing: Standing) -> About:
        """The model of a row."""
        return self.about[board.dataset, standing.model]


def plain(found: Leaderboard) -> Plain:
    """Everything but pictures and single images, for JSON; rates are shares."""
    return {
        "version": found.version,
        "made": found.made,
        "notes": found.notes,
        "boards": [
            {
                "dataset": board.dataset,
                "norm": board.norm,
                "eps": board.eps,
                "knowledge": board.knowledge,
                "required": [str(call) for call in board.required],
                "neighbours_told_apart": board.neighbours[0],
                "neighbours": board.neighbours[1],
                "first_stays_first": board.stayed,
                "caption": board.caption,
                "rows": [_row(found, board, standing) for standing in board.standings],
                "refused": [{"defense": label, "reason": reason} for label, reason in board.refused],
            }
            for board in found.boards
        ],
    }


def _row(found: Leaderboard, board: Board, standing: Standing) -> Plain:
    about = found.behind(board, standing)
    count, spread = standing.seeds
    known = published(standing.defense, about.units[0].unit.spec.dataset.name, board.norm, board.eps)
    return {
        "rank": standing.rank,
        "no_rank": standing.reason or None,
        "defense": standing.label,
        "robust_accuracy": plain_rate(standing.worst),
        "at_most": len(standing.met) < len(board.required),
        "clean_accuracy": plain_rate(standing.clean),
        "attacks": [
            {
                "attack": one.attack,
                "robust_accuracy": plain_rate(one.rate),
                "only": one.only,
                "forwards": one.forwards,
                "backwards": one.backwards,
            }
            for one in standing.faced
        ],
        "met": len(standing.met),
        "n": standing.worst.total,
        "seeds": count,
        "seeds_deviation": spread,
        "evidence": standing.evidence,
        "published": known and {"robust_accuracy": known.robust, "clean_accuracy": known.clean, "source": known.source},
        "weights": about.weights,
        "data": about.units[0].unit.identity.data,
        "records": about.records,
        "command": about.command,
    }


def packed(found: Leaderboard) -> Plain:
    """For the page: models once, and for each row of a board counts, and a bit for each image.

    Intervals are computed from the counts by the page.
    """
    places = {key: place for place, key in enumerate(found.about)}
    left = PICTURE_BYTES
    models, shown = [], {(b.dataset, s.model) for b in found.boards for s in b.standings}
    for key, about in found.about.items():
        picture = None
        if key in shown and (one := sprite(about.units)) and len(one.address) <= left:
            left -= len(one.address)
            picture = {
                "png": one.address,
                "columns": one.columns,
                "attack": about.group.attack_in_full(one.attack),
                "said": one.said,
            }
        models.append(_model(about, picture) if key in shown else None)
    return {
        "version": found.version,
        "made": found.made,
        "notes": found.notes,
        "models": models,
        "boards": [_packed_board(found, board, places) for board in found.boards],
    }


def _model(about: About, picture: Plain | None) -> Plain:
    distances = {norm: sizes for norm in NORMS if (sizes := about.distances(norm)) is not None}
    curves = {norm: points for norm in NORMS if (points := about.curve(norm))}
    return {
        "call": str(about.call),
        "recipe": about.recipe,
        "architecture": about.architecture,
        "weights": about.weights,
        "data": about.units[0].unit.identity.data,
        "records": about.records,
        "seed": about.units[0].unit.identity.seed,
        "versions": about.versions,
        "command": about.command,
        "parameters": about.card.parameters if about.card else None,
        "macs": about.card.macs if about.card else None,
        "attention": [round(share, 4) for share in about.attention],
        "corruptions": {
            name: [None if error is None else round(error, 4) for error in errors]
            for name, errors in about.corruptions.items()
        },
        "curves": {norm: _rounded(points) for norm, points in curves.items()},
        "distances": {norm: _floats(sizes) for norm, sizes in distances.items()},
        "picture": picture,
    }


def _rounded(points: list[tuple[float, float]]) -> list[list[float | str]]:
    return [[round(eps, 6), round(share, 5), written_float(eps)] for eps, share in points]


def _packed_board(found: Leaderboard, board: Board, places: dict[tuple[str, str], int]) -> Plain:
    attacks = list(dict.fromkeys(one.attack for standing in board.standings for one in standing.faced))
    return {
        "dataset": board.dataset,
        "norm": board.norm,
        "eps": board.eps,
        "radius": board.radius,
        "knowledge": board.knowledge,
        "required": [str(call) for call in board.required],
        "title": board.title,
        "caption": board.caption,
        "images": len(board.standings[0].seen),
        "attacks": attacks,
        "rows": [_packed_row(found, board, one, places, attacks) for one in board.standings],
        "refused": [list(one) for one in board.refused],
    }


def _packed_row(
    found: Leaderboard,
    board: Board,
    standing: Standing,
    places: dict[tuple[str, str], int],
    attacks: list[str],
) -> Plain:
    about = found.behind(board, standing)
    known = published(standing.defense, about.units[0].unit.spec.dataset.name, board.norm, board.eps)
    row: Plain = {
        "m": places[board.dataset, standing.model],
        "label": standing.label,
        "rank": standing.rank,
        "why": standing.reason,
        "worst": [standing.worst.count, standing.worst.total],
        "clean": [standing.clean.count, standing.clean.total],
        "met": len(standing.met),
        "faced": [_packed_attack(one, attacks) for one in standing.faced],
        "seeds": list(standing.seeds),
        "evidence": standing.evidence,
        "right": _bits(standing.right & standing.seen),
    }
    if not standing.seen.all():
        row["has"] = _bits(standing.seen)
    if known:
        row["published"] = [known.robust, known.source]
    return row


def _packed_attack(one: Faced, attacks: list[str]) -> list[float]:
    return [
        attacks.index(one.attack),
        one.rate.count,
        one.rate.total,
        one.only,
        round(one.forwards),
        round(one.backwards),
    ]


def _bits(flags: Flags) -> str:
    """A bit for each image, the first one lowest, in base64."""
    return base64.b64encode(np.packbits(flags, bitorder="little").tobytes()).decode()


def _floats(values: Sizes) -> str:
    """Half floats in base64, little-endian: three digits, which is what is printed; NaN where there is none."""
    return base64.b64encode(values.astype("<f2").tobytes()).decode()

"""A leaderboard of made-up rows, as large as is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from measured import card, cell_of, records, unit

from robench.hashing import digest
from robench.records.unit import Measured
from robench.reporting.leaderboard.contents import Leaderboard
from robench.reporting.result import Result

SUITE = ("fgsm", "pgd_linf", "autoattack", "square_linf")
SHAPE = (3, 8, 8)
NAMES = ["cat", "dog", "eel"]


def made(defenses: int, attacks: int, images: int = 200, *, pictures: bool = False) -> Result:
    """So many rows, the first ones the most robust, each attacked with the suite, one minimal attack and others."""
    random = np.random.default_rng(0)
    labels = np.arange(images) % 3
    measured, cards = [], {}
    for row in range(defenses):
        strength = 0.15 + 0.8 * row / defenses
        hard = random.uniform(size=images)
        clean = random.uniform(size=images) > 0.05
        name = f"madry(model=vit(depth={row}))" if row % 2 else f"vit(depth={row})"
        one = None
        for place in range(attacks):
            attack = SUITE[place] if place < 4 else "cw_linf" if place == 4 else f"mine_{place}"
            minimal = attack == "cw_linf"
            broken = clean & (hard < strength - 0.02 * (place % 4))
            hit = np.where(clean, broken, True)
            columns: dict[str, Any] = {
                "label": labels, "clean_prediction": np.where(clean, labels, (labels + 1) % 3), "correct": clean,
                "fooled": hit, "eps": None if minimal else 0.1,
                "linf": np.where(clean, np.where(minimal, 0.3 * hard, 0.1), 0.0),
            }  # fmt: skip
            if pictures and place == 1:
                pixels = random.integers(0, 255, (images, *SHAPE)).astype(np.uint8)
                kept = np.flatnonzero(broken)[:4]
                columns["clean"] = [pixels[i].tobytes() if i in kept else None for i in range(images)]
                columns["adversarial"] = [
                    (pixels[i] / 255).astype(np.float32).clip(0, 1).tobytes() if i in kept else None
                    for i in range(images)
                ]
            knowledge = "score" if attack.startswith("square") else "white-box"
            one = unit(
                defense=name, attack=attack if minimal else f"{attack}(eps=0.1)", weights=digest(row), knowledge=knowledge,
                goal="minimal" if minimal else "budget", eps=None if minimal else 0.1, shape=SHAPE, class_names=NAMES,
            )  # fmt: skip
            measured.append(Measured(one, records(hit.tolist(), **columns)))
        assert one is not None
        cards[one.identity.model] = card(model=one.identity.model, attention=[[0.2, 0.4, 0.6, 0.7, 1.0]] * 6)
    return Result(measured, cards)


def under_fog(result: Result) -> Result:
    """With the first row under fog at severity 3, wrong on a quarter of the images."""
    first, count = result.measured[0].unit, len(result.measured[0].records)
    fog = cell_of(
        [place < count // 4 for place in range(count)], {"corruption": "fog", "severity": 3}, defense="vit(depth=0)",
        attack="corruptions(names='fog', severities=3)", goal="natural", eps=None, corruption="fog", severity=3, shape=SHAPE,
        knowledge="none", weights=first.identity.weights,
    )  # fmt: skip
    return replace(result, measured=[*result.measured, fog])


def board_of(result: Result, notes: Sequence[str] = ()) -> Leaderboard:
    return Leaderboard.of(result.groups(), result.cards, notes)


def leaderboard(defenses: int, attacks: int, images: int = 200, *, pictures: bool = False) -> Leaderboard:
    return board_of(made(defenses, attacks, images, pictures=pictures))


def data_of(page: str) -> dict[str, Any]:
    """The data of a page."""
    found: dict[str, Any] = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    return found

"""Every text that a person or a file controls, at once, in every output: nothing of it acts there."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from large import board_of
from latex_commands import COMMANDS
from measured import card, records, unit

from robench import Call
from robench.records.manifest import Spec
from robench.records.refusals import Refusal
from robench.records.unit import Measured
from robench.reporting.leaderboard.page import as_html, as_json
from robench.reporting.leaderboard.texts import as_csv, as_markdown
from robench.reporting.pages import render
from robench.reporting.result import Result

EVIL = "<script>alert(1)</script>\x1b[31m\u202e\\input{/etc/passwd}$a_{$ | `[x](javascript:y) \" ' onload=1"
KEPT = {"norm", "goal", "knowledge", "targets", "family", "corruption", "normaliser", "precision"}
"""Fields whose values are of a list, which what reads a store refuses otherwise."""


class Attributes(HTMLParser):
    """The names of all attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names = set[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {name for name, _ in attrs}


def filled(one: Any, **more: Any) -> Any:
    """The same with that text in every field that holds any text."""
    texts = {field.name: EVIL for field in fields(one) if isinstance(getattr(one, field.name), str)}
    return replace(one, **{**{name: text for name, text in texts.items() if name not in KEPT}, **more})


def everything(attack: Call) -> Result:
    """A cell, its model, a refused row and a refused cell, all of them of that text."""
    pictures = {
        "adversarial": [np.full((1, 2, 2), 0.5, np.float32).tobytes()] * 40,
        "clean": [np.zeros((1, 2, 2), np.uint8).tobytes()] * 40,
    }
    call = Call("own", {EVIL: EVIL, "model": Call("vit", {"name": EVIL})})
    measured, cards = [], {}
    for name in ("first", "second"):
        made = unit(defense=name, weights=name, shape=(1, 2, 2))
        spec = Spec(call, attack, Call("folder", {"path": EVIL}), 0)
        facts = filled(made.facts, class_names=[EVIL] * 3, files={EVIL: EVIL})
        own = replace(made, spec=spec, facts=facts)
        measured.append(Measured(own, records([True, False] * 20, **pictures)))
        told = filled(card(attention=[[0.5, 1.0]] * 2), model=made.identity.model, defense=call, dataset=spec.dataset)
        cards[told.model] = replace(told, weights="w")
    whole = Refusal(call, spec.dataset, None, made.identity.data, "", 0, "float32", EVIL, 1.0)
    cell = replace(whole, attack=spec.attack, model=made.identity.model)
    return Result(measured, cards, [whole, cell])


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "latex", "json", "html"])
def test_no_field_acts_on_a_report(form: str) -> None:
    found = render(everything(Call("fgsm", {"eps": 0.1, "name": EVIL})), form, [EVIL])
    assert "alert(1)" in found, "it is shown"
    check(form, found)


def test_no_field_acts_on_a_board() -> None:
    board = board_of(everything(Call("fgsm", {"eps": 0.1})), [EVIL])
    assert board.boards and any(one.refused for one in board.boards)
    check("markdown", as_markdown(board))
    check("html", as_html(board))
    check("csv", as_csv(board))
    check("json", as_json(board))


def check(form: str, found: str) -> None:
    assert "\x1b" not in found and "\u202e" not in found
    if form in ("html", "markdown"):
        assert "<script>alert" not in found and "</script>\x1b" not in found
        reader = Attributes()
        reader.feed(found)
        assert "onload" not in reader.names
    if form == "markdown":
        assert "](javascript" not in found
    if form == "latex":
        assert set(re.findall(r"\\([a-zA-Z]+)", found)) <= COMMANDS
    if form == "json":
        json.loads(found)

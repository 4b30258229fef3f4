"""What a check says, to people and to machines, and that nothing in a name acts where it is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from gated import cell, minimal, side

from robench.gate.judging import judged
from robench.gate.policy import Gate
from robench.gate.verdicts import Verdict, exit_status
from robench.gate.writing import MARKER, Checked, as_json, github, junit, markdown, text

GATES = [
    Gate("robust", max_drop=1.0, line=7),
    Gate("warned", select={"attack": ("warned",)}, max_drop=1.0, severity="warn", line=12),
    Gate("far", metric="mean_distance", max_drop=5.0, line=20),
]
ROBUST = replace(GATES[0], select={"attack": ("lost", "kept", "gone", "few")})


def verdicts() -> list[Verdict]:
    sizes = np.linspace(0.2, 0.8, 50)
    names = ("lost", "kept", "warned", "gone")
    before = side(*(cell(2000, 4000, attack=a) for a in names), cell(50, 100, attack="few"), minimal([*sizes]))
    after = side(
        *(cell(2000, 4000, attack=a, lost=120 * (a in ("lost", "warned"))) for a in names[:3]),
        cell(50, 100, attack="few"),
        minimal([*sizes]),
    )
    return judged([ROBUST, *GATES[1:]], before, after)


def checked(found: list[Verdict] | None = None, **more: object) -> Checked:
    own = verdicts() if found is None else found
    return Checked(own, exit_status(own), "results", "baseline.json", Path("robench.toml"), **more)  # type: ignore[arg-type]


def test_a_table_has_the_worst_first_and_what_passes_in_a_line() -> None:
    lines = text(checked(), width=160).splitlines()
    assert lines[0] == "Regression check of results against baseline.json"
    kinds = [line.split()[-1] for line in lines[3:7] if line.strip()]
    assert kinds[0] == "regressed" and "missing" in kinds and "inconclusive" in kinds and "warn" in kinds
    assert (
        "50.0 → 47.0" in lines[3]
        and "−3.0 [−3.5, −2.5]" in lines[3]
        and "120 / 0" in lines[3]
        and "< 0.0001" in lines[3]
    )
    assert any("1 regressed, 1 missing, 1 inconclusive, 1 warn, 2 pass." in line for line in lines)
    assert "robust: vit under lost: " not in "\n".join(lines), "what has nothing to note has no note"


def test_a_check_that_passes_is_two_lines() -> None:
    passing = [verdict for verdict in verdicts() if verdict.kind == "pass"]
    assert text(checked(passing)) == "Regression check of results against baseline.json\n2 pass."


def test_junit_has_a_suite_a_gate_and_a_case_a_number() -> None:
    root = ElementTree.fromstring(junit(checked()))
    suites = {suite.get("name"): suite for suite in root}
    assert {name: suite.get("failures") for name, suite in suites.items()} == {"robust": "1", "warned": "0", "far": "0"}
    robust = suites["robust"]
    assert (robust.get("tests"), robust.get("errors"), robust.get("skipped")) == ("4", "1", "1")
    failure = robust.find("testcase/failure")
    assert failure is not None and "50.0 → 47.0" in str(failure.get("message"))
    strict = ElementTree.fromstring(junit(checked(), strict=True))
    assert {s.get("name"): s.get("failures") for s in strict}["robust"] == "2"
    assert "warn" in str(suites["warned"].findtext("testcase/system-out"))


def test_annotations_stand_at_the_lines_of_their_gates_and_are_ten_at_most() -> None:
    lines = github(checked()).splitlines()
    assert lines[0].startswith(
        "::error file=robench.toml,line=7,title=robench%3A regressed::vit under lost on digits (robust): "
    )
    assert [line.split()[0] for line in lines] == ["::error", "::error", "::warning", "::warning"]
    many = judged(
        [GATES[0]],
        side(*(cell(2000, 4000, attack=f"a{i}") for i in range(12))),
        side(*(cell(2000, 4000, attack=f"a{i}", lost=120) for i in range(12))),
    )
    assert len(github(checked(many)).splitlines()) == 10


@pytest.mark.parametrize(
    "name",
    ["a\n::error::b", "a%b,c:d", "<script>|`*_$", "]]>\x1b[31m&\x00", "\ufffe\uffff", "@org/team https://x.y www.x.y"],
)
def test_nothing_in_a_name_acts(name: str) -> None:
    found = judged([GATES[0]], side(cell(500, attack=name)), side(cell(500, attack=name, lost=30)))
    told = checked(found)
    assert len(github(told).splitlines()) == 1 and "\n::error::b" not in github(told)
    assert ElementTree.fromstring(junit(told)) is not None
    assert "<script>" not in markdown(told).replace(MARKER, "")
    assert not any(sign in markdown(told) for sign in ("@org", "https://", "www.x"))
    assert "\x1b" not in text(told) and "\x00" not in text(told)
    assert json.loads(as_json(told))["verdicts"][0]["attack"] == name


def test_a_comment_has_its_mark_and_the_newly_broken_images_with_their_pictures() -> None:
    found = verdicts()
    lost = found[0].lost_images.tolist()
    pictures = {("robust", found[0].subject.text, lost[50]): Path("pictures/a.png")}
    comment = markdown(checked(found, pictures=pictures))
    assert comment.startswith(MARKER)
    assert f"{lost[50]} (pictures/a.png)" in comment, "those with pictures come first"
    assert "and 110 more" in comment and comment.count("<details>") == comment.count("</details>") == 1


def test_a_comment_is_never_longer_than_it_may_be() -> None:
    many = judged(
        [GATES[0]],
        side(*(cell(2000, 4000, attack=f"attack_{'x' * 300}{i}") for i in range(300))),
        side(*(cell(2000, 4000, attack=f"attack_{'x' * 300}{i}", lost=400) for i in range(300))),
    )
    comment = markdown(checked(many))
    assert len(comment.encode()) <= 60_000 and "The rest is left out" in comment and comment.startswith(MARKER)
    assert len(markdown(checked(many), 1_000_000).encode()) <= 1_000_000
    found = judged(
        [GATES[0]],
        side(*(cell(2000, 4000, attack=f"a{i}") for i in range(20))),
        side(*(cell(2000, 4000, attack=f"a{i}", lost=400) for i in range(20))),
    )
    cut = markdown(checked(found), len(markdown(checked(found)).encode()) - 1000)
    assert cut.count("<details>") == cut.count("</details>") == 1 and "The rest is left out" in cut


def test_json_says_all_of_a_verdict_and_what_trend_tools_read() -> None:
    plain = json.loads(as_json(checked()))
    assert (plain["schema"], plain["status"], plain["baseline"]) == (1, 1, "baseline.json")
    first = plain["verdicts"][0]
    assert (first["verdict"], first["before"], first["after"], first["points"], first["n"]) == (
        "regressed",
        50,
        47,
        -3,
        4000,
    )
    assert (first["lost"], first["won"], len(first["lost_images"])) == (120, 0, 120)
    assert first["p_adjusted"] == pytest.approx(5 * first["p"]), (
        "of four numbers of this severity, and of three of them together"
    )
    missing = next(one for one in plain["verdicts"] if one["verdict"] == "missing")
    assert missing["after"] is None and missing["lost"] is None
    trend = {one["name"]: one for one in plain["trend"]}
    assert trend["robust_accuracy: robust: vit under lost"]["value"] == 47
    assert set(next(iter(trend.values()))) == {"name", "unit", "value", "range", "extra"}

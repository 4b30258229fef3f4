"""A paper's report with cells made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from measured import records, unit

from robench import parse
from robench.records.unit import Measured as Cell
from robench.reporting.exported import Exported
from robench.reporting.papers.reading import read_report
from robench.reporting.papers.report import Report
from robench.reporting.printed import printed

REPORT = """\
title = "Table 1"
paper = "Somebody, 1999"
published = "p.csv"
seeds = [0, 1]

[[table]]
dataset = "digits"
base = "Standard"
figure = "curves"

[[table.row]]
name = "Standard"
defense = "vit"

[[table.row]]
name = "Other"
defense = "ksa"

[[table.row]]
name = "Elsewhere"
note = "Its weights are not included."

[[table.column]]
name = "ASR"
x = "0.1"
attack = "fgsm(eps=0.1)"
metric = "asr"

[[table.column]]
attack = "fgsm(eps=0.1)"
metric = ["l2", "l2_ratio"]

[[table.note]]
row = "Other"
column = "ASR"
text = "Not reproducible."
"""
PUBLISHED = """\
# as published
table,row,column,value,unit,what,attack,budget,n,eps,norm,source
,Standard,ASR,0.62,share,attack success rate,FGSM,1 step,"1,000",0.1,L∞,"Somebody, 1999"
,Elsewhere,ASR,70.0,%,attack success rate,FGSM,1 step,none,0.1,L∞,"Somebody, 1999"
"""


def report() -> Report:
    Path("t.toml").write_text(REPORT, encoding="utf-8")
    Path("p.csv").write_text(PUBLISHED, encoding="utf-8")
    return read_report(Path("t.toml"))


def cell(defense: str, success: Sequence[bool], *, seed: int = 0, size: float = 0.1, created: float = 1.0) -> Exported:
    call = parse(defense)
    text = f"{call.name}(seed={seed})" if seed else defense
    own = unit(defense=text, dataset="digits", weights=f"{defense}{seed}", created=created)
    return Exported(printed(Cell(own, records([*success]))), created, records([*success], l2=size))


HALF = [True, False, True, False]

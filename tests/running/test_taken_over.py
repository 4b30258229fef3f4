"""A run that was stopped, and whose cell another took over meanwhile, writes nothing under it and looks again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from conftest import small_run

from robench.leases.holders import Holder
from robench.records.unit import Unit


def test_a_lost_cell_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, lost = Unit.add, list[int]()

    def add(self: Unit, frame: pd.DataFrame) -> None:
        if not lost:
            lost.append(len(frame))
            (self.folder / "lease").write_text(json.dumps(asdict(Holder.this()) | {"began": "1"}))
        plain(self, frame)
        assert len(lost) == 1

    monkeypatch.setattr(Unit, "add", add)
    result, told = small_run(attack="fgsm(eps=0.1)", store="lost", workers=1, batch_size=20)
    assert len(result.records) == 60
    assert (
        sum("was taken over by another process" in line and "looking again at what is missing" in line for line in told)
        == 1
    )
    rows = [len(pd.read_parquet(path)) for path in Path("lost").rglob("part-*.parquet")]
    assert sum(rows) == 60, "and no image was attacked twice into the store"

"""What is committed of the papers' tables is what its records say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from robench.entries.modules import built_in_folder
from robench.reporting.papers.cells import Cells, cells_in
from robench.reporting.papers.pages import write
from robench.reporting.papers.reading import named, read_report

FOLDER = built_in_folder("reports") / "papers"
MEASURED = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")


@pytest.fixture(scope="module")
def cells() -> Cells:
    found, notes = cells_in(FOLDER / "records.parquet")
    assert not notes
    return found


@pytest.mark.parametrize("name", MEASURED)
def test_a_committed_table_is_that_of_the_committed_records(name: str, cells: Cells) -> None:
    report = read_report(named(name))
    written = write(report, cells, Path(f"{name}.md"), "markdown")
    assert all((FOLDER / path.name).is_file() for path in written)
    (words, numbers), (committed_words, committed_numbers) = map(apart, (written[0], FOLDER / f"{name}.md"))
    assert words == committed_words and numbers == pytest.approx(committed_numbers, abs=0.11)


def apart(path: Path) -> tuple[list[str], list[float]]:
    """The words and the numbers of a file: another processor may round a last digit otherwise."""
    text = path.read_text(encoding="utf-8")
    number = r"\d+(?:\.\d+)?"
    return re.split(number, text), [float(one) for one in re.findall(number, text)]


def test_what_is_kept_is_small() -> None:
    assert "ksa_table1" in MEASURED
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 20e6

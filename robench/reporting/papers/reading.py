"""Reads a report from its TOML file."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from robench.entries.calls import Call, parse
from robench.entries.modules import built_in_folder
from robench.errors import UsageError, did_you_mean
from robench.files import read_toml
from robench.reporting.papers.metrics import METRICS, Metric
from robench.reporting.papers.report import Ask, Note, Part, Planned, Report
from robench.reporting.papers.source import OF_CELLS, Source
from robench.reporting.published import Published, read_published

FIGURES = ("curves", "boxes", "histogram", "maps")


def named(given: str) -> Path:
    """The file of a report that is named, or given by its path.

    Raises:
        UsageError: there is none.
    """
    folder = built_in_folder("reports") / "papers"
    own = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    if given.endswith(".toml"):
        if not Path(given).is_file():
            raise UsageError(f"there is no file {given}; a report's TOML file is wanted, or one of {', '.join(own)}")
        return Path(given)
    if given not in own:
        raise UsageError(f"no report is named {given!r}{did_you_mean(given, own)}")
    return own[given]


def read_report(path: Path, given: Mapping[str, str] | None = None) -> Report:
    """A report.

    Args:
        given: other values of its variables.

    Raises:
        UsageError: it cannot be read, or says what is not understood; the message has the line and the column.
    """
    content, source = read_toml(path), Source(path, path.read_text(encoding="utf-8"))
    source.know(content, "the file")
    variables = _variables(content.get("with", {}), source)
    if several := [name for name, values in variables.items() if len(values) != 1]:
        raise source.error(
            source.key(several[0]), "one value is wanted here; lists are for the variables of rows and columns"
        )
    values = {name: own[0] for name, own in variables.items()}
    for name, value in (given or {}).items():
        if name not in values:
            raise UsageError(f"{path.name} has no variable {name!r}{did_you_mean(name, values)}")
        source.filled(values[name], values)  # so that what stood in it counts as used
        values[name] = value
    tables = source.tables(content, "table", "[[table]]")
    published = _published(content.get("published"), path, source)
    found = [_table(table, content, values, source) for table in tables]
    source.refuse_unused()
    _refuse_unplaced(found, published, source)
    return Report(
        path.stem,
        source.text(content, "title", path.stem),
        source.text(content, "paper", ""),
        found,
        path,
        [source.filled(line, values) for line in source.texts(content, "about")],
        published,
        " ".join([_asked(path), *(f"--set {shlex.quote(f'{name}={value}')}" for name, value in (given or {}).items())]),
        dict(given or {}),
    )


def _asked(path: Path) -> str:
    """A report's name, or the path of a file of one's own."""
    return path.stem if path.parent == built_in_folder("reports") / "papers" else shlex.quote(str(path))


def _variables(given: Any, source: Source) -> dict[str, list[str]]:
    """The values of variables, each a list."""
    if not isinstance(given, dict):
        raise source.error("with", f'with is {given!r}; variables are wanted, such as {{eps = "8/255"}}')
    found = {}
    for name, value in given.items():
        listed = value if isinstance(value, list) else [value]
        if not listed or any(type(one) not in (str, int, float) for one in listed):
            raise source.error(name, f"{name} is {value!r}; texts or numbers are wanted")
        found[name] = [str(one) for one in listed]
        source.declared.setdefault(name)
    return found


def _table(table: dict[str, Any], content: dict[str, Any], values: dict[str, str], source: Source) -> Planned:
    own = _variables(table.get("with", {}), source)
    if several := [name for name, listed in own.items() if len(listed) != 1]:
        raise source.error(
            source.key(several[0]), "one value is wanted here; lists are for the variables of rows and columns"
        )
    values = {**values, **{name: listed[0] for name, listed in own.items()}}
    rows, columns = (
        [made for one in source.tables(table, kind, f"[[table.{kind}]]") for made in _parts(one, kind, values, source)]
        for kind in ("row", "column")
    )
    heads = [(part.group, part.name) for part, _ in columns]
    for head in heads:
        if heads.count(head) > 1:
            raise source.error(head[1], f"two columns are called {' / '.join(filter(None, head))!r}")
    names = [part.name for part, _ in rows]
    for name in names:
        if names.count(name) > 1:
            raise source.error(name, f"two rows are called {name!r}")
    base, figure = source.text(table, "base", ""), source.text(table, "figure", "")
    if base and base not in names:
        raise source.error(base, f"no row is called {base!r}{did_you_mean(base, names)}")
    if figure and figure not in FIGURES:
        raise source.error(figure, f"the figure is {figure!r}{did_you_mean(figure, FIGURES)}")
    seeds = source.seeds(table) or source.seeds(content) or (0,)
    given = {name: text for name in OF_CELLS if (text := source.text(table, name, source.text(content, name, "")))}
    asks, bases = dict[tuple[int, int], Ask](), dict[int, Ask]()
    for (i, (row, of_row)), (j, (column, of_column)) in product(enumerate(rows), enumerate(columns)):
        ask = _ask((given, row.given, column.given), {**values, **of_row, **of_column}, row.seeds or seeds, source)
        if ask and METRICS[ask.metric].compare and row.name == base:  # which is compared with no other
            bases[j] = ask
        elif ask:
            asks[i, j] = ask
    return Planned(
        source.filled(source.text(table, "title", source.text(content, "title", "")), values),
        source.text(table, "name", ""),
        source.text(table, "head", "Defense"),
        [row for row, _ in rows],
        [column for column, _ in columns],
        asks,
        source.number(table, "n") or source.number(content, "n"),
        bases,
        figure,
        [source.filled(line, values) for line in source.texts(table, "caption")],
        [*_notes(table, source), *_own_notes(rows, columns)],
    )


def _parts(
    given: dict[str, Any], kind: str, values: dict[str, str], source: Source
) -> Iterator[tuple[Part, dict[str, str]]]:
    """The rows or columns that one entry of the file stands for, each with its variables."""
    own = _variables(given.get("with", {}), source)
    metrics = source.texts(given, "metric") or [""]
    for chosen in product(*own.values()):
        of_part = dict(zip(own, chosen, strict=True))
        known = {**values, **of_part}
        for metric in metrics:
            said = {name: source.text(given, name, "") for name in OF_CELLS if name != "metric"}
            said = {name: text for name, text in {**said, "metric": metric}.items() if text}
            if metric and metric not in METRICS:
                raise source.error(metric, f"no metric is called {metric!r}{did_you_mean(metric, METRICS)}")
            name = source.filled(source.text(given, "name", METRICS[metric].name if metric else ""), known)
            if not name:
                raise source.error(f"table.{kind}", f"a {kind} has no name")
            group = source.filled(source.text(given, "group", ""), known)
            written = source.filled(source.text(given, "published", ""), known)
            otherwise = f"{written or group}/{name}" if kind == "column" and (written or group) else name
            published = (written or name) if kind == "row" else otherwise
            note = source.filled(source.text(given, "note", ""), known)
            x = _number(source.filled(source.text(given, "x", ""), known), source)
            yield Part(name, said, published, source.seeds(given), group, note, x), of_part


def _ask(
    said: tuple[dict[str, str], ...], values: dict[str, str], seeds: tuple[int, ...], source: Source
) -> Ask | None:
    """What a cell asks for; None where nothing says of what it is, or what it is of is empty."""
    of_table, of_row, of_column = said
    for name in of_row:
        if name in of_column:
            raise source.error(of_column[name], f"{name} is said by a row ({of_row[name]}) and by a column that cross")
    templates = {**of_table, **of_row, **of_column}
    texts = {name: source.filled(text, values) for name, text in templates.items()}
    if "metric" in texts and texts["metric"] not in METRICS:
        raise source.error(
            texts["metric"], f"no metric is called {texts['metric']!r}{did_you_mean(texts['metric'], METRICS)}"
        )
    metric = METRICS.get(texts.get("metric", ""))
    if metric and metric.of_architecture:
        texts.setdefault("dataset", "imagenet")
    if not texts.get("defense") or texts.get("dataset") == "" or (metric and not metric.measured):
        return None
    for name in ("dataset", "metric"):
        if name not in texts:
            raise source.error(
                templates["defense"],
                f"nothing says which {name} it is: give {name} to the table, the row or the column",
            )
    assert metric is not None
    calls = {name: _call(texts[name], source) for name in ("defense", "dataset", "attack") if texts.get(name)}
    attack = calls.get("attack")
    if attack is None and not (metric.of_model or metric.of_architecture):
        raise source.error(
            texts["metric"], f"{texts['metric']} is of an attack: give attack to the table, the row or the column"
        )
    eps = _number(texts.get("eps", ""), source)
    if eps is not None:
        _check_radius(eps, attack, metric, texts, source)
    return Ask(calls["defense"], calls["dataset"], attack, texts["metric"], eps, seeds)


def _check_radius(eps: float, attack: Call | None, metric: Metric, texts: dict[str, str], source: Source) -> None:
    """A radius is what a minimal attack is scored at; an attack in a ball has its own."""
    if not 0 < eps < math.inf:
        raise source.error(texts["eps"], f"eps is {texts['eps']}; a radius above 0 is wanted")
    if not metric.scored:
        raise source.error(texts["eps"], f"eps is given, and {texts['metric']} is told within no radius")
    if attack is not None and "eps" in attack.options:
        raise source.error(texts["eps"], f"eps={texts['eps']} is given beside {attack}, which has its own radius")


def _call(text: str, source: Source) -> Call:
    try:
        return parse(text)
    except UsageError as error:
        raise source.error(text, str(error)) from error


def _number(text: str, source: Source) -> float | None:
    """A number as calls have it: 0.5, or 8/255."""
    if not text:
        return None
    try:
        options = parse(f"number(value={text})").options
    except UsageError as error:
        raise source.error(text, f"{text!r} is no number: {error}") from error
    value = options.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or len(options) > 1:
        raise source.error(text, f"{text!r} is no number")
    return float(value)


def _notes(table: dict[str, Any], source: Source) -> Iterator[Note]:
    for one in source.tables(table, "note", "[[table.note]]") if "note" in table else []:
        yield Note(*(source.text(one, name, "") for name in ("text", "row", "column")))


def _own_notes(rows: Iterable[tuple[Part, Any]], columns: Iterable[tuple[Part, Any]]) -> Iterator[Note]:
    yield from (Note(part.note, row=part.name) for part, _ in rows if part.note)
    yield from (Note(part.note, column=part.group or part.name) for part, _ in columns if part.note)


def _published(name: Any, path: Path, source: Source) -> dict[tuple[str, str, str], Published]:
    """The numbers of the file that is named, which lies beside the report's or among those of robench."""
    if name is None:
        return {}
    if not isinstance(name, str) or not name or Path(name).name != name:
        raise source.error("published", f"published is {name!r}; the name of a CSV file beside this one is wanted")
    beside, own = path.parent / name, built_in_folder("reports") / "published" / name
    if not beside.is_file() and not own.is_file():
        raise source.error(name, f"there is no {name}, neither beside this file nor among {own.parent.name}/")
    return read_published(beside if beside.is_file() else own)


def _refuse_unplaced(
    tables: Sequence[Planned], published: Mapping[tuple[str, str, str], Published], source: Source
) -> None:
    """What is published, or noted, of no row or column would vanish without a word."""
    places = {
        (table.name, row.published, column.published)
        for table in tables
        for row in table.rows
        for column in table.columns
    }
    if lost := [key for key in published if key not in places]:
        table, row, column = lost[0]
        known = sorted({own for name, own, _ in places if name == table})
        named = f"the table named {table!r}" if table else "a table without a name"
        raise source.error(
            "published",
            f"{row!r} / {column!r} is published of {named}, which has no such row and column{did_you_mean(row, known)}",
        )
    for table_of in tables:
        rows, columns = (
            {row.name for row in table_of.rows},
            {name for one in table_of.columns for name in (one.name, one.group)},
        )
        for note in table_of.notes:
            for name, known_names in ((note.row, rows), (note.column, columns)):
                if name and name not in known_names:
                    raise source.error(name, f"a note is of {name!r}{did_you_mean(name, known_names)}")
            if not note.row and not note.column:
                raise source.error(
                    note.text, "a note says neither of which row nor of which column it is; captions are for the table"
                )

"""Stores, boards, cards and exports that a stranger wrote: signed as they should be, with values that nobody would write.

    python tests/faults/hostile.py [COUNT] [SEED]

Every reading command opens each of them. It must say what is wrong or show what it can: never a traceback, never run a file
that they name, never pass on what another program would act on.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults.tally import Tally, told_badly  # noqa: E402
from forked import Robench  # noqa: E402
from measured import card, records, unit  # noqa: E402

from robench.entries.calls import parse  # noqa: E402
from robench.hashing import file_digest  # noqa: E402
from robench.records.manifest import Manifest, Part, signed  # noqa: E402
from robench.records.refusals import Refusal, refuse  # noqa: E402
from robench.records.store import Store  # noqa: E402
from robench.records.unit import ABOUT  # noqa: E402

EVIL = "import pathlib; pathlib.Path(__file__).with_name('RAN').write_text('ran')\n"
TEXTS = (
    "theirs/evil.py", "./theirs/evil.py::evil", "\\input{/etc/passwd}", "$a_{$", "<script>alert(1)</script>", "a | b\n\n# c",
    "\x1b]0;owned\x07\x1b[2J", "\u202egnp.exe", "=cmd|' /C calc'!A0", "../../../etc/passwd", "x" * 5000, "", "\x00", "\ud800", "{{7*7}}",
    "%s%n", "'", '"', "`rm -rf ~`", "![x](http://example.org/x.png)",
)  # fmt: skip
NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**63,
    10**30,
    -(2**63),
    1e12,
    1e18,
    2_000_000_000,
    0.5,
    -0.5,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
)
OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    {"call": "vit", "options": {}},
    {"call": 3},
    [1, 2, 3],
)
READING = (
    *(("report", "--format", form) for form in ("text", "csv", "latex", "json")),
    ("report", "--format", "markdown", "--out", "report.md"),
    ("report", "--out", "report.html"),
    ("report", "--format", "parquet", "--out", "records.parquet"),
    ("report", "ksa_table1"),
    ("leaderboard", "--out", "board.html", "--out", "board.md", "--out", "board.json"),
    ("leaderboard", "--frozen", "theirs", "--out", "frozen.html"),
    ("store", "ls"),
    ("store", "repair"),
    ("baseline", "write", "--out", "baseline.json"),
)
RAW = ("\x1b", "<script>alert", "\\input{/etc", "\u202e", "\x07")
"""What no output may hold as it is."""
LIMIT = 60


def hostile(count: int = 200, seed: int = 0) -> Tally:
    """So many stores."""
    tally, process, chance = Tally("hostile stores"), Robench(loaded=True), random.Random(seed)
    root = Path(tempfile.mkdtemp(prefix="robench-hostile-"))
    try:
        for place in range(count):
            folder = root / str(place)
            about = f"store {place} of seed {seed}: {_store(folder, chance)}"
            _read(tally, process, folder, about)
            shutil.rmtree(folder)
    finally:
        process.close()
        shutil.rmtree(root)
    return tally


def _store(folder: Path, chance: random.Random) -> str:
    """A store of two units, a card, a refusal and a board, of which something is not as it should be."""
    (folder / "theirs").mkdir(parents=True)
    for name in ("theirs/evil.py", "evil.py"):
        (folder / name).write_text(EVIL)
    store = folder / "results"
    for weights in ("one", "two"):
        one = unit(weights=weights, class_names=["ape", "bee", "cat"])
        Store(store).unit(one.spec, one.identity, one.facts).add(records([True, False, True]))
        card(model=one.identity.model, weights=weights).write(store / "models" / f"{one.identity.model}.json")
    refuse(store, Refusal(parse("ksa"), parse("digits"), None, "dada00", "", 0, "float32", "it is NaN", 1.0))
    names = [path.name[-16:] for path in (store / "records").iterdir()]
    parts = {path.name[-16:]: [part.name for part in path.glob("part-*")] for path in (store / "records").iterdir()}
    (store / "boards").mkdir()
    board = {"units": names, "parts": parts, "made": "2026-11-30", "version": "0.1.0", "suite": None, "refused": []}
    (store / "boards" / "theirs.json").write_text(json.dumps(signed(board)))
    change = chance.choice(CHANGES)
    return f"{change.__name__.strip('_')}: {change(store, chance)}"


def _manifest(store: Path, chance: random.Random) -> str:
    """A value of a manifest is another, and its digests are right."""
    path = chance.choice(sorted(store.glob("records/*/manifest.json")))
    content = json.loads(path.read_text())
    content.pop("digest")
    content.pop("schema")
    said = _another(content, chance)
    try:
        name = Manifest.of(content).identity.digest()
    except ValueError:
        name = path.parent.name[-16:]
    path.write_text(json.dumps(signed(content)))
    path.parent.rename(path.parent.with_name(f"{path.parent.name[:-16]}{name}"))
    return said


def _json_file(pattern: str) -> Callable[[Path, random.Random], str]:
    def change(store: Path, chance: random.Random) -> str:
        path = chance.choice(sorted(store.glob(pattern)))
        content = json.loads(path.read_text())
        versioned = content.pop("digest", None)
        content.pop("schema", None)
        said = _another(content, chance)
        path.write_text(json.dumps(signed(content) if versioned else content))
        return said

    change.__name__ = pattern
    return change


def _part(store: Path, chance: random.Random) -> str:
    """Records with another value in a column, in a file whose name is right."""
    manifest = chance.choice(sorted(store.glob("records/*/manifest.json")))
    (path,) = manifest.parent.glob("part-*.parquet")
    table = pq.read_table(path)
    place, value = chance.randrange(table.num_columns), chance.choice([*TEXTS, *NUMBERS, *OTHERS])
    name, kind = table.schema.names[place], table.schema.field(place).type
    how = chance.choice(["value", "type", "dropped", "rows", "about"])
    about = dict(table.schema.metadata or {})
    staged = path.with_name("staged")
    try:
        if how == "dropped":
            table = table.drop_columns([name])
        elif how == "rows":
            table = pa.concat_tables([table] * 3)
        elif how == "about":
            about[ABOUT] = chance.choice([b"[" * 9000, b"null", b"{}", b"\xff", json.dumps({"of": value}).encode()])
        else:
            column = pa.array([value] * table.num_rows, None if how == "type" else kind)
            table = table.set_column(place, name, column)
        pq.write_table(table.replace_schema_metadata(about), staged)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # Parquet cannot hold it
        how = "unchanged"
        shutil.copy(path, staged)
    path.unlink()
    part = Part(f"part-{file_digest(staged)[:16]}.parquet", table.num_rows)
    staged.rename(path.with_name(part.name))
    known = Manifest.read(manifest)
    Manifest(known.spec, known.identity, known.facts, (part,)).write(manifest)
    return f"{name} {how} {ascii(value)[:30]}"


CHANGES = (_manifest, _manifest, _part, _part, *map(_json_file, ("models/*.json", "refused/*.json", "boards/*.json")))


def _another(content: dict[str, Any], chance: random.Random) -> str:
    """Change one value, anywhere in JSON, or take it away; where and to what."""
    spots: list[tuple[Any, Any, str]] = []

    def walk(value: Any, trail: str) -> None:
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in pairs:
            spots.append((value, key, f"{trail}.{key}"))
            walk(item, f"{trail}.{key}")

    walk(content, "")
    holder, key, trail = chance.choice(spots)
    value = chance.choice([*TEXTS, *NUMBERS, *OTHERS, "gone"])
    if value == "gone":
        del holder[key]
        return f"{trail} gone"
    holder[key] = value
    return f"{trail} = {ascii(value)[:40]}"


def _read(tally: Tally, process: Robench, folder: Path, about: str) -> None:
    tally.tried += 1
    for words in READING:
        status, said = process.within(folder, *words, limit=LIMIT)
        if not told_badly(tally, status, said, f"{about}: {' '.join(words)}") and status not in (0, 2, 3, 5):
            tally.count("bugs", f"{about}: {' '.join(words)}: status {status}: {said[-200:]}")
        made = [path.read_text(errors="replace") for path in folder.glob("*") if path.suffix in (".html", ".md")]
        for raw in RAW:
            where = made if raw.startswith("<script>") else [said, *made]  # JSON and CSV are read by programs, as data
            if any(raw in text for text in where):
                tally.count("ran code", f"{about}: {' '.join(words)} passes {raw!r} on")
    if [*folder.rglob("RAN")]:
        tally.count("ran code", about)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:3]]
    result = hostile(*numbers)
    result.print()
    sys.exit(bool(result.problems))

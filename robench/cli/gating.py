"""`robench check` and `robench diff`: they read a store and a baseline; they load no entry and no torch, but for --again."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from robench.cli.app import app, clean_exit, example
from robench.cli.options import (
    AllowOption,
    BaselineOption,
    ConfigOption,
    DataOption,
    QuietOption,
    StoreOption,
    WorkersOption,
)
from robench.cli.streams import signs_for
from robench.console import colored, columns, reporter
from robench.errors import MissingError, RobenchError, StoreError, UsageError
from robench.files import atomic_path
from robench.places import Places, home

if TYPE_CHECKING:
    from robench.gate.policy import Gate
    from robench.gate.sources import Side
    from robench.gate.verdicts import Verdict


class Terminal(TypedDict):
    color: bool
    width: int | None
    signs: dict[str, str]


class Form(StrEnum):
    text = "text"
    github = "github"
    json = "json"
    md = "md"


@app.command(
    epilog=example(
        "robench check --store results --baseline baseline.json",
        "robench check --baseline baseline.json --max-drop 2 --strict",
        'robench check --baseline baseline.json --format github --summary "$GITHUB_STEP_SUMMARY" --junit check.xml',
    )
)
def check(
    store: StoreOption = "results",
    baseline: BaselineOption = None,
    config: ConfigOption = None,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Points of accuracy that may be lost, where no file of gates says it; 1 by default."),
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Level of the tests, where no file of gates says it; .01 by default.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 4 where n is too small to say that nothing was lost.")
    ] = False,
    form: Annotated[
        Form, typer.Option("--format", help="What to print: text, with annotations of GitHub, or for machines.")
    ] = Form.text,
    junit: Annotated[str | None, typer.Option(metavar="PATH", help="Write JUnit's XML, a case a number.")] = None,
    summary: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Write Markdown; what $GITHUB_STEP_SUMMARY names is added to, of 1 MiB at most."
        ),
    ] = None,
    comment: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Write a comment for a pull request: Markdown of at most 60 kB, with a mark."
        ),
    ] = None,
    pictures: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Folder for pictures of newly broken images, where the store kept them."),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Attack the lost images once more with two other seeds before a number is called regressed."
        ),
    ] = False,
    allow: AllowOption = None,
    data: DataOption = None,
    workers: WorkersOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare a store with a baseline: 1 where a model is easier to fool or an attack got weaker, 3 where cells are missing.

    Gates are read from robench.toml in this folder, or from --config; without them the robust accuracy of all cells may fall by
    --max-drop points, and the mean distance of minimal attacks by 5 %.
    """
    with clean_exit():
        from robench.gate.judging import judged
        from robench.gate.pictures import write_pictures
        from robench.gate.sources import opened
        from robench.gate.verdicts import exit_status
        from robench.gate.writing import MOST_SUMMARY, Checked, as_json, github, markdown, text
        from robench.gate.writing import junit as as_junit

        path, gates = gates_of(config, max_drop, alpha)
        before = _baseline(baseline)
        after = opened(home(store, "the store"))
        repeat = partial(_again, store, data, workers, quiet, allow or []) if again else None
        verdicts = judged(gates, before, after, again=repeat)
        kept = write_pictures(verdicts, home(pictures, "--pictures")) if pictures else {}
        status = exit_status(verdicts, strict=strict)
        name = before.name if before else ""
        checked = Checked(verdicts, status, after.name, name, path, kept, after.notes)
        if form is Form.json:
            print(as_json(checked))
        elif form is Form.md:
            print(markdown(checked), end="")
        else:
            shown = text(checked, **terminal())
            lines = [github(checked), _quoted(shown)] if form is Form.github else [shown]
            print("\n".join(filter(None, lines)))
        sys.stdout.flush()
        try:  # what was found is said by now, and a file that cannot be written does not change it
            if junit:
                _write(home(junit, "--junit"), as_junit(checked, strict=strict))
            if comment:
                _write(home(comment, "--comment"), markdown(checked))
            if summary:
                _summarise(home(summary, "--summary"), markdown(checked, MOST_SUMMARY))
        except (StoreError, OSError) as error:
            if not status:
                raise
            print(f"robench: {error}", file=sys.stderr)
        if status:
            raise typer.Exit(status)


def _baseline(given: str | None) -> Side | None:
    """What is compared with; that it is not there is what status 3 is for."""
    from robench.gate.sources import opened

    if given is None:
        return None
    path = home(given, "--baseline")
    if not path.exists() and path.suffix != ".json":  # a baseline says so itself, with how to write one
        raise MissingError(
            f"there is no {path} to compare with; a baseline (.json), a store, or records in Parquet is wanted"
        )
    return opened(path)


def _quoted(shown: str) -> str:
    """The table, in which the runner of a workflow looks for no commands."""
    word = token_hex(16)
    return f"::stop-commands::{word}\n{shown}\n::{word}::"


@app.command(epilog=example("robench diff results-main results-branch", "robench diff baseline.json results"))
def diff(
    a: Annotated[str, typer.Argument(help="A store, records in Parquet, or a baseline.")],
    b: Annotated[str, typer.Argument(help="What it is compared with.")],
    form: Annotated[Form, typer.Option("--format", help="text or md.")] = Form.text,
) -> None:
    """Show how two stores or baselines differ, cell by cell on the same images, without a verdict."""
    with clean_exit():
        from robench.gate.judging import differences
        from robench.gate.sources import opened
        from robench.gate.tables import difference_table
        from robench.reporting.writing.markup import as_markdown
        from robench.reporting.writing.terminal import as_text

        if form not in (Form.text, Form.md):
            raise UsageError(f"--format {form.value} is for check; diff writes text or md")
        before, after = (opened(home(one, "what is compared")) for one in (a, b))
        table = difference_table(differences(before, after), f"From {before.name} to {after.name}")
        print(as_markdown(table) if form is Form.md else as_text(table, **terminal()))


def terminal() -> Terminal:
    """What a table is fitted to."""
    return {"color": colored(sys.stdout), "width": columns(sys.stdout), "signs": signs_for(sys.stdout)}


def gates_of(config: str | None, max_drop: float | None, alpha: float | None) -> tuple[Path | None, list[Gate]]:
    """The file of the gates and the gates, or those that hold where there is no file."""
    from robench.gate.policy import DEFAULT, checked, default_gates, read_gates

    path = home(config, "--config") if config else Path(DEFAULT)
    if config or path.exists():
        gates = read_gates(path)
        if gates and (max_drop is not None or alpha is not None):
            raise UsageError(
                f"{path} has gates of its own, each with its max_drop and alpha; leave --max-drop and --alpha out, or change them there"
            )
        if gates:
            return path, gates
    gates = default_gates(1.0 if max_drop is None else max_drop, 0.01 if alpha is None else alpha)
    return None, [checked(gate, "--max-drop, --alpha") for gate in gates]


def _again(
    store: str, data: str | None, workers: int | None, quiet: bool, allow: list[str], verdict: Verdict
) -> tuple[set[str], str]:
    """Lost images of a regression that held against the attack with two other seeds, and how many of how many did."""
    from robench.running.again import Once, attacked_again
    from robench.running.settings import Settings

    one, images = verdict.subject.after[0].measured, verdict.lost_images.tolist()
    if one is None:
        return set(), "not attacked again: it is of no store"
    seed = one.unit.identity.seed
    try:
        frames = attacked_again(
            *(one.unit, images, [Once(seed + 1), Once(seed + 2)], Settings(workers=workers), Places.of(data, store)),
            reporter(quiet=quiet),
            allow,
        )
    except RobenchError as error:
        return set(), f"not attacked again: {error}"
    broken = set().union(*(frame.loc[frame["fooled"].astype(bool), "image"] for frame in frames))
    held = set(images) - broken
    return held, f"of {len(images)} lost images {len(held)} held against two other seeds of the attack"


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _summarise(path: Path, text: str) -> None:
    """GitHub's own file is added to, since other steps may have written to it; any other is written."""
    if os.environ.get("GITHUB_STEP_SUMMARY") == str(path):
        with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
        return
    _write(path, text)

"""Whatever standard output and error are, a command says what it can, loses no result and shows no traceback."""

from __future__ import annotations

import ast
import io
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import PGD, SMALL

from robench import StoreError, console
from robench.__main__ import main
from robench.cli import streams
from robench.console import columns
from robench.entries.modules import built_in_folder
from robench.files import atomic_path
from robench.records.store import Store
from robench.records.unit import Unit
from robench.running import workers
from robench.stopping import STOPPED

RUN = ("run", "--defense", SMALL, "--attack", PGD, "--dataset", "digits", "--n", "60", "--workers", "1")


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`main` belongs to a process of its own: it takes the signals and the streams."""
    monkeypatch.setattr(logging, "raiseExceptions", True)
    held = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in held.items():
        signal.signal(number, handler)


def robench(
    monkeypatch: pytest.MonkeyPatch,
    *words: str,
    encoding: str = "utf-8",
    out: str | int = "out",
    err: str | int = "err",
) -> tuple[int, str]:
    """The `robench` command within this process, its streams real files; (exit status, standard error)."""
    with (
        monkeypatch.context() as patched,
        open(out, "w", encoding=encoding) as o,
        open(err, "w", encoding=encoding) as e,
    ):
        patched.setattr(sys, "argv", ["robench", *words])
        patched.setattr(sys, "stdout", o)
        patched.setattr(sys, "stderr", e)
        with pytest.raises(SystemExit) as end:
            main()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    return int(end.value.code or 0), Path(str(err)).read_text(encoding) if Path(str(err)).is_file() else ""


@pytest.mark.matrix(encoding={"ascii", "cp1252"})
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "koi8-r", "shift_jis"])
def test_a_terminal_that_is_not_utf_8_gets_substitutes_and_files_are_utf_8(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in (RUN, ("list",), ("show", "ksa"), ("report", "--format", "text"), ("report", "--format", "markdown")):
        code, said = robench(monkeypatch, *words, encoding=encoding)
        assert code == 0, said
    text = Path("out").read_bytes().decode(encoding)
    assert ("Clean ↑" if encoding == "shift_jis" else "Clean ^") in text
    assert ("±" if encoding not in ("ascii", "koi8-r", "cp437") else "/-") in text.replace("±", "±/-")
    assert "Clean ↑" in Path("results/report.html").read_text("utf-8")
    robench(monkeypatch, "report", "--format", "text", "--out", "table.txt", encoding=encoding)
    assert "Clean ↑" in Path("table.txt").read_text("utf-8")


def test_all_that_an_encoding_lacks_has_a_substitute() -> None:
    assert "é中 \udcff naïve 💥".encode("ascii", streams.HANDLER) == rb"\xe9\u4e2d \xff na\xefve \U0001f4a5"
    assert "δ ≤ ε ± ∞".encode("ascii", streams.HANDLER) == b"delta <= eps +/- inf"
    assert all(text.isascii() for text in streams.SUBSTITUTES.values())
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", streams.HANDLER)


def test_every_sign_that_robench_prints_has_a_substitute() -> None:
    package = Path(streams.__file__).parent.parent
    folders = [package, *(built_in_folder(kind) for kind in ("attacks", "defenses", "datasets"))]
    printed = {
        sign
        for folder in folders
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for sign in node.value
        if not sign.isascii() and not "\ud800" <= sign <= "\udfff"
    }
    assert {"↑", "–", "τ"} < printed
    assert printed - set(streams.SUBSTITUTES) <= set("è"), "a letter of a name"


@pytest.mark.parametrize(("encoding", "lacks"), [("ascii", True), ("latin-1", True), ("utf-8", False)])
def test_only_an_encoding_that_lacks_signs_is_given_others(encoding: str, lacks: bool) -> None:
    assert bool(streams.signs_for(io.TextIOWrapper(io.BytesIO(), encoding=encoding))) is lacks


def test_columns_stay_where_they_were() -> None:
    lines = ["Clean ↑  L∞ ↑    norm ± 1    last", "12 ± 1   0.123   0.4         0.5"]
    header, row = ("\n".join(lines).encode("ascii", streams.HANDLER).decode()).splitlines()
    assert header.index("last") == row.index("0.5") == lines[0].index("last")
    assert row.index("0.123") == lines[1].index("0.123")


def test_a_reader_that_goes_away_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = [os.pipe(), os.pipe()]
    for reader, _ in ends:
        os.close(reader)
    code, _ = robench(monkeypatch, *RUN, "--store", "piped", out=ends[0][1], err=ends[1][1])
    assert code == 0
    assert Path("piped/report.html").exists()
    (unit,) = Store(Path("piped")).units()
    assert len(unit.read()) == 60


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_and_the_page_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = robench(monkeypatch, *RUN, out="/dev/full")
    assert code == 5
    assert "standard output cannot be written: No space left on device; what was measured is in the store" in said
    assert "Traceback" not in said
    assert Path("results/report.html").exists()
    assert robench(monkeypatch, *RUN, err="/dev/full")[0] == 0
    code, said = robench(monkeypatch, "report", "--out", "/dev/full")
    assert code == 5
    assert "cannot write /dev/full" in said
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode), "it was written, not replaced"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["--version"], ["-h"], ["run", "-h"], ["list"]])
def test_nothing_that_was_not_measured_is_in_the_store(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = robench(monkeypatch, *words, out="/dev/full")
    assert (code, said) == (5, "robench: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize("more", [[], ["--verbose"]])
def test_a_log_that_cannot_be_written_is_said_once(more: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    code, said = robench(monkeypatch, *more, "--log", "file/log", "list")
    assert (code, said.count("cannot be written")) == (2, 1)
    assert "UsageError" not in said


def test_closed_streams_are_nobodys_place() -> None:
    """A file that is opened later must not take the number of standard output and be printed into."""
    code = (
        "import sys; from robench.cli.streams import make_steady; make_steady(); file = open('kept', 'w'); "
        "print('said'); print('told', file=sys.stderr); sys.stdout.flush(); assert sys.stdin.read() == ''; file.close()"
    )
    assert (
        subprocess.run(["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, code], check=False).returncode
        == 0
    )
    assert Path("kept").read_text() == ""


def test_a_page_that_cannot_be_written_costs_neither_table_nor_records(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("results/report.html").mkdir(parents=True)
    code, said = robench(monkeypatch, *RUN)
    assert code == 5
    assert "Robustness on digits" in Path("out").read_text()
    assert "`robench report --store results --out report.html` writes it elsewhere" in said
    assert robench(monkeypatch, "report", "--out", "report.html")[0] == 0
    assert "Robustness on digits" in Path("report.html").read_text("utf-8")


def test_a_store_that_cannot_be_written_is_told_before_anything_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("")
    defense = "vit(depth=1, epochs=3, seed=77)"
    words = (
        "run",
        "--defense",
        defense,
        "--attack",
        PGD,
        "--dataset",
        "digits",
        "--n",
        "20",
        "--store",
        "file/results",
    )
    code, said = robench(monkeypatch, *words)
    assert code == 5
    assert said.count("\n") == 1 and "cannot write in file/results: Not a directory; choose another folder" in said
    monkeypatch.setenv("ROBENCH_CACHE", "file/cache")
    code, said = robench(monkeypatch, *words[:-1], "results")
    assert code == 5
    assert "robench: cannot write file/cache" in said and "Traceback" not in said


def test_a_bug_leaves_its_traceback_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("robench.listing.listing", lambda _: 1 / 0)
    code, said = robench(monkeypatch, "list")
    (kept,) = tmp_path.glob("robench-bug-*.txt")
    assert code == 70
    assert (
        f"ZeroDivisionError: division by zero. What was finished is stored. Please report it with the file {kept}"
        in said
    )
    assert "Traceback" not in said
    assert "Traceback" in kept.read_text() and "1 / 0" in kept.read_text()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_a_run_is_one_line_and_what_was_done_stays(
    number: signal.Signals, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Unit.add

    def add(unit: Unit, frame: object) -> None:
        written(unit, frame)  # type: ignore[arg-type]
        signal.raise_signal(number)

    words = (*RUN, "--store", f"stopped-{status}", "--batch-size", "16")
    with monkeypatch.context() as patched:
        patched.setattr(Unit, "add", add)
        patched.setattr(workers, "WRITE_SECONDS", 0.0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code, said = robench(monkeypatch, *words)
    assert code == status
    assert "robench: stopped. What was finished is stored; the same command goes on from there" in said
    assert "Traceback" not in said
    store = Store(Path(f"stopped-{status}"))
    assert 16 <= len(store.units()[0].read()) < 60
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert robench(monkeypatch, *words)[0] == 0
    assert len(store.units()[0].read()) == 60


HEEDING = """\
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from robench.stopping import Signals
signals = Signals()
signals.heed()
"""


def ended(code: str) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", HEEDING + code], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_second_signal_ends_at_once() -> None:
    code = """
signals.starting = False
try:
    signal.raise_signal(signal.SIGTERM)
finally:
    signal.raise_signal(signal.SIGINT)
    print("late")
"""
    assert ended(code) == (130, "", "")


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_while_robench_starts_the_first_ends_it_at_once_with_its_message(name: str, status: int) -> None:
    code = f"""
try:
    signal.raise_signal(signal.{name})
finally:
    print("late")
"""
    said = "\nrobench: stopped. What was finished is stored; the same command goes on from there\n"
    assert ended(code) == (status, "", said)


def test_before_anything_heavy_is_imported_signals_are_heeded() -> None:
    code = "import sys\nimport robench.__main__\nprint([m for m in sys.modules if m.startswith(('robench', 'typer'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['robench', 'robench.stopping', 'robench.__main__']"


def test_what_is_no_file_is_written_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with atomic_path(pipe) as path:
        path.write_text("said")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.read(reader, 10) == b"said"
    os.close(reader)
    with pytest.raises(StoreError, match="Is a directory"), atomic_path(tmp_path) as path:
        path.write_text("said")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_that_cannot_move_its_cursor_gets_lines_and_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    for term, no_color, moves, colors in (
        ("xterm", "", True, True),
        ("xterm", "1", True, False),
        ("dumb", "", False, False),
        (None, "", False, False),
    ):
        monkeypatch.setenv("NO_COLOR", no_color)
        monkeypatch.delenv("TERM", raising=False)
        if term:
            monkeypatch.setenv("TERM", term)
        assert isinstance(console.reporter(), console.Bars) == moves
        assert console.colored(Terminal()) == colors
    assert isinstance(console.reporter(quiet=True), console.Silent)


def test_bars_show_brackets_and_colons_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    bars = console.Bars()
    bars.say("class 3 = ':dog:' [/b] " + "x" * 150)
    work = bars.work("a[/b] :cat: [bold]c", unit="image", total=2)
    work.advance(1)
    work.close()
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "class 3 = ':dog:' [/b] " + "x" * 150 in shown
    assert "a[/b] :cat: [bold]c" in shown


def test_quiet_leaves_the_table_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = robench(monkeypatch, *RUN, "-q", "--store", "quiet")
    assert (code, said) == (0, "")
    assert "Robustness on digits" in Path("out").read_text()
    code, said = robench(monkeypatch, "run", "--defense", "kas", "--attack", PGD, "--dataset", "digits", "--quiet")
    assert code == 2 and "did you mean 'ksa'" in said


def test_a_signal_that_comes_when_all_is_done_changes_nothing() -> None:
    code = (
        "import os, signal\n"
        "from robench.stopping import Signals\n"
        "class Late:\n"
        "    def __del__(self, kill=os.kill, own=os.getpid(), number=signal.SIGTERM): kill(own, number)\n"
        "Signals().heed()\n"
        "late = Late()  # which Python takes apart after its handlers of signals\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_a_command_begins_is_one_line(number: signal.Signals) -> None:
    """In the words of a command line, which the library of options would make another end of."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in the background of a shell\n"
        "import robench.cli.app, typer\n"
        "from robench.__main__ import main\n"
        f"typer.core.TyperGroup.parse_args = lambda *_: os.kill(os.getpid(), {int(number)})\n"
        "sys.argv = ['robench', 'list']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + number
    assert done.stderr.strip() == f"robench: {STOPPED}"


def test_a_message_moves_no_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    status, said = robench(monkeypatch, "report", "--store", "\x1b]0;owned\x07\u202e")
    assert status == 2 and "\\x1b]0;owned\\x07\\u202e" in said and "\x1b" not in said


@pytest.mark.parametrize("kind", [console.Lines, console.Bars])
def test_progress_moves_no_cursor(kind: Callable[[], console.Reporter], capsys: pytest.CaptureFixture[str]) -> None:
    kind().say("part \x1b]0;owned\x07 was damaged\nand \u202e mended")
    said = capsys.readouterr().err
    assert "\x1b]0" not in said and "\u202e" not in said
    assert "\\x1b]0;owned\\x07 was damaged\nand \\u202e mended" in said


def test_an_empty_name_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    status, said = robench(monkeypatch, "report", "--format", "csv", "--out", "")
    assert status == 2 and "--out names no file" in said


def test_a_width_that_is_no_number_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "9" * 5000)
    assert columns(io.StringIO()) is None
    monkeypatch.setenv("COLUMNS", "120")
    assert columns(io.StringIO()) == 120

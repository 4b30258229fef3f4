"""Breaks the code in one place after another and sees whether the tests notice: `make mutants`, or with a word to choose by.

    .venv/bin/python tests/mutants.py [WORD ...]

Each mutation of `tests/mutations.py` is made in a copy of the tree, never in the tree itself, and the tests that should see
it are run there. One that no test sees lives; that is a fault of the tests, unless the table says why it may. Exit status: 1
where a mutation lives that should not, or is dead that is said to live; 2 where the table no longer fits the code, or tests
fail without any mutation.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parents[1]
COPIED = ("robench", "attacks", "defenses", "datasets", "reports", "tests", "docs", "examples")
FILES = ("pyproject.toml", "constraints.txt", "Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
AT_ONCE = min(2, os.cpu_count() or 1)
SECONDS = 600
"""A mutation that makes tests run for longer than this is dead."""
HEAVY = (
    "torch",
    "timm.models.vision_transformer",
    "torchvision",
    "pandas",
    "scipy.stats",
    "sklearn.datasets",
    "pyarrow",
)
"""Loaded once, before this process forks, since loading them takes longer than most of the tests."""


def mutated(mutation: Mutation, text: str) -> str:
    return text.replace(mutation.before, mutation.after)


def stale(mutation: Mutation) -> str | None:
    """Why a mutation can no longer be made; None where it can."""
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    if (count := text.count(mutation.before)) != 1:
        return f"{mutation.file} holds {mutation.before!r} {count} times"
    try:
        compile(mutated(mutation, text), mutation.file, "exec")
    except SyntaxError as error:
        return f"{mutation} is no Python: {error}"
    missing = [test for test in mutation.tests.split() if not (ROOT / "tests" / test.partition("::")[0]).is_file()]
    return f"there is no tests/{missing[0]}" if missing else None


def unchanged(tests: str) -> Mutation:
    """No mutation: the tests must pass."""
    return Mutation("as it is", "pyproject.toml", "[project]", "[project]", tests, "nothing is changed")


def copied(to: Path) -> Path:
    """A copy of the tree without what git would ignore."""
    for name in COPIED:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    for name in FILES:
        shutil.copy(ROOT / name, to / name)
    return to


def started(mutation: Mutation, tree: Path) -> int:
    """Fork a process that runs a mutation's tests in a copy of the tree; its process id."""
    copied(tree)
    path = tree / mutation.file
    path.write_text(mutated(mutation, path.read_text(encoding="utf-8")), encoding="utf-8")
    child = os.fork()
    if child:
        return child
    status = 3
    try:
        os.setsid()
        output = os.open(tree / "output", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(tree)
        os.environ["PYTHONPATH"] = str(tree)
        sys.path[:] = [str(tree), *(p for p in sys.path if Path(p).resolve() not in (ROOT, ROOT / "tests"))]
        import pytest

        tests = [str(tree / "tests" / test) for test in mutation.tests.split()]
        status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]))
    finally:
        os._exit(status)


def run_all(chosen: list[Mutation]) -> list[tuple[Mutation, str]]:
    """Run each, a few at once: (mutation, "dead", "lives", or what went wrong), as they end."""
    waiting, done = list(reversed(chosen)), []
    running: dict[int, tuple[Mutation, Path, float]] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < AT_ONCE:
                    mutation, tree = waiting.pop(), Path(tempfile.mkdtemp(dir=folder))
                    running[started(mutation, tree)] = (mutation, tree, time.monotonic())
                child, raw = os.waitpid(-1, os.WNOHANG)
                if not child:
                    stop([late for late, (_, _, since) in running.items() if time.monotonic() - since > SECONDS])
                    time.sleep(0.2)
                    continue
                mutation, tree, since = running.pop(child)
                found = outcome(os.waitstatus_to_exitcode(raw))
                done.append((mutation, found))
                said = "lives, as said" if found == "lives" and mutation.lives else found
                print(f"{said:>14} {time.monotonic() - since:5.0f} s  {mutation}  ({mutation.tests})", flush=True)
                if found not in ("dead", "lives"):
                    print((tree / "output").read_text(errors="replace")[-2000:])
                shutil.rmtree(tree)
        finally:
            stop([*running])
    return done


def outcome(status: int) -> str:
    """By pytest's exit status: tests failed or took too long; all passed; none could be collected, or worse."""
    return "lives" if status == 0 else "dead" if status in (1, -signal.SIGKILL) else f"pytest ended with {status}"


def stop(children: list[int]) -> None:
    """End processes and what they have started."""
    for child in children:
        os.killpg(child, signal.SIGKILL)


def main(words: list[str]) -> int:
    chosen = [one for one in MUTATIONS if not words or any(word in str(one) for word in words)]
    problems = [problem for one in chosen if (problem := stale(one))]
    for problem in problems:
        print(f"the table is stale: {problem}")
    if problems or not chosen:
        return 2
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in HEAVY:
            __import__(name)
    begun = time.monotonic()
    print("the tests on the code as it is:")
    sound = run_all([unchanged(tests) for tests in dict.fromkeys(one.tests for one in chosen)])
    if any(found != "lives" for _, found in sound):
        print("tests that fail without a mutation say nothing of one")
        return 2
    print("mutations:")
    done = run_all(chosen)
    alive = [one for one, found in done if found == "lives"]
    wrong = [one for one, found in done if found != ("lives" if one.lives else "dead")]
    print(
        f"{len(done)} mutations in {time.monotonic() - begun:.0f} s: {len(done) - len(alive)} dead, {len(alive)} alive"
    )
    for one in alive:
        print(f"  lives: {one}: {one.lives or 'no test sees it'}")
    for one in wrong:
        if one not in alive:
            print(f"  not as the table says: {one}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The action for GitHub: its scripts are run as GitHub runs them, among programs that note what they are asked for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from robench.gate.writing import MARKER

ROOT = Path(__file__).parents[2]
FOLDER = ".github/actions/check"
ACTION: dict[str, Any] = yaml.safe_load((ROOT / FOLDER / "action.yml").read_text(encoding="utf-8"))
EXAMPLE = ROOT / "docs" / "robustness.yml"
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")

NOTED = f"""#!{sys.executable} -IS
import json, os, subprocess, sys
from pathlib import Path
name, given = Path(sys.argv[0]).name, sys.argv[1:]
def note():
    with open(os.environ["FAKE_LOG"], "a") as log:
        log.write(json.dumps([name, *given]) + "\\n")
def after(option):
    return given[given.index(option) + 1]
"""
"""The beginning of each program that stands in for another; without site-packages it starts in no time."""
ROBENCH = """
note()
if given[0] == "run":
    sys.exit(int(os.environ["FAKE_RUN"]))
status = int(os.environ["FAKE_CHECK"])
if status == 2:
    sys.exit(2)
print("::error title=robench::as GitHub wants it" if status else "all is well")
Path(after("--junit")).write_text("<testsuites/>")
Path(after("--comment")).write_text(f"{os.environ['FAKE_MARKER']}\\nended with {status}\\n")
with open(after("--summary"), "a") as summary:
    summary.write(f"ended with {status}\\n")
Path(after("--pictures")).mkdir(exist_ok=True)
sys.exit(status)
"""
GH = """
note()
kept = Path(os.environ["FAKE_COMMENTS"])
comments = json.loads(kept.read_text())
method = after("--method") if "--method" in given else "GET"
if os.environ["FAKE_REFUSES"] == method or os.environ["GH_TOKEN"] != "the job's own":
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
path = next(word for word in given if word.startswith("repos/"))
if method == "GET":
    assert path == "repos/team/net/issues/7/comments"
    pages = [comments[at:at + 2] for at in range(0, len(comments), 2)]
    for page in pages if "--paginate" in given else pages[:1]:
        subprocess.run(["jq", "-r", after("--jq")], input=json.dumps(page), text=True, check=True)
    sys.exit()
field = after("-F")
assert field.startswith("body=@")
body = Path(field.removeprefix("body=@")).read_text()
if method == "POST":
    assert path == "repos/team/net/issues/7/comments"
    comments.append({"id": 100 + len(comments), "body": body})
else:
    (own,) = [one for one in comments if path == f"repos/team/net/issues/comments/{one['id']}"]
    own["body"] = body
kept.write_text(json.dumps(comments))
"""
PYTHON = """
if given[:2] != ["-m", "pip"]:
    os.execv(sys.executable, [sys.executable, *given])
note()
"""


@dataclass
class Job:
    """What became of a job: its status, what it printed, the action's outputs."""

    status: int
    said: str
    outputs: dict[str, str]


@dataclass
class GitHub:
    """A runner, with a pull request or without, and programs that behave as they are told to.

    Attributes:
        run, check: what robench's two commands exit with.
        refuses: the method that the token may not use.
        programs: what stands in for robench, gh and python.
    """

    root: Path
    run: int = 0
    check: int = 0
    refuses: str = ""
    event: dict[str, Any] = field(default_factory=lambda: {"pull_request": {"number": 7}})
    programs: dict[str, str] = field(default_factory=lambda: {"robench": ROBENCH, "gh": GH, "python": PYTHON})

    def __post_init__(self) -> None:
        for folder in (self.root / "programs", self.work):
            folder.mkdir()
        self.have([])

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def summary(self) -> str:
        return (self.root / "summary.md").read_text()

    @property
    def comments(self) -> list[str]:
        return [one["body"] for one in json.loads((self.root / "comments.json").read_text())]

    def have(self, comments: list[str]) -> None:
        """Let the pull request have these comments."""
        plain = [{"id": 100 + place, "body": body} for place, body in enumerate(comments)]
        (self.root / "comments.json").write_text(json.dumps(plain))

    def calls(self, program: str) -> list[list[str]]:
        """The arguments of each call of a program."""
        log = self.root / "log"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [arguments for name, *arguments in lines if name == program]

    def job(self, **given: str) -> Job:
        """Run the action's scripts one after another, until one fails."""
        for name, code in self.programs.items():
            program = self.root / "programs" / name
            program.write_text(NOTED + code)
            program.chmod(0o755)
        (self.root / "event.json").write_text(json.dumps(self.event))
        known = {"github.token": "the job's own", "steps.cache.outputs.cache-hit": ""}
        for name, about in ACTION["inputs"].items():
            known[f"inputs.{name}"] = given.get(name, expanded(about["default"], known))
        assert given.keys() <= ACTION["inputs"].keys()
        said, status = "", 0
        for place, step in enumerate(STEPS):
            if "run" not in step:
                continue
            status, told, outputs = self._step(step, place, known)
            said += told
            known |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in outputs.items()}
            if status:
                break
        outputs = {
            name: known.get(EXPRESSION.sub(r"\1", about["value"]), "") for name, about in ACTION["outputs"].items()
        }
        return Job(status, said, outputs)

    def _step(self, step: dict[str, Any], place: int, known: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        script, output = self.root / f"{place}.sh", self.root / f"{place}.out"
        script.write_text(expanded(step["run"], known))
        output.write_text("")
        environment = {
            **os.environ,
            "PATH": os.pathsep.join(
                [str(self.root / "programs"), str(Path(sys.executable).parent), os.environ["PATH"]]
            ),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.root / "summary.md"),
            "GITHUB_EVENT_PATH": str(self.root / "event.json"),
            "GITHUB_REPOSITORY": "team/net",
            "FAKE_LOG": str(self.root / "log"),
            "FAKE_COMMENTS": str(self.root / "comments.json"),
            "FAKE_MARKER": MARKER,
            "FAKE_RUN": str(self.run),
            "FAKE_CHECK": str(self.check),
            "FAKE_REFUSES": self.refuses,
            **{name: expanded(value, known) for name, value in step.get("env", {}).items()},
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.work,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, dict(line.split("=", 1) for line in output.read_text().splitlines())


def expanded(text: str, known: dict[str, str]) -> str:
    """A text with its expressions replaced, as GitHub pastes them; one that is not known is a mistake in the action."""
    return EXPRESSION.sub(lambda found: known[found[1]], text)


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    if shutil.which("jq") is None:
        pytest.skip("gh has jq in it; what stands in for gh needs a jq of the machine")
    return GitHub(tmp_path)


def texts(value: object) -> Iterator[str]:
    """All texts in a file that was read."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list):
        for one in value:
            yield from texts(one)
    elif isinstance(value, str):
        yield value


def place_of(what: str) -> int:
    """Where a step is: by its id, its name or the action that it uses."""
    (found,) = [
        place
        for place, step in enumerate(STEPS)
        if what in (step.get("id"), step.get("name"), step.get("uses", "").split("@")[0])
    ]
    return found


def test_no_script_has_an_expression_in_it_and_each_runs_in_bash() -> None:
    scripts = [step for step in STEPS if "run" in step]
    assert len(scripts) == 5
    for step in scripts:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]
        assert "if" not in step, "the tests below run every script; let the script itself decide"


def test_every_expression_names_something_that_is_there() -> None:
    ids = {step.get("id") for step in STEPS}
    used = {
        word for text in texts(ACTION) for found in EXPRESSION.findall(text) for word in re.findall(r"[\w.-]+", found)
    }
    assert {word.split(".")[1] for word in used if word.startswith("steps.")} <= ids
    assert {word.split(".")[1] for word in used if word.startswith("inputs.")} == ACTION["inputs"].keys()
    for about in (*ACTION["inputs"].values(), *ACTION["outputs"].values()):
        assert about["description"]
    assert all(isinstance(about["default"], str) for about in ACTION["inputs"].values())


def test_weights_are_kept_before_anything_can_fail_the_job_for_its_numbers() -> None:
    restored, kept = place_of("actions/cache/restore"), place_of("actions/cache/save")
    assert restored < place_of("run") < kept < place_of("check")
    assert STEPS[kept]["with"]["path"] == STEPS[restored]["with"]["path"]
    assert "~/.cache/robench" in STEPS[kept]["with"]["path"]
    assert STEPS[restored]["with"]["key"].startswith(STEPS[restored]["with"]["restore-keys"])
    assert STEPS[kept]["with"]["key"] == "${{ steps.cache.outputs.cache-primary-key }}"


def test_pictures_and_junit_are_uploaded_whatever_happened() -> None:
    upload = STEPS[place_of("actions/upload-artifact")]
    assert upload["if"] == "always()"
    assert upload["with"]["path"] == "robench-check"
    assert place_of("check") < place_of("actions/upload-artifact") < place_of("Verdict") == len(STEPS) - 1


def test_a_check_that_passes_is_commented_on(github: GitHub) -> None:
    job = github.job()
    assert (job.status, job.outputs) == (0, {"status": "0"})
    assert github.comments == [f"{MARKER}\nended with 0\n"]
    assert github.summary == "ended with 0\n"
    assert sorted(path.name for path in (github.work / "robench-check").iterdir()) == [
        "check.xml",
        "comment.md",
        "pictures",
    ]
    assert "::notice" not in job.said
    assert github.calls("python") == [["-m", "pip", "install", "--quiet", "--", "robench"]]
    run, check = github.calls("robench")
    assert run == ["run", "--config", "robench.toml", "--store", "results"]
    same = ["check", "--config", "robench.toml", "--store", "results", "--baseline", "baseline.json"]
    assert check[:7] == same
    assert check[check.index("--format") + 1] == "github"
    assert "--strict" not in check and "--again" not in check


@pytest.mark.parametrize("status", [1, 3, 4])
def test_a_check_that_fails_is_commented_on_all_the_same(status: int, github: GitHub) -> None:
    github.check = status
    job = github.job()
    assert (job.status, job.outputs) == (status, {"status": str(status)})
    assert github.comments == [f"{MARKER}\nended with {status}\n"]
    assert "::error title=robench::as GitHub wants it" in job.said.splitlines()


def test_refused_rows_fail_the_job_after_the_others_were_compared(github: GitHub) -> None:
    github.run = 5
    job = github.job()
    assert (job.status, job.outputs) == (5, {"status": "5"})
    assert github.comments == [f"{MARKER}\nended with 0\n"]
    assert "::error title=robench::robench run left something out" in job.said


def test_a_regression_counts_more_than_refused_rows(github: GitHub) -> None:
    github.run, github.check = 5, 1
    assert github.job().status == 1


def test_nothing_is_compared_after_a_run_that_could_not_begin(github: GitHub) -> None:
    github.run = 2
    job = github.job()
    assert (job.status, job.outputs) == (2, {"status": ""})
    assert [words[0] for words in github.calls("robench")] == ["run"]


def test_a_check_that_says_nothing_leaves_no_old_comment_standing(github: GitHub) -> None:
    github.have([f"{MARKER}\nended with 0\n"])
    github.check = 2
    assert github.job().status == 2
    (comment,) = github.comments
    assert comment.startswith(f"{MARKER}\n")
    assert "`robench check` ended with status 2 before it compared anything" in comment


def test_the_comment_is_found_again_among_others(github: GitHub) -> None:
    others = ["Looks good.", f"> {MARKER}\nWhat does this mean?", ""]
    github.have(others)
    github.job()
    github.check = 1
    assert github.job().status == 1
    assert github.comments == [*others, f"{MARKER}\nended with 1\n"]
    assert [words[words.index("--method") + 1] for words in github.calls("gh") if "--method" in words] == [
        "POST",
        "PATCH",
    ]


def test_of_two_comments_with_the_mark_the_first_is_updated(github: GitHub) -> None:
    github.have([f"{MARKER}\nfirst", f"{MARKER}\nsecond", f"{MARKER}\nthird"])
    assert github.job().status == 0
    assert github.comments == [f"{MARKER}\nended with 0\n", f"{MARKER}\nsecond", f"{MARKER}\nthird"]


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_token_that_may_not_write_does_not_fail_the_job(method: str, status: int, github: GitHub) -> None:
    before = [f"{MARKER}\nold"] if method == "PATCH" else []
    github.have(before)
    github.refuses, github.check = method, status
    job = github.job()
    assert job.status == status
    assert github.comments == before
    assert [line for line in job.said.splitlines() if line.startswith("::notice")] == [
        "::notice title=robench::No comment was written on the pull request; the job's summary says the same."
    ]


def test_a_push_has_no_pull_request_to_comment_on(github: GitHub) -> None:
    github.event = {"ref": "refs/heads/main"}
    job = github.job()
    assert job.status == 0
    assert github.calls("gh") == []
    assert "::notice" not in job.said


def test_no_comment_is_made_where_none_is_wanted(github: GitHub) -> None:
    assert github.job(comment="false").status == 0
    assert github.calls("gh") == []
    assert [words[0] for words in github.calls("robench")] == ["run", "check"]


def test_nothing_is_installed_where_robench_is_there(github: GitHub) -> None:
    assert github.job(install="").status == 0
    assert github.calls("python") == []


def test_inputs_reach_the_check(github: GitHub) -> None:
    github.job(config="ci/gates.toml", store="out", baseline="main.json", strict="true", again="true")
    run, check = github.calls("robench")
    assert run == ["run", "--config", "ci/gates.toml", "--store", "out"]
    assert check[:7] == ["check", "--config", "ci/gates.toml", "--store", "out", "--baseline", "main.json"]
    assert {"--strict", "--again"} <= set(check)


@pytest.mark.parametrize(
    "evil", ['"; touch hacked; #', "'; touch hacked; #", "$(touch hacked)", "`touch hacked`", "x\ntouch hacked\n"]
)
def test_no_input_is_a_command(evil: str, github: GitHub) -> None:
    given = dict.fromkeys(ACTION["inputs"], evil) | {"comment": "true"}  # else the token would not be used
    assert github.job(**given).status == 0
    assert not [*github.root.rglob("hacked")]
    assert github.calls("python")[0][-2:] == ["--", evil]
    run, check, *_ = github.calls("robench")
    assert run == ["run", "--config", evil, "--store", evil]
    assert check[:7] == ["check", "--config", evil, "--store", evil, "--baseline", evil]


def test_the_workflow_to_copy_uses_the_action_as_it_is() -> None:
    workflow = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    assert workflow[True] == {"pull_request": {}, "push": {"branches": ["main"]}}  # YAML reads `on` as true
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    (job,) = workflow["jobs"].values()
    names = [step["uses"].split("@")[0] for step in job["steps"]]
    assert names == ["actions/checkout", "actions/setup-python", f"OWNER/robench/{FOLDER}"]
    assert job["steps"][-1].get("with", {}).keys() <= ACTION["inputs"].keys()


@pytest.mark.slow
def test_the_action_passes_robench_s_own_gate(github: GitHub) -> None:
    del github.programs["robench"]
    shutil.copytree(ROOT / "reports" / "gate", github.work / "reports" / "gate")
    config = github.work / "reports" / "gate" / "robench.toml"
    matrix, *_ = config.read_text(encoding="utf-8").partition("attack = [")  # one attack of all, for the time it takes
    config.write_text(
        f"""{matrix}attack = "fgsm(eps=0.1)"\n\n[[gate]]\nselect = {{ attack = "fgsm*" }}\nmax_rise = 2.5\n"""
    )
    job = github.job(install="", config="reports/gate/robench.toml", baseline="reports/gate/digits.json")
    assert job.status == 0, job.said
    (comment,) = github.comments
    assert comment.startswith(f"{MARKER}\n")
    assert " pass" in comment
    assert " pass" in github.summary
    assert (github.work / "robench-check" / "check.xml").read_text(encoding="utf-8").startswith("<?xml")

"""A model that is refused and an attack that breaks down keep their row or cell, and stop nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import small_run
from typer.testing import CliRunner

import robench
from robench import ModelError, UsageError
from robench.cli import app
from robench.records.refusals import refusals
from robench.reporting.pages import render, stored

FILE = '''import torch
from torch import nn
import robench

class Net(nn.Module):
    def __init__(self, kind, weight=None):
        super().__init__()
        self.layer, self.kind, self.calls = nn.Linear(64, 10), kind, 0

    def forward(self, x):
        logits = self.layer(x.flatten(1))
        self.calls += 1
        match self.kind:
            case "raises": raise RuntimeError("no such layer")
            case "probabilities": return logits.softmax(1)
            case "two": return logits, logits
            case "dict": return {"logits": logits}
            case "one": return logits[:, :1]
            case "nan": return logits * float("nan")
            case "random": return logits + torch.randn_like(logits)
            case "flat": return logits.detach() + 0 * x.flatten(1)[:, :1]
        return logits

@robench.defense()
def own(task: robench.Task, *, kind: str = "fine") -> robench.Recipe:
    """One linear layer."""
    return robench.Recipe(Net(kind), robench.Schedule(steps=0))

@robench.attack(norm="linf", goal="budget")
def leaves(model, inputs, labels, *, eps: robench.Radius):
    """Leaves its ball."""
    return (inputs + 3 * eps).clamp(0, 1)
'''


def own(kind: str = "fine") -> str:
    Path("mine.py").write_text(FILE)
    return f"./mine.py::own(kind='{kind}')" if kind != "fine" else "./mine.py::own"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("raises", "no such layer"),
        ("probabilities", "returns probabilities"),
        ("two", "returned tuple"),
        ("dict", "returned dict"),
        ("one", "returned (1, 1)"),
        ("nan", "not finite"),
        ("random", "other logits when the same images are given again"),
        ("flat", "zero everywhere"),
    ],
)
def test_a_refused_row_stays_with_its_reason_and_the_others_go_on(kind: str, reason: str) -> None:
    result, said = small_run(defense=[own(kind), own()], attack="fgsm(eps=0.1)", n=12)
    assert [str(one.defense) for one in result.refused] == [own(kind).replace("./", "./")]
    assert reason in result.refused[0].reason and any(reason in line for line in said)
    assert len(result.measured) == 1
    assert f"refused: {result.refused[0].reason.split('(')[0]}" in result.table()
    later, notes = stored(Path("results"))
    assert notes == [] and reason in render(later, "text")


def test_one_refused_row_alone_is_an_error_in_python_and_a_table_on_the_command_line() -> None:
    with pytest.raises(ModelError, match="returns probabilities"):
        small_run(defense=own("probabilities"), attack="fgsm(eps=0.1)", n=12)
    words = ["--attack", "fgsm(eps=0.1)", "--dataset", "digits", "--n", "12", "--workers", "1"]
    for defenses in ([own("probabilities")], [own("probabilities"), own()]):
        done = CliRunner().invoke(app, ["run", *(w for d in defenses for w in ("--defense", d)), *words])
        assert done.exit_code == 5, done.stderr
        assert "refused: ./mine.py::own(kind='probabilities') returns probabilities" in done.stdout
        assert "Traceback" not in done.stderr
        assert "refused: " in Path("results/report.html").read_text()


def test_an_attack_that_breaks_down_leaves_a_broken_cell_and_is_mended_by_running_again() -> None:
    words = [
        "run",
        "--defense",
        own(),
        "--attack",
        "fgsm(eps=0.1)",
        "--dataset",
        "digits",
        "--n",
        "12",
        "--workers",
        "1",
    ]
    bad = ["--attack", "./mine.py::leaves(eps=0.1)"]
    done = CliRunner().invoke(app, [*words, *bad])
    assert done.exit_code == 5, done.stderr
    assert "broken under ./mine.py::leaves(eps=0.1): ./mine.py::leaves(eps=0.1) broke its threat model" in done.stdout
    assert len(stored(Path("results"))[0].measured) == 1
    Path("mine.py").write_text(FILE.replace("3 * eps", "eps"))
    assert CliRunner().invoke(app, [*words, *bad]).exit_code == 0
    assert refusals(Path("results")) == []
    assert "broken under" not in render(stored(Path("results"))[0], "text")


def test_a_usage_error_stops_all_before_any_work_and_evaluate_raises() -> None:
    with pytest.raises(UsageError, match="did you mean"):
        small_run(defense=[own(), "vitt"], attack="fgsm(eps=0.1)", n=12)
    assert not Path("results").exists()
    with pytest.raises(ModelError, match="returns probabilities"):
        robench.evaluate(
            robench.DEFENSES[own()].function(None, kind="probabilities").model,
            "fgsm(eps=0.1)",
            robench.DATASETS["digits"].function(robench.Places.of()).test.first(12),
            classes=10,
        )


def test_a_damaged_refusal_is_a_note() -> None:
    small_run(defense=[own("nan"), own()], attack="fgsm(eps=0.1)", n=12)
    (path,) = Path("results/refused").glob("*.json")
    path.write_text("{")
    result, notes = stored(Path("results"))
    assert len(result.measured) == 1 and result.refused == []
    assert len(notes) == 1 and "is damaged" in notes[0]

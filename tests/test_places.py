"""`~` is a home folder where the text that was given begins with it, and a name like any other elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from robench import ATTACKS, DATASETS, DEFENSES, Call, Places, Task, UsageError, recipe_of
from robench.cli import app
from robench.places import home

ODD = ["~", "~x", "~~s~~", "~root"]


def test_only_a_text_that_begins_with_a_tilde_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert home("~/a", "a file") == Path("/home/me/a")
    assert home(Path("~/a"), "a file") == Path("/home/me/a")
    assert home("a/~b", "a file") == Path("a/~b")
    for name in ODD:
        assert home(f"./{name}/a", "a file") == Path.cwd() / name / "a"
        assert home(home(f"./{name}/a", "a file"), "a file") == Path.cwd() / name / "a", "twice"
    with pytest.raises(UsageError, match="there is no user 'nobody-of-this-name'"):
        home("~nobody-of-this-name/a", "a file")


@pytest.mark.parametrize("name", ODD)
def test_files_and_folders_may_be_called_so(name: str) -> None:
    folder = Path.cwd() / name
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(2):
            pixels = np.full((8, 8, 3), 40 * number + len(label), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    (folder / "m.py").write_text(
        "import robench\n@robench.defense()\ndef own(task):\n    '''x'''\n    return None\n", encoding="utf-8"
    )
    assert DEFENSES[f"./{name}/m.py"].name == "own"
    splits = DATASETS["folder"].function(Places.of(cache="cache"), path=f"./{name}", size=8)
    assert len(splits.test) == 4
    task = Task((1, 8, 8), 10, 100, (0.5,), (0.2,))
    torch.save(recipe_of("carlini", task).model.state_dict(), folder / "w.pt")
    entry, call = DEFENSES.find(f"checkpoint(path='./{name}/w.pt', arch=carlini)")
    assert DEFENSES.identity(call, entry)["options"]["path"]["contents"]  # type: ignore[call-overload,index]
    assert recipe_of(Call(call.name, {**call.options, "strip": ""}), task).model(torch.zeros(1, 1, 8, 8)).shape == (
        1,
        10,
    )
    np.save(folder / "i.npy", np.zeros((2, 1, 8, 8), dtype=np.float32))
    inputs, labels = torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    assert ATTACKS["images"](net, inputs, labels, path=f"./{name}/i.npy", norm="linf").shape == inputs.shape


def test_the_command_line_keeps_what_was_typed() -> None:
    Path("~s").mkdir()
    (Path("~s") / "records").mkdir()
    done = CliRunner().invoke(app, ["store", "ls", "--store", "./~s"])
    assert done.exit_code == 0, done.stderr
    done = CliRunner().invoke(app, ["store", "ls", "--store", "~s"])
    assert (done.exit_code, "no user 's'" in done.stderr) == (2, True)
    assert CliRunner().invoke(app, ["--log", "./~log/x", "--help"]).exit_code == 0

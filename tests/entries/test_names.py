"""Paths of any kind name entries, and what is printed of a call reads back as the same call."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from robench import ATTACKS, DATASETS, DEFENSES, Call, UsageError, parse
from robench.cli import app
from robench.entries.calls import file_of

OWN = (
    'import robench\n@robench.defense()\ndef own(task, *, a: int = 1, tag: str = ""):\n    """Mine."""\n    return a\n'
)
ODD = [
    "./my models/mine.py",
    "copy (1)/mine.py",
    "tiny ünï.py",
    "模型/防御.py",
    "it's/mine.py",
    'a "b"/mine.py',
    "a,b=c/mine.py",
    "a#1/mine.py",
    "x$y^2~z/{k}|m.py",
    "back\\slash/mine.py",
    "line\nend/mine.py",
    "x.py/mine.py",
    "x.py (copy).py",
    "x.py(k=1).py",
    "x.py(k=1)/y.py",
    "f(x)/mine.py",
    "madry(model='a.py",
    "a::b/mine.py",
    "[1]/*.py",
    "1.py",
    "lambda.py",
    "'quoted'.py",
    "a (x.py",
    "%(b)s.py",
]
"""Names that a folder or a file of somebody may have."""


@pytest.mark.parametrize("path", ODD)
@pytest.mark.parametrize("entry", ["", "::own"])
@pytest.mark.parametrize("options", [{}, {"a": 2}, {"tag": 'it\'s (a) "b".py\\n#'}])
def test_what_is_printed_of_a_file_reads_back_as_the_same_call(
    path: str, entry: str, options: dict[str, object]
) -> None:
    call = Call(path + entry, options)
    assert parse(str(call)) == call
    assert "\n" not in str(call)
    nested = Call("madry", {"model": call})
    again = parse(str(nested))
    assert parse(again.options["model"]) == call  # nested, a file stands between quotes
    assert str(again) == str(nested)


@pytest.mark.parametrize("path", [path for path in ODD if "\n" not in path])
def test_an_odd_path_is_read_as_it_is_typed(path: str) -> None:
    for typed in (f"{path}::own(a=2)", f"{path}::own (a=2)", f"{path!r}(a=2)"):
        assert parse(typed).options == {"a": 2}
        assert file_of(parse(typed).name) in [(path, "own"), (path, "")]


@pytest.mark.parametrize("path", [path for path in ODD if "*" not in path])
def test_the_file_of_an_odd_path_is_found(path: str) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(OWN)
    assert DEFENSES.find(Call(path, {"a": 3}))[1].options["a"] == 3
    assert DEFENSES.find(str(Call(f"{path}::own", {"a": 3})))[0].name == "own"
    _, outer = DEFENSES.find(Call("madry", {"model": Call(path, {"a": 2})}))
    assert DEFENSES.find(str(outer))[1] == outer


@pytest.mark.parametrize("name", ["imagenet-c", "2d", "my net", "class", "ﬁt", "", "a.b"])
def test_names_that_are_no_python_names_read_back_too(name: str) -> None:
    for call in (Call(name), Call(name, {"a": [1, Call(name)]})):
        assert parse(str(call)) == call


def test_home_folders_and_links_lead_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("without suffix").write_text(OWN)
    Path("link.py").symlink_to("without suffix")
    assert DEFENSES["~/link.py::own"].name == DEFENSES["./link.py"].name == "own"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./a\0.py", "NUL"),
        ("~nosuchuser/x.py", "no user 'nosuchuser'"),
        ("./" + "a" * 5000 + ".py", "there is no file"),
        ("./folder.py", "is a folder"),
        ("./\udcff.py", "not UTF-8"),
        ("mine.python", "cannot be read|is not understood"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_message(name: str, said: str) -> None:
    Path("folder.py").mkdir()
    for way in (DEFENSES.find, lambda text: DEFENSES.find(Call(text))) if ".python" not in name else (DEFENSES.find,):
        with pytest.raises(UsageError, match=said):
            way(name)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--defense", "vit", "--attack", "fgsm", "--dataset", "digits", "--store", "~nosuchuser/x"],
        ["plan", "--defense", "vit", "--attack", "fgsm", "--dataset", "digits", "--data", "~nosuchuser"],
        ["report", "--store", "~nosuchuser"],
        ["images", "--store", "~nosuchuser", "--out", "x.npz"],
        ["store", "ls", "--store", "~nosuchuser"],
    ],
)
def test_the_home_of_nobody_is_one_message(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "there is no user 'nosuchuser'" in done.stderr


@pytest.mark.parametrize("text", ["images(path='~nosuchuser/x.npz')", "images(path='a\\0b')"])
def test_a_path_in_an_option_is_looked_at_as_well(text: str) -> None:
    with pytest.raises(UsageError, match="no user 'nosuchuser'|NUL"):
        ATTACKS.find(text)
    with pytest.raises(UsageError, match="no user 'nosuchuser'"):
        DATASETS.find("folder(path='~nosuchuser/x')")


@pytest.mark.parametrize(
    "tag", ["x$y^2~z", "C:\\new\\test", "it's", 'a"b', "a\nb", "{k}", "#", "'\"", "\\", "é漢", "a.py(k=1)"]
)
def test_any_string_is_an_option_that_reads_back(tag: str) -> None:
    call = Call("own", {"tag": tag, "tags": [tag, tag + tag]})
    assert parse(str(call)) == call
    assert parse(str(Call("outer", {"model": call}))).options["model"] == call

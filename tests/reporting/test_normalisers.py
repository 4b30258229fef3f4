"""Tables of baselines: the user's own, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from robench.benchmarks import CORRUPTIONS
from robench.errors import DataError
from robench.reporting.normalisers import PUBLISHED, corruption_baseline, sequence_baseline

FOG = "".join(f"fog,{severity},0.{severity}\n" for severity in range(1, 6))


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "mine.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_the_published_tables_say_where_they_are_from() -> None:
    for file in ("alexnet_imagenet_c.csv", "alexnet_imagenet_p.csv"):
        assert "ource" in (PUBLISHED / file).read_text(encoding="utf-8")
    found = corruption_baseline()
    assert found.title == "AlexNet on ImageNet-C, as published"
    assert list(found.errors) == list(CORRUPTIONS)
    assert found.clean == 0.4345


def test_a_users_table_of_corruptions_may_be_short_and_in_any_order(tmp_path: Path) -> None:
    lines = "".join(reversed(FOG.splitlines(keepends=True)))
    found = corruption_baseline(written(tmp_path, "\ufeff# ResNet-18, mine\n\ncorruption, Severity ,error\n" + lines))
    assert {name: errors.tolist() for name, errors in found.errors.items()} == {"fog": [0.1, 0.2, 0.3, 0.4, 0.5]}
    assert (found.title, found.clean) == ("ResNet-18, mine", None)
    named = corruption_baseline(written(tmp_path, "error,corruption,severity\n0.25,clean,0\n"))
    assert (named.title, named.clean, named.errors) == ("mine.csv", 0.25, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FOG, r"has the columns fog, 1, 0\.1, but not corruption; a CSV .* corruption, severity, error is wanted"),
        ("", "has the columns none"),
        ("corruption,severity,error\n", "no line below its header"),
        ("corruption,severity,error\n" + FOG.replace("fog,5,0.5\n", ""), "has fog but not at severity 5"),
        ("corruption,severity,error\n" + FOG + "fog,2,0.3\n", "line 7 says fog at severity 2 a second time"),
        ("corruption,severity,error\n# fog\nfogg,1,0.3\n", "line 3 says 'fogg' for corruption; did you mean 'fog'"),
        ("corruption,severity,error\nfog,6,0.3\n", "says '6' for severity"),
        ("corruption,severity,error\nfog,0,0.3\n", "says '0' for severity"),
        ("corruption,severity,error\nclean,1,0.3\n", "says '1' for severity"),
        ("corruption,severity,error\nfog,1,30\n", "says '30' for error; a number from 0 to 1 is wanted, not percent"),
        ("corruption,severity,error\nfog,1,nan\n", "says 'nan' for error"),
        ("corruption,severity,error\nfog,1,\n", "says '' for error"),
        ("corruption,severity,error\nfog,1\n", "line 2 has 2 values; the header has 3 columns"),
        (b"corruption,severity,error\nfog,1,\xff\n", "cannot be read .*'utf-8' codec"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as raised:
        corruption_baseline(written(tmp_path, text))
    assert "mine.csv" in str(raised.value)


def test_a_table_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere.csv cannot be read"):
        corruption_baseline(tmp_path / "nowhere.csv")


def test_a_users_table_of_perturbations_may_have_either_figure_and_a_status(tmp_path: Path) -> None:
    both = sequence_baseline(written(tmp_path, "perturbation,flip_probability,top5_distance\ntilt,0.07,2.5\n"))
    assert (both.flip_probability, both.top5_distance, both.verified) == ({"tilt": 0.07}, {"tilt": 2.5}, True)
    moves = sequence_baseline(
        written(tmp_path, "perturbation,top5_distance,status\ntilt,15,verified\nshear,1,verified\n")
    )
    assert (moves.flip_probability, moves.top5_distance) == ({}, {"tilt": 15, "shear": 1})
    assert moves.verified
    rows = "perturbation,top5_distance,status\ntilt,15,verified\nshear,1,unverified\nscale,1,verified\n"
    assert not sequence_baseline(written(tmp_path, rows)).verified


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("perturbation,error\ntilt,0.1\n", "flip_probability or top5_distance is wanted"),
        ("perturbation,flip_probability\ntilt,7\n", "from 0 to 1 is wanted, not percent"),
        ("perturbation,top5_distance\ntilt,15.1\n", "from 0 to 15 is wanted$"),
        ("perturbation,top5_distance\ntilt,1\ntilt,1\n", "line 3 says tilt a second time"),
        ("perturbation,top5_distance\nfog,1\n", "says 'fog' for perturbation"),
        ("perturbation,top5_distance,status\ntilt,1,maybe\n", "says 'maybe' for status"),
    ],
)
def test_what_is_wrong_with_a_table_of_perturbations_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        sequence_baseline(written(tmp_path, text))

"""`robench_check` in the tests of a project of its own, run by pytest as its users do."""

from __future__ import annotations

import pytest

from robench.gate.baseline import Baseline

NET = '''
import robench, torch
from sklearn.datasets import load_digits

source = load_digits()
IMAGES = (source.images[:300] * 15.9375).round().astype("uint8")[:, None]
SPLIT = robench.Split.of("mine", IMAGES, source.target[:300])


def net(sharpness=1.0):
    """The mean image of each class, beside the image: nearest by the inner product."""
    x = torch.from_numpy(source.images[300:1200] / 16).float().flatten(1)
    y = torch.from_numpy(source.target[300:1200])
    means = torch.stack([x[y == label].mean(0) for label in range(10)])
    made = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    made[1].weight.data = sharpness * means
    made[1].bias.data = -sharpness * (means ** 2).sum(1) / 2 + {shift}
    return made
'''
TESTS = '''
import pytest
from net import SPLIT, net


def test_it_holds(robench_check):
    found = robench_check(net(), "pgd_linf(eps={eps}, steps=5)", SPLIT, floor={floor}, baseline="kept.json", max_drop=2)
    assert found[0].change.after > 10


def test_its_distance(robench_check):
    robench_check(net(), "deepfool", SPLIT, baseline="kept.json", name="centroids")


def test_on_a_data_set(robench_check):
    robench_check(net(), "fgsm(eps=0.05)", "digits", n=50, floor={floor})
'''  # fmt: skip


pytest_plugins = ["pytester"]


def project(of: pytest.Pytester, *, shift: str = "0", eps: float = 0.05, floor: float = 20) -> None:
    of.makepyfile(
        net=NET.replace("{shift}", shift), test_net=TESTS.replace("{eps}", str(eps)).replace("{floor}", str(floor))
    )


def said(of: pytest.Pytester, *words: str, status: int) -> str:
    found = of.runpytest_inprocess("-q", "-p", "no:xdist", *words)
    assert found.ret == status, found.stdout.str()
    return found.stdout.str()


def test_a_project_s_tests_go_red_when_its_model_is_easier_to_fool(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert()
    project(pytester)
    told = said(pytester, status=1)
    assert "there is no baseline" in told and "2 failed, 1 passed" in told
    said(pytester, "--robench-write", status=0)
    assert "3 passed" in said(pytester, status=0)
    project(pytester, shift="torch.tensor([0.0] * 9 + [3.0])")
    told = said(pytester, "-k", "holds", status=1)
    assert "regressed" in told and "Sequential under pgd_linf(eps=0.05, steps=5)" in told and "changed: weights" in told
    assert "Traceback" not in told and "pytest_plugin.py" not in told, "a failure is the table, not our code"
    assert {cell.identity.defense for cell in Baseline.read(pytester.path / "kept.json").cells} == {
        "Sequential",
        "centroids",
    }
    pytester.makepyfile(
        test_strict="""
        from net import SPLIT, net

        few = SPLIT.select(range(12), "few")


        def test_few(robench_check, pytestconfig):
            robench_check(net(), "fgsm(eps=0.05)", few, baseline="few.json", strict=pytestconfig.getoption("verbose") < 1)
        """
    )
    said(pytester, "--robench-write", "test_strict.py", status=0)
    assert "inconclusive" in said(pytester, "test_strict.py", status=1)
    said(pytester, "-vv", "test_strict.py", status=0)
    project(pytester, floor=99)
    assert "below its floor of 99" in said(pytester, "test_net.py", status=1)
    project(pytester, eps=0.04)
    told = said(pytester, "-k", "holds", status=1)
    assert "has no Sequential under pgd_linf(eps=0.04, steps=5) on mine; `pytest --robench-write`" in told
    pytester.makepyfile(
        test_odd="""
        import pytest, robench
        from net import SPLIT, net


        @pytest.mark.parametrize("sharpness", [1.0, 2.0])
        def test_two_of_a_name(robench_check, sharpness):
            robench_check(net(sharpness), "fgsm(eps=0.05)", SPLIT, baseline="two.json")


        def test_several_conditions(robench_check):
            robench_check(net(), "pgd_linf(eps=[0.1, 0.2])", SPLIT, floor=1)


        def test_n_of_a_split(robench_check):
            robench_check(net(), "fgsm(eps=0.1)", SPLIT, floor=1, n=50)


        def test_a_floor_that_is_no_number(robench_check):
            robench_check(net(), "fgsm(eps=0.1)", SPLIT, floor=float("nan"))
        """
    )
    told = said(pytester, "-p", "no:cacheprovider", "--robench-write", "test_odd.py", status=1)
    for message in (
        "two models are called Sequential",
        "is 2 conditions; with a Split, give one at a time",
        "n is for data sets",
        "floor is nan; a number is wanted",
        "4 failed, 1 passed",
    ):
        assert message in told, message
    assert "Traceback" not in told

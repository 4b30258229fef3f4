"""Numbers too large, calls too deep, distances in grey levels and misspelt parts are one message each, at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import small_run
from torch import nn

import robench
from robench import ATTACKS, DATASETS, DEFENSES, Call, DataError, Task, UsageError, parse, recipe_of
from robench.entries.registry import REGISTRIES
from robench.running.settings import Settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pgd_linf(eps=1e308/1e-308)", "too large"),
        ("ksa(k=" + "1/" * 400 + "1)", "nested too deeply"),
        ("ksa(k=" + "-" * 4000 + "1)", "nested too deeply"),
        ("ksa(k=" + "[" * 150 + "]" * 150 + ")", "nested too deeply"),
        ("ksa(model=" * 60 + "vit" + ")" * 60, "nested too deeply"),
        ("ksa(k=" + "(" * 4900 + "1" + ")" * 4900 + ")", "cannot be read|nested too deeply"),
        ("ksa(k=" + "9" * 5000 + ")", "cannot be read"),
        ("x(tag='" + "a" * 20_000 + "')", "characters long"),
        ("vit(tag='a\0b')", "NUL"),
        ("vit(depth=１)", "cannot be read"),
        ("vit(depth=1j)", "is not understood"),
        ("vit(depth=b'1')", "is not understood"),
        ("vit(depth=...)", "is not understood"),
    ],
)
def test_a_call_that_is_too_much_is_one_short_message(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse(text)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "vit(depth=99999999)",
        "vit(dim=99999999)",
        "carlini(width=99999999)",
        "wide_resnet(width=99999999)",
        "vit(epochs=1000000000000)",
        "vit(batch_size=1000000000)",
        "vit(seed=" + "9" * 300 + ")",
        "vit(seed=-1)",
        "vit(lr=1e300)",
        "vit(lr=1e400)",
        "vit(lr=-1e400)",
        "vit(lr=nan)",
        "vit(lr=inf)",
        "ksa(k=1000000000)",
        "ksa(layers=[" + "9" * 30 + "])",
        "madry(model=vit(depth=99999999))",
        "madry(steps=" + "9" * 30 + ")",
        "substitute(target=vit, rounds=60)",
    ],
)
def test_options_have_bounds(text: str) -> None:
    with pytest.raises(UsageError, match="wanted"):
        DEFENSES.find(text)
    with pytest.raises(UsageError, match="wanted"):
        DEFENSES.find(Call("vit", {"seed": 10**5000}))
    with pytest.raises(UsageError, match="a finite number is wanted"):
        ATTACKS.find("art('FastGradientMethod', max_iter=1e400)")


def test_every_default_is_within_its_own_bounds() -> None:
    for registry in REGISTRIES.values():
        for name in registry:
            for option in registry[name].options.values():
                assert option.required or option.name == "targets" or option.accepts(option.default), (name, option)


def test_a_model_that_no_machine_holds_is_measured_before_it_is_built() -> None:
    task = Task((3, 32, 32), 10, 1000, (0.5,) * 3, (0.2,) * 3)
    with pytest.raises(UsageError, match="1,650,585,911,040,474 parameters"):
        recipe_of("wide_resnet(width=60000)", task)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("cw_linf_ball(radius=8)", "8/255 was meant"),
        ("pgd_linf(eps=8)", "8/255 was meant"),
        ("fgsm(eps=1.5)", "1.5/255 was meant"),
        ("pgd_linf(eps=8/255, step_size=2)", "2/255 was meant"),
        ("square_linf(eps=300)", "at most 1"),
        ("autoattack(eps=8)", "8/255 was meant"),
        ("transfer(eps=8)", "8/255 was meant"),
        ("images(path='x', norm='linf')", ""),
        ("pgd_l2(eps=8)", ""),
        ("pgd_l1(eps=8)", ""),
        ("pgd_linf(eps=1)", ""),
    ],
)
def test_radii_in_grey_levels_are_refused(text: str, meant: str) -> None:
    if meant:
        with pytest.raises(UsageError, match=meant):
            ATTACKS.find(text)
    else:
        ATTACKS.find(text)


@pytest.mark.parametrize("text", ["madry(eps=8)", "half_half(eps=8)", "trades(eps=8)", "fat(eps=8)"])
def test_trainings_in_a_ball_take_no_radii_in_grey_levels_either(text: str) -> None:
    with pytest.raises(UsageError, match="at most 1"):
        DEFENSES.find(text)
    DEFENSES.find("madry(norm='l2', eps=8)")


@pytest.mark.parametrize(
    ("registry", "text", "said"),
    [
        (ATTACKS, "autoattack(eps=0.1, parts=[transfer])", "attacks another model, which autoattack does not train"),
        (
            ATTACKS,
            "autoattack(eps=0.1, parts=[apgd_linf(eps=0.2)])",
            "gives eps itself; leave it out there and give it",
        ),
        (ATTACKS, "autoattack(eps=0.1, parts=[fab_linf(enough=0.2)])", "gives enough itself; leave it out there"),
        (ATTACKS, "transfer(eps=0.1, attack=mim(targets='random'))", "gives targets itself"),
        (ATTACKS, "autoattack(eps=0.1, parts=[pgd_l2])", "attacks in l2, and all parts share a radius in linf"),
        (ATTACKS, "pgd_linf(eps=0.1, restarts=3, random_start=False)", "would all be the same run"),
        (ATTACKS, "pgd_l1(eps=1, restarts=3, random_start=False)", "would all be the same run"),
        (ATTACKS, "pgd_linf(eps=0.1, slack=3, until_success=False)", "leave one out"),
        (ATTACKS, "apgd_linf(eps=0.1, target_classes=3)", "is of loss='dlr_targeted'"),
        (ATTACKS, "transfer(eps=0.1, share=0.5)", "share is of mode='mixed'"),
        (ATTACKS, "transfer(eps=0.1, attack=pgd_linf(restarts=3, random_start=False))", "would all be the same run"),
        (ATTACKS, "autoattack(eps=0.1, parts=[apgd_linf(target_classes=3)])", "is of loss='dlr_targeted'"),
        (ATTACKS, "rays(tolerance=1e-9)", "at least 1e-06"),
        (ATTACKS, "fab_linf(eta=0.5)", "at least 1 and at most 2"),
        (ATTACKS, "cw_linf(initial_c=1e-50)", r"above 0 \(at least 1e-20\)"),
        (ATTACKS, "art('ProjectedGradientDescent', eps=0.1, eps_step=2)", "2/255 was meant"),
        (ATTACKS, "autoattack(eps=0.1, parts=['apgd_cee'])", "no attack is named 'apgd_cee'"),
        (ATTACKS, "autoattack(eps=0.1, parts=[apgd_linf(stepz=3)])", "did you mean 'steps'"),
        (ATTACKS, "transfer(eps=0.1, attack=mimm)", "did you mean 'mim'"),
        (ATTACKS, "transfer(eps=0.1, source=vitt)", "did you mean 'vit'"),
        (ATTACKS, "transfer(eps=0.1, source=vit(dept=3))", "did you mean 'depth'"),
        (DEFENSES, "madry(model=vitt)", "did you mean 'vit'"),
        (DEFENSES, "noise(model=madry(model=ksa(k=0)))", "k=0 given to ksa"),
        (DEFENSES, "distill(teacher='./none.py')", "there is no file"),
        (ATTACKS, "pgd", "'pgd_l1', 'pgd_l2' or 'pgd_linf'"),
        (ATTACKS, "cw", "'cw_l2', 'cw_linf' or 'cw_linf_ball'"),
        (ATTACKS, "PGD_LINF", "'pgd_linf'"),
        (DATASETS, "imagewoof", r"folder\(path=…\)"),
        (DATASETS, "ImageNet_A", "did you mean .imagenet_a"),
    ],
)
def test_what_is_misspelt_within_is_told_when_the_call_is_resolved(registry: Any, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        registry.find(text)


def test_names_and_the_store_are_looked_at_before_any_data() -> None:
    with pytest.raises(UsageError, match="no attack is named 'fgsmm'"):
        small_run(attack=["fgsm(eps=0.1)", "fgsmm"], dataset="folder(path='nowhere')")
    with pytest.raises(UsageError, match="no defense is named 'vitt'"):
        small_run(defense="madry(model=vitt)", dataset="folder(path='nowhere')")
    with pytest.raises(DataError, match="nowhere"):
        small_run(dataset="folder(path='nowhere')")


def test_numbers_of_numpy_are_the_numbers_that_they_are() -> None:
    call = Call("pgd_linf", {"eps": np.float64(0.1), "steps": np.int64(3), "restarts": np.int32(1)})
    assert str(call) == "pgd_linf(eps=0.1, steps=3, restarts=1)"
    assert ATTACKS.find(call)[1] == ATTACKS.find("pgd_linf(eps=0.1, steps=3)")[1]
    torch.manual_seed(0)
    net, images = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), torch.rand(4, 1, 4, 4)
    labels = net(images).argmax(1)
    plain = robench.ATTACKS["pgd_linf"](net, images, labels, eps=float(np.float32(0.1)), seed=3)
    assert torch.equal(ATTACKS["pgd_linf"](net, images, labels, eps=np.float32(0.1), seed=np.int64(3)), plain)
    with pytest.raises(UsageError, match="a whole number is wanted"):
        ATTACKS["pgd_linf"](net, images, labels, eps=0.1, seed=0.5)  # type: ignore[arg-type]
    settings = Settings(n=np.int64(5), seed=np.int64(2), workers=np.int32(1))  # type: ignore[arg-type]
    assert [type(value) for value in (settings.n, settings.seed, settings.workers)] == [int, int, int]


@pytest.mark.parametrize("given", [{"seed": 10**300}, {"workers": 10**9}, {"batch_size": 10**9}])
def test_settings_have_bounds(given: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="a whole number"):
        Settings(**given)  # type: ignore[arg-type]


def test_zero_has_one_sign() -> None:
    first, second = (ATTACKS.find(text)[1] for text in ("pgd_linf(eps=-0.0)", "pgd_linf(eps=0)"))
    assert ATTACKS.identity(first) == ATTACKS.identity(second)
    assert str(first) == str(second)

"""Every attack against models whose exact answer is known, and against a second library."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import linear_case, wrapped
from torch import Tensor

from robench import ATTACKS
from robench.execution import Subject, attack_shard
from robench.norms import lengths
from robench.options import options_of
from robench.plan import conditions
from robench.registry import DatasetCard

ALL = list(ATTACKS)


def run(name: str, model: object, inputs: Tensor, labels: Tensor, **options: object) -> Tensor:
    adversarial: Tensor = ATTACKS[name].function(model, inputs, labels, **options)
    return adversarial


def budgeted(name: str) -> dict[str, float]:
    return {"eps": 0.1} if "eps" in options_of(ATTACKS[name].function) else {}


@pytest.mark.parametrize("name", ["fgsm", "pgd_linf", "pgd_l2"])
def test_budget_attacks_succeed_just_above_the_exact_distance_and_fail_just_below(name: str) -> None:
    model, inputs, labels = linear_case()
    direction = model.layer.weight[0] - model.layer.weight[1]
    gap = (model(inputs)[:, 0] - model(inputs)[:, 1]).abs()
    exact = gap / (direction.norm() if name == "pgd_l2" else direction.abs().sum())
    for place in range(len(inputs)):
        one, label = inputs[place : place + 1], labels[place : place + 1]
        for factor, fooled in ((0.98, False), (1.02, True)):
            adversarial = run(name, wrapped(model, 1), one, label, eps=float(factor * exact[place]))
            assert bool(model(adversarial).argmax(1) != label) is fooled


@pytest.mark.parametrize(("name", "norm", "within"), [("cw_l2", "l2", 1.02), ("cw_linf", "linf", 1.25)])
@pytest.mark.parametrize("targeted", [False, True])
def test_minimal_attacks_find_the_exact_distance_of_a_linear_model(
    name: str, norm: str, within: float, targeted: bool
) -> None:
    model, inputs, labels = linear_case()
    direction = model.layer.weight[0] - model.layer.weight[1]
    gap = (model(inputs)[:, 0] - model(inputs)[:, 1]).abs()
    exact = gap / (direction.norm() if norm == "l2" else direction.abs().sum())
    # CW-L∞ stops at one 256th; a step of CW-L2 is about 0.005 a pixel, too coarse for images on the boundary.
    far = exact > (0.01 if norm == "linf" else 0.05)
    assert int(far.sum()) >= 8
    adversarial = run(name, wrapped(model, len(inputs)), inputs, labels, targets=1 - labels if targeted else None)
    assert bool((model(adversarial).argmax(1) != labels).all())
    ratio = (lengths(adversarial - inputs)[norm] / exact)[far]
    assert float(ratio.min()) > 0.999
    assert float(ratio.max()) < within


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("targeted", [False, True])
def test_every_attack_keeps_the_contract(
    name: str, targeted: bool, subject: Subject, attackable: tuple[Tensor, Tensor, list[str]]
) -> None:
    inputs, labels, _ = (part[:12] for part in attackable)
    targets = (labels + 1) % 10 if targeted else None
    before = inputs.clone(), labels.clone()
    model = wrapped(subject.module, len(inputs), 10)
    adversarial = run(name, model, inputs, labels, targets=targets, **budgeted(name))
    assert adversarial.shape == inputs.shape
    assert adversarial.dtype == inputs.dtype
    assert float(adversarial.min()) >= 0
    assert float(adversarial.max()) <= 1
    assert torch.equal(inputs, before[0])
    assert torch.equal(labels, before[1])
    if budgeted(name):
        assert float(lengths(adversarial - inputs)[ATTACKS[name].card.norm].max()) <= 0.1 * (1 + 1e-5) + 1e-6
    assert int(model.forwards.min()) >= 1
    again = run(name, wrapped(subject.module, len(inputs), 10), inputs, labels, targets=targets, **budgeted(name))
    assert torch.equal(adversarial, again)


@pytest.mark.parametrize("name", ["pgd_linf", "pgd_l2", "cw_l2"])
def test_results_do_not_depend_on_the_batch(name: str, subject: Subject) -> None:
    eps = "(eps=0.1, steps=10)" if name != "cw_l2" else "(steps=20, search_steps=3, initial_c=1.0, targets='random')"
    (condition,) = conditions(name + eps, DatasetCard())
    double = Subject("double", subject.module, 10, subject.device, subject.split, subject.clean)
    whole = attack_shard(double, condition, 0, np.arange(60), set())
    parts = [
        attack_shard(double, condition, 0, np.arange(start, min(start + 7, 60)), set()) for start in range(0, 60, 7)
    ]
    singles = {row["image"]: row for part in parts for _, row in part.iterrows()}
    same = [bool(row["success"] == singles[row["image"]]["success"]) for _, row in whole.iterrows()]
    assert np.mean(same) >= 0.99


def test_in_float64_results_are_equal_whatever_the_batch(
    subject: Subject, attackable: tuple[Tensor, Tensor, list[str]]
) -> None:
    from copy import deepcopy

    inputs, labels, ids = attackable[0][:21].double(), attackable[1][:21], attackable[2][:21]
    module = deepcopy(subject.module).double()
    from robench import Classifier

    whole = run("pgd_linf", Classifier(module, 10, ids), inputs, labels, eps=0.05, steps=10)
    parts = [
        run(
            "pgd_linf", Classifier(module, 10, ids[i : i + 4]), inputs[i : i + 4], labels[i : i + 4], eps=0.05, steps=10
        )
        for i in range(0, 21, 4)
    ]
    assert float((whole - torch.cat(parts)).abs().max()) < 1e-9


@pytest.mark.parametrize("name", ["pgd_linf", "pgd_l2"])
def test_stopping_at_success_loses_no_success(
    name: str, subject: Subject, attackable: tuple[Tensor, Tensor, list[str]]
) -> None:
    inputs, labels, ids = attackable
    from robench import Classifier

    eps = 0.08 if name == "pgd_linf" else 0.4
    fooled = {}
    for until in (True, False):
        model = Classifier(subject.module, 10, ids)
        adversarial = run(name, model, inputs, labels, eps=eps, until_success=until)
        fooled[until] = (subject.module(adversarial).argmax(1) != labels).float().mean().item()
        spent = int(model.backwards.sum())
        if not until:
            assert spent == 40 * len(inputs)
    assert fooled[True] >= fooled[False]


@pytest.mark.parametrize("name", ["pgd_linf", "cw_l2", "cw_linf"])
def test_an_undefended_model_is_broken(
    name: str, subject: Subject, attackable: tuple[Tensor, Tensor, list[str]]
) -> None:
    inputs, labels, ids = (part[:40] for part in attackable)
    from robench import Classifier

    options = {"eps": 0.5} if name == "pgd_linf" else {}
    adversarial = run(name, Classifier(subject.module, 10, ids), inputs, labels, **options)
    assert (subject.module(adversarial).argmax(1) != labels).float().mean() >= 0.99


def test_targeted_cw_linf_hits_its_targets(subject: Subject, attackable: tuple[Tensor, Tensor, list[str]]) -> None:
    inputs, labels, ids = (part[:30] for part in attackable)
    from robench import Classifier

    targets = (labels + 3) % 10
    adversarial = run("cw_linf", Classifier(subject.module, 10, ids), inputs, labels, targets=targets)
    assert (subject.module(adversarial).argmax(1) == targets).float().mean() >= 0.9

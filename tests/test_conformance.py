"""Our attacks against foolbox's and ART's on the same model, from the same start, at the same budget."""

from __future__ import annotations

import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor

from robench import ATTACKS, Classifier
from robench.execution import Subject

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    foolbox = pytest.importorskip("foolbox", reason="foolbox is the second library; `make test` installs it")

Images = tuple[Tensor, Tensor, list[str]]


def fooled(subject: Subject, adversarial: Tensor, labels: Tensor) -> Tensor:
    return subject.module(adversarial).argmax(1) != labels


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["fgsm", "pgd_linf", "pgd_l2"])
def test_budget_attacks_equal_foolbox_from_the_same_start(
    name: str, dtype: torch.dtype, subject: Subject, attackable: Images
) -> None:
    inputs, labels, ids = attackable[0].to(dtype), attackable[1], attackable[2]
    module = deepcopy(subject.module).to(dtype)
    eps = 0.4 if name == "pgd_l2" else 0.08
    options = (
        {} if name == "fgsm" else {"steps": 10, "step_size": eps / 4, "random_start": False, "until_success": False}
    )
    ours = ATTACKS[name].function(Classifier(module, 10, ids), inputs, labels, eps=eps, **options)
    attacks = {
        "fgsm": lambda: foolbox.attacks.FGSM(random_start=False),
        "pgd_linf": lambda: foolbox.attacks.LinfPGD(steps=10, abs_stepsize=eps / 4, random_start=False),
        "pgd_l2": lambda: foolbox.attacks.L2PGD(steps=10, abs_stepsize=eps / 4, random_start=False),
    }
    theirs = attacks[name]().run(foolbox.PyTorchModel(module, bounds=(0, 1)), inputs, labels, epsilon=eps)
    if dtype == torch.float64:
        assert float((ours - theirs).abs().max()) < 1e-9
    else:
        same = (module(ours).argmax(1) != labels) == (module(theirs).argmax(1) != labels)
        assert same.float().mean() >= 0.99


def test_fgsm_and_pgd_succeed_as_often_as_arts(subject: Subject, attackable: Images) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier
    inputs, labels, ids = attackable
    model = deepcopy(subject.module).requires_grad_(True)
    classifier = PyTorchClassifier(
        model, torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1), device_type="cpu"
    )
    onehot = np.eye(10)[labels.numpy()]
    for name, theirs, options in (
        ("fgsm", FastGradientMethod(classifier, eps=0.08), {}),
        ("pgd_linf", ProjectedGradientDescentPyTorch(classifier, eps=0.08, eps_step=0.02, max_iter=10, verbose=False),
         {"steps": 10, "step_size": 0.02, "random_start": False, "until_success": False}),
    ):  # fmt: skip
        ours = ATTACKS[name].function(Classifier(subject.module, 10, ids), inputs, labels, eps=0.08, **options)
        other = torch.from_numpy(theirs.generate(inputs.numpy(), onehot))
        assert (fooled(subject, ours, labels) == fooled(subject, other, labels)).float().mean() >= 0.99


@pytest.mark.parametrize("targeted", [False, True])
def test_cw_l2_is_as_near_as_foolbox_at_the_same_budget(targeted: bool, subject: Subject, attackable: Images) -> None:
    inputs, labels, ids = (part[:40] for part in attackable)
    targets = (labels + 1) % 10 if targeted else None
    model = Classifier(subject.module, 10, ids)
    ours = ATTACKS["cw_l2"].function(
        model, inputs, labels, targets=targets, search_steps=9, steps=100, initial_c=1e-3, abort_early=False
    )
    criterion = (
        foolbox.criteria.TargetedMisclassification(targets) if targeted else foolbox.criteria.Misclassification(labels)
    )
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=9, steps=100, stepsize=0.01, initial_const=1e-3, abort_early=False
    )
    theirs, _, success = attack(foolbox.PyTorchModel(subject.module, bounds=(0, 1)), inputs, criterion, epsilons=None)
    predicted = subject.module(ours).argmax(1)
    hit = predicted == targets if targeted else predicted != labels
    assert hit.float().mean() >= success.float().mean()
    assert targeted or bool(hit.all())
    both = hit & success
    size = [(x - inputs).flatten(1).norm(dim=1)[both].mean().item() for x in (ours, theirs)]
    assert size[0] <= 1.01 * size[1]

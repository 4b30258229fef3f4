"""Our attacks against foolbox's and ART's on the same model, from the same start, at the same budget."""

from __future__ import annotations

import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor

from robench import ATTACKS, Classifier
from robench.attacking.norms import lengths
from robench.running.subject import Subject

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    foolbox = pytest.importorskip("foolbox", reason="foolbox is the second library; `make test` installs it")

Images = tuple[Tensor, Tensor, list[str]]
Victim = tuple[Subject, Images]


def fooled(subject: Subject, adversarial: Tensor, labels: Tensor) -> Tensor:
    return subject.module(adversarial).argmax(1) != labels


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["fgsm", "pgd_linf", "pgd_l2"])
def test_budget_attacks_equal_foolbox_from_the_same_start(name: str, dtype: torch.dtype, victim: Victim) -> None:
    subject, (inputs, labels, ids) = victim
    inputs = inputs.to(dtype)
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


def test_fgsm_and_pgd_succeed_as_often_as_arts(victim: Victim) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentPyTorch
        from art.estimators.classification import PyTorchClassifier
    subject, (inputs, labels, ids) = victim
    model = deepcopy(subject.module).requires_grad_(True)
    classifier = PyTorchClassifier(
        model, torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1), device_type="cpu"
    )
    onehot = np.eye(10)[labels.numpy()]
    for name, theirs, options in (
        ("fgsm", FastGradientMethod(classifier, eps=0.08), {}),
        (
            "pgd_linf",
            ProjectedGradientDescentPyTorch(classifier, eps=0.08, eps_step=0.02, max_iter=10, verbose=False),
            {"steps": 10, "step_size": 0.02, "random_start": False, "until_success": False},
        ),
    ):
        ours = ATTACKS[name].function(Classifier(subject.module, 10, ids), inputs, labels, eps=0.08, **options)
        other = torch.from_numpy(theirs.generate(inputs.numpy(), onehot))
        assert (fooled(subject, ours, labels) == fooled(subject, other, labels)).float().mean() >= 0.99


@pytest.mark.matrix(victim={"cnn"})
@pytest.mark.parametrize("targeted", [False, True])
def test_cw_l2_is_as_near_as_foolbox_at_the_same_budget(targeted: bool, victim: Victim) -> None:
    subject, images = victim
    inputs, labels, ids = (part[:40] for part in images)
    targets = (labels + 1) % 10 if targeted else None
    model = Classifier(subject.module, 10, ids)
    ours = ATTACKS["cw_l2"].function(
        model, inputs, labels, targets=targets, search_steps=9, steps=100, lr=0.01, initial_c=1e-3, abort_early=False
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


def size_and_success(subject: Subject, images: Images, adversarial: Tensor, norm: str) -> tuple[Tensor, Tensor]:
    return lengths(adversarial - images[0])[norm], fooled(subject, adversarial, images[1])


@pytest.mark.matrix(victim={"cnn", "robust"})
@pytest.mark.parametrize(("name", "norm"), [("ddn", "l2"), ("deepfool", "l2"), ("ead", "l1")])
def test_minimal_attacks_are_as_near_as_foolboxs(name: str, norm: str, victim: Victim) -> None:
    subject, images = victim
    images = tuple(part[:48] for part in images)  # type: ignore[assignment]
    inputs, labels, ids = images
    attacks = {
        "ddn": lambda: foolbox.attacks.DDNAttack(steps=100),
        "deepfool": lambda: foolbox.attacks.L2DeepFoolAttack(steps=50, candidates=10, overshoot=0.02),
        "ead": lambda: foolbox.attacks.EADAttack(
            steps=50, binary_search_steps=5, initial_const=0.1, decision_rule="L1", abort_early=False
        ),
    }
    options = {"ead": {"steps": 50, "search_steps": 5, "initial_c": 0.1}, "ddn": {"initial_norm": 1.0}}.get(name, {})
    ours = ATTACKS[name].function(Classifier(subject.module, 10, ids), inputs, labels, **options)
    model = foolbox.PyTorchModel(subject.module, bounds=(0, 1))
    theirs, _, _ = attacks[name]()(model, inputs, foolbox.criteria.Misclassification(labels), epsilons=None)
    (own, hit), (other, rival) = (size_and_success(subject, images, x, norm) for x in (ours, theirs))
    assert hit.float().mean() >= rival.float().mean() - 0.01
    both = hit & rival
    assert own[both].mean() <= 1.02 * other[both].mean()


SEEDS = 8
T_975 = 2.365
"""Of Student's distribution with 7 degrees of freedom."""


def test_pgd_l1_is_at_most_four_points_weaker_than_foolboxs(victim: Victim) -> None:
    """The lower end of a 95 % interval over seeds. Foolbox's sparse descent begins at the image: it has no seed.

    Measured over 16 seeds, ours against foolbox's: ViT 92.9 (88.9), CNN 43.2 (44.9; the interval is 42.7 to 43.7, so that ours
    is the weaker there), and over 8 the robust CNN 33.5 (34.0).
    """
    subject, (inputs, labels, ids) = victim
    model = foolbox.PyTorchModel(subject.module, bounds=(0, 1))
    theirs = foolbox.attacks.SparseL1DescentAttack(steps=40).run(model, inputs, labels, epsilon=1.0)
    rates = torch.stack(
        [
            fooled(
                subject,
                ATTACKS["pgd_l1"].function(Classifier(subject.module, 10, ids, seed=seed), inputs, labels, eps=1.0),
                labels,
            )
            .double()
            .mean()
            for seed in range(SEEDS)
        ]
    )
    difference = rates - fooled(subject, theirs, labels).double().mean()
    lowest = float(difference.mean() - T_975 * difference.std() / SEEDS**0.5)
    assert lowest > -0.04, rates
    assert float(difference.std()) < 0.03, "one seed is like another"
    torch.manual_seed(0)
    dense = foolbox.attacks.L1ProjectedGradientDescentAttack(steps=40).run(model, inputs, labels, epsilon=1.0)
    assert float(rates.min()) > fooled(subject, dense, labels).double().mean()


def test_mim_succeeds_as_often_as_arts(victim: Victim) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.attacks.evasion import MomentumIterativeMethod
        from art.estimators.classification import PyTorchClassifier
    subject, (inputs, labels, ids) = victim
    model = deepcopy(subject.module).requires_grad_(True)
    classifier = PyTorchClassifier(
        model, torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1), device_type="cpu"
    )
    theirs = MomentumIterativeMethod(classifier, eps=0.08, eps_step=0.02, max_iter=10, verbose=False)
    other = torch.from_numpy(theirs.generate(inputs.numpy(), np.eye(10)[labels.numpy()]))
    ours = ATTACKS["mim"].function(
        Classifier(subject.module, 10, ids), inputs, labels, eps=0.08, steps=10, step_size=0.02, until_success=False
    )
    rates = [fooled(subject, x, labels).float().mean().item() for x in (ours, other)]
    assert rates[0] >= rates[1] - 0.01, rates


def reference(subject: Subject, images: Images, attacks: list[str], norm: str, eps: float, **square: int) -> Tensor:
    """Adversarial images of pyautoattack's parts, with the standard version's budgets."""
    from pyautoattack import AutoAttack

    attack = AutoAttack(subject.module, norm=norm, eps=eps, version="custom", attacks=attacks, device="cpu", seed=0)
    attack.apgd.n_restarts = attack.fab.n_restarts = attack.apgd_targeted.n_restarts = 1
    attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = 9
    for name, value in square.items():
        setattr(attack.square, name, value)
    found = attack.run_standard_evaluation(images[0], images[1], batch_size=256)
    adversarial: Tensor = found[0] if isinstance(found, tuple) else found
    return adversarial


@pytest.mark.matrix(victim={"cnn"})
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(
    ("name", "theirs", "options", "square"),
    [
        ("apgd", "apgd-ce", {"loss": "ce"}, {}),
        ("apgd", "apgd-t", {"loss": "dlr_targeted"}, {}),
        ("fab", "fab-t", {}, {}),
        ("square", "square", {"queries": 500}, {"n_queries": 500}),
    ],
)
def test_the_parts_of_autoattack_are_as_strong_as_pyautoattacks(
    name: str, theirs: str, options: dict[str, object], square: dict[str, int], norm: str, victim: Victim
) -> None:
    subject, images = victim
    images = tuple(part[:64] for part in images)  # type: ignore[assignment]
    inputs, labels, ids = images
    eps = {"vit": 0.03, "cnn": 0.06, "robust": 0.15}[subject.name if subject.name in ("cnn", "robust") else "vit"]
    eps *= {"linf": 1, "l2": 6}[norm] * (1.3 if name == "square" else 1)
    entry = ATTACKS[f"{name}_{norm}"]
    radius = {"enough" if name == "fab" else "eps": eps}
    ours = entry.function(Classifier(subject.module, 10, ids), inputs, labels, **radius, **options)
    within = lengths(ours - inputs)[norm] <= eps * (1 + 1e-5)
    other = reference(subject, images, [theirs], {"linf": "Linf", "l2": "L2"}[norm], eps, **square)
    rates = [
        (fooled(subject, ours, labels) & within).float().mean().item(),
        fooled(subject, other, labels).float().mean().item(),
    ]
    assert 0.05 < rates[1] < 0.99, "the radius does not tell attacks apart"
    assert rates[0] >= rates[1] - (0.05 if name == "square" else 0.02), rates  # Square's draws differ


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_autoattack_leaves_as_few_as_pyautoattacks_standard_version(norm: str, victim: Victim) -> None:
    subject, images = victim
    images = (images[0][:100], images[1][:100], images[2][:100])  # theirs takes minutes for more
    eps = {"cnn": 0.05, "robust": 0.15}.get(subject.name, 0.02) * (1 if norm == "linf" else 6)
    name = "autoattack" if norm == "linf" else "autoattack_l2"
    ours = ATTACKS[name].function(Classifier(subject.module, 10, images[2]), images[0], images[1], eps=eps)
    parts = ["apgd-ce", "apgd-t", "fab-t", "square"]
    other = reference(subject, images, parts, {"linf": "Linf", "l2": "L2"}[norm], eps)
    left = [int((~fooled(subject, x, images[1])).sum()) for x in (ours, other)]
    assert 0 < left[1] < len(images[1])
    assert abs(left[0] - left[1]) <= max(1, len(images[1]) // 200), left

"""Every attack against models whose exact answer is known, and against a second library."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from cases import Linear, linear_case, wrapped
from torch import Tensor

from robench import ATTACKS
from robench.attacking.norms import lengths, to_hyperplane
from robench.running.subject import Subject


def run(attack: str, model: object, inputs: Tensor, labels: Tensor, /, **options: object) -> Tensor:
    adversarial: Tensor = ATTACKS[attack].function(model, inputs, labels, **options)
    return adversarial


DISTANCE = {"linf": 0.05, "l2": 0.2, "l1": 0.2}
"""From the boundary of a linear model, in each norm: small enough that the box is out of the way."""


def at_one_distance(norm: str, weight: Tensor | None = None) -> tuple[Linear, Tensor, Tensor]:
    """A linear model and images of both classes, all at the exact distance `DISTANCE` from its boundary.

    The distance is the margin over the dual norm of its slope: its largest entry in L1, its length in L2, its sum in L∞.

    Args:
        weight: of class 0, (H, W), and of class 1 with the other sign; None: at random.
    """
    model, inputs, _ = linear_case()
    if weight is not None:
        flat = weight.flatten().double()
        model = Linear(torch.stack([flat, -flat]), 0.5 * flat.sum() * torch.tensor([-1.0, 1.0]).double())
    model.requires_grad_(False)
    slope = model.layer.weight[0] - model.layer.weight[1]
    dual = {"l1": slope.abs().amax(), "l2": slope.norm(), "linf": slope.abs().sum()}[norm]
    around = (inputs - 0.5).flatten(1)
    side = torch.where(torch.arange(len(inputs)) % 2 == 0, 1.0, -1.0).double()
    wanted = side * DISTANCE[norm] * dual
    found = 0.5 + around + ((wanted - around @ slope) / slope.square().sum())[:, None] * slope
    assert float(found.min()) > 0.05
    assert float(found.max()) < 0.95
    return model, found.view_as(inputs), model(found).argmax(1)


def hill() -> Tensor:
    """A slope that Square in L2 can follow: its smallest tile, in a corner of an image of 4 x 4."""
    weight = torch.zeros(4, 4)
    weight[:3, :3] = ATTACKS["square_l2"].function.__globals__["_hill"](3)
    return weight


BUDGETS = [name for name in ATTACKS if ATTACKS[name].card.goal == "budget" and "eps" in ATTACKS[name].options]
CHEAP: dict[str, dict[str, object]] = {
    "autoattack": {"parts": ATTACKS["autoattack"].card.presets["quick"]["parts"]},
    "autoattack_l2": {"parts": ATTACKS["autoattack_l2"].card.presets["quick"]["parts"]},
    "square_linf": {"queries": 300},
    "square_l2": {"queries": 300},
    "patch_pgd": {"share": 1.0},
}


@pytest.mark.parametrize(
    ("name", "targeted"), [(n, t) for n in BUDGETS for t in (False, True) if not t or "targets" in ATTACKS[n].options]
)
def test_at_nine_tenths_of_the_exact_distance_nothing_is_broken_and_at_eleven_everything(
    name: str, targeted: bool
) -> None:
    norm = ATTACKS[name].card.norm
    model, inputs, labels = at_one_distance(norm, hill() if name == "square_l2" else None)
    options = CHEAP.get(name, {}) | ({"source": model} if "source" in ATTACKS[name].options else {})
    defaults = {option: o.default for option, o in ATTACKS[name].options.items() if not o.required}
    options = {**defaults, **options} | ({"targets": 1 - labels} if targeted else {})
    broken = []
    for factor in (0.9, 1.1):
        adversarial = run(
            name, wrapped(model, len(inputs)), inputs, labels, **{**options, "eps": factor * DISTANCE[norm]}
        )
        assert float(lengths(adversarial - inputs)[norm].max()) <= factor * DISTANCE[norm] * (1 + 1e-6)
        broken.append(int((model(adversarial).argmax(1) != labels).sum()))
    assert broken == [0, len(inputs)]


def of_art(norm: str, count: int) -> tuple[Linear, Tensor, Tensor]:
    """Some of the images of `at_one_distance` in float32, as ART has them."""
    model, inputs, labels = at_one_distance(norm)
    return model.float(), inputs[:count].float(), labels[:count]


@pytest.mark.parametrize("targeted", [False, True])
def test_arts_attack_in_a_ball_breaks_nothing_at_nine_tenths_of_the_exact_distance_and_everything_at_eleven(
    targeted: bool,
) -> None:
    model, inputs, labels = of_art("linf", 8)
    broken = []
    for factor in (0.9, 1.1):
        eps = factor * DISTANCE["linf"]
        options = {"eps": eps, "eps_step": eps / 4, "max_iter": 20, "targets": 1 - labels if targeted else None}
        adversarial = run("art", wrapped(model, 8), inputs, labels, name="ProjectedGradientDescent", **options)
        assert float(lengths(adversarial - inputs)["linf"].max()) <= eps * (1 + 1e-5)
        broken.append(int((model(adversarial).argmax(1) != labels).sum()))
    assert broken == [0, 8]


@pytest.mark.parametrize(
    ("name", "options", "within"),
    [
        ("art", {"name": "DeepFool", "norm": "l2"}, 1.03),
        ("hopskipjump", {"steps": 10}, 1.05),
        ("boundary", {"steps": 50}, 1.1),
        pytest.param("hopskipjump", {"steps": 50}, 1.01, marks=pytest.mark.slow),
        pytest.param("boundary", {"steps": 500}, 1.01, marks=pytest.mark.slow),
        pytest.param("art", {"name": "CarliniL2Method", "norm": "l2"}, 1.1, marks=pytest.mark.slow),
        pytest.param("art", {"name": "ElasticNet", "norm": "l1", "max_iter": 30}, 1.1, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("targeted", [False, True])
def test_arts_minimal_attacks_are_within_a_tenth_of_the_exact_distance(
    name: str, options: dict[str, Any], within: float, targeted: bool
) -> None:
    norm = options.get("norm", "l2")
    model, inputs, labels = of_art(norm, 4)
    aimed = targeted and options.get("name") != "DeepFool"  # which knows no targets
    given = {**options, "targets": 1 - labels if aimed else None}
    adversarial = run(name, wrapped(model, 4), inputs, labels, **given)
    assert bool((model(adversarial).argmax(1) != labels).all())
    ratio = lengths(adversarial - inputs)[norm] / DISTANCE[norm]
    assert float(ratio.min()) > 1
    assert float(ratio.max()) < within


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("cw_l2", 1.03),
        ("ddn", 1.01),
        ("deepfool", 1.03),
        ("fab_l2", 1.02),
        ("fab_linf", 1.02),
        ("cw_linf", 1.10),
        ("ead", 1.03),
        ("rays", 1.02),
    ],
)
def test_minimal_attacks_are_within_a_few_percent_of_the_exact_distance(name: str, within: float) -> None:
    norm = ATTACKS[name].card.norm
    model, inputs, labels = at_one_distance(norm)
    options = {"queries": 1000} if name == "rays" else {}
    adversarial = run(name, wrapped(model, len(inputs)), inputs, labels, **options)
    assert bool((model(adversarial).argmax(1) != labels).all())
    ratio = lengths(adversarial - inputs)[norm] / DISTANCE[norm]
    assert float(ratio.min()) > 1
    assert float(ratio.max()) < within


@pytest.mark.parametrize(
    ("name", "norm", "within"),
    [
        ("cw_l2", "l2", 1.03),
        ("ddn", "l2", 1.02),
        ("deepfool", "l2", 1.03),
        ("fab_l2", "l2", 1.02),
        ("fab_linf", "linf", 1.02),
        ("cw_linf", "linf", 1.25),
        ("ead", "l1", 1.25),
    ],
)
@pytest.mark.parametrize("targeted", [False, True])
def test_minimal_attacks_find_the_exact_distance_of_a_linear_model(
    name: str, norm: str, within: float, targeted: bool
) -> None:
    model, inputs, labels = linear_case()
    direction = model.layer.weight[0] - model.layer.weight[1]
    gap = (model(inputs)[:, 0] - model(inputs)[:, 1]).abs()
    dual = {"l1": direction.abs().amax(), "l2": direction.norm(), "linf": direction.abs().sum()}
    exact = gap / dual[norm]
    # CW-L∞ stops at one 256th; EAD and DDN take steps of one length, too long for images on the boundary.
    far = exact > (0.01 if norm == "linf" or name == "cw_l2" else 0.05)
    if norm == "l1":  # the exact perturbation is one pixel, which the box must leave room for
        far &= exact < 0.3
    assert int(far.sum()) >= 8
    adversarial = run(name, wrapped(model, len(inputs)), inputs, labels, targets=1 - labels if targeted else None)
    assert bool((model(adversarial).argmax(1) != labels).all())
    ratio = (lengths(adversarial - inputs)[norm] / exact)[far]
    assert float(ratio.min()) > 0.999
    assert float(ratio.max()) < within


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


def test_targeted_cw_linf_hits_its_targets(subject: Subject, attackable: tuple[Tensor, Tensor, list[str]]) -> None:
    inputs, labels, ids = (part[:30] for part in attackable)
    from robench import Classifier

    targets = (labels + 3) % 10
    adversarial = run("cw_linf", Classifier(subject.module, 10, ids), inputs, labels, targets=targets)
    assert (subject.module(adversarial).argmax(1) == targets).float().mean() >= 0.9


def test_rays_finds_the_exact_distance_where_the_corner_is_known() -> None:
    model, inputs, labels = linear_case()
    direction = model.layer.weight[0] - model.layer.weight[1]
    exact = (model(inputs)[:, 0] - model(inputs)[:, 1]).abs() / direction.abs().sum()
    far = exact > 0.02
    adversarial = run("rays", wrapped(model, len(inputs)), inputs, labels, queries=2000)
    ratio = (lengths(adversarial - inputs)["linf"] / exact)[far]
    assert float(ratio.min()) > 0.999
    assert float(ratio.max()) < 1.1


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_move_to_a_hyperplane_is_the_smallest_in_the_box(norm: str) -> None:
    """Against a linear program (L∞) and the exact multiplier of the clipped normal (L2)."""
    from scipy.optimize import brentq, linprog

    generator = torch.Generator().manual_seed(1)
    points = torch.rand(12, 1, 2, 3, generator=generator, dtype=torch.float64)
    normal = torch.randn(12, 1, 2, 3, generator=generator, dtype=torch.float64)
    distance = 0.8 * torch.randn(12, generator=generator, dtype=torch.float64)
    move, compared = to_hyperplane(points, normal, distance, norm), 0
    assert float((points + move).min()) >= -1e-12
    assert float((points + move).max()) <= 1 + 1e-12
    for x, w, d, m in zip(points.flatten(1), normal.flatten(1), distance, move.flatten(1), strict=True):
        lowest = float(d + (torch.where(w * d.sign() > 0, -x, 1 - x) * w).sum())
        reachable = lowest * float(d) <= 0
        assert abs(float(d + (w * m).sum())) == pytest.approx(0 if reachable else abs(lowest), abs=1e-9)
        if not reachable:
            continue
        if norm == "linf":
            rows = torch.cat(
                [torch.cat([torch.eye(6), -torch.ones(6, 1)], 1), torch.cat([-torch.eye(6), -torch.ones(6, 1)], 1)]
            )
            solved = linprog(
                [0] * 6 + [1],
                A_ub=rows.numpy(),
                b_ub=[0] * 12,
                A_eq=[[*w.tolist(), 0]],
                b_eq=[-float(d)],
                bounds=[*zip((-x).tolist(), (1 - x).tolist(), strict=True), (0, None)],
            )
            assert float(m.abs().max()) == pytest.approx(solved.fun, abs=1e-8)
        else:

            def left(multiplier: float, x: Tensor = x, w: Tensor = w, d: Tensor = d) -> float:
                return float(d + (w * torch.minimum(torch.maximum(multiplier * w, -x), 1 - x)).sum())

            if left(-1e6) * left(1e6) >= 0:
                continue  # at the very corner
            multiplier = brentq(left, -1e6, 1e6, xtol=1e-14)
            exact = torch.minimum(torch.maximum(multiplier * w, -x), 1 - x)
            assert float(m.norm()) == pytest.approx(float(exact.norm()), abs=1e-6)
        compared += 1
    assert compared >= 6

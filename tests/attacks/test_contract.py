"""What every registered attack keeps, and what those that claim more keep besides. A new entry is in the table by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from robench import ATTACKS, Call, Classifier
from robench.attacking.norms import lengths
from robench.entries.cards import DatasetCard
from robench.running.conditions import Condition, conditions
from robench.running.shards import attack_shard
from robench.running.subject import Subject
from robench.running.workers import complete

Images = tuple[Tensor, Tensor, list[str]]

ALONE = [
    name
    for name in ATTACKS
    if all(not o.required or o.name == "eps" or o.kind == "defenses" for o in ATTACKS[name].options.values())
]
"""Attacks that need to be told nothing but a radius and, where they transfer, a source: here the attacked model itself."""
KINDS = {
    "pgd_linf",
    "apgd_l2",
    "autoattack",
    "square_linf",
    "cw_l2",
    "ddn",
    "rays",
    "patch_pgd",
    "patch_noise",
    "transfer",
}
"""One attack of each kind, whose contracts are in `make test`; those of all are in `make slow`."""
NEAR, FAR = {"linf": 0.05, "l2": 0.3, "l1": 1.0}, {"linf": 0.5, "l2": 3.0, "l1": 20.0}
"""Radii on the digits: one at which some of the images fall, and one at which an undefended model is broken."""
DESCENTS = {"steps", "queries"}
WEAK = {"cw_linf_ball"}
"""Kept as a library had it: its pixels move along tanh, which is flat where they are black or white."""


def condition_of(name: str, source: torch.nn.Module, radii: dict[str, float] = NEAR, **options: object) -> Condition:
    """An attack at its cheap budget, its sources given."""
    entry = ATTACKS[name]
    given = dict(options)
    if "quick" in entry.card.presets:
        given.setdefault("preset", "quick")
    if "eps" in entry.options:
        given.setdefault("eps", radii[entry.card.norm])
    given |= {option: Call("vit") for option in entry.sources}
    given |= {option: values[0] for option, values in entry.card.each.items()}
    (condition,) = conditions(Call(name, given), DatasetCard())
    return condition.given({option: source for option in entry.sources})


def attacked(condition: Condition, subject: Subject, images: Images, targets: Tensor | None = None) -> Tensor:
    inputs, labels, ids = images
    options = dict(condition.call.options)
    if "targets" in options:
        options["targets"] = targets
    adversarial: Tensor = condition.entry.function(Classifier(subject.module, 10, ids), inputs, labels, **options)
    return adversarial


def success(condition: Condition, subject: Subject, images: Images) -> float:
    adversarial = attacked(condition, subject, images)
    return (subject.module(adversarial).argmax(1) != images[1]).float().mean().item()


@pytest.mark.parametrize(
    ("name", "targeted"),
    [
        (name, targeted)
        for name in ALONE
        for targeted in ([False, True] if "targets" in ATTACKS[name].options else [False])
    ],
)
def test_it_stays_in_its_threat_model_and_leaves_its_inputs_alone(
    name: str, targeted: bool, subject: Subject, attackable: Images
) -> None:
    inputs, labels, ids = (part[:12] for part in attackable)
    condition = condition_of(name, subject.module)
    targets = (labels + 1) % 10 if targeted else None
    before = inputs.clone(), labels.clone()
    adversarial = attacked(condition, subject, (inputs, labels, ids), targets)
    if condition.card.several == "frame":
        adversarial = adversarial[:, -1]
    assert (adversarial.shape, adversarial.dtype) == (inputs.shape, inputs.dtype)
    assert float(adversarial.min()) >= 0
    assert float(adversarial.max()) <= 1
    assert torch.equal(inputs, before[0])
    assert torch.equal(labels, before[1])
    if condition.eps is not None:
        assert float(lengths(adversarial - inputs)[condition.card.norm].max()) <= condition.eps * (1 + 1e-5) + 1e-6
    again = attacked(condition, subject, (inputs, labels, ids), targets)
    assert torch.equal(adversarial, again[:, -1] if condition.card.several == "frame" else again), "another result"


@pytest.mark.matrix(name=KINDS)
@pytest.mark.parametrize(("size", "workers"), [(1, 1), (7, 2)])
@pytest.mark.parametrize("name", ALONE)
def test_results_do_not_depend_on_the_batch_nor_on_the_workers(
    name: str, size: int, workers: int, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.running.workers.WRITE_SECONDS", 0.0)  # each shard is a part
    condition, count = condition_of(name, subject.module), 16 if size == 1 else 64
    keys = ["image", *(["frame"] if condition.card.several == "frame" else [])]
    whole = attack_shard(subject, condition, 0, np.arange(64), set()).set_index(keys)
    parts = Parts()
    complete(parts, subject, condition, 0, np.arange(count), set(), workers=workers, batch=size, done=lambda _: None)
    assert max(part["image"].nunique() for part in parts) <= size
    alone = pd.concat(parts).set_index(keys)["success"]
    same = (whole.loc[alone.index, "success"] == alone).mean()
    assert same >= (0.99 if count == 64 else 1.0)


class Parts(list[pd.DataFrame]):
    """Where records go, in memory."""

    add = list.append


def test_all_iterative_attacks_with_gradients_or_scores_claim_to_be_complete_and_monotone() -> None:
    iterative = [
        ATTACKS[name].card
        for name in ALONE
        if name not in WEAK
        and DESCENTS & set(ATTACKS[name].options)
        and ATTACKS[name].card.knowledge in ("white-box", "score")
    ]
    assert len(iterative) >= 15
    assert all(card.monotone and (card.complete or card.confined) for card in iterative)


@pytest.mark.matrix(name=KINDS)
@pytest.mark.parametrize("name", [n for n in ALONE if ATTACKS[n].card.complete])
def test_it_breaks_an_undefended_model_at_a_generous_budget(name: str, subject: Subject, attackable: Images) -> None:
    generous = {"queries": 1000} if "queries" in ATTACKS[name].options else {}
    assert (
        success(condition_of(name, subject.module, FAR, **generous), subject, tuple(p[:50] for p in attackable)) >= 0.99
    )  # type: ignore[arg-type]


@pytest.mark.matrix(name=KINDS)
@pytest.mark.parametrize("name", [n for n in ALONE if ATTACKS[n].card.monotone and "eps" in ATTACKS[n].options])
def test_its_success_does_not_fall_as_the_radius_grows(name: str, subject: Subject, attackable: Images) -> None:
    images: Images = tuple(part[:50] for part in attackable)  # type: ignore[assignment]
    eps = NEAR[ATTACKS[name].card.norm]
    rates = [
        success(condition_of(name, subject.module, eps=factor * eps), subject, images) for factor in (0.5, 1, 2, 4)
    ]
    assert all(later >= earlier - 0.02 for earlier, later in zip(rates, rates[1:], strict=False)), rates
    assert rates[-1] > rates[0]


@pytest.mark.matrix(name=KINDS)
@pytest.mark.parametrize("name", [n for n in ALONE if ATTACKS[n].card.monotone and DESCENTS & set(ATTACKS[n].options)])
def test_more_steps_do_not_make_it_weaker(name: str, subject: Subject, attackable: Images) -> None:
    images: Images = tuple(part[:50] for part in attackable)  # type: ignore[assignment]
    (count,) = DESCENTS & set(ATTACKS[name].options)
    minimal = ATTACKS[name].card.goal == "minimal"
    reached = []
    for steps in (100, 300) if count == "queries" else (10, 40):
        adversarial = attacked(condition_of(name, subject.module, **{count: steps}), subject, images)
        hit = subject.module(adversarial).argmax(1) != images[1]
        size = lengths(adversarial - images[0])[ATTACKS[name].card.norm]
        # A minimal attack is scored at a radius, as everywhere: what succeeded within it.
        reached.append(
            (hit & (size <= NEAR[ATTACKS[name].card.norm])).float().mean().item()
            if minimal
            else hit.float().mean().item()
        )
    assert reached[1] >= reached[0] - 0.02, reached


@pytest.mark.matrix(name=KINDS)
@pytest.mark.parametrize(("classes", "channels", "side"), [(2, 3, 8), (3, 1, 12), (1000, 3, 16), (5, 3, 224)])
@pytest.mark.parametrize("name", ALONE)
def test_any_number_of_classes_and_any_size_of_image_will_do(name: str, classes: int, channels: int, side: int) -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d(6), torch.nn.Flatten(), torch.nn.Linear(36 * channels, classes)
    )
    module.requires_grad_(False).eval()
    inputs = torch.rand(3, channels, side, side)
    labels = module(inputs).argmax(1)
    options = dict(condition_of(name, module).call.options)
    model = Classifier(module, classes, ["a", "b", "c"])
    targets = (labels + 1) % classes
    for goal in (None, targets) if "targets" in options else (None,):
        given = {**options, "targets": goal} if "targets" in options else options
        adversarial = ATTACKS[name].function(model, inputs, labels, **given)
        if ATTACKS[name].card.several == "frame":
            adversarial = adversarial[:, -1]
        assert adversarial.shape == inputs.shape
        assert bool(torch.isfinite(adversarial).all())
        assert float(adversarial.min()) >= 0
        assert float(adversarial.max()) <= 1

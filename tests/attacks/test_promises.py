"""What is found is not lost, an ensemble is as strong as its parts, small radii are no refuge, the logits' scale is none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robench import ATTACKS, Classifier, inside, lengths, spread
from robench.running.judge import judge
from robench.running.subject import Subject

Images = tuple[Tensor, Tensor, list[str]]
GREY = 1 / 255
BUDGETS = [
    name
    for name in ATTACKS
    if ATTACKS[name].card.goal == "budget" and ATTACKS[name].card.norm == "linf" and not ATTACKS[name].card.confined
    if not ATTACKS[name].sources
]
CHEAP: dict[str, dict[str, Any]] = {
    "cw_linf": {"steps": 8},
    "cw_l2": {"search_steps": 4, "steps": 12, "initial_c": 1.0},
    "ead": {"search_steps": 3, "steps": 12, "initial_c": 1.0},
    "fab_linf": {"steps": 6, "target_classes": 3},
    "fab_l2": {"steps": 6, "target_classes": 3},
    "rays": {"queries": 150},
    "boundary": {"steps": 2},
    "hopskipjump": {"steps": 1},
    "patch_pgd": {"steps": 10, "share": 0.6},
}
KEEPERS = {"pgd_linf", "mim", "apgd_l2", "autoattack", "square_linf", "cw_l2", "cw_linf", "fab_l2", "ddn", "rays"}
SEARCHES = [
    name
    for name in ATTACKS
    if ATTACKS[name].card.goal != "natural"
    and not ATTACKS[name].sources
    and name not in ("art", "images", "through_softmax")
]


def options(name: str, eps: float) -> dict[str, Any]:
    entry = ATTACKS[name]
    given = CHEAP.get(name, {"preset": "quick"} if "quick" in entry.card.presets else {})
    eps = 0.5 if name == "patch_pgd" else eps
    return entry.resolve(given | ({"eps": eps} if "eps" in entry.options else {}))


class Watching(Classifier):
    """Remembers every query by the place of its image."""

    log: list[tuple[Tensor, Tensor, Tensor]]

    def __call__(self, inputs: Tensor, rows: Tensor | None = None) -> Tensor:
        logits = super().__call__(inputs, rows)
        self.log.append((self._placed(rows, len(inputs)).clone(), inputs.detach().clone(), logits.detach().clone()))
        return logits


@pytest.mark.matrix(name=KEEPERS)
@pytest.mark.parametrize("name", SEARCHES)
def test_what_reached_the_goal_inside_the_ball_is_never_lost(name: str, subject: Subject, attackable: Images) -> None:
    """A budget attack returns a success where any query was one; a minimal one nothing larger than its smallest."""
    count = 2 if name in ("boundary", "hopskipjump") else 8
    inputs, labels, ids = (part[:count] for part in attackable)
    card, eps = ATTACKS[name].card, {"linf": 0.08, "l2": 0.5, "l1": 2.0}[ATTACKS[name].card.norm]
    with torch.no_grad():
        scale = spread(subject.module(inputs))
    model = Watching(subject.module, 10, ids, spread=scale)
    model.log = []
    given = options(name, eps)
    found = ATTACKS[name].function(model, inputs, labels, **given)
    smallest = torch.full((count,), torch.inf, dtype=torch.float64)
    for places, points, logits in model.log:
        won = model.reached(logits, labels[places], None, places) & ((points >= 0) & (points <= 1)).flatten(1).all(1)
        if card.goal == "budget":
            won &= inside(points, inputs[places], card.norm, given.get("eps", eps))
        sizes = lengths(points.double() - inputs[places].double())[card.norm].masked_fill(~won, torch.inf)
        smallest = smallest.scatter_reduce(0, places, sizes, "amin")
    seen = smallest.isfinite()
    assert bool(seen.any()) or name == "fgsm"  # whose one step is not looked at
    with torch.no_grad():
        assert bool(model.reached(subject.module(found), labels, None)[seen].all())
    if card.goal == "minimal":
        size = lengths(found.double() - inputs.double())[card.norm]
        assert bool((size[seen] <= smallest[seen] * (1 + 1e-4) + 1e-6).all())


@pytest.mark.parametrize("name", ["cw_l2", "ead"])
def test_a_margin_that_no_image_has_does_not_lose_those_that_fool(
    name: str, subject: Subject, attackable: Images
) -> None:
    inputs, labels, ids = (part[:8] for part in attackable)
    with torch.no_grad():
        scale = spread(subject.module(inputs))
    model = Watching(subject.module, 10, ids, spread=scale)
    model.log = []
    found = ATTACKS[name].function(model, inputs, labels, **options(name, 0.0) | {"confidence": 1e3})
    seen = torch.zeros(8, dtype=torch.bool)
    for places, _, logits in model.log:
        seen[places[model.reached(logits, labels[places], None, places)]] = True
    assert bool(seen.any())
    with torch.no_grad():
        assert bool(model.reached(subject.module(found), labels, None)[seen].all())


@pytest.mark.parametrize(("preset", "level"), [("quick", 1), ("quick", 2), ("quick", 4), ("quick", 8), (None, 2)])
def test_autoattack_breaks_what_any_of_its_parts_breaks(
    preset: str | None, level: int, subject: Subject, attackable: Images
) -> None:
    inputs, labels, ids = (part[: 32 if preset else 6] for part in attackable)
    parts = ATTACKS["autoattack"].resolve({"eps": level * GREY} | ({"preset": preset} if preset else {}))["parts"]
    model = Classifier(subject.module, 10, ids)

    def fooled(found: Tensor) -> Tensor:
        with torch.no_grad():
            return model.reached(subject.module(found), labels, None) & inside(found, inputs, "linf", level * GREY)

    cheap = [part for part in parts if part.name.startswith("apgd")]
    whole = fooled(ATTACKS["autoattack"].function(model, inputs, labels, eps=level * GREY, parts=cheap))
    for part in cheap:
        entry = ATTACKS[part.name]
        alone = fooled(entry.function(model, inputs, labels, **entry.options_within(part, eps=level * GREY)))
        assert not bool((alone & ~whole).any())
    assert level < 8 or bool(whole.any())


@pytest.mark.matrix(name={"fgsm", "pgd_linf", "apgd_linf", "autoattack", "square_linf"})
@pytest.mark.parametrize("name", BUDGETS)
def test_radii_of_a_few_grey_levels_are_attacked_to_their_edge(name: str, subject: Subject, attackable: Images) -> None:
    """On a linear model, whose boundary is known, every radius from 1/255 to 8/255: broken inside of it, whole outside."""
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(1, 4, 4, generator=generator)
    for level in range(1, 9) if name != "square_linf" else (1, 8):
        eps = level * GREY
        module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
        module[1].weight.data = torch.stack([normal.flatten(), -normal.flatten()])
        reach = 2 * eps * normal.abs().sum()  # how far eps can bring the gap of the logits
        inputs, labels = torch.full((2, 1, 4, 4), 0.5), torch.tensor([0, 0])
        for share in (0.9, 1.1):
            gap = share * reach - (2 * 0.5 * normal.sum())
            module[1].bias.data = torch.stack([gap / 2, -gap / 2])
            clean = module(inputs).detach()
            assert bool((clean.argmax(1) == 0).all())
            model = Classifier(module.requires_grad_(False), 2, ["a", "b"], spread=spread(clean))
            given = options(name, eps)
            given |= {"queries": 800} if "queries" in given and name == "square_linf" else {}
            found = ATTACKS[name].function(model, inputs, labels, **given)
            verdict = judge(
                module, inputs, found, labels, None, classes=2, norm="linf", eps=eps, ids=["a", "b"], attack=name
            )
            assert verdict.success.tolist() == [share < 1] * 2, (level, share)


class Scaled(nn.Module):
    def __init__(self, module: nn.Module, by: float, shift: float = 0.0) -> None:
        super().__init__()
        self.module, self.by, self.shift = module, by, shift

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.module(inputs) * self.by + self.shift
        return logits


@pytest.mark.parametrize("part", ["fgsm", "pgd_linf(steps=10)", "square_linf(queries=60)"])
def test_an_ensemble_of_one_is_as_strong_as_that_one_also_where_margins_are_rounding(
    part: str, subject: Subject, attackable: Images
) -> None:
    """With 10,000 on every logit the judge's margin and the one at which attacks stop lie far apart."""
    inputs, labels, ids = (each[:48] for each in attackable)
    module = Scaled(subject.module, 1.0, 1e4)
    with torch.no_grad():
        clean = module(inputs)
    won = []
    for call in (f"autoattack(eps=8/255, parts=[{part}])", part.replace("(", "(eps=8/255, ") if "(" in part else part):
        entry, given = ATTACKS.call(call)
        resolved = entry.resolve(given.options | {"eps": 8 * GREY})
        model = Classifier(module, 10, ids, spread=spread(clean))
        found = entry.function(model, inputs, labels, **resolved)
        verdict = judge(
            module, inputs, found, labels, None, classes=10, norm="linf", eps=8 * GREY, ids=ids, attack="x", clean=clean
        )
        won.append(int(verdict.success.sum()))
    assert won[0] >= won[1] > 0


@pytest.mark.matrix(name={"fgsm", "pgd_linf", "apgd_linf", "square_linf", "cw_l2", "cw_linf", "fab_linf", "deepfool"})
@pytest.mark.parametrize("by", [1e-6, 1e6])
@pytest.mark.parametrize("name", [name for name in SEARCHES if name not in ("boundary", "hopskipjump")])
def test_small_and_large_logits_are_as_easy_to_attack(
    name: str, by: float, subject: Subject, attackable: Images
) -> None:
    inputs, labels, ids = (part[:20] for part in attackable)
    card = ATTACKS[name].card
    found, sizes = [], []
    for scale in (1.0, by):
        module = Scaled(subject.module, scale)
        with torch.no_grad():
            clean = module(inputs)
        model = Classifier(module, 10, ids, spread=spread(clean))
        eps = {"linf": 0.08, "l2": 0.5, "l1": 2.0}[card.norm]
        adversarial = ATTACKS[name].function(model, inputs, labels, **options(name, eps))
        verdict = judge(
            module, inputs, adversarial, labels, None, classes=10, norm=card.norm, eps=None, ids=ids, attack=name
        )
        found.append(verdict.success.float().mean().item())
        sizes.append(verdict.norms[card.norm][verdict.success].mean().item())
    assert found[0] > 0
    assert found[1] >= found[0] - 0.06  # one image of 20
    if card.goal == "minimal":
        assert sizes[1] <= 1.1 * sizes[0]

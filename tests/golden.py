"""Numbers that must not change while `robench.hashing.ENGINE` stays: python tests/golden.py puts them down.

Exact: random draws, image ids, pinned subsets, targets, initial weights. Attacks in float64 on a small network are
rounded to 1e-7. All under the versions of constraints.txt; other versions may draw other initial weights.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import robench
from robench.attacking.corruptions import CORRUPTIONS, SEQUENCES
from robench.attacking.targets import resolve_targets
from robench.hashing import ENGINE, pixel_ids
from robench.training.building import task_of

FILE = Path(__file__).parent / "golden.json"
CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
SENTENCE = "a number changed while robench.hashing.ENGINE stayed the same: raise ENGINE, then run `make golden`"
DEFENSES = [
    "vit",
    "vit(seed=1)",
    "ksa",
    "madry(model=vit(seed=1), seed=2)",
    "rspc",
    "carlini",
    "madry_cnn",
    "wide_resnet(width=1, depth=10)",
    "timm(name='vit_tiny_patch16_224', seed=3)",
]
ATTACKS = [
    "fgsm(eps=0.1, random_start=True)",
    "pgd_linf(eps=0.1, steps=8, restarts=2)",
    "pgd_linf(eps=0.1, steps=8, until_success=False)",
    "pgd_l2(eps=0.5, steps=8)",
    "pgd_l1(eps=2.0, steps=8)",
    "mim(eps=0.1, steps=8)",
    "apgd_linf(eps=0.1, steps=12)",
    "apgd_l2(eps=0.5, steps=12, loss='dlr_targeted', target_classes=3)",
    "autoattack(eps=0.1, preset='quick')",
    "square_linf(eps=0.1, queries=40)",
    "square_l2(eps=0.5, queries=40)",
    "cw_l2(search_steps=3, steps=15)",
    "cw_l2(search_steps=3, steps=15, variable='tanh', lr=0.01)",
    "cw_linf(steps=12)",
    "ddn(steps=15)",
    "deepfool(steps=6)",
    "fab_linf(steps=8, target_classes=3)",
    "fab_l2(steps=8, target_classes=3)",
    "ead(search_steps=3, steps=15)",
    "rays(queries=120)",
    "patch_pgd(steps=6)",
    "patch_noise(share=0.25)",
    "patch_corruption(severities=4)",
]


def pinned() -> str | None:
    """Why these numbers cannot be compared here; None where they can."""
    wanted = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE))
    for name in ("torch", "torchvision", "timm"):
        if version(name).partition("+")[0] != wanted[name]:
            return f"constraints.txt has {name} {wanted[name]}, installed is {version(name)}"
    return None


def network() -> tuple[nn.Module, Tensor, Tensor]:
    """A network whose weights are draws, in float64, with images and the labels that it gives them."""
    draws = robench.Draws(0, ["weights"])

    def weights(name: str, *shape: int) -> nn.Parameter:
        return nn.Parameter(draws.normal(name, 0, None, shape)[0] / shape[-1] ** 0.5, requires_grad=False)

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 5)).double()
    for layer, (out, into) in ((1, (24, 64)), (3, (5, 24))):
        model[layer].weight, model[layer].bias = weights(f"w{layer}", out, into), weights(f"b{layer}", out)
    inputs = robench.Draws(1, [f"image {i}" for i in range(6)]).uniform("image", 0, None, (1, 8, 8))
    return model, inputs, model(inputs).argmax(1)


def values() -> dict[str, Any]:
    """All numbers that are held."""
    torch.set_num_threads(1)
    draws = robench.Draws(7, ["a", "b"])
    found: dict[str, Any] = {
        "draws": draws.uniform("start", 3, None, (5,)).tolist(),
        "normal draws": draws.normal("start", 3, None, (5,)).tolist(),
        "ids": pixel_ids(np.arange(96, dtype=np.uint8).reshape(3, 2, 4, 4).repeat(2, 0)).tolist(),
    }
    splits = robench.DATASETS["digits"].function(robench.Places.of())
    found["fingerprints"] = [part.fingerprint for part in (splits.train, splits.validation, splits.test)]
    found["first ten"] = splits.test.first(10).image_ids().tolist()
    labels = torch.arange(6) % 5
    logits = robench.Draws(2, [str(i) for i in range(6)]).normal("logits", 0, None, (5,))
    for rule in ("random", "least_likely", "next", "all"):
        chosen = resolve_targets(rule, labels, logits, robench.Draws(3, [str(i) for i in range(6)]))
        found[f"targets {rule}"] = chosen.tolist()
    small, large = (
        task_of(splits, robench.DATASETS["digits"].card),
        robench.Task((3, 224, 224), 10, 1000, (0.5,) * 3, (0.2,) * 3),
    )
    for call in DEFENSES:
        found[f"weights {call}"] = initial_weights(call, large if "224" in call else small)
    model, inputs, labels = network()
    for text in ATTACKS:
        call = robench.parse(text)
        targets = [None, "random"] if "targets" in robench.ATTACKS[call.name].options else [None]
        for target in targets:
            options = call.options | ({"targets": target} if target else {})
            adversarial = robench.ATTACKS[call.name](model, inputs, labels, seed=5, **options)
            change = (adversarial - inputs).flatten(1)
            along = robench.Draws(4, ["along"]).normal("along", 0, None, (64,))[0]
            name = f"attack {text}" + (" targeted" if target else "")
            found[name] = [[round(x, 7) for x in part.tolist()] for part in (change.norm(dim=1), change @ along)]
    found |= pictures()
    return found


def pictures() -> dict[str, Any]:
    """Of each corruption at two severities, and of each sequence, how far it moves two images, small and larger ones."""
    found: dict[str, Any] = {}
    for side in (32, 72):
        smooth = robench.Draws(6, ["one", "two"]).uniform("image", 0, None, (3, 5, 7)).float()
        images = (torch.nn.functional.interpolate(smooth, (side, side + 8), mode="bilinear") * 255).round() / 255
        draws = robench.Draws(8, ["one", "two"])
        for name in CORRUPTIONS:
            moved = [robench.corrupt(images, name, severity, draws) - images for severity in (2, 5)]
            found[f"corruption {name} {side}"] = [_extent(change) for change in moved]
        for name in SEQUENCES if side == 32 else ():
            found[f"sequence {name}"] = _extent(robench.sequence(images, name, draws) - images[:, None])
    return found


def _extent(change: Tensor) -> list[float]:
    """Mean and root mean square in grey levels."""
    levels = change.double() * 255
    return [round(float(levels.mean()), 4), round(float(levels.square().mean()) ** 0.5, 4)]


def initial_weights(call: str, task: robench.Task) -> str:
    """Digest of the tensors that a defense begins with."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = robench.recipe_of(call, task).model.state_dict()
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def differing(now: Any, before: Any, by: float = 1.5e-7) -> bool:
    """Whether two values differ: exactly, or by more than a little for numbers."""
    if isinstance(now, list) and isinstance(before, list):
        return len(now) != len(before) or any(differing(*pair, by) for pair in zip(now, before, strict=True))
    if isinstance(now, float) and isinstance(before, float):
        return abs(now - before) > by
    return bool(now != before)


def changed(now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Names of the values that differ."""
    return [name for name in now if name not in before or differing(now[name], before[name], _tolerance(name))]


def _tolerance(name: str) -> float:
    """Of pictures: a last bit may move a pixel by a grey level."""
    return 0.02 if name.startswith(("corruption", "sequence")) else 1.5e-7


def main() -> None:
    """Put the numbers down, unless they changed under the same engine."""
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {"engine": 0, "values": {}}
    now = values()
    moved = [name for name in changed(now, before["values"]) if name in before["values"]]
    if moved and before["engine"] == ENGINE:
        sys.exit(f"{SENTENCE} ({', '.join(moved)})")
    FILE.write_text(json.dumps({"engine": ENGINE, "values": now}, indent=1) + "\n", encoding="utf-8")
    print(f"{FILE.name}: {len(now)} values of engine {ENGINE}")


if __name__ == "__main__":
    main()

"""What differs between two identities, in words: why something is run again."""

from __future__ import annotations

from typing import Any

from robench.entries.calls import Json
from robench.records.manifest import Identity

PLAIN = {
    "data": "the test images or their labels",
    "subset": "the classes that are evaluated",
    "logits": "the model's answers to a few images",
    "seed": "the attack's seed",
    "precision": "the precision",
}
TRAINING = {
    "data": "the training images or their labels",
    "task": "what the data set says of training",
    "initial": "the weights that the defense starts from",
}


def changes(before: Identity, now: Identity) -> list[str]:
    """What of the identity is not the same, the cause before what follows from it."""
    found: list[str] = []
    if before.engine != now.engine:
        found.append(f"robench's engine ({before.engine}, now {now.engine})")
    found += _of_defense(before.defense, now.defense)
    found += _of_entry(before.attack, now.attack, "the attack")
    if before.weights != now.weights:
        found.append("the weights")
    found += [words for name, words in PLAIN.items() if getattr(before, name) != getattr(now, name)]
    found += [f"the weights of its {name}" for name in now.sources if before.sources.get(name) != now.sources.get(name)]
    return list(dict.fromkeys(found))


def _of_defense(before: Json, now: Json) -> list[str]:
    """Of what the weights were made from."""
    old, new = _dict(before), _dict(now)
    found = _of_entry(old.get("defense"), new.get("defense"), "the defense")
    return found + [words for name, words in TRAINING.items() if old.get(name) != new.get(name)]


def _of_entry(before: Json, now: Json, what: str) -> list[str]:
    """Of an entry and of those nested in its options."""
    if before == now:
        return []
    old, new = _dict(before), _dict(now)
    sources, fresh = _dict(old.get("source")), _dict(new.get("source"))
    files = sorted(name for name in {*sources, *fresh} if sources.get(name) != fresh.get(name))
    found = [f"the code of {what} ({', '.join(files)})"] if files else []
    if old.get("card") != new.get("card"):
        found.append(f"the card of {what}")
    if old.get("held") != new.get("held"):
        found.append(f"the values in the closure of {what}")
    options, chosen = _dict(old.get("options")), _dict(new.get("options"))
    for name in sorted({*options, *chosen}):
        one, other = options.get(name), chosen.get(name)
        if one != other and isinstance(one, dict) and isinstance(other, dict) and "source" in other:
            found += _of_entry(one, other, f"its {name}")
        elif one != other and isinstance(other, dict) and "contents" in other:
            found.append(f"the contents of {other.get('path')}")
        elif one != other:
            found.append(f"the option {name} of {what}")
    return found or [what]


def _dict(value: Json) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"": value}

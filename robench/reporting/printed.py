"""What a cell is of, as it leaves a store: what a person asked for, and digests of what it was measured on."""

from __future__ import annotations

from dataclasses import dataclass, fields

from robench.entries.calls import Json
from robench.hashing import digest
from robench.records.schema import GOALS, NORMS
from robench.records.typed import built
from robench.records.unit import Measured
from robench.reporting.versions import code_of


@dataclass(frozen=True)
class Printed:
    """What a cell is of.

    Attributes:
        defense, attack, dataset: calls, as they are printed.
        seed, precision: of the attack.
        data: fingerprint of the test split, pixels and labels.
        subset: the classes that are evaluated; None: all.
        weights: digest of the weights.
        code: digest of the code of defense and attack.
        engine: `hashing.ENGINE`.
        norm, goal, eps, corruption, severity, family, normaliser, variant: as in `records.manifest.Facts`.
        torch, device, processor, threads: that it was run with.
    """

    defense: str
    attack: str
    dataset: str
    seed: int
    precision: str
    data: str
    subset: tuple[int, ...] | None
    weights: str
    code: str
    engine: int
    norm: str
    goal: str
    eps: float | None
    corruption: str | None = None
    severity: int | None = None
    family: str = ""
    normaliser: str = ""
    variant: str = ""
    torch: str = ""
    device: str = ""
    processor: str = ""
    threads: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """By what a cell is found again: what a person asked for."""
        return self.defense, self.attack, self.dataset

    @property
    def text(self) -> str:
        return f"{self.defense} under {self.attack} on {self.dataset}"

    @property
    def of_corruption(self) -> bool:
        """Whether it is one corruption at one severity."""
        return self.goal == "natural" and self.corruption is not None and self.severity is not None

    def plain(self) -> dict[str, Json]:
        """As JSON has it; what says nothing is left out."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        said["subset"] = None if self.subset is None else list(self.subset)
        optional = {field.name for field in fields(self)} - REQUIRED
        return {name: value for name, value in said.items() if name not in optional or value not in (None, "", 0)}

    @classmethod
    def of(cls, plain: dict[str, Json]) -> Printed:
        """What `plain` was written from.

        Raises:
            ValueError: it is something else.
        """
        found = built(cls, plain)
        if found.norm not in NORMS or found.goal not in GOALS:
            raise ValueError(f"the norm is {found.norm[:20]!r}, the goal {found.goal[:20]!r}")
        return found


REQUIRED = {field.name for field in fields(Printed)} - {
    *("corruption", "severity", "family", "normaliser", "variant", "torch", "device", "processor", "threads")
}


def printed(one: Measured) -> Printed:
    """What a unit is of."""
    spec, identity, facts = one.unit.spec, one.unit.identity, one.unit.facts
    return Printed(
        defense=str(spec.defense),
        attack=str(spec.attack),
        dataset=str(spec.dataset),
        seed=identity.seed,
        precision=identity.precision,
        data=identity.data,
        subset=None if identity.subset is None else tuple(identity.subset),
        weights=identity.weights,
        code=digest([code_of(identity.defense), code_of(identity.attack)]),
        engine=identity.engine,
        norm=facts.norm,
        goal=facts.goal,
        eps=facts.eps,
        corruption=None if facts.share else facts.corruption,
        severity=None if facts.share else facts.severity,
        family=facts.family,
        normaliser=facts.normaliser,
        variant=facts.variant,
        torch=facts.torch,
        device=facts.device,
        processor=facts.processor,
        threads=facts.threads,
    )

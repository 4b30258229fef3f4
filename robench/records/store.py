"""The store: records in Parquet and a JSON manifest, under the content hash of all that can change them.

    records/NAME-IDENTITY/manifest.json      what was asked for, the identity, facts, the list of parts
    records/NAME-IDENTITY/part-DIGEST.parquet    records, each part written whole and named by the SHA-256 of its bytes
    models/MODEL.json                        a model card
    damaged/                                 what a run found damaged and replaced
    boards/NAME.json                         a frozen board: {"units": [identities]}, which nothing here removes

A unit is one attack at one condition on one trained defense. A damaged part is found out, and a killed run loses only
the part that it was working on. `n` is not in the hash: going from 256 to 1,000 images adds parts. A command that only
reads changes nothing: it says what is damaged and leaves it. A run that replaces it moves it to damaged/.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from robench.records.cards import ModelCard
from robench.records.changes import changes
from robench.records.frozen import frozen_units
from robench.records.manifest import Damaged, Facts, Identity, Manifest, Spec, read_signed
from robench.records.unit import Tell, Unit


class Store:
    """A folder of units and model cards."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def unit(self, spec: Spec, identity: Identity, facts: Facts) -> Unit:
        """The unit of this identity, whether or not there is anything in it yet."""
        names = [call.name.rpartition("::")[2].rpartition("/")[2] for call in (spec.defense, spec.attack)]
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in "-".join(names))[:80]
        return Unit(self.root / "records" / f"{safe}-{identity.digest()}", spec, identity, facts)

    def units(self, tell: Tell = lambda _: None) -> list[Unit]:
        """All units, newest first; what is damaged is told and left out.

        Raises:
            StoreError: the store is of another version.
        """
        found = []
        for path in sorted(self.root.glob("records/*/manifest.json")):
            try:
                manifest = Manifest.read(path)
            except Damaged as problem:
                tell(
                    f"{path} is damaged: {problem}; its row is left out until `robench store repair`, or running it again, mends it"
                )
                continue
            if not path.parent.name.endswith(manifest.identity.digest()):
                tell(f"{path} is of another unit than its folder's name says; it is left out")
                continue
            found.append(Unit(path.parent, manifest.spec, manifest.identity, manifest.facts))
        for folder in sorted({path.parent for path in self.root.glob("records/*/part-*.parquet")}):
            if not (folder / "manifest.json").exists():
                tell(
                    f"{folder} has no manifest; its row is left out until `robench store repair`, or running it again, mends it"
                )
        return sorted(found, key=lambda unit: -unit.facts.created)

    def check(self) -> None:
        """Look at the version before any work.

        Raises:
            StoreError: the store is of another version.
        """
        for path in [*self.root.glob("records/*/manifest.json"), *self.root.glob("models/*.json")]:
            try:
                read_signed(path)
                return
            except Damaged:
                continue

    def replaced(self, unit: Unit) -> bool:
        """Whether a newer unit stands for the same spec, so that a report may take this one for the older.

        Files of the same code share a unit: its spec is of the one that was run first, and may stand for another by now.
        """
        manifest = unit._manifest()
        others = [*self._others(unit), *self._others(replace(unit, spec=manifest.spec))]
        return any(u.facts.created > manifest.facts.created for u in others)

    def why_again(self, unit: Unit) -> str | None:
        """What of the identity differs from the newest other unit of the same spec, in words; None if there is none."""
        others = self._others(unit)
        if not others:
            return None
        changed = changes(others[0].identity, unit.identity)
        return ", ".join(changed) + " changed" if changed else None

    def _others(self, unit: Unit) -> list[Unit]:
        """Other units that were asked for in the same words, newest first."""
        asked = unit.spec, unit.identity.precision
        return [u for u in self.units() if (u.spec, u.identity.precision) == asked and u.identity != unit.identity]

    def write_card(self, card: ModelCard) -> None:
        """Keep a model card, unless one that was measured on as many images is there."""
        path = self.root / "models" / f"{card.model}.json"
        try:
            known = ModelCard.read(path) if path.exists() else None
            if known and known.images >= card.images and (known.study or not card.study):
                return
        except Damaged:
            pass
        card.write(path)

    def cards(self, tell: Tell = lambda _: None) -> dict[str, ModelCard]:
        """Model cards by the names of their models; what is damaged is told and left out."""
        found = {}
        for path in sorted(self.root.glob("models/*.json")):
            try:
                card = ModelCard.read(path)
                found[card.model] = card
            except Damaged as problem:
                tell(f"{path} is damaged: {problem}; it is left out, and running its row again mends it")
        return found

    def frozen(self) -> set[str]:
        """Identities of the units that a frozen board names; they are never removed. Raises StoreError: see `frozen_units`."""
        return frozen_units(self.root)

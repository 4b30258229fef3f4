"""Trained weights: made once, found again by what they were made from.

A checkpoint is a folder of the cache named by the content hash of defense, options, source, training data and engine, and of
the weights that it starts from where they may be in a file beside the code:
weights.safetensors, facts.json (with the weights' SHA-256) and log.jsonl.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robench.attacking.classifier import frozen
from robench.data.splits import Splits
from robench.entries.calls import Call, Json, Name
from robench.entries.cards import DatasetCard
from robench.entries.entry import Entry
from robench.entries.registry import DEFENSES
from robench.errors import DataError, ModelError, RobenchError
from robench.files import atomic_path
from robench.hashing import ENGINE, digest, file_digest
from robench.leases.taking import LeaseLost, lease
from robench.training.building import build, built_in, declared, task_of, weights_digest
from robench.training.facts import WeightFacts
from robench.training.loop import train
from robench.training.outputs import Outputs, fitted
from robench.training.recipe import Progress, Recipe, Task
from robench.training.snapshots import read_lines, save_tensors
from robench.training.trained import Trained

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Checkpoint:
    """Where the weights of a defense on a data set are, or would be.

    Attributes:
        sources: of the trained models that the defense is made with (a teacher, a target), by the options that name them.
    """

    call: Call
    entry: Entry
    task: Task
    splits: Splits
    identity: dict[str, Json]
    folder: Path
    sources: dict[str, Checkpoint]

    @classmethod
    def each(cls, defense: Name, splits: Splits, card: DatasetCard, cache: Path) -> list[Checkpoint]:
        """The checkpoints of a defense trained on these splits: one for each item of a list where one value is wanted."""
        entry, call = DEFENSES.call(defense)
        return [cls._of(entry, one, splits, card, cache) for one in entry.each(call)]

    @classmethod
    def of(cls, defense: Name, splits: Splits, card: DatasetCard, cache: Path) -> Checkpoint:
        """The checkpoint of a single defense."""
        entry, call = DEFENSES.find(defense)
        return cls._of(entry, call, splits, card, cache)

    @classmethod
    def _of(cls, entry: Entry, call: Call, splits: Splits, card: DatasetCard, cache: Path) -> Checkpoint:
        task = task_of(splits, card)
        told: list[Json] = [list(task.shape), task.classes, task.epochs, task.crop, task.flip]
        identity: dict[str, Json] = {
            "defense": DEFENSES.identity(call, entry),
            "data": splits.train.fingerprint if len(splits.train) else "",
            "task": told,
            "engine": ENGINE,
        }
        if not len(splits.train):  # what is normalised with follows from the test images then
            told += [list(task.mean), list(task.std)]
        sources = {name: cls.of(call.options[name], splits, card, cache) for name in entry.sources}
        checkpoint = cls(call, entry, task, splits, identity, cache / "weights", sources)
        if initial := checkpoint._initial():
            identity["initial"] = initial
        return replace(checkpoint, folder=checkpoint.folder / f"{entry.name}-{digest(identity)}")

    def _initial(self) -> str:
        """Digest of the weights that a defense starts from, where they may come from a file that its code names; else empty.

        Built-in defenses draw theirs, or name the file in an option whose contents are hashed. Weights that are different each
        time name nothing, and a defense that cannot be built is refused when it is rehearsed.
        """
        if built_in(self.call, self.entry):
            return ""
        try:
            given = {name: source._untrained() for name, source in self.sources.items()}
            first, second = (weights_digest(self._build(given).model) for _ in range(2))
        except RobenchError:
            return ""
        return first if first == second else ""

    def _untrained(self) -> nn.Module:
        """The model with its initial weights, as another training may use it."""
        return self.outputs.of(frozen(self.recipe().model, torch.device("cpu")))

    @property
    def seed(self) -> int:
        return int(self.call.options.get("seed", 0))

    def recipe(self) -> Recipe:
        """The untrained recipe, its initial weights drawn from the defense's own seed.

        A source that is not trained yet stands in with its initial weights: enough to see whether the recipe can be built.
        """
        given = {}
        for name, source in self.sources.items():
            trained = source.load()
            given[name] = trained.attacked(torch.device("cpu")) if trained else source._untrained()
        return self._build(given)

    def _build(self, given: dict[str, nn.Module]) -> Recipe:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return build(self.entry, Call(self.call.name, self.call.options | given), self.task)

    def rehearse(self) -> None:
        """Build the recipe, and those of its sources, and pass an image through each, so that what does not fit comes first.

        Raises:
            UsageError: it cannot be built.
            ModelError: its model raises, or does not return one logit for each class, or would learn some of its outputs only.
        """
        for source in self.sources.values():
            source.rehearse()
        fitted(self.recipe(), self.splits, str(self.entry.shown(self.call)))

    @cached_property
    def outputs(self) -> Outputs:
        """Which outputs of the model are the data set's classes."""
        known = self.splits.among is None
        return Outputs(self.splits.classes) if known else fitted(self.recipe(), self.splits, str(self.call))

    @property
    def stochastic(self) -> bool:
        """Whether the defense, or one that it wraps, is declared random."""
        return any(card.stochastic for card in declared(self.call, self.entry))

    @property
    def differentiable(self) -> bool:
        """Whether neither the defense nor one that it wraps is declared to have no slopes of its own."""
        return all(card.differentiable for card in declared(self.call, self.entry))

    def made_with(self) -> dict[str, str | None]:
        """Digests of the sources' weights."""
        return {name: source.weights() for name, source in self.sources.items()}

    def weights(self) -> str | None:
        """Digest of the trained weights; None where there are none yet."""
        facts = self.facts()
        return facts.sha256[:16] if facts else None

    def facts(self, tell: Tell = lambda _: None) -> WeightFacts | None:
        """What is written beside the weights, or None where there are none yet."""
        return WeightFacts.read(self.folder, tell)

    def load(self, tell: Tell = lambda _: None) -> Trained | None:
        """The trained defense from the cache; None where it is not there, or is damaged (which is told)."""
        facts = self.facts(tell)
        if facts is None:
            return None
        from safetensors.torch import load_file

        weights = self.folder / "weights.safetensors"
        if file_digest(weights) != facts.sha256:
            tell(f"the weights of {self.call} in {weights} are damaged (their hash is wrong); training again")
            return None
        if facts.sources != self.made_with():
            tell(f"the weights of {self.call} were made with others of its sources; training again")
            return None
        recipe = self.recipe()
        recipe.model.load_state_dict(load_file(weights))
        lines = self._log(facts, tell)
        model, sha, note = recipe.model.eval(), facts.sha256[:16], recipe.note
        return Trained(self.call, model, sha, lines, facts.seconds, self.outputs, self.stochastic, note)

    def obtain(
        self,
        device: torch.device,
        *,
        tell: Tell = lambda _: None,
        report: Callable[[Progress], None] = lambda _: None,
        announce: Callable[[Recipe], None] = lambda _: None,
    ) -> Trained:
        """The trained defense: from the cache, or trained now.

        Args:
            tell: told what a person should know, in words.
            report: told after each training step.
            announce: told the recipe before a training begins.

        Raises:
            DataError: there is nothing to train on.
            ModelError: the training failed.
        """
        found = self.load(tell)
        if found:
            return found
        while True:
            try:
                with lease(self.folder / "lease", waiting=tell) as taken:
                    for left in self.folder.glob(".*.part"):  # of a writer that was killed
                        left.unlink(missing_ok=True)
                    return self.load() or self._train(device, tell, report, announce, taken.check)
            except LeaseLost as lost:
                tell(f"{lost}; looking again at what is there")

    def _train(
        self,
        device: torch.device,
        tell: Tell,
        report: Callable[[Progress], None],
        announce: Callable[[Recipe], None],
        check: Callable[[], None],
    ) -> Trained:
        for source in self.sources.values():
            source.obtain(device)
        recipe = self.recipe()
        if recipe.learns and not len(self.splits.train):
            raise DataError(
                f"{self.call} must be trained, but {self.splits.source} has no training images; put them in a train/ folder beside the test images"
            )
        started = time.perf_counter()
        if recipe.learns:
            self.splits.train.verify()
            announce(recipe)
            state = self.folder / f"state-{digest(self.made_with(), 8)}.safetensors"
            train(
                recipe,
                self.splits.train,
                self.splits.validation,
                seed=self.seed,
                device=device,
                state=state,
                log=self.folder / "log.jsonl",
                report=report,
                check=check,
                tell=tell,
            )
        log = self.folder / "log.jsonl"
        seconds = sum(line["seconds"] for line in read_lines(log)) or time.perf_counter() - started
        tensors = {name: t.detach().cpu().contiguous().clone() for name, t in recipe.model.state_dict().items()}
        with atomic_path(self.folder / "weights.safetensors") as temporary:
            save_tensors(tensors, temporary)
            check()
        facts = WeightFacts(
            defense=str(self.call),
            sha256=file_digest(self.folder / "weights.safetensors"),
            log=file_digest(log) if log.is_file() else "",
            seconds=round(seconds, 1),
            parameters=sum(p.numel() for p in recipe.model.parameters()),
            sources=self.made_with(),
            identity=self.identity,
            torch=torch.__version__,
            device=device.type,
        )
        facts.write(self.folder)
        for state in self.folder.glob("state-*.safetensors"):
            state.unlink()
        loaded = self.load()
        if loaded is None:
            raise ModelError(
                f"the weights of {self.call} could not be read back from {self.folder}; is the disk sound?"
            )
        return loaded

    def _log(self, facts: WeightFacts, tell: Tell) -> list[dict[str, Any]]:
        """The lines of the training's log; none where it is damaged, which is told: no number depends on it."""
        path = self.folder / "log.jsonl"
        if (file_digest(path) if path.is_file() else "") == facts.log:
            return read_lines(path)
        tell(f"{path} is damaged: the course of the training of {self.call} is left out; its weights are sound")
        return []

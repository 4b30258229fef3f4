"""An entry: a registered function with the facts printed about it, and how its calls are resolved and shown."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

from robench.entries.calls import Call, written
from robench.entries.cards import check_units
from robench.entries.kinds import TargetRule
from robench.entries.options import Option, checked, options_of, whole_seed
from robench.entries.sources import Behind, behind, code_behind
from robench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn


class _Held(Call):
    """Stands for a module that a caller has at hand, in the place of the call that names one."""


@dataclass(frozen=True)
class Entry:
    """A registered function and the facts printed about it.

    Attributes:
        origin: the file or package that it is from.
        nested: finds the entry of a nested call, by the kind of the option that holds it (None: an entry of the same kind).
    """

    name: str
    function: Callable[..., Any]
    card: Any
    origin: str
    nested: Callable[[str | None, Call], tuple[Entry, Call]]

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @cached_property
    def options(self) -> dict[str, Option]:
        return options_of(self.function)

    @property
    def sources(self) -> list[str]:
        """The options that name defenses which must be trained before this entry is called."""
        return [option.name for option in self.options.values() if option.kind == "defenses"]

    def resolve(self, given: dict[str, Any], *, partial: bool = False) -> dict[str, Any]:
        """The options of a call, checked, with defaults filled in; `partial`: those without a default may be missing.

        Nested calls are checked too. Those that are marked with what is passed on to them hold only what makes a difference.
        """
        extra = {"targets": TargetRule | None} if "targets" in self.options else None
        resolved = checked(self.function, self._expanded(given), self.name, extra, partial=partial)
        for name, option in self.options.items():
            if name in resolved:
                resolved[name] = self._settled(resolved[name], option, resolved)
        check_units(self.name, self.card, resolved)
        check = getattr(self.card, "check", None)
        if check and not partial:
            check(resolved)
        canonical = getattr(self.card, "canonical", None)
        return canonical(resolved) if canonical else resolved

    def _expanded(self, given: dict[str, Any]) -> dict[str, Any]:
        """Options with those of a preset in the place of its name."""
        presets = getattr(self.card, "presets", {})
        if not presets or "preset" not in given:
            return given
        if not isinstance(given["preset"], str) or given["preset"] not in presets:
            raise UsageError(
                f"{self.name} has no preset {given['preset']!r}{did_you_mean(str(given['preset']), presets)}"
            )
        return {**presets[given["preset"]], **{n: v for n, v in given.items() if n != "preset"}}

    def _settled(self, value: Any, option: Option, outer: dict[str, Any]) -> Any:
        """An option's value with its nested calls checked; what is passed on to them is put among the outer options."""
        if isinstance(value, list):
            return [self._settled(item, option, outer) for item in value]
        if not isinstance(value, Call) or isinstance(value, _Held):
            return value
        entry, call = self.nested(option.kind, value)
        if isinstance(entry, AttackEntry) and option.passes is not None:
            self._check_part(entry, call)
        given = entry._expanded(call.options)
        passed = {n: outer[n] for n in ("eps",) if option.passes and outer.get(n) is not None and n in entry.options}
        partial = isinstance(entry, AttackEntry) and not passed
        resolved = {n: v for n, v in entry.resolve(given | passed, partial=partial).items() if n not in passed}
        told = {n: v for n, v in resolved.items() if not entry.default(n, v)}
        if option.passes is None:
            return Call(call.name, {n: v for n, v in resolved.items() if n in given or n in told})
        outer |= {n: resolved[n] for n in option.passes.names if n in given and n in resolved}
        return Call(call.name, {n: v for n, v in told.items() if n not in option.passes.names})

    def _check_part(self, part: Entry, call: Call) -> None:
        """Raises UsageError for a nested attack that this one cannot run as it is written."""
        if part.sources:
            raise UsageError(
                f"{part.name} given to {self.name}: it attacks another model, which {self.name} does not train; "
                f"leave it out, or run it as an attack of its own"
            )
        for name in ("eps", "enough", "targets"):
            if name in call.options and name in part.options:
                raise UsageError(
                    f"{name}={written(call.options[name])} given to {part.name} within {self.name}, which gives {name} "
                    f"itself; leave it out there" + (f" and give it to {self.name}" if name in self.options else "")
                )

    def default(self, name: str, value: Any) -> bool:
        """Whether a resolved value of an option is what it would be if it were not given."""
        option = self.options.get(name)
        if option is None or option.required:
            return False
        return bool(self._settled(option.default, option, {}) == value)

    def each(self, call: Call, *, partial: bool = False) -> list[Call]:
        """The resolved calls that are meant: one for each item of a list that is given where one value is wanted."""
        lists = {
            name: value
            for name, value in call.options.items()
            if isinstance(value, list) and value and name in self.options and not self.options[name].accepts(value)
        }
        return [
            Call(call.name, self.resolve(call.options | dict(zip(lists, values, strict=True)), partial=partial))
            for values in product(*lists.values())
        ]

    def options_within(self, call: Call, **given: Any) -> dict[str, Any]:
        """The options of a call that another entry makes, which gives those that it can, such as its own radius."""
        return self.resolve(call.options, partial=True) | {n: v for n, v in given.items() if n in self.options}

    def shown(self, call: Call) -> Call:
        """A resolved call as a person writes it: without the options that are at their defaults, a preset by its name."""
        kept = {name: value for name, value in call.options.items() if not self.default(name, value)}
        for preset, options in getattr(self.card, "presets", {}).items():
            if options and all(
                call.options[name] == value
                for name, value in self.resolve(options, partial=True).items()
                if name in options
            ):
                kept = {"preset": preset} | {name: value for name, value in kept.items() if name not in options}
                break
        return Call(call.name, kept)

    def behind(self) -> Behind:
        """Digests of the code that the entry is made of, and of what its function holds.

        Raises:
            UsageError: it holds a value of a kind that cannot be hashed.
        """
        return behind(self.function)

    def source(self) -> dict[str, str]:
        """The code of `behind` alone, by the names of files and modules."""
        return code_behind(self.function)


class AttackEntry(Entry):
    """An attack: an entry that can be called with a model and inputs."""

    def __call__(self, model: nn.Module, inputs: Tensor, labels: Tensor, *, seed: int = 0, **options: Any) -> Tensor:
        """Adversarial inputs, shaped like `inputs`, without the harness: nothing is judged, recorded or stored.

        Args:
            model: any module that maps inputs in [0, 1] to logits, (N, classes); it comes back in the state it was in.
            inputs: in [0, 1], (N, ...): images (N, C, H, W), or anything else for attacks that do not cut squares out of it.
            labels: int64, (N,).
            seed: of the attack's random numbers. They belong to the inputs, as in a run: the same images, the same numbers.
            options: those of the attack, `eps` among them where it has one; `targets` takes classes, (N,), or a rule such as
                "random"; a `source` takes a module.

        Raises:
            UsageError: an option, the inputs or the labels cannot be used.
            ModelError: the model does not return finite logits.

        Example:
            adversarial = robench.ATTACKS["pgd_linf"](net, images, labels, eps=8 / 255)
        """
        from robench.attacking.alone import attack_alone
        from robench.models.blocks import with_own_patch

        for name in self.sources:
            if isinstance(options.get(name), str | Call | None):
                raise UsageError(
                    f"{self.name} needs {name}=…, the torch.nn.Module that is attacked in the model's place"
                )
        held = {name: value for name, value in options.items() if name in [*self.sources, "targets"]}
        tensors = {name: value for name, value in held.items() if not isinstance(value, str | None)}
        written = options | {name: None if name == "targets" else _Held(name) for name in tensors}
        resolved = with_own_patch(self.resolve(written) | tensors, model, "the model")
        return attack_alone(self.function, resolved, model, inputs, labels, name=self.name, seed=whole_seed(seed))

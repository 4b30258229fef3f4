"""Cards: the facts about an entry, given to its decorator; printed, sorted by, and held to by the tests.

Nothing is registered when a decorator runs: it leaves its card on the function, where a registry finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from robench.entries.calls import Call, written
from robench.errors import UsageError, did_you_mean

Function = TypeVar("Function", bound=Callable[..., Any])

Norm = Literal["l0", "l1", "l2", "linf"]
Goal = Literal["budget", "minimal", "natural"]
Knowledge = Literal["white-box", "score", "decision", "transfer", "none"]


@dataclass(frozen=True)
class AttackCard:
    """The facts about an attack that are printed and that a leaderboard sorts by.

    Attributes:
        complete: it breaks an undefended model (99 % of its images) at a generous budget. A contract test holds it to that.
        monotone: its success does not fall as its radius or its steps grow. Likewise.
        confined: only the pixels of the patches chosen by its options `share` and `patch` may change; the judge checks.
        presets: named budgets: `"art"` is that library's default, `"quick"` a cheap one.
        sources: (options, the attacked defense) → the defenses that must be trained before, by option; None: those that
            the options name.
        check: raises UsageError for options that their types allow and the attack does not; called before any work.
        canonical: options → those by which the same attack is always known: one that says what is so anyway becomes its default.
        knowledge_of: options → knowledge, where it depends on them.
        as_it_is: it changes nothing; where a data set's images begin sequences, it shows all frames.
        several: what the T of (N, T, C, H, W) is, which a natural threat may return: frames of a sequence, or draws.
        each: options that stand for a list where they are not given, with what is on it; a stored unit for each.
        given: (options, the evaluated split, the places of its images in the data set's test split) → of which of them it
            has adversarial images, bool, (N,); None: of all. Called before any work; raises where it has none.
    """

    norm: Norm
    goal: Goal
    knowledge: Knowledge = "white-box"
    paper: str = ""
    complete: bool = False
    monotone: bool = False
    confined: bool = False
    presets: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: Callable[[dict[str, Any], Call], dict[str, Call]] | None = None
    check: Callable[[dict[str, Any]], None] | None = None
    canonical: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    knowledge_of: Callable[[dict[str, Any]], Knowledge] | None = None
    as_it_is: bool = False
    several: Literal["frame", "draw"] = "draw"
    each: dict[str, Sequence[Any]] = field(default_factory=dict)
    given: Callable[..., Any] | None = None

    def judged(self) -> list[Any]:
        """What of the card can change a number."""
        return [self.norm, self.goal, self.confined]


@dataclass(frozen=True)
class DefenseCard:
    """The facts about a defense; the declared ones choose how it must be attacked.

    Attributes:
        stochastic: it is random; the mean of many draws is attacked and judged.
        differentiable: False where white-box attacks follow slopes that stand in for its own: the table says so. The use of
            `straight_through` is noticed without that.
        canonical: options → those by which the same model is always known: one that says what is so anyway becomes its default.
        ball: options → (norm, radius) of the ball that it is trained in; None: it is trained in none.
    """

    paper: str = ""
    stochastic: bool = False
    differentiable: bool = True
    canonical: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    ball: Callable[[dict[str, Any]], tuple[Norm, float]] | None = None

    def judged(self) -> list[Any]:
        """What of the card can change a number."""
        return [self.stochastic, self.differentiable]


@dataclass(frozen=True)
class DatasetCard:
    """The facts about a data set, with what suits it: how long to train, how to augment, which radii to attack at.

    Attributes:
        epochs: of a plain training of a small model.
        crop: padding in pixels of random crops.
        flip: whether a mirrored image is still one of its class.
        eps: for each norm the radii that an attack with eps=None is run at, for pixels in [0, 1].
        variants: names of known copies by the test split's fingerprint.
        each: options that stand for a list where they are not given, with what is on it; a data set for each.
        normaliser: published errors of a baseline that means over these data sets are divided by: a file of reports/published.
        reads: beginnings of the names of sets that have no entry of their own and are read with this one.
    """

    paper: str = ""
    epochs: int = 30
    crop: int = 0
    flip: bool = False
    eps: dict[str, list[float]] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    each: dict[str, Sequence[Any]] = field(default_factory=dict)
    normaliser: str = ""
    reads: tuple[str, ...] = ()


Card = AttackCard | DefenseCard | DatasetCard


def untold(options: dict[str, Any], **meant: Any) -> dict[str, Any]:
    """Options in which one that says what its None stands for is None; for `canonical`.

    Example:
        >>> untold({"eps": 0.1, "step_size": 0.025}, step_size=0.025)
        {'eps': 0.1, 'step_size': None}
    """
    return options | {name: None for name, value in meant.items() if options[name] == value}


def check_units(name: str, card: Card, options: dict[str, Any]) -> None:
    """Raises UsageError for a distance in L∞ that no two images have: one in grey levels, most likely."""
    if (options.get("norm") or getattr(card, "norm", None)) != "linf":
        return
    for option in ("eps", "radius", "step_size", "eps_step", "enough"):
        value = options.get(option)
        if isinstance(value, int | float) and value > 1:
            meant = f"; {written(value)}/255 was meant?" if value <= 255 else ""
            raise UsageError(
                f"{option}={written(value)} given to {name}: wanted at most 1, in L∞ for pixels in [0, 1]{meant}"
            )


def attack(
    *,
    norm: Norm,
    goal: Goal,
    knowledge: Knowledge = "white-box",
    paper: str = "",
    complete: bool = False,
    monotone: bool = False,
    confined: bool = False,
    presets: dict[str, dict[str, Any]] | None = None,
    sources: Callable[[dict[str, Any], Call], dict[str, Call]] | None = None,
    check: Callable[[dict[str, Any]], None] | None = None,
    canonical: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    knowledge_of: Callable[[dict[str, Any]], Knowledge] | None = None,
    as_it_is: bool = False,
    several: Literal["frame", "draw"] = "draw",
    each: dict[str, Sequence[Any]] | None = None,
    given: Callable[..., Any] | None = None,
) -> Callable[[Function], Function]:
    """Make a function an attack: `(model, inputs, labels, *, options) -> adversarial inputs`.

    The arguments are those of `AttackCard`.

    Example:
        >>> @attack(norm="linf", goal="budget", knowledge="none")
        ... def brighter(model: Classifier, inputs: Tensor, labels: Tensor, *, eps: Radius) -> Tensor:
        ...     '''Adds eps to every pixel.'''
        ...     return (inputs + eps).clamp(0, 1)
    """
    return _marker(
        AttackCard(
            norm,
            goal,
            knowledge,
            paper,
            complete,
            monotone,
            confined,
            presets or {},
            sources,
            check,
            canonical,
            knowledge_of,
            as_it_is,
            several,
            each or {},
            given,
        )
    )


def defense(
    *,
    paper: str = "",
    stochastic: bool = False,
    differentiable: bool = True,
    canonical: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ball: Callable[[dict[str, Any]], tuple[Norm, float]] | None = None,
) -> Callable[[Function], Function]:
    """Make a function a defense: `(task, *, options) -> Recipe`. The arguments are those of `DefenseCard`.

    Example:
        >>> @defense(paper="mine")
        ... def linear(task: Task, *, seed: int = 0) -> Recipe:
        ...     '''One linear layer.'''
        ...     channels, height, width = task.shape
        ...     model = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, task.classes))
        ...     return Recipe(model, Schedule(steps=200, lr=0.02))
    """
    return _marker(DefenseCard(paper, stochastic, differentiable, canonical, ball))


def dataset(**facts: Any) -> Callable[[Function], Function]:
    """Make a function a data set: `(places, *, options) -> Splits`. The facts are those of `DatasetCard`.

    Example:
        >>> @dataset(epochs=5, eps={"linf": [0.1, 0.2]})
        ... def mine(places: Places) -> Splits:
        ...     '''My images.'''
        ...     return DATASETS["digits"].function(places)
    """
    known = [f.name for f in fields(DatasetCard)]
    for name in facts:
        if name not in known:
            raise UsageError(f"a data set's card has no {name!r}{did_you_mean(name, known)}")
    return _marker(DatasetCard(**facts))


def _marker(card: Card) -> Callable[[Function], Function]:
    def mark(function: Function) -> Function:
        function.robench_card = card  # type: ignore[attr-defined]
        return function

    return mark

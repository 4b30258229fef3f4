"""Results: the records of every unit of a run or of a store, and the tables and numbers made of them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd

from robench.console import columns
from robench.entries.calls import Json
from robench.errors import UsageError, did_you_mean
from robench.records.cards import ModelCard
from robench.records.refusals import Refusal
from robench.records.store import Store
from robench.records.unit import Measured
from robench.reporting.common_norms import norms_on_common
from robench.reporting.corrupted import of_corruptions
from robench.reporting.corruptions import corruption_tables
from robench.reporting.detection import detection_table, of_unseen
from robench.reporting.exchange import AdversarialImages, images_of
from robench.reporting.fidelity import fidelity_table
from robench.reporting.groups import Group, grouped
from robench.reporting.leaderboard.contents import Leaderboard
from robench.reporting.leaderboard.page import write
from robench.reporting.leaderboard.suites import suite as named_suite
from robench.reporting.leaderboard.texts import as_markdown
from robench.reporting.masks import mask_table
from robench.reporting.normalisers import baseline
from robench.reporting.overview import overview
from robench.reporting.robustness import PLAIN, Layout, robustness_table
from robench.reporting.seeds import over_seeds, training_of
from robench.reporting.sequences import of_sequences, sequence_tables
from robench.reporting.summaries import cells_of
from robench.reporting.tables import Table
from robench.reporting.templates import rendered
from robench.reporting.writing.terminal import as_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a run measured, or what a store holds.

    Attributes:
        cards: of the models, by their names.
        refused: rows and cells that could not be measured, each with its reason.
        layout: what the tables show besides.

    Example:
        result = robench.run("vit", ["fgsm(eps=0.1)", "cw_l2"], "digits", n=100)
        print(result.table())
        result.records.groupby("attack")["success"].mean()
    """

    measured: list[Measured]
    cards: Mapping[str, ModelCard] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    layout: Layout = PLAIN

    def __repr__(self) -> str:
        return "\n\n".join([*map(_fitted, self._short()), self._more()])

    def _repr_html_(self) -> str:
        """For notebooks."""
        return rendered("notebook.html.j2", tables=self._short(), more=self._more())

    def _short(self) -> list[Table]:
        """The first table of each group, without the notes that take more than two lines."""
        first = [tables[0] for group in self.groups() if (tables := tables_of(group, self.cards, self.layout))]
        return [replace(table, caption=table.caption[:2]) for table in first]

    def _more(self) -> str:
        refused = f", {len(self.refused):,} refused" if self.refused else ""
        return f"{len(self.measured):,} cells{refused}; more: .table(), .leaderboard(), .records, .images()"

    @classmethod
    def of(cls, measured: list[Measured], store: Store, refused: Sequence[Refusal] = ()) -> Result:
        """With the cards of the models that were measured."""
        models = {one.unit.identity.model for one in measured}
        cards = {name: card for name, card in store.cards().items() if name in models}
        return cls(measured, cards, list(refused))

    def groups(self) -> list[Group]:
        """Units that may stand in one table."""
        return grouped(self.measured, self.refused)

    @property
    def records(self) -> pd.DataFrame:
        """All records, one row for each image and condition, without kept pixels. Its columns:

        - defense, attack, dataset, seed (of the attack), precision (of its passes): what the row is of.
        - image: id of the image. label, clean_prediction: its class, and what was said before the attack. correct: these agree;
          only such images are attacked.
        - eps: the radius, null for a minimal attack. target: the class aimed at. corruption, severity, frame, draw: of natural
          threats. All are null where they do not apply.
        - prediction: by the judge, after the attack. fooled: it is not the label. success: the attack's goal is reached. top5: the
          likeliest classes, of frames. prediction_uint8, success_uint8: after rounding to 8 bits.
        - margin: of the goal, in logits. confidence: probability of the label. certainty: of the prediction.
        - l0, l1, l2, linf: size of the perturbation, pixels in [0, 1].
        - forwards, backwards, seconds: what the attack took.
        """
        frames = [pd.DataFrame()] if not self.measured else []
        for group in self.groups():
            for one in group.units:
                frame = one.records.drop(columns=["adversarial", "clean"], errors="ignore")
                frame.insert(0, "defense", group.label(one))
                frame.insert(1, "attack", group.attack(one))
                frame.insert(2, "dataset", group.name)
                frame.insert(3, "seed", one.unit.identity.seed)
                frame.insert(4, "precision", one.unit.identity.precision)
                frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def tables(self) -> list[Table]:
        """A table a data set in the style of the papers, averages over training seeds, norms on images broken in both rows."""
        tables = [table for group in self.groups() for table in tables_of(group, self.cards, self.layout)]
        return [*self.overview(), *tables]

    def overview(self) -> list[Table]:
        """One table over all data sets and threats, in parts where it is wide; none where no natural threat was met."""
        found = _made("Overview", lambda: overview(self.groups(), self.cards))
        return found.pieces() if found else []

    def against(self, base: str | None, *, sizes: bool = False, normaliser: Path | None = None) -> Result:
        """The same, its tables with each row's differences to a base row, or with the models' sizes.

        Args:
            base: label of the row, as the table has it.
            sizes: show parameters and multiply-accumulates beside accuracy.
            normaliser: a CSV of what a baseline does, for means over it: corruption, severity, error for an mCE; perturbation and
                flip_probability or top5_distance, or both, for mFR and mT5D.

        Raises:
            UsageError: there is no such row.
            DataError: the normaliser cannot be read.

        Example:
            print(robench.run(["vit", "ksa"], "cw_l2", "digits").against("vit", sizes=True).table())
        """
        labels = [label for group in self.groups() for label in group.defenses.values()]
        if base is not None and base not in labels:
            raise UsageError(
                f"the rows of the tables are {', '.join(labels)}; none is {base!r}{did_you_mean(base, labels)}"
            )
        return replace(self, layout=Layout(base, sizes, None if normaliser is None else baseline(normaliser)))

    def table(self) -> str:
        """All tables as text."""
        return "\n\n".join(map(_fitted, self.tables()))

    def leaderboard(self, out: str | Path | None = None, *, suite: str | None = None) -> str:
        """The boards as Markdown; rows are ranked by their worst case where they met a suite's attacks at one radius.

        Args:
            out: a file to write as well: .html, .md, .json, .csv.
            suite: whose attacks are required of every row; None: that of each board's norm.

        Raises:
            UsageError: there is nothing for a board, or no such suite, or a suffix that says no format.

        Example:
            result = robench.run(["vit", "ksa"], robench.suite("linf(eps=0.1)"), "digits", n=100)
            print(result.leaderboard("board.html"))
        """
        only = named_suite(suite) if suite else None
        found = Leaderboard.of(self.groups(), self.cards, suite=only)
        if not found.boards:
            raise UsageError(
                "nothing of this result belongs to a board: no defense was attacked with any of a suite's attacks at a radius; "
                "run one with robench.suite('linf')"
            )
        if out is not None:
            write(found, Path(out))
        return as_markdown(found)

    def summary(self) -> list[dict[str, Json]]:
        """The numbers of each unit with their denominators and intervals, as plain values."""
        return [cell for group in self.groups() for cell in cells_of(group)]

    def images(
        self, *, defense: str | None = None, attack: str | None = None, dataset: str | None = None
    ) -> AdversarialImages:
        """The adversarial images of one cell, in the order of the data set's own test split.

        Args:
            defense, attack, dataset: which cell, where there are several: a name, or a call as the table has it.

        Raises:
            UsageError: several cells are meant or none, or not all of its images were kept (`keep_images=True`).

        Example:
            found = robench.run("vit", "pgd_linf(eps=0.1)", "digits", n=100, keep_images=True).images()
            found.images.shape, found.ids[0], (found.images - found.clean).max()
        """
        for name, given in (("defense", defense), ("attack", attack), ("dataset", dataset)):
            if given is not None and not isinstance(given, str):
                raise UsageError(
                    f"{name}={type(given).__name__} given to images; a text is wanted, as the table has it"
                )
        return images_of(self.groups(), defense, attack, dataset)

    def failures(self) -> list[dict[str, Json]]:
        """Rows and cells that could not be measured, as plain values; `attack` is null for a whole row."""
        return [
            {
                "defense": str(one.defense),
                "attack": None if one.attack is None else str(one.attack),
                "dataset": str(one.dataset),
                "seed": one.seed,
                "precision": one.precision,
                "reason": one.reason,
            }
            for one in self.refused
        ]

    def models(self) -> list[dict[str, Json]]:
        """The cards of the models, as plain values, without the study of their attention."""
        cards = [replace(card, study=None) for card in self.cards.values() if card.weights]
        return [{**asdict(c), "defense": str(c.defense), "dataset": str(c.dataset)} for c in cards]


def _fitted(table: Table) -> str:
    return as_text(table, width=columns(sys.stdout))


def tables_of(group: Group, cards: Mapping[str, ModelCard], layout: Layout = PLAIN) -> list[Table]:
    """The tables of one group. One that cannot be made says so in its place."""
    natural = _several(
        f"Natural threats, {group.name}",
        lambda: [
            *corruption_tables(group, cards, layout.base, layout.normaliser),
            *sequence_tables(group, layout.base, layout.normaliser),
        ],
    )
    found = _made(f"Detection of unseen classes, {group.name}", lambda: detection_table(group))
    fidelity = _made(f"Fidelity on {group.name}", lambda: fidelity_table(group))
    natural += [table for table in (found, fidelity) if table]
    group = group.where(lambda unit: not (of_corruptions(unit) or of_sequences(unit) or of_unseen(unit)))
    if not group.units and natural:
        return _pieces(natural)
    robustness = _made(f"Robustness on {group.name}", lambda: robustness_table(group, cards, layout))
    others = [
        _made("Norms on images broken in both rows", lambda: norms_on_common(group)),
        _made("Patch threats over masks", lambda: mask_table(group)),
    ]
    if robustness and robustness.rows:
        units = [group.of(model)[0].unit for model in group.defenses]
        trainings = [training_of(unit.spec.defense, unit.identity) for unit in units]
        others.insert(0, _made("Averages over training seeds", lambda: over_seeds(robustness, trainings)))
    return _pieces([*(table for table in (robustness, *others) if table), *natural])


def _pieces(tables: Sequence[Table]) -> list[Table]:
    return [piece for table in tables for piece in table.pieces()]


def _several(title: str, make: Callable[[], list[Table]]) -> list[Table]:
    try:
        return make()
    except Exception as error:
        log.exception("%s", title)
        return [Table(title, [], [], [f"{title} could not be made: {type(error).__name__}: {error}"])]


def _made(title: str, make: Callable[[], Table | None]) -> Table | None:
    try:
        return make()
    except Exception as error:  # one odd cell must not take the other tables away
        log.exception("%s", title)
        return Table(title, [], [], [f"{title} could not be made: {type(error).__name__}: {error}"])

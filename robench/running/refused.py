"""Rows whose model is refused and cells whose attack breaks down: noted with their reason, while the others go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from robench.console import Reporter
from robench.errors import AttackError, ModelError, RobenchError
from robench.records.refusals import Refusal, accept, refuse
from robench.running.conditions import Condition
from robench.running.rows import Row
from robench.running.settings import Settings

log = logging.getLogger(__name__)


@dataclass
class Refused:
    """What a run could not measure; each also in the store, until a later run can.

    Attributes:
        found, errors: as they came.
        last: whether the last block failed.
    """

    store: Path
    settings: Settings
    reporter: Reporter
    found: list[Refusal] = field(default_factory=list)
    errors: list[RobenchError] = field(default_factory=list)
    last: bool = False

    @contextmanager
    def unless(self, row: Row, condition: Condition | None, model: str = "") -> Iterator[None]:
        """A block that measures a row, or one cell of it; what is wrong with the model or the attack ends the block only.

        Args:
            condition: None: the whole row.
            model: name of the trained model; empty where there is none yet.
        """
        reason, self.last = "", False
        try:
            yield
        except (ModelError, AttackError) as error:
            reason, self.last = str(error), True
            self.errors.append(error)
        refusal = Refusal(
            defense=row.call,
            dataset=row.data.call,
            attack=condition.shown if condition else None,
            data=row.data.fingerprint,
            model=model,
            seed=self.settings.seed,
            precision=self.settings.precision,
            reason=reason,
            created=time.time(),
        )
        if not reason:
            accept(self.store, refusal.name)
            return
        what = f"{row.name} on {row.data.name}"
        self.reporter.say(
            f"{what} under {condition.text} broke down: {reason}" if condition else f"{what} is refused: {reason}"
        )
        log.warning("%s, %s: %s", what, condition.text if condition else "refused", reason)
        self.found.append(refusal)
        refuse(self.store, refusal)

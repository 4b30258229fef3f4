"""What an exported cell says of itself."""

from __future__ import annotations

from measured import records, unit

from robench.records.unit import Measured
from robench.reporting.printed import Printed, printed


def of(**changes: object) -> Printed:
    return printed(Measured(unit(**changes), records([True])))


def test_other_code_is_told_and_other_options_are_none() -> None:
    assert of().code and of().code == of(mu=2.0).code == of(weights="other").code
    assert len({of().code, of(code="c1").code, of(attack_code="a1").code}) == 3


def test_a_corruption_in_patches_is_none_of_whole_images() -> None:
    fog = {"goal": "natural", "corruption": "fog", "severity": 3}
    assert of(**fog).of_corruption
    within = of(**fog, share=(0.1, 0.125))
    assert (within.corruption, within.severity, within.of_corruption) == (None, None, False)

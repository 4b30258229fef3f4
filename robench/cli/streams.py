"""Standard output and error that take whatever is printed: other encodings, closed pipes, full disks.

Two things end a command in the middle of what it says: a sign that the terminal's encoding does not have, and a reader
that has gone. Neither may cost a report, let alone what was measured, so both are dealt with here, below all printing.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import sys
from typing import TextIO

from robench.reporting.writing.raised import RAISED

_SIGNS = """
    – -    — --   − -    ─ -    ━ -    ╸ -    ╺ -    │ |    ├ |    └ `    █ #    · .    … ...  • *    × x    ° deg
    ↑ ^    ↓ v    → ->   ← <-   ± +/-  ∞ inf  ≤ <=   ≥ >=   ≠ !=   ≈ ~    ² ^2   ³ ^3   ₀ 0    ₁ 1    ₂ 2    √ sqrt
    ∈ in   ‖ ||   † +    ✓ yes  ✗ no   ‘ '    ’ '    “ "    ” "    « "    » "    Δ Delta       Σ sum
    α alpha       β beta        γ gamma       δ delta       ε eps  η eta  θ theta       κ kappa       λ lambda
    μ mu   µ mu   π pi   ρ rho  σ sigma       τ tau  φ phi
"""
_WORDS = _SIGNS.split()
_NOTES = {sign: f"({letter})" for letter, sign in RAISED.items()}
SUBSTITUTES = {**dict(zip(_WORDS[::2], _WORDS[1::2], strict=True)), **_NOTES, "\xa0": " "}
"""What stands for a sign where the encoding does not have it; all else is written as Python escapes it in a string."""
HANDLER = "robench"
_GAP = re.compile(f"([ -~{''.join(SUBSTITUTES)}]*?)(  +)(?=[^ \n])")


def substituted(error: UnicodeError) -> tuple[str, int]:
    """Stands for signs that an encoding does not have; an error handler for `codecs.register_error`.

    Where a substitute is wider than its sign, the next gap between two columns gives way, so that tables stay aligned.

    Raises:
        UnicodeError: in decoding, which it is not for.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs, end = error.object[error.start : error.end], error.end
    text = "".join(SUBSTITUTES.get(sign) or _escaped(sign) for sign in signs)
    gap = _GAP.match(error.object, end) if len(text) > len(signs) else None
    if gap:
        text += "".join(SUBSTITUTES.get(sign, sign) for sign in gap[1])
        wider = len(text) - len(signs) - len(gap[1])
        text, end = text + gap[2][min(wider, len(gap[2]) - 1) :], gap.end()
    return text, end


def _escaped(sign: str) -> str:
    """A byte that is no text (it is carried in a lone surrogate) is written as a byte."""
    if "\udc80" <= sign <= "\udcff":
        return f"\\x{ord(sign) - 0xDC00:02x}"
    return sign.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(HANDLER, substituted)


def signs_for(stream: TextIO) -> dict[str, str]:
    """What stands for the signs that a stream's encoding does not have; none where it has them all."""
    try:
        "".join(SUBSTITUTES).encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        return SUBSTITUTES
    return {}


class Steady(io.FileIO):
    """A file that takes everything, also when nothing can be written any more.

    Attributes:
        failed: the first error; from it on, what is written is dropped.
        otherwise: where what is dropped can be found, as the end of a message.
    """

    failed: OSError | None = None
    otherwise: str = ""

    def write(self, data: object, /) -> int:
        if self.failed is None:
            try:
                return super().write(data)  # type: ignore[arg-type]
            except OSError as error:
                self.failed = error
        return memoryview(data).nbytes  # type: ignore[arg-type]

    @property
    def full(self) -> str | None:
        """Why what was written is not there; None where it is, and where its reader went away, as `head` does."""
        return None if self.failed is None or self.failed.errno == errno.EPIPE else self.failed.strerror


def found_otherwise(where: str) -> None:
    """Say where what is printed from now on can be found, should it be lost."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, Steady):
        raw.otherwise = f"; {where}"


def make_steady() -> Steady | None:
    """Put steady files in place of standard output and error; returns that of standard output.

    Those that are closed become /dev/null: else the next file that is opened would take their place and be printed into.
    Streams that are no files (a test's) stay as they are.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            if (opened := os.open(os.devnull, os.O_RDWR)) != number:
                os.dup2(opened, number)
                os.close(opened)
            raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
            setattr(sys, name, io.TextIOWrapper(raw, encoding="utf-8"))
    output = _steady("stdout")
    _steady("stderr")
    return output


def _steady(name: str) -> Steady | None:
    stream = getattr(sys, name)
    try:
        number = stream.fileno()
        stream.flush()
        raw = Steady(number, "w", closefd=False)
    except (AttributeError, OSError, ValueError):
        return None
    text = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=HANDLER,
        line_buffering=name == "stderr" or stream.isatty(),
    )
    setattr(sys, name, text)
    return raw

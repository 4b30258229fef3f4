"""A baseline: what became of each image, cell by cell, in one small JSON file that is committed and read in reviews.

    images     ids of the images, once for all cells that have the same
    cells      what each is of; its counts in words; one bit an image and, of minimal attacks, 12 bits for a size
    accepted   regressions that are accepted for a time: by whom a gate is measured until then

The counts that a person reads are compared with the bits when the file is read.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robench.errors import MissingError, UsageError
from robench.files import atomic_path, parse_json, read_bytes
from robench.gate.cells import FAILED, Cell, Flags
from robench.hashing import digest
from robench.reporting.printed import Printed

SCHEMA = 1
_ID = re.compile("[0-9a-f]{16}")
_KIND = "robench baseline"


@dataclass(frozen=True)
class Acceptance:
    """A regression that is accepted for a time. What it was then is the baseline of its cells until then.

    Attributes:
        gate: its id.
        expires: the last day.
        cells: as they were when it was accepted.
    """

    gate: str
    reason: str
    expires: date
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True)
class Baseline:
    """Cells to be compared with, and what of their regressions is accepted."""

    cells: list[Cell]
    accepted: list[Acceptance] = field(default_factory=list)

    def write(self, path: Path) -> Path:
        """Write it, whole or not at all."""
        images: dict[str, list[str]] = {}

        def plain(cell: Cell) -> dict[str, Any]:
            ids = cell.images.tolist()
            name = digest(ids)
            images[name] = ids
            return _plain(cell, name)

        cells = [plain(cell) for cell in sorted(self.cells, key=lambda cell: (*cell.identity.key, cell.identity.seed))]
        accepted = [
            {
                "gate": one.gate,
                "reason": one.reason,
                "expires": one.expires.isoformat(),
                "cells": [plain(cell) for cell in one.cells],
            }
            for one in self.accepted
        ]
        content = {
            "kind": _KIND,
            "schema": SCHEMA,
            "version": version("robench"),
            "made": datetime.now(UTC).date().isoformat(),
            "images": {name: _packed(ids) for name, ids in sorted(images.items())},
            "cells": cells,
            "accepted": accepted,
        }
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Read one.

        Raises:
            MissingError: there is none, or one of another schema.
            UsageError: it is no baseline, or it is damaged; the message says where.
        """
        try:
            text = read_bytes(path).decode()
        except FileNotFoundError as error:
            raise MissingError(
                f"there is no baseline {path}; write one with `robench baseline write --out {path}` and commit it"
            ) from error
        except OSError as error:
            raise UsageError(f"the baseline {path} cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"the baseline {path} is damaged: it is not in UTF-8; restore it from git") from error
        try:
            content = parse_json(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"the baseline {path} is no JSON: {error}; restore it from git") from error
        if not isinstance(content, dict) or content.get("kind") != _KIND:
            raise UsageError(
                f"{path} is no baseline; write one with `robench baseline write --out baseline.json`, and give that"
            )
        if content.get("schema") != SCHEMA:
            raise MissingError(
                f"the baseline {path} is of schema {content.get('schema')}, this robench reads schema {SCHEMA}; write it anew "
                "with `robench baseline write`, from a store of the commit that it stands for"
            )
        return _read(content, path)


def _read(content: dict[str, Any], path: Path) -> Baseline:
    where = "its images"
    try:
        images = {str(name): _unpacked(one) for name, one in content["images"].items()}
        cells = list[Cell]()
        for place, plain in enumerate(content["cells"], 1):
            where = f"its {_ordinal(place)} cell"
            cells.append(_cell(plain, images))
        accepted = list[Acceptance]()
        for place, plain in enumerate(content["accepted"], 1):
            where = f"its {_ordinal(place)} acceptance"
            own = [_cell(one, images) for one in plain["cells"]]
            expires = date.fromisoformat(plain["expires"])
            accepted.append(Acceptance(_text(plain["gate"]), _text(plain["reason"]), expires, own))
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, zlib.error) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"the baseline {path} is damaged in {where}: {why}; restore it from git, or write it anew"
        ) from error
    return Baseline(cells, accepted)


def _ordinal(place: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place % 10 if place % 100 not in (11, 12, 13) else 0, "th")
    return f"{place}{ending}"


def _plain(cell: Cell, images: str) -> dict[str, Any]:
    found: dict[str, Any] = cell.identity.plain() | {"images": images}
    if cell.refused:
        return found | {"refused": cell.refused}
    found |= {"correct": _counted(cell.correct), "robust": _counted(cell.robust)}
    found |= {"correct_bits": _bits(cell.correct), "robust_bits": _bits(cell.robust)}
    if cell.sizes is not None:
        found["sizes"] = base64.b64encode(zlib.compress(cell.sizes.astype("<u2").tobytes(), 9)).decode()
    if cell.unsteady is not None:
        found |= {"unsteady": _counted(cell.unsteady), "unsteady_bits": _bits(cell.unsteady), "flips": cell.flips}
    return found


def _cell(plain: dict[str, Any], images: dict[str, NDArray[np.str_]]) -> Cell:
    plain = dict(plain)
    ids = images[plain.pop("images")]
    bits, said = dict[str, Any](), dict[str, Any]()
    for name in ("correct", "robust", "unsteady"):
        said[name], bits[name] = plain.pop(name, None), plain.pop(f"{name}_bits", None)
    sizes, refused, flips = plain.pop("sizes", None), plain.pop("refused", ""), plain.pop("flips", 0.0)
    if not isinstance(flips, int | float) or not 0 <= flips <= 1:
        raise ValueError(f"flips is {flips!r}; a share is wanted")
    identity = Printed.of(plain)
    if refused:
        none = np.zeros(0, dtype=bool)
        return Cell(identity, np.zeros(0, dtype=np.str_), none, none, refused=str(refused))
    flags = {name: None if text is None else _flags(text, len(ids)) for name, text in bits.items()}
    if flags["correct"] is None or flags["robust"] is None:
        raise KeyError("correct_bits" if flags["correct"] is None else "robust_bits")
    for name, own in flags.items():
        if own is not None and said[name] != _counted(own):
            raise ValueError(f'it says "{name}": "{said[name]}", and its bits say "{_counted(own)}"')
    codes = None
    if sizes is not None:
        unpacked = zlib.decompressobj().decompress(
            _bytes(sizes), 2 * len(ids) + 1
        )  # and not what a small text may swell to
        if len(unpacked) != 2 * len(ids):
            raise ValueError(f"it has other than {len(ids)} sizes for {len(ids)} images")
        codes = np.frombuffer(unpacked, dtype="<u2").astype(np.uint16)
        if int(codes.max(initial=0)) > FAILED:
            raise ValueError("a size is out of range")
    return Cell(identity, ids, flags["correct"], flags["robust"], codes, flags["unsteady"], flips)


def _counted(flags: Flags) -> str:
    return f"{int(flags.sum())} of {len(flags)}"


def _bits(flags: Flags) -> str:
    return base64.b64encode(np.packbits(flags).tobytes()).decode()


def _flags(text: str, count: int) -> Flags:
    packed = np.frombuffer(_bytes(text), dtype=np.uint8)
    if len(packed) != -(-count // 8):
        raise ValueError(f"it has bits for {8 * len(packed)} images and not for {count}")
    return np.unpackbits(packed, count=count).astype(bool)


def _packed(ids: Sequence[str]) -> dict[str, Any]:
    """Ids of 16 hexadecimal digits as bytes; others as they are."""
    if all(map(_ID.fullmatch, ids)):
        return {"count": len(ids), "ids": base64.b64encode(bytes.fromhex("".join(ids))).decode()}
    return {"count": len(ids), "names": list(ids)}


def _unpacked(plain: dict[str, Any]) -> NDArray[np.str_]:
    if "names" in plain:
        ids = [_text(name) for name in plain["names"]]
    else:
        text = _bytes(plain["ids"]).hex()
        ids = [text[start : start + 16] for start in range(0, len(text), 16)]
    if len(ids) != plain["count"] or ids != sorted(set(ids)):
        raise ValueError(f"{plain['count']} different ids in their order are wanted")
    return np.array(ids, dtype=np.str_)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    value.encode()  # else it could be read and not be written
    return value


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise ValueError(f"{str(text)[:20]!r} is not in base64") from error

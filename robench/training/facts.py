"""What is written beside a file of trained weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from robench.entries.calls import Json
from robench.files import atomic_path, parse_json
from robench.hashing import digest


@dataclass(frozen=True)
class WeightFacts:
    """What is written beside a file of weights.

    Attributes:
        sha256: of the file.
        log: SHA-256 of the log of the training; empty where there was none.
        seconds: that the training took.
        sources: digests of the weights of the models that it was made with, by option.
    """

    defense: str
    sha256: str
    log: str
    seconds: float
    parameters: int
    sources: dict[str, str | None]
    identity: dict[str, Json]
    torch: str
    device: str

    @classmethod
    def read(cls, folder: Path, tell: Callable[[str], None] = lambda _: None) -> WeightFacts | None:
        """Those of a folder; None where it has no weights, or what is written of them is damaged, which is told."""
        path = folder / "facts.json"
        if not path.exists() or not (folder / "weights.safetensors").is_file():
            return None
        try:
            content = parse_json(path.read_text(encoding="utf-8"))
            claimed = content.pop("digest")
            if claimed == digest(content, 64):
                return cls(**content)
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            pass
        tell(f"{path}, which says what the weights beside it are, is damaged; training again")
        return None

    def write(self, folder: Path) -> None:
        """Write them, whole or not at all."""
        with atomic_path(folder / "facts.json") as temporary:
            content = asdict(self)
            temporary.write_text(json.dumps({**content, "digest": digest(content, 64)}, indent=1), encoding="utf-8")

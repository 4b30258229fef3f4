"""What is written beside a file of trained weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from robench.entries.calls import Json
from robench.files import atomic_path


@dataclass(frozen=True)
class WeightFacts:
    """What is written beside a file of weights.

    Attributes:
        sha256: of the file.
        seconds: that the training took.
        sources: digests of the weights of the models that it was made with, by option.
    """

    defense: str
    sha256: str
    seconds: float
    parameters: int
    sources: dict[str, str | None]
    identity: dict[str, Json]
    torch: str
    device: str

    @classmethod
    def read(cls, folder: Path) -> WeightFacts | None:
        """Those of a folder; None where it has no weights."""
        try:
            facts = cls(**json.loads((folder / "facts.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return facts if (folder / "weights.safetensors").is_file() else None

    def write(self, folder: Path) -> None:
        """Write them, whole or not at all."""
        with atomic_path(folder / "facts.json") as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

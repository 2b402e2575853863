"""The models in the box, and those that a user keeps elsewhere. Imports neither torch nor safetensors.

A model is a file `NAME.safetensors` with its card `NAME.json` beside it: fingerprint, size, how it was
trained, what was measured. `bitfloor train` writes both. The box is this folder; further folders are named
in the environment variable BITFLOOR_MODELS.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelError

FOLDERS_VARIABLE = "BITFLOOR_MODELS"


@dataclass(frozen=True)
class ModelEntry:
    """One model: where it is, which files it decodes, where it comes from.

    `training` says data, steps, hardware and seed; `points` holds measured rows of quality, bpp and psnr.
    """

    name: str
    codec: str
    path: Path
    fingerprint: bytes
    parameters: int
    training: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[Mapping[str, float], ...] = ()
    shipped: bool = True

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size


def entries() -> list[ModelEntry]:
    """All models, the shipped ones first; the first of a codec is its default. Raises ModelError."""
    own = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    folders = [Path(__file__).parent, *(Path(folder) for folder in own if folder)]
    return [entry for number, folder in enumerate(folders) for entry in _in_folder(folder, number == 0)]


def find(codec: str, model: str | None = None, fingerprint: bytes | None = None) -> Path:
    """Path of the model called `model` (a name or a path), else of the one with that fingerprint, else of the default.

    Raises ModelError where there is none.
    """
    if model is not None and Path(model).suffix == ".safetensors":
        if Path(model).is_file():
            return Path(model)
        raise ModelError(f"there is no model file {model}")
    known = [entry for entry in entries() if entry.codec == codec]
    for entry in known:
        if model is None and fingerprint is None:
            return entry.path
        if entry.name == model or (model is None and entry.fingerprint == fingerprint):
            return entry.path
    if not known:
        raise ModelError(f"no model for {codec} is here: put one into a folder named in {FOLDERS_VARIABLE}")
    wanted = repr(model) if model else f"with fingerprint {(fingerprint or b'').hex()}"
    names = ", ".join(entry.name for entry in known)
    raise ModelError(
        f"no {codec} model {wanted} is here (there is: {names}); put it into a folder named in {FOLDERS_VARIABLE}"
    )


def _in_folder(folder: Path, shipped: bool) -> Iterator[ModelEntry]:
    for card in sorted(folder.glob("*.json")):
        if card.with_suffix(".safetensors").is_file():
            yield _entry(_read(card), card.with_suffix(".safetensors"), shipped)


def _entry(row: Mapping[str, Any], path: Path, shipped: bool) -> ModelEntry:
    try:
        return ModelEntry(
            name=path.stem,
            codec=str(row["codec"]),
            path=path,
            fingerprint=bytes.fromhex(row["fingerprint"]),
            parameters=int(row["parameters"]),
            training=row.get("training", {}),
            points=tuple(row.get("points", ())),
            shipped=shipped,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card of the model {path} is incomplete: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    if not isinstance(loaded, dict):
        raise ModelError(f"{path} is no card of a model")
    return loaded

"""The models in the box, and those that a user keeps elsewhere. Imports neither torch nor safetensors.

A model is a file `NAME.safetensors` with its card `NAME.json` beside it: fingerprint, size, how it was
trained, what was measured. `bitfloor train` writes both. The box is this folder; further folders are named
in the environment variable BITFLOOR_MODELS. Two models may have the same name; then the name chooses neither.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ModelError, UsageError

FOLDERS_VARIABLE = "BITFLOOR_MODELS"
BOX = Path(__file__).parent
SUFFIX = ".safetensors"
TUNES = ("psnr", "visual")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelEntry:
    """One model: where it is, which files it decodes, where it comes from.

    `training` says data, steps, hardware and seed; `points` holds measured rows of quality, bpp and psnr. `tune` is
    one of `TUNES`: what a network of pictures was trained for, PSNR or the eye.
    """

    name: str
    codec: str
    path: Path
    fingerprint: bytes
    parameters: int
    training: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[Mapping[str, float], ...] = ()
    shipped: bool = True
    tune: str = "psnr"

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size


def entries() -> list[ModelEntry]:
    """All models, the shipped ones first; the first of a codec that is not tuned is its default. Raises ModelError."""
    own = [Path(folder) for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder]
    for folder in own:
        if not folder.is_dir():
            _say_once(f"{FOLDERS_VARIABLE} names {folder}, which is no folder")
    found: dict[Path, ModelEntry] = {}  # by file: a folder may be named twice
    for number, folder in enumerate([BOX, *own]):
        for entry in _in_folder(folder, shipped=number == 0):
            found.setdefault(entry.path.resolve(), entry)
    return list(found.values())


def find(codec: str, model: str | os.PathLike[str] | None = None, fingerprint: bytes | None = None) -> Path:
    """Path of the model `model`, else of the one with that fingerprint, else of the default.

    `model` is a name or a fingerprint that `bitfloor models` shows, a file, or a folder with one model of the codec.
    Raises ModelError where there is none, or where several models have the name; UsageError for what can be none.
    """
    if model is not None:
        return _named(codec, model)
    known = [entry for entry in entries() if entry.codec == codec]
    for entry in known:
        if entry.fingerprint == fingerprint or (fingerprint is None and entry.tune == TUNES[0]):
            return entry.path
    raise _missing(codec, f"with fingerprint {fingerprint.hex()}" if fingerprint else "", known)


def tuned(codec: str, tune: str, model: str | os.PathLike[str] | None = None) -> Path:
    """Path of the first model of `codec` that is tuned so.

    Raises ModelError where there is none; UsageError for no word of `TUNES`, or where `model` is named, too.
    """
    if tune not in TUNES:
        raise UsageError(f"tune is one of {', '.join(TUNES)}, not {tune!r}")
    if model is not None:
        raise UsageError("a model is tuned already: name a model, or what to tune for, but not both")
    known = [entry for entry in entries() if entry.tune == tune]
    for entry in known:
        if entry.codec == codec:
            return entry.path
    others = ", ".join(dict.fromkeys(entry.codec for entry in known)) or "no codec"
    raise ModelError(f"no {codec} model that is tuned for {tune!r} is here; there is one for {others}")


def same_name(entry: ModelEntry, others: Iterable[ModelEntry]) -> list[ModelEntry]:
    """The other models of the same codec and name, which the name alone therefore does not tell apart."""
    return [o for o in others if (o.codec, o.name) == (entry.codec, entry.name) and o.path != entry.path]


def _named(codec: str, model: str | os.PathLike[str]) -> Path:
    if not isinstance(model, (str, os.PathLike)) or not os.fspath(model):
        raise UsageError(f"a model is a name or a path, not {model!r}")
    path, name = Path(model), os.fspath(model)
    if path.suffix == SUFFIX:
        if path.is_file():
            return path
        raise ModelError(f"there is no model file {path}")
    known = [entry for entry in entries() if entry.codec == codec]
    found = [entry for entry in known if name in (entry.name, entry.fingerprint.hex())]
    if not found and path.is_dir():
        found = [entry for entry in _in_folder(path, shipped=False) if entry.codec == codec]
        if not found:
            raise ModelError(f"the folder {path} holds no {codec} model with its card")
    if len(found) > 1:
        several = ", ".join(f"{entry.path} ({entry.fingerprint.hex()})" for entry in found)
        raise ModelError(f"{name!r} may be any of several models, name one by its path: {several}")
    if not found:
        raise _missing(codec, repr(name), known)
    return found[0].path


def _missing(codec: str, wanted: str, known: Iterable[ModelEntry]) -> ModelError:
    names = ", ".join(entry.name for entry in known)
    what = f"no {codec} model {wanted} is here (there is: {names})" if names else f"no model for {codec} is here"
    return ModelError(f"{what}: give its path with --model, or put it into a folder named in {FOLDERS_VARIABLE}")


@cache
def _say_once(words: str) -> None:
    _log.warning(words)


def _in_folder(folder: Path, shipped: bool) -> Iterator[ModelEntry]:
    for card in sorted(folder.glob("*.json"), key=lambda path: path.stem):  # NAME comes before NAME-visual
        if card.with_suffix(SUFFIX).is_file():
            yield _entry(_read(card), card.with_suffix(SUFFIX), shipped)


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
            tune=str(row.get("tune", TUNES[0])),
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

"""How a trained model gets its name and its card.

A model is called CODEC-FINGERPRINT if nobody names it, so that it is never mistaken for another one. Where a name is
given twice in a folder, the earlier model stays under its own full name: files that were made with it need it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ... import weights
from ...errors import UsageError


def check_name(codec: str, name: str) -> None:
    """Raise UsageError for a name that no model may have: one with a folder or a suffix, or that of a shipped one."""
    if Path(name).name != name or name.endswith(weights.SUFFIX) or name.startswith("."):
        raise UsageError(f"{name!r} is no name of a model: give one without folder and suffix")
    if any(entry.shipped and (entry.codec, entry.name) == (codec, name) for entry in weights.entries()):
        raise UsageError(f"{name!r} is the name of a model in the package: give another one")


def write_model(folder: Path, name: str | None, write: Callable[[Path], bytes], card: Mapping[str, Any]) -> Path:
    """Write a model and its card into `folder`; returns the model's path.

    `write` writes the model to a path and returns its fingerprint; `card` is what else the card says, its codec
    among it. Raises UsageError as `check_name`.
    """
    codec = str(card["codec"])
    if name is not None:
        check_name(codec, name)
    partial = folder / f".{codec}.partial{weights.SUFFIX}"
    fingerprint = write(partial).hex()
    path = folder / f"{name or f'{codec}-{fingerprint}'}{weights.SUFFIX}"
    _move_aside(path, fingerprint)
    text = json.dumps({"codec": codec, "fingerprint": fingerprint, **card}, indent=2) + "\n"
    partial.with_suffix(".json").write_text(text, encoding="utf-8")
    os.replace(partial, path)
    os.replace(partial.with_suffix(".json"), path.with_suffix(".json"))
    return path


def _move_aside(path: Path, fingerprint: str) -> None:
    """Give a model of another fingerprint that has this path a name of its own."""
    card = path.with_suffix(".json")
    if not (path.exists() and card.exists()):
        return
    earlier = str(json.loads(card.read_text(encoding="utf-8")).get("fingerprint"))
    if earlier != fingerprint:
        kept = path.with_name(f"{path.stem}-{earlier}{path.suffix}")
        os.replace(path, kept)
        os.replace(card, kept.with_suffix(".json"))

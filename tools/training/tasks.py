"""The tasks by codec: what `bitfloor train --codec NAME` trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from ...errors import UsageError
from .task import Task

Config = TypeVar("Config")


def make_task(codec: str, preset: str, places: Sequence[Path], batch: int, crop: int, folder: Path) -> Task:
    """The training task of a codec on the data in `places`; `crop` is for pictures.

    The token model of the speech codec is trained after the codec, on the network of the checkpoint in `folder`.

    Raises:
        UsageError: for an unknown codec or preset.
        ModelError: for the token model, when there is no checkpoint of a network with codebooks.
        UnreadableInputError: when there is nothing to train on.
    """
    if codec == "mlicv2":
        from ...codecs.mlicv2.model import PRESETS as MLICV2_PRESETS
        from .mlicv2 import MLICv2Task

        return MLICv2Task(_preset(MLICV2_PRESETS, preset), places, batch, crop, late_crop=crop * 3 // 2)
    if codec == "secodec":
        from ...codecs.secodec.model import PRESETS as SECODEC_PRESETS
        from .secodec import SECodecTask

        return SECodecTask(_preset(SECODEC_PRESETS, preset), places, batch=batch)
    if codec == "secodec-tokens":
        from .export_secodec import load_network
        from .tokens import TokenTask

        return TokenTask(load_network(folder, preset), places, batch=batch)
    raise UsageError(f"cannot train codec '{codec}': choose mlicv2, secodec or secodec-tokens")


def _preset(presets: dict[str, Config], name: str) -> Config:
    if name not in presets:
        raise UsageError(f"no preset '{name}': there is {', '.join(presets)}")
    return presets[name]

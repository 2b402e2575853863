"""The tasks by codec: what `bitfloor train --codec NAME` trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...entropy_models.structural.quantiser import check_rule
from ...errors import UsageError
from .task import Task

Config = TypeVar("Config")


@dataclass(frozen=True)
class SpeechOptions:
    """How the speech codec finds and uses its codebooks; the rest of what a paper's ablation needs.

    Attributes:
        rule: "nearest" or "structural", how frames find their codes in the first layer.
        codes: codes of the first layer by k-means; None for structural entropy, which finds their number.
        neighbours: of a frame in the graph; the fewer, the more codes structural entropy finds.
    """

    rule: str = "nearest"
    codes: int | None = None
    neighbours: int = 10


def make_task(
    codec: str,
    preset: str,
    places: Sequence[Path],
    *,
    batch: int,
    crop: int,
    folder: Path,
    speech: SpeechOptions | None = None,
    drawings: float = 0.0,
) -> Task:
    """The training task of a codec on the data in `places`; `crop` and `drawings` (a share of the
    crops) are for pictures, `speech` for speech.

    The adversarial stage and the token model of the speech codec are trained after the codec, on the network of the
    checkpoint in `folder`.

    Raises:
        UsageError: for an unknown codec or preset.
        ModelError: for those two, when there is no checkpoint of a network with codebooks.
        UnreadableInputError: when there is nothing to train on.
    """
    if codec == "mlicv2":
        from ...codecs.mlicv2.model import PRESETS as MLICV2_PRESETS
        from .mlicv2 import MLICv2Task

        return MLICv2Task(_preset(MLICV2_PRESETS, preset), places, batch, crop, crop * 3 // 2, drawings)
    speech = speech or SpeechOptions()
    if codec == "secodec":
        from ...codecs.secodec.model import PRESETS as SECODEC_PRESETS
        from .secodec import SECodecTask, extraction_plan

        config = _preset(SECODEC_PRESETS, preset)
        plan = extraction_plan(config, speech.codes, speech.neighbours)
        return SECodecTask(config, places, batch=batch, plan=plan, rule=check_rule(speech.rule))
    if codec in ("secodec-adversarial", "secodec-tokens"):
        from .adversarial import AdversarialTask
        from .export_secodec import load_network
        from .tokens import TokenTask

        task = TokenTask if codec == "secodec-tokens" else AdversarialTask
        return task(load_network(folder, preset), places, batch=batch, rule=check_rule(speech.rule))
    raise UsageError(
        f"cannot train codec '{codec}': choose mlicv2, secodec, secodec-adversarial or secodec-tokens"
    )


def _preset(presets: dict[str, Config], name: str) -> Config:
    if name not in presets:
        raise UsageError(f"no preset '{name}': there is {', '.join(presets)}")
    return presets[name]

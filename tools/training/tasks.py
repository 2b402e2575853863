"""The tasks by codec: what `bitfloor train --codec NAME` trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ...codecs import registry
from ...codecs.media.files import read_bytes
from ...entropy_models.structural.quantiser import check_rule
from ...errors import UsageError
from .task import Task

if TYPE_CHECKING:
    from ...codecs.image.config import ImageConfig

SPEECH_CODECS = ("secodec", "secodec-adversarial", "secodec-tokens", "seslm")

Config = TypeVar("Config")


@dataclass(frozen=True)
class SpeechOptions:
    """How the speech codec finds and uses its codebooks; the rest of what a paper's ablation needs.

    Attributes:
        rule: "nearest" or "structural", how frames find their codes in the first layer.
        codes: codes of the first layer by k-means; None for structural entropy, which finds their number.
        neighbours: of a frame in the graph; the fewer, the more codes structural entropy finds.
        keep_codebooks: see `SECodecTask`.
    """

    rule: str = "nearest"
    codes: int | None = None
    neighbours: int = 10
    keep_codebooks: bool = False


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
    config: Path | None = None,
    teacher: str | None = None,
    device: str = "cpu",
) -> Task:
    """The training task of a codec on the data in `places`.

    `crop`, `drawings` (a share of the crops) and `teacher` (a model to imitate first) are for pictures, `speech` for
    speech. `device` is where the examples go, and where what is computed once before the training is computed.

    A picture network is the one of the checkpoint in `folder`, else that in the file `config`, else a preset.
    The adversarial stage and the token model of the speech codec are trained after the codec, on the network of the
    checkpoint in `folder`.

    Raises:
        UsageError: for an unknown codec or preset.
        ModelError: for those two, when there is no checkpoint of a network with codebooks.
        UnreadableInputError: when there is nothing to train on.
    """
    if is_picture_codec(codec):
        from ...codecs.image.frozen import load_network
        from .image import ImageTask
        from .start import picture_model

        network = image_config(codec, preset, config, folder)
        known = None if teacher is None else load_network(picture_model(teacher, codec))
        return ImageTask(network, places, batch, crop, crop * 3 // 2, drawings, known, device)
    speech = speech or SpeechOptions()
    if codec == "secodec":
        from ...codecs.secodec.model import PRESETS as SECODEC_PRESETS
        from .secodec import SECodecTask, extraction_plan

        sizes = _preset(SECODEC_PRESETS, preset)
        plan = extraction_plan(sizes, speech.codes, speech.neighbours)
        rule, keep = check_rule(speech.rule), speech.keep_codebooks
        return SECodecTask(sizes, places, batch=batch, plan=plan, rule=rule, keep_codebooks=keep)
    if codec in ("secodec-adversarial", "secodec-tokens"):
        from .adversarial import AdversarialTask
        from .export_secodec import load_network as trained
        from .tokens import TokenTask

        codec_network, rule = trained(folder, preset), check_rule(speech.rule)
        if codec == "secodec-adversarial":
            return AdversarialTask(codec_network, places, batch=batch, rule=rule)
        return TokenTask(codec_network, places, batch=batch, rule=rule, device=device)
    if codec == "seslm":
        from ...codecs.secodec.codec import SECodecCodec
        from .speaking import SESLMTask

        return SESLMTask(SECodecCodec.load().network, places, batch=batch)
    raise _unknown(codec)


def check_codec(codec: str, preset: str) -> None:
    """Raise UsageError for a codec that is not trained or a preset that it does not have."""
    if is_picture_codec(codec):
        from ...codecs.image.presets import find

        find(preset, codec)
    elif codec in SPEECH_CODECS:
        from ...codecs.secodec.model import PRESETS

        _preset(PRESETS, preset)
    else:
        raise _unknown(codec)


def _unknown(codec: str) -> UsageError:
    known = [entry.name for entry in registry.CODECS if entry.has_models and entry.name not in SPEECH_CODECS]
    return UsageError(f"cannot train codec '{codec}': choose one of {', '.join([*known, *SPEECH_CODECS])}")


def is_picture_codec(codec: str) -> bool:
    """Whether `codec` is one of pictures that has models."""
    return any(entry.name == codec and entry.kind == "picture" and entry.has_models for entry in registry.CODECS)


def image_config(codec: str, preset: str, config: Path | None, folder: Path) -> ImageConfig:
    """The picture network to train, see `make_task`."""
    from ...codecs.image.config import ImageConfig
    from ...codecs.image.presets import find
    from ...entropy_models.parts import from_json
    from . import checkpoint

    path = folder / "last.safetensors"
    asked = from_json(read_bytes(config), ImageConfig) if config is not None else None
    if not path.exists():
        return asked or find(preset, codec)
    found = from_json(checkpoint.config_of(path), ImageConfig)
    if asked is not None and asked != found:
        raise UsageError(f"{path} holds another network than {config}: name another folder with -o")
    return found


def _preset(presets: dict[str, Config], name: str) -> Config:
    if name not in presets:
        raise UsageError(f"no preset '{name}': there is {', '.join(presets)}")
    return presets[name]

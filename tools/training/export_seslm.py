"""From the training folder of SESLM to a model that `bitfloor say` loads, with its card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ...codecs.secodec.codec import SECodecCodec
from ...codecs.seslm.frozen import centroids_of, save_frozen
from ...codecs.seslm.model import SESLM, SESLMConfig
from ...errors import UsageError
from . import checkpoint
from .aligned_speech import AlignedUtterance, read
from .model_card import write_model

VOICE_FRAMES = 300  # of the voice in the box


def default_voice(utterances: Sequence[AlignedUtterance]) -> Tensor:
    """Codes (F, L): the longest utterance of the speaker of whom there are most."""
    ((speaker, _),) = Counter(u.speaker for u in utterances).most_common(1)
    longest = max((u.codes for u in utterances if u.speaker == speaker), key=len)
    return longest[:VOICE_FRAMES]


def export_seslm(folder: Path, places: Sequence[Path], name: str | None = None) -> Path:
    """Writes the averaged weights in `folder` as a model and its card there.

    Raises:
        UsageError: without files of aligned speech, from which the voice in the box comes.
        ModelError: without a checkpoint.
    """
    if not places:
        raise UsageError("name the file of aligned speech, from which the voice in the box is taken")
    path = folder / "last.safetensors"
    parts, progress = checkpoint.load(path)
    sizes = json.loads(checkpoint.config_of(path))
    codec = SECodecCodec.load()
    network = SESLM(SESLMConfig(**{**sizes, "codes": tuple(sizes["codes"])}), centroids_of(codec))
    checkpoint.fill(network, parts["average"], path)
    voice = default_voice([u for place in places for u in read(place)[0]])
    card: dict[str, Any] = {
        "codec": "seslm",
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "training": {
            "steps": progress["total_steps"],
            "minutes": round(float(str(progress["total_seconds"])) / 60),
            "last_budget": progress["budget"],
        },
        "points": [],
    }
    return write_model(folder, name, lambda place: save_frozen(place, network, codec, voice).fingerprint, card)

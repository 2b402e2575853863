"""From a training folder to a model that the codec loads, with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...codecs.image.config import ImageConfig
from ...codecs.image.frozen import save_model
from ...codecs.image.model import ImageNetwork
from ...entropy_models.parts import from_json
from . import checkpoint
from .model_card import write_model


def export_image(folder: Path, codec: str, name: str | None = None) -> Path:
    """Freeze the averaged weights of the checkpoint in `folder`; write model and card for `codec` there.

    Raises ModelError without a checkpoint or where the network cannot be frozen, UsageError as `write_model`.
    """
    source = folder / "last.safetensors"
    parts, progress = checkpoint.load(source)
    network = ImageNetwork(from_json(checkpoint.config_of(source), ImageConfig))
    checkpoint.fill(network, parts["average"], source)
    card: dict[str, Any] = {
        "codec": codec,
        "parameters": sum(p.numel() for p in network.parameters()),
        "training": {
            "steps": progress["total_steps"],
            "minutes": round(float(str(progress["total_seconds"])) / 60),
            "last_budget": progress["budget"],
        },
        "points": [],
    }
    return write_model(folder, name, lambda path: save_model(path, network).fingerprint, card)

"""From a training folder to a model that the codec loads, with its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...codecs.image.config import ImageConfig
from ...codecs.image.frozen import save_model
from ...codecs.image.model import ImageNetwork
from ...entropy_models.parts import from_json
from . import checkpoint


def export_image(folder: Path, codec: str, name: str) -> Path:
    """Freeze the averaged weights of the checkpoint in `folder`; write model and card for `codec` there.

    Raises ModelError without a checkpoint or where the network cannot be frozen.
    """
    source = folder / "last.safetensors"
    parts, progress = checkpoint.load(source)
    network = ImageNetwork(from_json(checkpoint.config_of(source), ImageConfig))
    checkpoint.fill(network, parts["average"], source)
    path = folder / f"{name}.safetensors"
    frozen = save_model(path, network)
    card: dict[str, Any] = {
        "codec": codec,
        "fingerprint": frozen.fingerprint.hex(),
        "parameters": sum(p.numel() for p in network.parameters()),
        "training": {
            "steps": progress["total_steps"],
            "minutes": round(float(str(progress["total_seconds"])) / 60),
            "last_budget": progress["budget"],
        },
        "points": [],
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return path

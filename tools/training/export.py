"""From a training folder to a model that the codec loads, with its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...codecs.mlicv2.frozen import save_frozen
from ...codecs.mlicv2.model import PRESETS, MLICv2
from ...codecs.mlicv2.thaw import save_training
from . import checkpoint


def export_mlicv2(folder: Path, preset: str, name: str) -> Path:
    """Freeze the averaged weights of the checkpoint in `folder`; write model, training parameters and card there.

    Raises ModelError without a checkpoint or where the network cannot be frozen.
    """
    source = folder / "last.safetensors"
    parts, progress = checkpoint.load(source)
    model = MLICv2(PRESETS[preset])
    checkpoint.fill(model, parts["average"], source)
    path = folder / f"{name}.safetensors"
    frozen = save_frozen(path, model)
    save_training(path, model)
    card: dict[str, Any] = {
        "codec": "mlicv2",
        "fingerprint": frozen.fingerprint.hex(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "training": {
            "steps": progress["total_steps"],
            "minutes": round(float(str(progress["total_seconds"])) / 60),
            "last_budget": progress["budget"],
        },
        "points": [],
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return path

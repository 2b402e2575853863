"""From a speech codec's training folder to a model that the codec loads, with its card.

    FOLDER/last.safetensors          the network's checkpoint
    FOLDER/tokens/last.safetensors   the token model's, trained on that network's codes
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...codecs.secodec.frozen import new_token_model, save_frozen
from ...codecs.secodec.model import PRESETS, SECodecNetwork
from ...errors import ModelError, UsageError
from . import checkpoint

TOKENS = "tokens"  # folder of the token model below that of the network


def load_network(folder: Path, preset: str) -> SECodecNetwork:
    """The averaged weights and the codebooks of the checkpoint in `folder`.

    Raises:
        UsageError: for an unknown preset.
        ModelError: without a checkpoint, or with one of another preset.
    """
    if preset not in PRESETS:
        raise UsageError(f"no preset '{preset}': there is {', '.join(PRESETS)}")
    network = SECodecNetwork(PRESETS[preset])
    path = folder / "last.safetensors"
    parts, _ = checkpoint.load(path)
    try:
        network.load_state_dict(parts["average"])
    except RuntimeError as error:
        raise ModelError(f"{path} is no checkpoint of secodec's preset {preset}") from error
    return network.eval()


def export_secodec(folder: Path, preset: str, name: str) -> Path:
    """Freezes both checkpoints below `folder`; writes NAME.safetensors and NAME.json there.

    Raises:
        UsageError: for an unknown preset.
        ModelError: without both checkpoints, or where the token model cannot be frozen.
    """
    network = load_network(folder, preset)
    tokens = new_token_model(network)
    token_parts, token_progress = checkpoint.load(folder / TOKENS / "last.safetensors")
    tokens.load_state_dict(token_parts["average"])
    path = folder / f"{name}.safetensors"
    frozen = save_frozen(path, network, tokens)
    _, progress = checkpoint.load(folder / "last.safetensors")
    card: dict[str, Any] = {
        "codec": "secodec",
        "fingerprint": frozen.fingerprint.hex(),
        "parameters": sum(p.numel() for model in (network, tokens) for p in model.parameters()),
        "codes": network.quantiser.sizes,
        "training": {"network": _provenance(progress), "tokens": _provenance(token_progress)},
        "points": [],
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return path


def _provenance(progress: dict[str, object]) -> dict[str, object]:
    minutes = round(float(str(progress["total_seconds"])) / 60)
    return {"steps": progress["total_steps"], "minutes": minutes, "last_budget": progress["budget"]}

"""From a speech codec's training folder to a model that the codec loads, with its card.

FOLDER/last.safetensors               the network's checkpoint
FOLDER/adversarial/last.safetensors   the decoder's after its second stage, where there was one
FOLDER/tokens/last.safetensors        the token model's, trained on that network's codes
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...codecs.secodec.frozen import new_token_model, save_frozen
from ...codecs.secodec.model import PRESETS, SECodecNetwork
from ...errors import UsageError
from . import checkpoint
from .model_card import write_model

STAGES = {"secodec-adversarial": "adversarial", "secodec-tokens": "tokens"}  # folders below that of the network


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
    checkpoint.fill(network, parts["average"], path)
    return network.eval()


def export_secodec(folder: Path, preset: str, name: str | None = None) -> Path:
    """Freezes both checkpoints below `folder`; writes model and card there.

    Raises:
        UsageError: for an unknown preset, and as `write_model` does.
        ModelError: without both checkpoints, or where the token model cannot be frozen.
    """
    network = load_network(folder, preset)
    tokens = new_token_model(network)
    found = {"network": checkpoint.load(folder / "last.safetensors")}
    token_path = folder / STAGES["secodec-tokens"] / "last.safetensors"
    found["tokens"] = checkpoint.load(token_path)
    second_stage = folder / STAGES["secodec-adversarial"] / "last.safetensors"
    if second_stage.exists():
        found["adversarial"] = checkpoint.load(second_stage)
    checkpoint.fill(tokens, found["tokens"][0]["average"], token_path)
    if "adversarial" in found:
        average = found["adversarial"][0]["average"]
        decoder = {k.removeprefix("decoder."): v for k, v in average.items() if k.startswith("decoder.")}
        network.decoder.load_state_dict(decoder)
    card: dict[str, Any] = {
        "codec": "secodec",
        "parameters": sum(p.numel() for model in (network, tokens) for p in model.parameters()),
        "codes": network.quantiser.sizes,
        "training": {stage: _provenance(progress) for stage, (_, progress) in found.items()},
        "points": [],
    }
    return write_model(folder, name, lambda path: save_frozen(path, network, tokens).fingerprint, card)


def _provenance(progress: dict[str, object]) -> dict[str, object]:
    minutes = round(float(str(progress["total_seconds"])) / 60)
    return {"steps": progress["total_steps"], "minutes": minutes, "last_budget": progress["budget"]}

"""A small MLICv2 with random weights, frozen: quick, and good enough for everything but pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bitfloor.codecs.mlicv2.codec import MLICv2Codec
from bitfloor.codecs.mlicv2.frozen import save_frozen
from bitfloor.codecs.mlicv2.model import MLICv2, MLICv2Config

CONFIG = MLICv2Config(
    widths=(16, 24),
    analysis_depths=(1, 1),
    synthesis_depths=(1, 1),
    groups=(4, 4, 8),
    hyper=16,
    hyper_latent=8,
    embedding=4,
)


def tiny_network(seed: int = 0) -> MLICv2:
    torch.manual_seed(seed)
    network = MLICv2(CONFIG)
    for name, parameter in network.named_parameters():
        if "residual_second" in name or name.startswith(("quality.analysis", "quality.synthesis")):
            torch.nn.init.normal_(parameter, std=0.3)
    network.analysis.latent.weight.data *= 8
    return network


def tiny_codec(folder: Path, seed: int = 0) -> MLICv2Codec:
    path = folder / f"tiny-{seed}.safetensors"
    save_frozen(path, tiny_network(seed))
    return MLICv2Codec.from_path(path)


def smooth_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(height, width, 3) uint8: a few waves, so neighbouring pixels resemble each other."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:height, :width]
    waves = [np.sin(row * a + column * b + c) for a, b, c in rng.uniform(-0.2, 0.2, (6, 3))]
    mixed = np.tensordot(rng.normal(size=(3, 6)), np.array(waves), 1)
    return np.clip(128 + 50 * mixed, 0, 255).astype(np.uint8).transpose(1, 2, 0)

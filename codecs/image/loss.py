"""What a picture network is trained for: bits and squared error, weighed by the quality."""

from __future__ import annotations

import torch
from torch import Tensor

from ...entropy_models.latent.q_index import Q_INDEX_MAX
from .config import ImageConfig
from .visual import visual_distance


def lagrangian(q_index: Tensor, lambdas: tuple[float, float]) -> Tensor:
    """lambda of the loss bpp + lambda 255^2 D at quality indices, any shape; `lambdas` as in `ImageConfig`."""
    low, high = lambdas
    return low * (high / low) ** (q_index / Q_INDEX_MAX)


def rate_and_distortion(out: dict, x: Tensor) -> tuple[Tensor, Tensor]:
    """Estimated bits per pixel and mean squared error of every picture, (B,) each, from a network's output."""
    pixels = x.shape[2] * x.shape[3]
    bits = torch.stack([-torch.log2(v.float()).flatten(1).sum(1) for v in out["likelihoods"].values()]).sum(0)
    return bits / pixels, (out["x_hat"].float() - x).square().flatten(1).mean(1)


def distortion(config: ImageConfig, x_hat: Tensor, x: Tensor, mse: Tensor) -> Tensor:
    """D of the loss for pictures (B, 3, H, W) and their squared errors (B,), by what the network is trained for."""
    return visual_distance(x_hat.float(), x) if config.distortion == "visual" else mse

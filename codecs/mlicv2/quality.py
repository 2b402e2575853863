"""One network, every rate: learned vectors for eight quality nodes and what lies between them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...entropy_models.exact.grid import snap
from ...entropy_models.multi_reference import QualityState

NODES = 8
STEPS = 64  # positions between two nodes
POSITIONS = (NODES - 1) * STEPS  # the quality index of a file is 0..POSITIONS
LAMBDA_LOW, LAMBDA_HIGH = 0.0007, 0.1
GAIN_LOW, GAIN_HIGH = 0.5, 6.0
GAIN_BITS = 12


def position_of(quality: float) -> int:
    """Quality index 0..POSITIONS of the user's quality 1..100."""
    return round((min(max(quality, 1.0), 100.0) - 1) / 99 * POSITIONS)


def quality_of(position: int) -> float:
    """The user's quality 1..100 of a quality index."""
    return 1 + position / POSITIONS * 99


def lagrangian(position: Tensor) -> Tensor:
    """lambda of the loss bpp + lambda 255^2 MSE at quality index `position`, any shape."""
    return LAMBDA_LOW * (LAMBDA_HIGH / LAMBDA_LOW) ** (position / POSITIONS)


class QualityNodes(nn.Module):
    """Vectors at the nodes, interpolated linearly: gains (Cui et al., CVPR 2021), embedding, feature scales.

    Weights of the interpolation are multiples of 1 / STEPS, so that between snapped nodes it is exact.
    """

    def __init__(self, latent: int, hyper_latent: int, embedding: int, features: int) -> None:
        super().__init__()
        levels = torch.linspace(math.log(GAIN_LOW), math.log(GAIN_HIGH), NODES)[:, None]
        self.log_gain = nn.Parameter(levels.repeat(1, latent))
        self.log_inverse_gain = nn.Parameter(-levels.repeat(1, latent))
        self.log_z_scale = nn.Parameter(torch.zeros(NODES, hyper_latent))
        self.embedding = nn.Parameter(torch.randn(NODES, embedding))
        self.analysis = nn.Parameter(torch.ones(NODES, features))
        self.synthesis = nn.Parameter(torch.ones(NODES, features))

    def interpolate(self, nodes: Tensor, position: Tensor) -> Tensor:
        """Rows of `nodes` (NODES, C) at quality indices `position` (B,), as (B, C)."""
        t = (position.to(nodes.dtype) / STEPS)[:, None]
        grid = torch.arange(NODES, dtype=nodes.dtype, device=nodes.device)
        weights = (1 - (t - grid).abs()).clamp_min(0)
        return (weights[:, :, None] * nodes).sum(1)  # no matmul: autocast would make it bfloat16

    def state(self, position: Tensor) -> QualityState:
        """What the entropy model needs of quality indices (B,)."""
        gain = snap(self.interpolate(self.log_gain.exp(), position), GAIN_BITS, 4096.0)
        inverse = snap(self.interpolate(self.log_inverse_gain.exp(), position), GAIN_BITS, 4096.0)
        log_gain = self.interpolate(self.log_gain, position)
        embedding = self.interpolate(self.embedding, position)
        return QualityState(*(v[:, None, None, None] for v in (embedding, gain, inverse, log_gain)))

    def z_scale(self, position: Tensor) -> Tensor:
        """Stretch of the factorised prior at the nearest node, (B, Z): tables exist for nodes only."""
        nearest = torch.div(position + STEPS // 2, STEPS, rounding_mode="floor").long()
        return self.log_z_scale[nearest].exp()

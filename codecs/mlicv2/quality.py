"""One network, every rate: learned vectors for eight quality nodes and what lies between them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...entropy_models.exact.grid import snap
from ...entropy_models.latent.context_model import QualityState

NODES = 8
STEPS = 64  # positions between two nodes
POSITIONS = (NODES - 1) * STEPS  # the quality index of a file is 0..POSITIONS
LAMBDA_LOW, LAMBDA_HIGH = 0.0007, 0.1
GAIN_LOW, GAIN_HIGH = 0.5, 6.0
GAIN_BITS, GAIN_LIMIT = 12, 4096.0


def position_of(quality: float) -> int:
    """Quality index 0..POSITIONS of the user's quality 1..100."""
    return round((min(max(quality, 1.0), 100.0) - 1) / 99 * POSITIONS)


def quality_of(position: int) -> float:
    """The user's quality 1..100 of a quality index."""
    return 1 + position / POSITIONS * 99


def lagrangian(position: Tensor) -> Tensor:
    """lambda of the loss bpp + lambda 255^2 MSE at quality index `position`, any shape."""
    return LAMBDA_LOW * (LAMBDA_HIGH / LAMBDA_LOW) ** (position / POSITIONS)


def nearest_node(position: Tensor) -> Tensor:
    """The node (B,) whose tables of z serve quality indices (B,): tables exist for nodes only."""
    return torch.div(position + STEPS // 2, STEPS, rounding_mode="floor").long()


def interpolate(nodes: Tensor, position: Tensor) -> Tensor:
    """Rows of `nodes` (NODES, C) at quality indices `position` (B,), as (B, C).

    The weights are multiples of 1 / STEPS, so between nodes on the grid the result is exact. It is no matrix
    product, because autocast would compute that in bfloat16.
    """
    t = (position.to(nodes.dtype) / STEPS)[:, None]
    grid = torch.arange(NODES, dtype=nodes.dtype, device=nodes.device)
    weights = (1 - (t - grid).abs()).clamp_min(0)
    return (weights[:, :, None] * nodes).sum(1)


def state_between(
    embedding: Tensor, gain: Tensor, inverse_gain: Tensor, log_gain: Tensor, position: Tensor
) -> QualityState:
    """What the entropy model needs of quality indices (B,), from vectors at the nodes (NODES, C)."""
    gains = (snap(interpolate(nodes, position), GAIN_BITS, GAIN_LIMIT) for nodes in (gain, inverse_gain))
    parts = (interpolate(embedding, position), *gains, interpolate(log_gain, position))
    return QualityState(*(v[:, None, None, None] for v in parts))


class QualityNodes(nn.Module):
    """Vectors at the nodes: gains (Cui et al., CVPR 2021), embedding, spread of z, feature scales."""

    def __init__(self, latent: int, hyper_latent: int, embedding: int, features: int) -> None:
        super().__init__()
        levels = torch.linspace(math.log(GAIN_LOW), math.log(GAIN_HIGH), NODES)[:, None]
        self.log_gain = nn.Parameter(levels.repeat(1, latent))
        self.log_inverse_gain = nn.Parameter(-levels.repeat(1, latent))
        self.log_z_scale = nn.Parameter(torch.zeros(NODES, hyper_latent))
        self.embedding = nn.Parameter(torch.randn(NODES, embedding))
        self.analysis = nn.Parameter(torch.ones(NODES, features))
        self.synthesis = nn.Parameter(torch.ones(NODES, features))

    def state(self, position: Tensor) -> QualityState:
        """What the entropy model needs of quality indices (B,)."""
        gain, inverse = self.log_gain.exp(), self.log_inverse_gain.exp()
        return state_between(self.embedding, gain, inverse, self.log_gain, position)

    def z_scale(self, position: Tensor) -> Tensor:
        """Stretch of the factorised prior, (B, Z)."""
        return self.log_z_scale[nearest_node(position)].exp()

    def frozen(self) -> dict[str, Tensor]:
        """The vectors of `state_between` on the grid, float32 (which holds them exactly)."""
        gains = {"gain": self.log_gain.exp(), "inverse_gain": self.log_inverse_gain.exp()}
        snapped = {k: snap(v.detach().double(), GAIN_BITS, GAIN_LIMIT) for k, v in gains.items()}
        snapped |= {k: snap(getattr(self, k).detach().double()) for k in ("embedding", "log_gain")}
        return {k: v.float() for k, v in snapped.items()}

"""One network, every rate: learned vectors for eight quality nodes and what lies between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..exact.grid import snap
from .q_index import NODES, STEPS

GAIN_LOW, GAIN_HIGH = 0.5, 6.0  # where training starts
GAIN_BITS, GAIN_LIMIT = 12, 4096.0


def nearest_node(q_index: Tensor) -> Tensor:
    """The node (B,) whose tables of z serve quality indices (B,): tables exist for nodes only."""
    return torch.div(q_index + STEPS // 2, STEPS, rounding_mode="floor").long()


def interpolate(nodes: Tensor, q_index: Tensor) -> Tensor:
    """Rows of `nodes` (NODES, C) at quality indices (B,), as (B, C).

    The weights are multiples of 1 / STEPS, so between nodes on the grid the result is exact. The sum is written
    without a matrix product, because autocast would compute one in bfloat16.
    """
    t = (q_index.to(nodes.dtype) / STEPS)[:, None]
    grid = torch.arange(NODES, dtype=nodes.dtype, device=nodes.device)
    weights = (1 - (t - grid).abs()).clamp_min(0)
    return (weights[:, :, None] * nodes).sum(1)


@dataclass(frozen=True, eq=False)
class GainState:
    """What one quality means for the entropy model; every tensor broadcasts over (B, H/2, 2, W/2, C).

    Attributes:
        embedding: (B, 1, 1, 1, E), tells the networks which quality it is.
        gain: (B, 1, 1, 1, C), by which the latent is multiplied before rounding: finer steps for better quality.
        inverse_gain: the same shape, learned apart from the gain.
        log_gain: the same shape, by which log scales grow with the latent.
    """

    embedding: Tensor
    gain: Tensor
    inverse_gain: Tensor
    log_gain: Tensor

    def channels(self, start: int, stop: int) -> GainState:
        """The state of channels start..stop."""
        part = slice(start, stop)
        return GainState(self.embedding, self.gain[..., part], self.inverse_gain[..., part], self.log_gain[..., part])


def state_between(nodes: Mapping[str, Tensor], q_index: Tensor) -> GainState:
    """The state at quality indices (B,), from the vectors at the nodes (NODES, C) by the names of `GainState`."""
    gain, inverse_gain = (
        snap(interpolate(nodes[name], q_index), GAIN_BITS, GAIN_LIMIT) for name in ("gain", "inverse_gain")
    )
    parts = (interpolate(nodes["embedding"], q_index), gain, inverse_gain, interpolate(nodes["log_gain"], q_index))
    return GainState(*(v[:, None, None, None] for v in parts))


class Gains(nn.Module):
    """Gains (Cui et al., CVPR 2021), embedding and spread of z at the nodes."""

    def __init__(self, latent: int, hyper_latent: int, embedding: int) -> None:
        super().__init__()
        levels = torch.linspace(math.log(GAIN_LOW), math.log(GAIN_HIGH), NODES)[:, None]
        self.log_gain = nn.Parameter(levels.repeat(1, latent))
        self.log_inverse_gain = nn.Parameter(-levels.repeat(1, latent))
        self.log_z_scale = nn.Parameter(torch.zeros(NODES, hyper_latent))
        self.embedding = nn.Parameter(torch.randn(NODES, embedding))

    def state(self, q_index: Tensor) -> GainState:
        """The state at quality indices (B,), in training."""
        return state_between(self._nodes(), q_index)

    def z_scale(self, q_index: Tensor) -> Tensor:
        """Stretch of the factorised prior, (B, Z)."""
        return self.log_z_scale[nearest_node(q_index)].exp()

    @torch.no_grad()
    def tabulate(self) -> dict[str, Tensor]:
        """The vectors of `state_between` on the grid, float32 (which holds them exactly)."""
        nodes = self._nodes()
        snapped = {k: snap(nodes[k].double(), GAIN_BITS, GAIN_LIMIT) for k in ("gain", "inverse_gain")}
        snapped |= {k: snap(nodes[k].double()) for k in ("embedding", "log_gain")}
        return {k: v.float() for k, v in snapped.items()}

    def _nodes(self) -> dict[str, Tensor]:
        gains = {"gain": self.log_gain.exp(), "inverse_gain": self.log_inverse_gain.exp()}
        return {**gains, "embedding": self.embedding, "log_gain": self.log_gain}

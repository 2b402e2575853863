"""Gates, and the channel attention that weighs a context anew (MLICv2, arXiv 2504.19119, sections 3.2 and 3.3)."""

from __future__ import annotations

from torch import Tensor, nn

from ..exact.attention import channel_attention
from ..exact.functions import gelu, sigmoid
from ..exact.grid import snap
from ..exact.layers import ExactDepthwise, ExactLinear
from ..exact.pooling import ExactLayerNorm


class Gate(nn.Module):
    """u * sigmoid(W GELU(depthwise(GELU(V LayerNorm(u))))) over (B, H, W, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ExactLayerNorm(channels)
        self.enter, self.spatial = ExactLinear(channels, channels), ExactDepthwise(channels)
        self.leave = ExactLinear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C), on the grid of activations, to the same."""
        opened = self.leave(gelu(self.spatial(gelu(self.enter(self.norm(x), on_grid=True)))))
        return snap(x * sigmoid(opened))


class Reweight(nn.Module):
    """x + o + gate(o), where o is an attention of channels to channels over all positions of the tile.

        A = softmax(Q^T K / sqrt(N)),  o = LayerNorm(W A V),  Q, K and V linear in LayerNorm(x)

    It starts as the identity: the weights of the last norm are zero.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter_norm, self.leave_norm = ExactLayerNorm(channels), ExactLayerNorm(channels)
        self.query, self.key = ExactLinear(channels, channels), ExactLinear(channels, channels)
        self.value, self.leave = ExactLinear(channels, channels), ExactLinear(channels, channels)
        self.gate = Gate(channels)
        nn.init.zeros_(self.leave_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape, on the grid of activations."""
        tokens = self.enter_norm(snap(x)).flatten(1, 2)
        query, key, value = (layer(tokens, on_grid=True) for layer in (self.query, self.key, self.value))
        read = self.leave(channel_attention(query, key, value), on_grid=True)
        o = self.leave_norm(read).unflatten(1, x.shape[1:3])
        return snap(x + o + self.gate(o))

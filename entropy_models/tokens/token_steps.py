"""The frozen token model one step at a time, for a decoder, which has to wait for every token.

A step is some two hundred operations on a few hundred numbers, and in torch calling them costs more than they do. Here
the matrices stay with torch and all else is NumPy in buffers made once. The arithmetic is that of `TokenModel`, exact,
so the frequencies are the same integers; it takes half the time.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..exact.frequencies import FREQUENCY_BITS, halvings
from ..exact.functions import table
from ..exact.grid import ACTIVATION_BITS, ACTIVATION_LIMIT, GRID_SHIFT
from ..exact.layers import ExactLinear
from .token_model import UNUSED, CausalBlock, TokenModel

_POINTS = 2**ACTIVATION_BITS
Vector = NDArray[np.float64]


class StepByStep:
    """Frequencies of step after step under a frozen `model` with `active` layers in use."""

    def __init__(self, model: TokenModel, active: int) -> None:
        layers = np.arange(active)
        self.active, self.layers = active, layers
        self.entering = model.entering.numpy()
        self.start = (model.entry.bias + model.rate[active - 1]).numpy()
        self.blocks = [_Block(block) for block in model.blocks if isinstance(block, CausalBlock)]
        self.widen, self.heads = _Product(model.widen), _Product(model.heads)
        size = model.config.embedding
        self.directions = torch.from_numpy(self.heads.result[: active * size]).view(active, 1, size)
        self.embedding = model.embedding[:active].mT
        self.prior = model.prior[:active].numpy()
        self.sizes = model.sizes[:active].tolist()
        self.scores = np.zeros((active, model.config.codes))
        self.product = torch.from_numpy(self.scores)[:, None]
        self.halvings = halvings().numpy()

    def after(self, tokens: NDArray[np.int64]) -> NDArray[np.int32]:
        """Frequencies (active, K) of the step after the one with these tokens (active,), -1 where there is none."""
        known = tokens >= 0
        x = self.start + self.entering[self.layers[known], tokens[known]].sum(axis=0)
        _snap(x)
        for block in self.blocks:
            block.apply(x)
        wide = np.maximum(self.widen.of(x), 0.0)
        _snap(wide)
        _snap(self.heads.of(wide))
        torch.bmm(self.directions, self.embedding, out=self.product)
        scores = self.scores
        scores += self.prior
        _snap(scores)
        for layer, size in enumerate(self.sizes):
            scores[layer, size:] = UNUSED
        below = np.minimum(scores.max(axis=1, keepdims=True) - scores, FREQUENCY_BITS + 1)
        below *= _POINTS
        units = below.astype(np.int32)
        rows: NDArray[np.int32] = self.halvings[units & (_POINTS - 1)] >> (units >> ACTIVATION_BITS)
        return rows


class _Product:
    """A frozen layer's sum for one vector, in a buffer that the next call overwrites."""

    def __init__(self, layer: ExactLinear) -> None:
        self.weight, self.bias = layer.weight.double(), layer.bias.double()
        self._result: Tensor = torch.empty_like(self.bias)
        self.result: Vector = self._result.numpy()

    def of(self, x: Vector) -> Vector:
        torch.addmv(self.bias, self.weight, torch.from_numpy(x), out=self._result)
        return self.result


class _Block:
    """`CausalBlock` with the steps that it looks back on."""

    def __init__(self, block: CausalBlock) -> None:
        self.mix, self.out, self.dilation = _Product(block.mix), _Product(block.out), block.dilation
        width = self.out.result.size
        self.past = np.zeros((2 * block.dilation + 1, width))  # a ring
        self.taps = np.empty((3, width))
        self.flat = self.taps.ravel()
        self.gap = table("gelu_gap").numpy()
        self.now = 0

    def apply(self, x: Vector) -> None:
        """x (W,) of the step now, in place."""
        ring = len(self.past)
        self.past[self.now] = x
        for tap, back in enumerate((2 * self.dilation, self.dilation, 0)):
            self.taps[tap] = self.past[(self.now - back) % ring]
        self.now = (self.now + 1) % ring
        x += self.out.of(self._gelu(self.mix.of(self.flat)))
        _snap(x)

    def _gelu(self, x: Vector) -> Vector:
        _snap(x)
        index = np.minimum(np.abs(x) * _POINTS, len(self.gap) - 1).astype(np.intp)
        return np.maximum(x, 0.0) - self.gap[index]


def _snap(x: Vector) -> None:
    """`grid.snap` in place."""
    np.minimum(x, ACTIVATION_LIMIT, out=x)
    np.maximum(x, -ACTIVATION_LIMIT, out=x)
    x += GRID_SHIFT
    x -= GRID_SHIFT

"""Enhancement at both ends of a transform: dense blocks that prepare a picture, and mend what was decoded.

S2LIC (arXiv 2403.14471, section 3.1) takes the module over from invertible compression (Xie et al., arXiv 2108.03690,
section 3.2): one module before g_a and another after g_s, which share nothing.
"""

from __future__ import annotations

import msgspec
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....entropy_models.exact.convolution import shuffle, unshuffle
from ....entropy_models.latent.grids import Conv2d

CONVOLUTIONS = 5
SLOPE = 0.2  # of LeakyReLU, and the share of what the module adds
FIRST_WEIGHTS = 0.1  # of the usual ones, where a dense block begins


class Enhance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Widths of an enhancement module.

    Attributes:
        width: channels between its two dense blocks.
        growth: channels that each convolution of a dense block adds.
        patch: the module works on squares of so many pixels as channels; 1 in the paper, which takes 627 kMAC a pixel
            for both ends.
    """

    width: int = 64
    growth: int = 32
    patch: int = 1

    @property
    def reach(self) -> int:
        """Pixels around its own that one depends on."""
        return self.patch * (2 * CONVOLUTIONS + 1)


class Enhancement(nn.Module):
    """x + 0.2 * dense(1x1(conv3x3(1x1(dense(x))))); it begins as the identity."""

    def __init__(self, config: Enhance) -> None:
        super().__init__()
        self.patch = config.patch
        samples, width = 3 * config.patch**2, config.width
        self.enter = DenseBlock(samples, width, config.growth)
        self.before, self.middle, self.after = nn.Linear(width, width), Conv2d(width, width), nn.Linear(width, width)
        self.leave = DenseBlock(width, samples, config.growth)

    def forward(self, x: Tensor) -> Tensor:
        """Picture (B, H, W, 3) to another."""
        features = self.enter(unshuffle(x, self.patch) if self.patch > 1 else x)
        features = self.leave(self.after(self.middle(self.before(features))))
        return x + SLOPE * (shuffle(features, self.patch) if self.patch > 1 else features)


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each of which sees its input and the results of all before it."""

    def __init__(self, inputs: int, outputs: int, growth: int) -> None:
        super().__init__()
        widths = [growth] * (CONVOLUTIONS - 1) + [outputs]
        self.layers = nn.ModuleList(Conv2d(inputs + number * growth, width) for number, width in enumerate(widths))
        for layer in self.layers:
            if isinstance(layer, Conv2d):
                layer.weight.data.mul_(FIRST_WEIGHTS)
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, inputs) to (B, H, W, outputs)."""
        *growing, last = self.layers
        for layer in growing:
            x = torch.cat((x, F.leaky_relu(layer(x), SLOPE)), -1)
        y: Tensor = last(x)
        return y

"""A small causal model of the tokens of a residual quantiser: what the range coder expects next.

    frame t - 1, t - 2, ...   --sum of embeddings--> causal blocks --> context of frame t
    codes of layers < l       --sum of embeddings--------------------> + --> log2 frequencies of layer l's
    codes

Frozen, all of it is exact (see `exact.grid`), so that judging many frames at once and one by one gives the
same integers on every machine. In float32 the same modules train. `token_coding` walks over frames and
layers with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import UsageError
from .exact.functions import gelu
from .exact.grid import snap
from .exact.layers import ExactLinear

UNUSED = -100.0  # log2 frequency of a code that a layer does not have


@dataclass(frozen=True)
class TokenModelConfig:
    """Sizes: layers of a frame, most codes of a layer, widths, dilations of the causal blocks in frames."""

    layers: int = 8
    codes: int = 1024
    embedding: int = 64
    width: int = 192
    dilations: tuple[int, ...] = (1, 2, 4, 8)


class CausalBlock(nn.Module):
    """x + out(gelu(mix(x now, x `dilation` frames ago, x twice as long ago))) on (B, T, W)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.mix = ExactLinear(3 * width, width)
        self.out = ExactLinear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, W) after `past` (B, 2 * dilation, W); returns the same shapes."""
        padded = torch.cat([past, x], dim=1)
        frames, step = x.shape[1], self.dilation
        taps = torch.cat([padded[:, i : i + frames] for i in (0, step, 2 * step)], dim=-1)
        change = self.out(gelu(self.mix(taps, on_grid=True)), on_grid=True)
        return snap(x + change), padded[:, frames:]


class TokenModel(nn.Module):
    """See the module. `sizes` (L,) are the numbers of codes that the layers really have."""

    sizes: Tensor
    missing: Tensor

    def __init__(self, config: TokenModelConfig, sizes: Sequence[int]) -> None:
        super().__init__()
        if len(sizes) != config.layers or not all(1 <= size <= config.codes for size in sizes):
            raise UsageError(f"{config.layers} layers of 1..{config.codes} codes cannot have the sizes {sizes}")
        self.config = config
        self.register_buffer("sizes", torch.tensor(sizes))
        self.register_buffer("missing", torch.arange(config.codes) >= self.sizes[:, None], persistent=False)
        scale = config.embedding**-0.5
        self.embedding = nn.Parameter(scale * torch.randn(config.layers, config.codes, config.embedding))
        self.prior = nn.Parameter(torch.zeros(config.layers, config.codes))
        self.rate = nn.Parameter(torch.zeros(config.layers, config.width))
        self.entry = ExactLinear(config.embedding, config.width)
        self.blocks = nn.ModuleList(CausalBlock(config.width, d) for d in config.dilations)
        self.inner = ExactLinear(config.embedding, config.width)
        self.layer = nn.Parameter(torch.zeros(config.layers, config.width))
        heads = (ExactLinear(config.width, config.embedding) for _ in range(config.layers))
        self.heads = nn.ModuleList(heads)

    def frames(self, codes: Tensor) -> Tensor:
        """What the next frames learn of codes (B, T, L'), L' at most L: sums of embeddings (B, T, E)."""
        layers = torch.arange(codes.shape[-1], device=codes.device)
        return (self.embedding[layers, codes.clamp(min=0)] * (codes >= 0)[..., None]).sum(dim=-2)

    def told(self, codes: Tensor, layer: int) -> Tensor:
        """What the later layers of a frame learn of one layer's codes (B, T): (B, T, W), 0 where a code is -1."""
        return self.inner(self.embedding[layer][codes.clamp(min=0)]) * (codes >= 0)[..., None]

    def start(self, batch: int) -> list[Tensor]:
        """What lies before the first frame: silence in every block, (B, 2 * dilation, W) each."""
        return [self.rate.new_zeros(batch, 2 * d, self.config.width) for d in self.config.dilations]

    def context(self, previous: Tensor, active: Tensor, past: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Context (B, T, W) of frames from the frames before them, `previous` (B, T, E), and the new past.

        `active` (B,) is how many layers an item has: the codes of a frame are guessed differently at other
        rates.
        """
        x = snap(self.entry(previous) + self.rate[active - 1][:, None])
        later = []
        for block, before in zip(self.blocks, past, strict=True):
            x, after = block(x, before)
            later.append(after)
        return x, later

    def log2_frequencies(self, context: Tensor, layer: int) -> Tensor:
        """(B, T, K) of a layer's codes, from the context (B, T, W) with what the layers before it have told."""
        # Rectified, not gelu: this line runs for every single token of a file, and a table look-up costs more.
        hidden = torch.relu(snap(context + self.layer[layer]))
        direction = snap(self.heads[layer](hidden, on_grid=True))
        log2 = snap(direction @ self.embedding[layer].T + self.prior[layer])
        return log2.masked_fill(self.missing[layer], UNUSED)

    def forward(self, codes: Tensor, active: Tensor) -> Tensor:
        """Bits (B, T, L) that every code costs, 0 where it is -1; for training.

        Args:
            codes: (B, T, L) int64, -1 in layers from `active` on.
            active: (B,) numbers of layers, 1..L.
        """
        vectors = self.frames(codes)
        previous = torch.cat([torch.zeros_like(vectors[:, :1]), vectors[:, :-1]], dim=1)
        context, _ = self.context(previous, active, self.start(codes.shape[0]))
        bits = []
        for layer in range(codes.shape[-1]):
            chosen = codes[..., layer]
            log2 = self.log2_frequencies(context, layer)
            total = torch.logsumexp(log2 * np.log(2), dim=-1) / np.log(2)
            cost = total - log2.gather(-1, chosen.clamp(min=0)[..., None])[..., 0]
            bits.append(cost * (chosen >= 0))
            context = context + self.told(chosen, layer)
        return torch.stack(bits, dim=-1)

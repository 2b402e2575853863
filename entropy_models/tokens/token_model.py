"""A small causal model of the tokens of a residual quantiser: what the range coder expects next.

Layer l runs l frames behind the first (the "delay pattern" of MusicGen, arXiv 2306.05284), so that the tokens of one
step are predicted together and a file takes about as many steps as it has frames:

    step      0   1   2   3   4          token of layer l in frame t is coded in step t + l, knowing all of the
    layer 0   0   1   2   3   .          steps before: the layers below it in its own frame, and frame t - 1 up to
    layer 1   .   0   1   2   3          its own layer
    layer 2   .   .   0   1   2 ...

    steps s - 1, s - 2, ...  --embeddings--> causal blocks --> context --> log2 frequencies of step s's tokens

Frozen, all of it is exact (see `exact.grid`), so that judging many steps at once and one by one gives the same
integers on every machine. In float32 the same modules train. `token_coding` walks over the steps with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UsageError
from ..exact.functions import gelu
from ..exact.grid import ACTIVATION, is_exact, snap
from ..exact.layers import ExactLinear
from ..exact.products import matmul

UNUSED = -100.0  # log2 frequency of a code that a layer does not have


@dataclass(frozen=True)
class TokenModelConfig:
    """Sizes: layers of a frame, most codes of a layer, widths, dilations of the causal blocks in steps."""

    layers: int = 8
    codes: int = 1024
    embedding: int = 64
    width: int = 192
    dilations: tuple[int, ...] = (1, 2, 4, 8)


def delay(codes: Tensor) -> Tensor:
    """Codes (B, T, L) by frames -> (B, T + L - 1, L) by steps, -1 where a layer has not begun or has ended."""
    batch, frames, layers = codes.shape
    steps = codes.new_full((batch, frames + layers - 1, layers), -1)
    for layer in range(layers):
        steps[:, layer : layer + frames, layer] = codes[..., layer]
    return steps


def undelay(steps: Tensor) -> Tensor:
    """Whatever stands at (B, T + L - 1, L) by steps -> (B, T, L) by frames: undoes `delay`."""
    layers = steps.shape[2]
    frames = steps.shape[1] - layers + 1
    return torch.stack([steps[:, layer : layer + frames, layer] for layer in range(layers)], dim=-1)


class CausalBlock(nn.Module):
    """x + out(gelu(mix(x now, x `dilation` steps ago, x twice as long ago))) on (B, S, W)."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.mix = ExactLinear(3 * width, width)
        self.out = ExactLinear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, W) after `past` (B, 2 * dilation, W); returns the same shapes."""
        padded = torch.cat([past, x], dim=1)
        batch, steps, width = x.shape
        taps = padded.as_strided((batch, steps, 3, width), (padded.stride(0), width, self.dilation * width, 1))
        change = self.out(gelu(self.mix(taps.flatten(2), on_grid=True)), on_grid=True)
        return snap(x + change), padded[:, steps:]


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
        self.entry = ExactLinear(config.layers * config.embedding, config.width)
        self.blocks = nn.ModuleList(CausalBlock(config.width, d) for d in config.dilations)
        self.widen = ExactLinear(config.width, 2 * config.width)
        self.heads = ExactLinear(2 * config.width, config.layers * config.embedding)

    def enter(self, steps: Tensor) -> Tensor:
        """What the tokens of steps (B, S, L'), L' at most L, bring into the context, (B, S, W); -1 brings nothing.

        A sum over the layers of embeddings times their part of the entry's weights. Frozen it is exact, so it is looked
        up: one row for every code, summed in any order.
        """
        layers = torch.arange(steps.shape[-1], device=steps.device)
        there = (steps >= 0)[..., None]
        if is_exact(self.rate):
            return (self.entering[layers, steps.clamp(min=0)] * there).sum(2)
        embedded = self.embedding[layers, steps.clamp(min=0)] * there
        return F.linear(embedded.flatten(2), self.entry.weight[:, : embedded[0, 0].numel()])

    @cached_property
    def entering(self) -> Tensor:
        """What each code brings, (L, K, W), of a frozen model."""
        weight = self.entry.weight.to(self.embedding.dtype).unflatten(1, (self.config.layers, -1))
        return torch.einsum("wle,lke->lkw", weight, self.embedding).contiguous()

    def before(self, steps: Tensor) -> Tensor:
        """What the steps before each of `steps` (B, S, L') enter, (B, S, W), nothing before the first."""
        return F.pad(self.enter(steps[:, :-1]), (0, 0, 1, 0))

    def start(self, batch: int) -> list[Tensor]:
        """What lies before the first step: zeros in every block, (B, 2 * dilation, W) each."""
        return [self.rate.new_zeros(batch, 2 * d, self.config.width) for d in self.config.dilations]

    def context(self, previous: Tensor, active: Tensor, past: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Context (B, S, W) of steps from what the steps before them `enter`, `previous` (B, S, W), and the new past.

        `active` (B,) is how many layers an item has: tokens of a frame are guessed differently at other rates.
        """
        x = snap(previous + self.entry.bias + self.rate[active - 1][:, None])
        later = []
        for block, before in zip(self.blocks, past, strict=True):
            x, after = block(x, before)
            later.append(after)
        return x, later

    def directions(self, context: Tensor) -> Tensor:
        """(B, S, L, E): the closer to this the embedding of a token, the more it is expected."""
        wide = self.heads(torch.relu(self.widen(context, on_grid=True)))
        return snap(wide).unflatten(-1, (-1, self.config.embedding))

    def log2_frequencies(self, context: Tensor, layers: int) -> Tensor:
        """(B, S, L', K): base-2 logarithms for the tokens of the first L' layers in each step."""
        by_layer = self.directions(context)[..., :layers, :].movedim(2, 0)
        scores = matmul(by_layer, self.embedding[:layers, None].mT, ACTIVATION, ACTIVATION)
        log2 = snap(scores.movedim(0, 2) + self.prior[:layers])
        return log2.masked_fill(self.missing[:layers], UNUSED)

    def forward(self, codes: Tensor, active: Tensor) -> Tensor:
        """Bits (B, T, L) that every code costs, 0 where it is -1; for training.

        Args:
            codes: (B, T, L) int64, -1 in layers from `active` on.
            active: (B,) numbers of layers, 1..L.
        """
        steps = delay(codes)
        context, _ = self.context(self.before(steps), active, self.start(codes.shape[0]))
        directions = self.directions(context)
        bits = []
        for layer, size in enumerate(self.sizes[: codes.shape[2]].tolist()):
            scores = directions[..., layer, :] @ self.embedding[layer, :size].T + self.prior[layer, :size]
            natural = (scores.float() * math.log(2)).flatten(0, 1)
            nats = F.cross_entropy(natural, steps[..., layer].flatten(), ignore_index=-1, reduction="none")
            bits.append(nats.view(steps.shape[:2]) / math.log(2))
        return undelay(torch.stack(bits, dim=-1))

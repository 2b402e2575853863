"""Multi-reference entropy model: what is already known of a latent, gathered for the part that comes next.

The latent's channels are coded in uneven groups, every group in two checkerboard passes (MLICv2, arXiv
2504.19119; uneven groups: ELIC, arXiv 2203.10886):

    hyper ───────────────────────────────┐
    groups before ─ channel context ─────┤
                  └ inter-slice global ──┼─ entropy head ─ means, log scales ─ symbols ─ residual ─ y_hat
    group before ── intra-slice global ──┤  (two heads: anchors, others)
    anchors ─────── local attention ─────┘
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from ..exact.functions import gelu, inverse_root, softmax, tanh
from ..exact.grid import snap
from ..exact.layers import ExactLinear
from .attention import LinearAttention
from .checkerboard import ANCHOR, ANCHOR_WINDOW, NON_ANCHOR, SQUARE_WINDOW, merge, neighbours, pack, unpack

LATENT_LIMIT = 4096.0  # in the gained domain and out of it


class SymbolCoder(Protocol):
    """Where the symbols of one pass come from, or go to."""

    def code(self, group: int, parity: int, means: Tensor, log_scales: Tensor) -> Tensor:
        """Integer symbols of a packed half group, all tensors (B, H / 2, 2, W / 2, C)."""


class LocalContext(nn.Module):
    """Attention of every non-anchor cell to the 12 anchors of its 5x5 window, then a convolution over them.

    MLICv2's overlapped window attention, with the query taken from what is known of the cell itself. Each
    neighbour keeps its own slice of the fusing layer, weighed by how much the cell attends to it. The convolution
    sees the first `direct` channels of a wide group, or it would hold most of the model's parameters.
    """

    def __init__(
        self, channels: int, known: int, out: int, direct: int, heads: int = 4, head: int = 8
    ) -> None:
        super().__init__()
        self.heads, self.head, self.convolved = heads, head, min(channels, direct)
        size = len(ANCHOR_WINDOW)
        self.query, self.key = ExactLinear(known, heads * head), ExactLinear(channels, heads * head)
        self.position_bias = nn.Parameter(torch.zeros(heads, size))
        self.value = ExactLinear(channels, heads * head)
        self.fuse = ExactLinear(size * heads * head, out)
        self.direct = ExactLinear(size * self.convolved, out)

    def forward(self, anchors: Tensor, known: Tensor) -> Tensor:
        """anchors: packed half (B, H/2, 2, W/2, channels); known: packed non-anchor half. Returns packed (…, out)."""
        grid = unpack(snap(anchors), ANCHOR)
        window = [pack(cell, NON_ANCHOR) for cell in neighbours(grid, ANCHOR_WINDOW)]
        cells = torch.stack(window, -2)
        query = snap(self.query(known)).unflatten(-1, (self.heads, 1, self.head))
        keys = snap(self.key(cells, on_grid=True)).unflatten(-1, (self.heads, self.head)).transpose(-2, -3)
        logits = (query * keys).sum(-1) * inverse_root(self.head) + snap(self.position_bias)
        weights = softmax(snap(logits)).unsqueeze(-1) * len(window)
        values = (
            snap(self.value(cells, on_grid=True)).unflatten(-1, (self.heads, self.head)).transpose(-2, -3)
        )
        convolved = torch.cat([cell[..., : self.convolved] for cell in window], -1)
        return self.fuse((weights * values).flatten(-3)) + self.direct(convolved, on_grid=True)


class EntropyHead(nn.Module):
    """Means and log scales of one pass from its gathered context, and the latent residual after decoding."""

    def __init__(self, context: int, channels: int, quality: int) -> None:
        super().__init__()
        self.channels = channels
        self.first, self.quality = ExactLinear(context, 256), ExactLinear(quality, 256)
        self.second, self.third = ExactLinear(256, 192), ExactLinear(192, 2 * channels)
        self.residual_first, self.residual_second = ExactLinear(192 + channels, 96), ExactLinear(96, channels)
        nn.init.zeros_(self.residual_second.weight)

    def forward(self, context: Tensor, quality: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Packed context (…, context) and embedding (B, 1, 1, 1, quality) to means, log scales, hidden."""
        hidden = gelu(self.first(context) + self.quality(quality))
        hidden = gelu(self.second(hidden))
        means, log_scales = self.third(hidden).split(self.channels, -1)
        return means, log_scales, hidden

    def residual(self, hidden: Tensor, symbols: Tensor) -> Tensor:
        """Latent residual prediction in (-1/2, 1/2), MLIC's LRP seen from the symbols: same shape as they."""
        known = torch.cat((hidden, snap(symbols, limit=8.0) * 0.25), -1)
        return tanh(snap(self.residual_second(gelu(self.residual_first(known))))) * 0.5


class GroupModel(nn.Module):
    """The contexts and the two heads of one channel group."""

    def __init__(
        self, before: int, previous: int, channels: int, hyper: int, quality: int, direct: int
    ) -> None:
        super().__init__()
        self.first_group = before == 0
        gathered = hyper
        if before:
            self.channel_first = ExactLinear(len(SQUARE_WINDOW) * before, 128)
            self.channel_second = ExactLinear(128, 128)
            inner = 64
            self.inter = LinearAttention(before, before, before, inner, 64)
            self.intra = LinearAttention(previous, previous, channels, 32, 32)
            gathered += 128 + 64
        self.local = LocalContext(channels, gathered, 128, direct)
        self.anchor_head = EntropyHead(gathered, channels, quality)
        self.other_head = EntropyHead(gathered + 128 + (32 if before else 0), channels, quality)

    def gather(self, hyper: Tensor, before: list[Tensor]) -> Tensor:
        """What hyper (B, H, W, hyper) and the groups before (each (B, H, W, c)) tell of every cell."""
        if self.first_group:
            return hyper
        prior = snap(torch.cat(before, -1))
        channel = gelu(self.channel_first(torch.cat(neighbours(prior, SQUARE_WINDOW), -1), on_grid=True))
        tokens = prior.flatten(1, 2)
        inter = self.inter(tokens, tokens, tokens).unflatten(1, prior.shape[1:3])
        return torch.cat((hyper, snap(self.channel_second(channel)), snap(inter)), -1)

    def gather_others(self, known: Tensor, anchors: Tensor, before: list[Tensor]) -> Tensor:
        """What the packed anchors add for the other half: local and intra-slice global context."""
        parts = [known, snap(self.local(anchors, known))]
        if not self.first_group:
            query = pack(before[-1], NON_ANCHOR)
            key = pack(before[-1], ANCHOR)
            read = self.intra(query.flatten(1, 3), key.flatten(1, 3), anchors.flatten(1, 3))
            parts.append(snap(read.unflatten(1, query.shape[1:4])))
        return torch.cat(parts, -1)


class MultiReferenceModel(nn.Module):
    """Walks over a latent in coding order: the one description of that order.

    y_hat = symbol + mean + residual, in the gained domain of one quality. Contexts see y_hat divided by the gain,
    so that they mean the same at every quality; heads predict means and log scales there, too.
    """

    def __init__(self, groups: tuple[int, ...], hyper: int, quality: int, direct: int = 64) -> None:
        super().__init__()
        self.groups = groups
        previous = (0, *groups[:-1])
        self.models = nn.ModuleList(
            GroupModel(sum(groups[:index]), previous[index], channels, hyper, quality, direct)
            for index, channels in enumerate(groups)
        )

    def forward(self, hyper: Tensor, quality: QualityState, coder: SymbolCoder) -> Tensor:
        """hyper (B, H, W, hyper) to y_hat / gain (B, H, W, sum(groups)); `coder` gives or takes the symbols."""
        done: list[Tensor] = []
        start = 0
        for index, channels in enumerate(self.groups):
            model = self.group_model(index)
            state = quality.group(start, start + channels)
            gathered = model.gather(hyper, done)
            anchors = self._pass(index, ANCHOR, model.anchor_head, pack(gathered, ANCHOR), state, coder)
            known = model.gather_others(pack(gathered, NON_ANCHOR), anchors, done)
            others = self._pass(index, NON_ANCHOR, model.other_head, known, state, coder)
            done.append(merge(anchors, others))
            start += channels
        return torch.cat(done, -1)

    def group_model(self, index: int) -> GroupModel:
        """The contexts and heads of one group."""
        model = self.models[index]
        if not isinstance(model, GroupModel):
            raise TypeError("models holds GroupModel only")
        return model

    @staticmethod
    def _pass(
        group: int, parity: int, head: EntropyHead, context: Tensor, state: QualityState, coder: SymbolCoder
    ) -> Tensor:
        means, log_scales, hidden = head(context, state.embedding)
        means = snap(snap(means) * state.gain, limit=LATENT_LIMIT)
        log_scales = snap(log_scales) + state.log_gain
        symbols = coder.code(group, parity, means, log_scales)
        y_hat = symbols + means + head.residual(hidden, symbols)
        return snap(y_hat * state.inverse_gain, limit=LATENT_LIMIT)


class QualityState:
    """What one quality means for the entropy model; every tensor broadcasts over (B, H/2, 2, W/2, C).

    embedding (B, 1, 1, 1, E); gain, inverse_gain and log_gain (B, 1, 1, 1, C).
    """

    def __init__(self, embedding: Tensor, gain: Tensor, inverse_gain: Tensor, log_gain: Tensor) -> None:
        self.embedding, self.gain, self.inverse_gain, self.log_gain = embedding, gain, inverse_gain, log_gain

    def group(self, start: int, stop: int) -> QualityState:
        """The state of channels start..stop."""
        part = slice(start, stop)
        return QualityState(
            self.embedding, self.gain[..., part], self.inverse_gain[..., part], self.log_gain[..., part]
        )

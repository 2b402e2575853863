"""The walk over a latent in coding order: the one description of that order.

The channels are coded slice by slice, every slice in two checkerboard passes. Training, annealing, encoding and
decoding go the same way; they differ in the symbol coder only, which gives or takes the symbols of a pass:

    hyper ─────────────────────────┐
    slices before ─ contexts ──────┼─ head ─ means, log scales ─ symbol coder ─ symbols ─ residual ─ y_hat
    anchors (second pass) ─────────┘
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..exact.grid import snap, snap_
from .checkerboard import ANCHOR, NON_ANCHOR, merge
from .gains import GainState
from .heads.base import Seen
from .known import Known
from .slice_model import SliceModel, Slices
from .symbol_coders import Pass, SymbolCoder

LATENT_LIMIT = 4096.0  # in the gained domain and out of it


class ContextModel(nn.Module):
    """Contexts and heads of all slices.

    y_hat = symbol + mean + residual, in the gained domain of one quality. Contexts see y_hat divided by the gain,
    so that they mean the same at every quality; heads predict means and log scales there, too.
    """

    def __init__(self, config: Slices, hyper: int, embedding: int) -> None:
        super().__init__()
        self.config = config
        self.slices = nn.ModuleList(
            SliceModel(config, index, hyper, embedding) for index in range(len(config.channels))
        )

    def forward(self, hyper: Tensor, state: GainState, coder: SymbolCoder, before: Sequence[Tensor] = ()) -> Tensor:
        """Features hyper (B, H, W, hyper) to y_hat / gain (B, H, W, M); `coder` gives or takes the symbols.

        The slices of y_hat / gain that are known already, `before`, are not coded again.
        """
        done = list(before)
        for index, (model, own) in enumerate(self._parts(state)):
            if index < len(before):
                continue
            known = Known(hyper, tuple(done))
            gathered = model.gather(known)
            told = model.tell(ANCHOR, known, gathered)
            anchors = self._pass(model, Pass(index, ANCHOR), known, told, own, coder)
            known = known.with_anchors(anchors)
            told = model.tell(NON_ANCHOR, known, gathered)
            others = self._pass(model, Pass(index, NON_ANCHOR), known, told, own, coder)
            done.append(merge(anchors, others))
        return torch.cat(done, -1)

    def _parts(self, state: GainState) -> Iterator[tuple[SliceModel, GainState]]:
        start = 0
        for model, channels in zip(self.slices, self.config.channels, strict=True):
            yield cast("SliceModel", model), state.channels(start, start + channels)
            start += channels

    @staticmethod
    def _pass(
        model: SliceModel,
        place: Pass,
        known: Known,
        told: dict[str, Tensor],
        state: GainState,
        coder: SymbolCoder,
    ) -> Tensor:
        head = model.head(place.parity)
        parameters = head(told, state.embedding)
        means = snap_(snap(parameters.means) * state.gain, limit=LATENT_LIMIT)
        log_scales = snap(parameters.log_scales) + state.log_gain
        coded = model.coded(place.parity, told, parameters, log_scales)
        symbols = coder.code(place, means, log_scales, coded)
        seen = Seen(known, place.parity, symbols, means, state.inverse_gain)
        y_hat = symbols + means + head.residual(parameters, seen)
        return snap_(y_hat * state.inverse_gain, limit=LATENT_LIMIT)

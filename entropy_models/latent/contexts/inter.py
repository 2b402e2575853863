"""Inter-slice global context: every cell reads what the slices before hold in the whole tile."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from torch import Tensor, nn

from ..attention import LinearAttention
from ..known import Known, Place
from .base import ContextConfig, Need


class InterGlobal(ContextConfig, msgspec.Struct, frozen=True, tag="inter", forbid_unknown_fields=True):
    """Attention of the slices before to themselves (MLIC++, arXiv 2307.15421, section 3.4)."""

    needs: ClassVar[frozenset[Need]] = frozenset({"slices"})
    inner: int = 64
    head: int = 16
    width: int = 64

    def width_at(self, place: Place) -> int:
        """The same everywhere."""
        return self.width

    def build(self, place: Place) -> nn.Module:
        """The module for one slice."""
        return InterGlobalContext(self, place)


class InterGlobalContext(nn.Module):
    """See `InterGlobal`."""

    def __init__(self, config: InterGlobal, place: Place) -> None:
        super().__init__()
        before = sum(place.before)
        self.attention = LinearAttention(before, before, before, config.inner, config.width, config.head)

    def forward(self, known: Known) -> Tensor:
        """To (B, H, W, width)."""
        tokens = known.prior.flatten(1, 2)
        return self.attention(tokens, tokens, tokens, on_grid=True).unflatten(1, known.prior.shape[1:3])

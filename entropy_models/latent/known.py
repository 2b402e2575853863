"""What is known of a latent when one pass of one slice is about to be coded, and where a part of the model stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from ..exact.grid import snap
from .checkerboard import ANCHOR, NON_ANCHOR, unpack


@dataclass(frozen=True, eq=False)
class Known:
    """All that is known when one pass of one slice is about to be coded.

    Attributes:
        hyper: features of the hyperprior, (B, H, W, hyper).
        slices: the slices before, each (B, H, W, c) as decoded, outside the gained domain.
        anchors: this slice's anchors as decoded, packed (B, H/2, 2, W/2, c); None in the anchor pass.
        told: what has been gathered so far for the cells of this pass by source ("hyper" or a context's tag), packed;
            empty while the contexts that serve both passes run.
    """

    hyper: Tensor
    slices: tuple[Tensor, ...] = ()
    anchors: Tensor | None = None
    told: Mapping[str, Tensor] = field(default_factory=dict)

    @cached_property
    def prior(self) -> Tensor:
        """All slices before this one, (B, H, W, sum of their channels), on the grid of activations."""
        return snap(torch.cat(self.slices, -1))

    def decoded(self, channels: int) -> Tensor:
        """All that has been decoded: the slices before, then the `channels` of this one, zeros where it is not known.

        (B, H, W, sum of all these channels), on the grid of activations.
        """
        own = self.hyper.new_zeros(*self.hyper.shape[:3], channels)
        if self.anchors is not None:
            own = unpack(snap(self.anchors), ANCHOR)
        return torch.cat((self.prior, own), -1) if self.slices else own

    @property
    def parity(self) -> int:
        """The cells of this pass."""
        return ANCHOR if self.anchors is None else NON_ANCHOR

    def with_anchors(self, anchors: Tensor) -> Known:
        """The same, once the anchors have been coded."""
        return replace(self, anchors=anchors)

    @property
    def own_anchors(self) -> Tensor:
        """The anchors, for contexts that need them."""
        if self.anchors is None:
            raise ValueError("a context that needs anchors was asked before they were coded")
        return self.anchors


@dataclass(frozen=True)
class Place:
    """Where a context stands, for it to know its widths.

    Attributes:
        channels: channels of the slice.
        before: channels of every slice before it.
        hyper: width of the hyper features.
        told: widths of `Known.told` when this context runs.
    """

    channels: int
    before: tuple[int, ...]
    hyper: int
    told: Mapping[str, int] = field(default_factory=dict)

"""What a context is: something known of a latent, told to the entropy parameters of the cells that come next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ...exact.grid import snap
from ...parts import Part
from ..checkerboard import ANCHOR, NON_ANCHOR

Need = Literal["slices", "anchors"]


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


class ContextConfig(Part):
    """The family of contexts.

    A member is a frozen struct with a tag, the width of what it tells, and `build`. It declares what it needs beside
    the hyper features; from that follow the slices and passes that have it. One that needs no anchors is computed
    once for both passes and gives a whole grid (B, H, W, width); one that needs them runs in the pass of the other
    cells and gives these, packed (B, H/2, 2, W/2, width). What it gives is snapped to the grid of
    activations by the one who asks.
    """

    package: ClassVar[str] = __package__
    entry_points: ClassVar[str] = "bitfloor.contexts"
    needs: ClassVar[frozenset[Need]] = frozenset()

    def width_at(self, place: Place) -> int:
        """Channels of what it tells in this slice."""
        raise NotImplementedError

    def build(self, place: Place) -> nn.Module:
        """A module whose forward takes a `Known` and returns a tensor as the class says."""
        raise NotImplementedError

    def applies(self, place: Place) -> bool:
        """Whether this slice has the context."""
        return "slices" not in self.needs or bool(place.before)

    @property
    def passes(self) -> tuple[int, ...]:
        """The passes whose entropy parameters read it."""
        return (NON_ANCHOR,) if "anchors" in self.needs else (ANCHOR, NON_ANCHOR)

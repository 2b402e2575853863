"""What a context is: something known of a latent, told to the entropy parameters of the cells that come next."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from ...parts import Part
from ..checkerboard import ANCHOR, NON_ANCHOR
from ..known import Place

Need = Literal["slices", "anchors"]


class ContextConfig(Part):
    """The family of contexts.

    A member is a frozen struct with a tag, the width of what it tells, and `build`. It declares what it needs beside
    the hyper features; from that follow the slices and passes that have it. One that needs no anchors is computed
    once for both passes and gives a whole grid (B, H, W, width); one that needs them runs in the pass of the other
    cells and gives these, packed (B, H/2, 2, W/2, width). What it gives is snapped to the grid of
    activations by the one who asks.

    Attributes:
        each_pass: whether it is asked in both passes, and in the second one sees the anchors beside what it needs.
            It gives the cells of the pass, packed.
    """

    package: ClassVar[str] = __package__
    entry_points: ClassVar[str] = "bitfloor.contexts"
    needs: ClassVar[frozenset[Need]] = frozenset()
    each_pass: ClassVar[bool] = False

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
    def shared(self) -> bool:
        """Whether it is computed once for both passes."""
        return "anchors" not in self.needs and not self.each_pass

    def passes_at(self, place: Place) -> tuple[int, ...]:
        """The passes of this slice whose entropy parameters read it."""
        return (NON_ANCHOR,) if "anchors" in self.needs else (ANCHOR, NON_ANCHOR)

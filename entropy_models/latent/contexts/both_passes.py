"""What contexts share that are asked in both passes of a slice, and in the second one see the anchors."""

from __future__ import annotations

from typing import ClassVar

from ..checkerboard import NON_ANCHOR
from ..known import Place
from .base import ContextConfig, Need


class BothPassesConfig(ContextConfig):
    """Contexts of the slices before, then of the slices before and the anchors of this one.

    Attributes:
        ratio: what it tells has so many channels for each of the slice.
        width: of what it tells in every slice, in place of `ratio`.
        first: whether the second pass of the first slice has it, too, which sees nothing but anchors.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"slices"})
    each_pass: ClassVar[bool] = True
    ratio: int
    width: int | None
    first: bool

    def width_at(self, place: Place) -> int:
        """See `width`."""
        return self.width or self.ratio * place.channels

    def applies(self, place: Place) -> bool:
        """See `first`."""
        return self.first or super().applies(place)

    def passes_at(self, place: Place) -> tuple[int, ...]:
        """Both, where there are slices before."""
        return super().passes_at(place) if place.before else (NON_ANCHOR,)

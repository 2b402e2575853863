"""One slice of the latent: the contexts that apply to it, and a head for each of its two passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import msgspec
from torch import Tensor, nn

from ..exact.grid import snap
from ..parts import tag_of
from .checkerboard import ANCHOR, NON_ANCHOR, pack
from .contexts.base import ContextConfig
from .heads.base import Head, HeadConfig, Parameters
from .heads.joint import Joint
from .known import Known, Place
from .skip import Skip

HYPER = "hyper"  # the source that every head has


class Slices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a latent is coded: its channels in slices, what each pass may know, and how that becomes parameters.

    Attributes:
        channels: of every slice, in coding order; uneven ones as in ELIC (arXiv 2203.10886).
        contexts: each kind once. Those that serve both passes are asked before those that need the anchors.
        head: entropy parameters and latent residual prediction.
        skip: which symbols are not coded; None codes all.
    """

    channels: tuple[int, ...]
    contexts: tuple[ContextConfig, ...] = ()
    head: HeadConfig = Joint()
    skip: Skip | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for slices that cannot be."""
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"slices of {self.channels} channels: each needs at least one")
        tags = [tag_of(context) for context in self.contexts]
        if len(set(tags)) < len(tags):
            raise ValueError(f"a context stands twice among {', '.join(tags)}")

    @property
    def latent(self) -> int:
        """Channels of y."""
        return sum(self.channels)

    def place(self, index: int, hyper: int) -> Place:
        """Where the contexts of one slice stand."""
        return Place(self.channels[index], self.channels[:index], hyper, {HYPER: hyper})


class SliceModel(nn.Module):
    """Contexts and heads of one slice."""

    def __init__(self, config: Slices, index: int, hyper: int, embedding: int) -> None:
        super().__init__()
        place = config.place(index, hyper)
        self.contexts = nn.ModuleDict()
        self.names: dict[int, list[str]] = {ANCHOR: [], NON_ANCHOR: []}
        applying = [context for context in config.contexts if context.applies(place)]
        for context in sorted(applying, key=lambda c: not c.shared):
            name = tag_of(context)
            self.contexts[name] = context.build(place)
            for parity in context.passes_at(place):
                self.names[parity].append(name)
            if context.shared and NON_ANCHOR in context.passes_at(place):
                # what serves both passes, those that need the anchors may read, too
                place = replace(place, told={**place.told, name: context.width_at(place)})
        self.shared = [tag_of(context) for context in applying if context.shared]
        widths = {tag_of(context): context.width_at(place) for context in applying}
        sources = {p: {HYPER: hyper} | {name: widths[name] for name in self.names[p]} for p in (ANCHOR, NON_ANCHOR)}
        self.anchor_head, self.other_head = (
            config.head.build(sources[parity], place, embedding) for parity in (ANCHOR, NON_ANCHOR)
        )
        self.anchor_skip, self.other_skip = (
            None if config.skip is None else config.skip.build(sources[parity], place.channels)
            for parity in (ANCHOR, NON_ANCHOR)
        )

    def gather(self, known: Known) -> dict[str, Tensor]:
        """What the contexts that serve both passes tell of every cell, (B, H, W, width) by name."""
        return {name: snap(self.contexts[name](known)) for name in self.shared}

    def tell(self, parity: int, known: Known, gathered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All that the head of one pass reads of its cells, packed, by source."""
        told = {HYPER: pack(known.hyper, parity)}
        told |= {name: pack(grid, parity) for name, grid in gathered.items() if name in self.names[parity]}
        shared = replace(known, told=dict(told))
        told |= {name: snap(self.contexts[name](shared)) for name in self.names[parity] if name not in told}
        return told

    def head(self, parity: int) -> Head:
        """The head of one pass."""
        head: Head = self.anchor_head if parity == ANCHOR else self.other_head
        return head

    def coded(
        self, parity: int, told: Mapping[str, Tensor], parameters: Parameters, log_scales: Tensor
    ) -> Tensor | None:
        """Which symbols of a pass are coded, bool (B, H/2, 2, W/2, C); None for all, as in training."""
        rule = self.anchor_skip if parity == ANCHOR else self.other_skip
        return None if rule is None or self.training else rule(told, parameters, log_scales, parity) >= 0

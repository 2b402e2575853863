"""Where the time of a learned codec goes: transform, entropy networks, range coder, and the rest.

A clock is laid around the calls of each part. Parts nest (the context model calls the range coder), and a
part's time is its own only: what a nested part takes is taken off.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from .codecs import BenchCodec

TRANSFORM, ENTROPY, CODER, REST = "transform", "entropy networks", "range coder", "rest"
PARTS = (TRANSFORM, ENTROPY, CODER, REST)
TRANSFORM_NAMES = ("analysis", "synthesis", "g_a", "g_s")  # as bitfloor's and CompressAI's networks call them


class Clock:
    """Seconds by part; `enter` stops the part around it until `leave`."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._open: list[str] = []
        self._since = 0.0

    def _book(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def enter(self, part: str) -> None:
        """Begin a part."""
        self._book()
        self._open.append(part)

    def leave(self) -> None:
        """End the part that was entered last."""
        self._book()
        self._open.pop()

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, with its time booked to `part`."""

        @functools.wraps(function)
        def clocked(*args: Any, **kwargs: Any) -> Any:
            self.enter(part)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return clocked


@contextmanager
def _patched(owner: Any, name: str, clock: Clock, part: str) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, clock.around(part, original))
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def _hooked(module: Any, clock: Clock, part: str) -> Iterator[None]:
    before = module.register_forward_pre_hook(lambda *_: clock.enter(part))
    after = module.register_forward_hook(lambda *_: clock.leave())
    try:
        yield
    finally:
        before.remove()
        after.remove()


def _own_coder() -> list[tuple[Any, str]]:
    from ...entropy_models.coding.range_coder import RangeDecoder, RangeEncoder

    return [(RangeEncoder, "encode"), (RangeEncoder, "finish"), (RangeDecoder, "decode")]


def _compressai_coder() -> list[tuple[Any, str]]:
    """CompressAI codes through its entropy models, or in autoregressive networks through its coder itself."""
    from compressai.entropy_models import EntropyModel
    from compressai.models import google

    encoder, decoder = google.BufferedRansEncoder, google.RansDecoder
    return [
        (EntropyModel, "compress"),
        (EntropyModel, "decompress"),
        (encoder, "encode_with_indexes"),
        (encoder, "flush"),
        (decoder, "decode_stream"),
    ]


@contextmanager
def clocked(codec: BenchCodec, clock: Clock) -> Iterator[None]:
    """Book the parts of `codec`'s encode and decode on `clock` as long as the context is open.

    In CompressAI's networks, what is neither transform nor range coder counts as entropy networks: their
    autoregressive context model is a loop that calls no module.
    """
    with ExitStack() as stack:
        for network in codec.networks():
            for name, child in network.named_children():
                part = TRANSFORM if name in TRANSFORM_NAMES else ENTROPY
                stack.enter_context(_hooked(child, clock, part))
        if codec.spec.startswith("compressai:"):
            for network in codec.networks():
                for name in ("compress", "decompress"):
                    stack.enter_context(_patched(network, name, clock, ENTROPY))
            coder = _compressai_coder()
        else:
            coder = _own_coder() if codec.networks() else []
        for owner, name in coder:
            stack.enter_context(_patched(owner, name, clock, CODER))
        yield

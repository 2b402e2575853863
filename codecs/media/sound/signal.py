"""A sound as blocks of samples, wherever they come from; the block's length changes nothing downstream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import soxr

MAX_SECONDS = 4 * 3600
RATES = (1_000, 192_000)  # Hz, smallest and largest; libsndfile crashes on Ogg files of higher rates
BLOCK = 1 << 15  # samples that are read, mixed, filtered and written at once


class SoundSource(Protocol):
    """One channel at `rate` Hz, `length` samples, at least one; `blocks` can be asked for again and again."""

    @property
    def rate(self) -> int:
        """In Hz."""

    @property
    def length(self) -> int:
        """Samples."""

    def blocks(self) -> Iterator[np.ndarray]:
        """The samples from the first to the last, float32 (n,), nominally in -1..1."""


@dataclass(frozen=True)
class Sound:
    """Mono samples (T,) float32, nominally in -1..1, at `rate` Hz; T is at least 1."""

    samples: np.ndarray
    rate: int

    @property
    def length(self) -> int:
        """T."""
        return int(self.samples.size)

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.length / self.rate

    def blocks(self) -> Iterator[np.ndarray]:
        """See `SoundSource`."""
        for start in range(0, self.length, BLOCK):
            yield self.samples[start : start + BLOCK]

    def at(self, rate: int, length: int | None = None) -> Sound:
        """The sound at another rate; `length` cuts or pads with silence to that many samples."""
        samples = np.concatenate(list(resampled(self.blocks(), self.rate, rate))) if rate != self.rate else self.samples
        if length is not None:
            samples = np.pad(samples[:length], (0, max(0, length - samples.size)))
        return Sound(samples, rate)


@dataclass(frozen=True)
class Stream:
    """A `SoundSource` that can be gone through once, such as a decoder's output."""

    made: Iterator[np.ndarray]
    rate: int
    length: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.length / self.rate

    def blocks(self) -> Iterator[np.ndarray]:
        """See `SoundSource`."""
        return self.made

    def __iter__(self) -> Iterator[np.ndarray]:
        """The same: `for block in codec.decode_stream(data)`."""
        return self.made


def resampled(blocks: Iterable[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    """Blocks float32 at `wanted` Hz from those at `rate` Hz."""
    if rate == wanted:
        yield from blocks
        return
    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def in_blocks(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in blocks of `size`, the last one shorter."""
    kept: list[np.ndarray] = []
    count = 0
    for block in blocks:
        kept.append(block)
        count += block.size
        if count < size:
            continue
        joined = np.concatenate(kept)
        whole = count - count % size
        yield from joined[:whole].reshape(-1, size)
        kept, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(kept)


def exactly(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """The samples cut, or followed by silence, to `length`."""
    left = length
    for block in blocks:
        if left <= 0:
            break
        yield block[:left]
        left -= block.size
    while left > 0:
        yield np.zeros(min(left, BLOCK), np.float32)
        left -= BLOCK

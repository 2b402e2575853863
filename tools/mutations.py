"""Mutated files through the container and through every decoder: what must not break does not.

    python -m bitfloor.tools.mutations --container 1000000 --decoder 100000

A mutated file may decode, or give one error of bitfloor's in one line. Anything else is a fault, and so is a file that
takes too long or too much memory: the file is then written to a folder, and the command ends with status 1. Half of the
files get their CRC-32 made right again, as whoever wants to harm would do, so that the decoder itself meets them.
"""

from __future__ import annotations

import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..codecs import registry
from ..codecs.container import CRC_SIZE, unpack
from ..codecs.media.files import write_bytes
from ..errors import BitfloorError
from .console import common_options
from .options import PATH, SEED

SLOW_S = 10.0
LARGE_MIB = 2048.0
SIDE = 40  # pixels of the pictures that are mutated: a decoder of 10^5 files has to be quick
HEADER = 48  # bytes in which the header and what follows it stand
EDGES = (0, 1, 127, 128, 255)
MAX_PIXELS = 1 << 18  # what a file may claim before it is refused

Mutation = Callable[[bytearray, np.random.Generator, Sequence[bytes]], bytearray]


@dataclass
class Found:
    """What came of the files: how often each outcome, what broke, the slowest one in seconds."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, bytes]] = field(default_factory=list)
    slowest: float = 0.0

    def __str__(self) -> str:
        """One line for a person."""
        parts = [f"{count:,} {name}" for name, count in self.outcomes.most_common()]
        return f"{', '.join(parts)}; slowest {self.slowest:.2f} s, peak {peak_mib():,.0f} MiB"


def try_files(files: Iterator[bytes], decode: Callable[[bytes], object]) -> Found:
    """Decode all files and keep what must not happen."""
    found = Found()
    for data in files:
        start = time.perf_counter()
        try:
            decode(data)
            outcome = "decoded"
        except BitfloorError as error:
            outcome = type(error).__name__
            if "\n" in str(error) or not str(error):
                found.faults.append((f"an error of several lines or none: {error!r}", data))
        except MemoryError:
            raise
        except BaseException as error:  # constriction's panics are no `Exception`
            if isinstance(error, KeyboardInterrupt):
                raise
            outcome = "crashed"
            found.faults.append((f"{type(error).__name__}: {error}", data))
        took = time.perf_counter() - start
        found.slowest = max(found.slowest, took)
        found.outcomes[outcome] += 1
        if took > SLOW_S:
            found.faults.append((f"it took {took:.1f} s", data))
        if peak_mib() > LARGE_MIB:
            found.faults.append((f"the process has grown to {peak_mib():,.0f} MiB", data))
            break
    return found


def mutated(good: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` files, each a mutation of one of `good`."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        data = bytearray(good[int(rng.integers(len(good)))])
        for _ in range(1 + int(rng.geometric(0.6))):
            data = MUTATIONS[int(rng.integers(len(MUTATIONS)))](data, rng, good)
        if rng.random() < 0.5 and len(data) > CRC_SIZE:
            data[-CRC_SIZE:] = zlib.crc32(data[:-CRC_SIZE]).to_bytes(CRC_SIZE, "little")
        yield bytes(data)


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """A place in the file, in every other case near the beginning, where the header stands."""
    return int(rng.integers(min(len(data), HEADER) if rng.random() < 0.5 else len(data)))


def _flip(data: bytearray, rng: np.random.Generator, good: Sequence[bytes]) -> bytearray:
    """One bit."""
    if data:
        data[_place(data, rng)] ^= 1 << rng.integers(8)
    return data


def _set(data: bytearray, rng: np.random.Generator, good: Sequence[bytes]) -> bytearray:
    """A byte that numbers like to break at."""
    if data:
        data[_place(data, rng)] = EDGES[int(rng.integers(len(EDGES)))]
    return data


def _cut(data: bytearray, rng: np.random.Generator, good: Sequence[bytes]) -> bytearray:
    """The end is missing."""
    return data[: rng.integers(len(data) + 1)]


def _remove(data: bytearray, rng: np.random.Generator, good: Sequence[bytes]) -> bytearray:
    """Some bytes are missing."""
    start = int(rng.integers(len(data) + 1))
    del data[start : start + int(rng.integers(1, 9))]
    return data


def _insert(data: bytearray, rng: np.random.Generator, good: Sequence[bytes]) -> bytearray:
    """Some bytes of chance come between."""
    start = int(rng.integers(len(data) + 1))
    data[start:start] = rng.bytes(int(rng.integers(1, 9)))
    return data


def _splice(data: bytearray, rng: np.random.Generator, good: Sequence[bytes]) -> bytearray:
    """The end is that of another file."""
    other = good[int(rng.integers(len(good)))]
    return data[: rng.integers(len(data) + 1)] + other[int(rng.integers(len(other) + 1)) :]


def _chance(data: bytearray, rng: np.random.Generator, good: Sequence[bytes]) -> bytearray:
    """What follows the header is chance."""
    start = min(len(data), int(rng.integers(11, 40)))
    data[start:] = rng.bytes(len(data) - start)
    return data


MUTATIONS: tuple[Mutation, ...] = (_flip, _set, _cut, _remove, _insert, _splice, _chance)


def good_files(codec: registry.CodecEntry) -> list[bytes]:
    """Some small files of a codec."""
    from ..codecs.api import load

    made: Any = load(codec.name)
    rng = np.random.default_rng(0)
    if codec.kind == "picture":
        rows, columns = np.mgrid[:SIDE, : SIDE + 9]
        colours = np.stack((rows * 5, columns * 5, rows + columns), -1).astype(np.uint8)
        alpha = np.concatenate((colours, colours[..., :1]), -1)
        deep = colours.astype(np.uint16) * 257
        return [made.encode(picture, quality=q) for picture in (colours, alpha, deep) for q in (1, 50, 100)]
    if codec.kind == "sound":
        sounds = [np.sin(np.arange(count) / 9).astype(np.float32) * 0.3 for count in (1, 800, 4000)]
        return [made.encode((sound, rate), quality=q) for sound in sounds for rate in (16000, 44100) for q in (1, 100)]
    matrix = rng.geometric(0.5, (12, 10))
    return [made.encode(symbols, rate=rate) for symbols in (matrix, matrix[0], bytes(range(90))) for rate in (0.5, 2)]


def decoder() -> Callable[[bytes], object]:
    """Decodes a file of any codec; a sound to its end."""
    from ..codecs.api import codec_of
    from ..codecs.base import PictureCodec

    def decode(data: bytes) -> object:
        codec = codec_of(data)
        if isinstance(codec, PictureCodec):
            return codec.decode_picture(data, max_pixels=MAX_PIXELS)
        return codec.decode(data)

    return decode


def peak_mib() -> float:
    """Largest memory of this process so far; 0 where the system does not say it."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024.0 if sys.platform != "darwin" else 1024.0**2)


@click.command()
@click.option("--container", type=click.IntRange(0), default=10_000, show_default=True, help="Files for it.")
@click.option("--decoder", "decoders", type=click.IntRange(0), default=1000, show_default=True, help="For each.")
@click.option("--codec", "names", multiple=True, help="Only these codecs.")
@click.option("-o", "--out", type=PATH, default=Path("mutations"), show_default=True, help="Where faults are written.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@common_options
def command(container: int, decoders: int, names: tuple[str, ...], out: Path, seed: int) -> None:
    """Try mutated files, say what came of them, and keep those that broke something."""
    entries = [entry for entry in registry.CODECS if not names or entry.name in names]
    good = {entry.name: good_files(entry) for entry in entries}
    every = [data for files in good.values() for data in files]
    runs: list[tuple[str, list[bytes], Callable[[bytes], object], int]] = []
    if container:
        runs.append(("container", every, unpack, container))
    runs += [(name, files, decoder(), decoders) for name, files in good.items() if decoders]
    broken = 0
    for name, files, decode, count in runs:
        found = try_files(mutated(files, count, seed), decode)
        click.echo(f"{name:<10} {count:,} files: {found}")
        for number, (reason, data) in enumerate(found.faults):
            out.mkdir(parents=True, exist_ok=True)
            path = out / f"{name}-{number}.bf"
            write_bytes(data, path, True)
            click.echo(f"  {path}: {reason}")
        broken += len(found.faults)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    command()

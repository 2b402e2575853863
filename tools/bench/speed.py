"""`bitfloor bench speed`: seconds of one picture's encode and decode by part, for several codecs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import BitfloorError
from ..pool import Pool
from .codecs import BenchCodec, make
from .html import cpu_name
from .measure import read_picture
from .parts import PARTS, REST, Clock, clocked

LEARNED = (
    "mlicv2",
    "compressai:mbt2018-mean+random=1",
    "compressai:mbt2018+random=1",
    "compressai:cheng2020-anchor+random=1",
)
DEFAULT_CODECS = (*LEARNED, "avif", "webp")
_START = "import sys; from bitfloor.tools.bench.codecs import make; make(sys.argv[1]).load(float(sys.argv[2]))"


@dataclass(frozen=True)
class Speed:
    """One codec: seconds of its start-up, and of encode and decode with their parts; or why there is none."""

    codec: str
    quality: float = 0.0
    start_s: float = 0.0
    bytes: int = 0
    encode: dict[str, float] | None = None
    decode: dict[str, float] | None = None
    divided: bool = False  # whether the parts are known
    failed: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class SpeedJob:
    """What one fresh process measures."""

    spec: str
    picture: str
    quality: float | None
    repeats: int


def timed_by_part(codec: BenchCodec, call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Seconds by part and in "total" of the run of median length among `repeats`, after one that warms up."""
    call()
    runs = []
    for _ in range(repeats):
        clock = Clock()
        with clocked(codec, clock):
            run = clock.around(REST, call)
            start = time.perf_counter()
            run()
            total = time.perf_counter() - start
        runs.append({**clock.seconds, "total": total})
    return sorted(runs, key=lambda seconds: seconds["total"])[len(runs) // 2]


def start_up(spec: str, quality: float) -> float:
    """Seconds from starting Python to a codec that is ready to encode."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", _START, spec, str(quality)], check=True, capture_output=True)
    return time.perf_counter() - start


def measure_speed(job: SpeedJob) -> Speed:
    """Measure one codec; a codec that cannot be built or fails gives a `Speed` that says why."""
    try:
        codec = make(job.spec)
        middle = codec.default_qualities[len(codec.default_qualities) // 2]
        quality = middle if job.quality is None else job.quality
        picture = read_picture(Path(job.picture).read_bytes(), job.picture)
        codec.load(quality)
        with tempfile.TemporaryDirectory(prefix="bitfloor-speed-") as name:
            folder = Path(name)
            path, prepared = folder / f"compressed{codec.suffix}", codec.prepare(picture, folder)
            encode = timed_by_part(codec, lambda: codec.encode(prepared, path, quality), job.repeats)
            decode = timed_by_part(codec, lambda: codec.decode(path, folder), job.repeats)
            size = path.stat().st_size
        started = start_up(job.spec, quality)
        return Speed(codec.label, quality, started, size, encode, decode, bool(codec.networks()))
    except (BitfloorError, OSError, subprocess.CalledProcessError) as error:
        return Speed(job.spec, failed=" ".join(str(error).split()))


def run_speed(
    picture: Path, specs: Sequence[str], quality: float | None, repeats: int, threads: int
) -> Iterator[Speed]:
    """Measure every codec in a process of its own, one after another, so that none warms or slows another."""
    for spec in specs:
        job = SpeedJob(spec, str(picture), quality, repeats)
        lost = partial(_left_out, spec)
        with Pool(measure_speed, workers=1, threads=threads, timeout_s=3600, lost=lost) as pool:
            yield from (speed for _, speed in pool.run([job]))


def _left_out(spec: str, reason: str) -> Speed:
    return Speed(spec, failed=reason)


def table(speeds: Sequence[Speed], threads: int) -> list[str]:
    """The lines of the table for a terminal."""
    width = max(len(speed.codec) for speed in speeds)
    head = f"{'':<{width}}  {'start-up':>9}  {'':<6} {'total':>9}" + "".join(f" {part:>16}" for part in PARTS)
    lines = [f"seconds; {threads} threads of {os.cpu_count()} cores, {cpu_name()}", head]
    for speed in speeds:
        if speed.encode is None or speed.decode is None:
            lines.append(f"{speed.codec:<{width}}  left out: {speed.failed}")
            continue
        for name, seconds in (("encode", speed.encode), ("decode", speed.decode)):
            first = name == "encode"
            start = f"{speed.start_s:9.3f}" if first else " " * 9
            parts = "".join(f" {seconds[part]:16.4f}" for part in PARTS) if speed.divided else "  (one part)"
            lines.append(f"{speed.codec if first else '':<{width}}  {start}  {name:<6} {seconds['total']:9.4f}{parts}")
    return lines

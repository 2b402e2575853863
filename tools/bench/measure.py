"""One measurement: one source, one codec, one quality, through a real file and back."""

from __future__ import annotations

import hashlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from ...errors import BitfloorError, UnreadableInputError
from . import memory
from .codecs import BenchCodec, Kind, make
from .metrics import measure_picture
from .sound_metrics import measure_sound
from .sounds import Sound, read_sound
from .words import Listening

T = TypeVar("T")
SLOW_CALL_S = 0.25  # a slower call is not repeated: the median over the pictures has to do
LENGTH_SLACK_S = 0.1  # a speech decoder may return a last frame of padding
_EIGHT_BIT = ("RGB", "RGBA", "L", "LA", "P", "CMYK", "YCbCr", "1")
PAGE_QUALITY = 85  # of pictures that the report shows

Record = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What a worker needs for one measurement; `data` replaces the file at `path` on another machine."""

    codec: str
    quality: float
    path: str
    kind: Kind
    metrics: tuple[str, ...]
    repeats: int = 3
    count_macs: bool = False
    keep_decoded: bool = False
    data: bytes | None = None
    listening: Listening | None = None


@dataclass(frozen=True)
class Outcome:
    """A record with the compressed bytes, and the decoded picture as `for_page` packs it where it was asked for."""

    record: Record
    data: bytes = b""
    decoded: bytes = b""


def read_picture(data: bytes, name: str) -> Image.Image:
    """The picture in `data` as 8-bit RGB; raises UnreadableInputError for all else, 16-bit files included."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode not in _EIGHT_BIT:
                raise UnreadableInputError(f"{name}: mode {image.mode} is not 8 bits a sample, the benchmark's measure")
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableInputError(f"cannot read {name} as a picture: {error}") from None


@lru_cache(maxsize=2)
def read_source(path: str, kind: Kind, data: bytes | None) -> Any:
    """The picture or the sound of a job; the last ones are kept."""
    try:
        found = Path(path).read_bytes() if data is None else data
    except OSError as error:
        raise UnreadableInputError(f"cannot read {path}: {error.strerror}") from None
    if kind == "picture":
        return read_picture(found, path)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"sound{Path(path).suffix}"
        copy.write_bytes(found)
        return read_sound(copy)


def seconds_of(call: Callable[[], T]) -> tuple[T, float]:
    """Call once; return its result and its wall-clock seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def repeat(call: Callable[[], Any], first: float, repeats: int) -> list[float]:
    """Seconds of `repeats` further calls, or of the first alone, `first`, if that was slow."""
    if first > SLOW_CALL_S:
        return [first]
    return [seconds_of(call)[1] for _ in range(repeats)]


def check_decoded(codec: str, source: Any, decoded: Any) -> Any:
    """Return what was decoded if it is of the source's size, else raise ValueError."""
    if isinstance(source, Sound):
        seconds = len(decoded.samples) / decoded.rate
        if abs(seconds - source.seconds) > LENGTH_SLACK_S:
            raise ValueError(f"{codec} returned {seconds:.2f} s of sound for {source.seconds:.2f} s")
        return decoded.at(decoded.rate, round(source.seconds * decoded.rate))
    if not isinstance(decoded, Image.Image):
        raise ValueError(f"{codec} returned a {type(decoded).__name__}, not a picture")
    if decoded.size != source.size:
        sizes = ["x".join(map(str, image.size)) for image in (decoded, source)]
        raise ValueError(f"{codec} returned {sizes[0]} pixels for a picture of {sizes[1]}")
    return decoded.convert("RGB")


_warm: set[str] = set()


def _watched(call: Callable[[], T]) -> tuple[T, float, float | None]:
    """Call once under watch of its memory; return its result, seconds and peak in MiB."""
    level = memory.start()
    result, seconds = seconds_of(call)
    return result, seconds, memory.peak_mib(level)


def _measure(job: Job, folder: Path) -> Outcome:
    codec = make(job.codec)
    if job.codec.startswith("exec:"):
        codec.kind = job.kind
    source = read_source(job.path, job.kind, job.data)
    prepared = codec.prepare(source, folder)
    path = folder / f"compressed{codec.suffix}"

    def encode() -> None:
        codec.encode(prepared, path, job.quality)

    def decode() -> Any:
        return codec.decode(path, folder)

    if codec.spec not in _warm:
        encode()
        decode()
        _warm.add(codec.spec)
    _, encode_first, encode_peak = _watched(encode)
    raw, decode_first, decode_peak = _watched(decode)
    child_encode_peak, child_decode_peak = codec.children_peak_mib()
    record: Record = {
        "encode_peak_mib": encode_peak if child_encode_peak is None else child_encode_peak,
        "decode_peak_mib": decode_peak if child_decode_peak is None else child_decode_peak,
    }
    data = path.read_bytes()
    if not data:
        raise ValueError(f"{codec.label} wrote an empty file")
    decoded = check_decoded(codec.label, source, codec.collect(raw))
    record.update(_rate(source, len(data)))
    encode_times = repeat(encode, encode_first, job.repeats)
    decode_times = repeat(decode, decode_first, job.repeats)
    record.update(
        encode_s=statistics.median(encode_times),
        decode_s=statistics.median(decode_times),
        timed_runs=[len(encode_times), len(decode_times)],
    )
    if job.count_macs:
        record.update(_network_size(codec, encode, decode, source))
    if job.kind == "sound":
        record["metrics"] = measure_sound(source, decoded, job.metrics, job.listening)
    else:
        record["metrics"] = measure_picture(source, decoded, job.metrics)
    return Outcome(record, data, for_page(decoded) if job.keep_decoded else b"")


def _rate(source: Any, size: int) -> Record:
    if isinstance(source, Sound):
        return {"bytes": size, "seconds": source.seconds, "rate": size * 8 / source.seconds / 1000}
    pixels = source.width * source.height
    return {"bytes": size, "width": source.width, "height": source.height, "rate": size * 8 / pixels}


def for_page(picture: Image.Image) -> bytes:
    """The picture as an AVIF file of a quality at which nobody sees a difference: a tenth of one without loss."""
    file = io.BytesIO()
    picture.save(file, "AVIF", quality=PAGE_QUALITY, subsampling="4:4:4", speed=8)
    return file.getvalue()


def _network_size(codec: BenchCodec, encode: Callable[[], Any], decode: Callable[[], Any], source: Any) -> Record:
    """Parameters, and multiply-adds of every convolution and matrix product of one encode and one decode."""
    modules = codec.networks()
    if not modules:
        return {}
    from torch.utils.flop_counter import FlopCounterMode

    found: Record = {"parameters": sum(p.numel() for module in modules for p in module.parameters())}
    units = source.width * source.height if isinstance(source, Image.Image) else len(source.samples)
    for name, call in (("encode", encode), ("decode", decode)):
        with FlopCounterMode(display=False) as counter:
            call()
        found[f"{name}_kmac"] = counter.get_total_flops() / 2 / units / 1000
    return found


def measure(job: Job) -> Outcome:
    """Carry out `job`. What goes wrong in it comes back as a record with status "failed", never as a number.

    A codec's panic that is no Exception (as constriction's) counts as a failure too.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="bitfloor-bench-") as folder:
            outcome = _measure(job, Path(folder))
        outcome.record["status"] = "ok"
        return outcome
    except (KeyboardInterrupt, SystemExit):
        raise
    except BitfloorError as error:
        return Outcome(failure(str(error)))
    except BaseException as error:
        return Outcome(failure(f"{type(error).__name__}: {str(error) or 'no message'}"))


def failure(reason: str) -> Record:
    """A record that says why there is no number, on one line."""
    return {"status": "failed", "error": " ".join(reason.split())[:500]}


def digest(data: bytes) -> str:
    """SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()

"""`bitfloor demo --codec secodec`: the bundled speech into a file and back, beside Opus."""

from __future__ import annotations

import io
import time
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import soundfile

from .. import weights
from ..codecs.base import Codec
from ..codecs.media.files import write_bytes
from ..codecs.media.sound import Sound, read_sound, write_sound

CLIP = "demo.flac"
CREDIT = "Speaker p228 of the CSTR VCTK Corpus, CC BY 4.0"
ORIGINAL, FILE, DECODED = "original.wav", "speech.bf", "decoded.wav"
FILES = (ORIGINAL, FILE, DECODED)


def run(codec: Codec, quality: float, folder: Path, force: bool) -> None:
    """Write the three files into `folder` and print the table."""
    original = read_sound(resources.files(weights).joinpath(CLIP).read_bytes(), CLIP)
    click.echo(f"{CREDIT}, {original.seconds:.1f} s at {original.rate // 1000} kHz")
    start = time.perf_counter()
    data = codec.encode(original, quality=quality)
    encoded = time.perf_counter()
    write_bytes(data, folder / FILE, force)
    data = (folder / FILE).read_bytes()
    read = time.perf_counter()
    decoded = Sound(*codec.decode(data))
    end = time.perf_counter()
    write_sound(original, folder / ORIGINAL, force)
    write_sound(decoded, folder / DECODED, force)
    names = _measures()
    columns = ("kbit/s", *(title for title, _ in names), "encode s", "decode s")
    click.echo(f"\n{'':22}{'bytes':>8}" + "".join(f"{title:>12}" for title in columns))
    times = [f"{encoded - start:.2f}", f"{end - read:.2f}"]
    _print_row(f"{codec.name}, quality {quality:g}", len(data), original, decoded, times)
    opus = _opus(original)
    _print_row("Opus, its least rate", len(opus), original, read_sound(opus).at(original.rate, original.samples.size))
    click.echo(f"As 16-bit samples it takes {16 * original.rate / 1000:g} kbit/s.\n")
    for what, name in (("speech", ORIGINAL), ("compressed", FILE), ("decoded", DECODED)):
        click.echo(f"{what:<12}{folder / name}")


def _measures() -> list[tuple[str, str]]:
    """Titles and metrics: those of the package itself, then those whose package is installed."""
    found = [("log-mel dB", "log_mel")]
    return found + [(t, m) for t, m in (("PESQ", "pesq"), ("STOI", "stoi")) if find_spec({"stoi": "pystoi"}.get(m, m))]


def _print_row(name: str, size: int, original: Sound, decoded: Sound, times: list[str] | None = None) -> None:
    from .bench.sound_metrics import measure_sound

    metrics = tuple(metric for _, metric in _measures())
    figures = measure_sound(original, decoded, metrics)
    cells = [f"{8 * size / original.seconds / 1000:.2f}", *(f"{figures[m]:.2f}" for m in metrics), *(times or [])]
    click.echo(f"{name:22}{size:>8,}" + "".join(f"{cell:>12}" for cell in cells))


def _opus(sound: Sound) -> bytes:
    """An Ogg Opus file at the lowest rate that libsndfile asks for."""
    buffer = io.BytesIO()
    samples = np.clip(sound.samples, -1, 1)
    soundfile.write(buffer, samples, sound.rate, format="OGG", subtype="OPUS", compression_level=1.0)
    return buffer.getvalue()

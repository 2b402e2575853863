"""Sounds as the speech codec takes them: one channel at the network's rate, and back to what they were."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from ..errors import UnreadableInputError, UsageError
from .files import format_suffix, write_bytes

MAX_SECONDS = 4 * 3600
WRITABLE = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".aiff": ("AIFF", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
}
RATES = (1_000, 192_000)  # Hz, smallest and largest; libsndfile crashes on Ogg files of higher rates


@dataclass(frozen=True)
class Sound:
    """Mono samples (T,) float32, nominally in -1..1, at `rate` Hz; T is at least 1."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples.size / self.rate

    def at(self, rate: int, length: int | None = None) -> Sound:
        """The sound at another rate; `length` cuts or pads with silence to that many samples."""
        samples = self.samples
        if rate != self.rate:
            samples = soxr.resample(samples, self.rate, rate, quality="HQ").astype(np.float32)
        if length is not None:
            samples = np.pad(samples[:length], (0, max(0, length - samples.size)))
        return Sound(samples, rate)


def as_sound(source: Any) -> Sound:
    """A `Sound`, or a pair (samples, rate): samples (T,) or (T, channels), floats in -1..1 or 16-bit integers.

    Channels are averaged.

    Raises:
        UsageError: for anything else, an empty sound, a NaN or infinite sample, an odd rate, more than four hours.
    """
    if isinstance(source, Sound):
        source = (source.samples, source.rate)
    if not (isinstance(source, tuple) and len(source) == 2):
        raise UsageError("a sound is a pair: samples (T,) or (T, channels), and the rate in Hz")
    samples, rate = np.asarray(source[0]), source[1]
    if not (isinstance(rate, (int, np.integer)) and RATES[0] <= rate <= RATES[1]):
        raise UsageError(f"a rate of {rate!r} Hz is none of {RATES[0]}..{RATES[1]} Hz")
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / 32768
    if samples.ndim not in (1, 2) or samples.dtype.kind != "f":
        raise UsageError(f"samples must be floats or int16 (T,) or (T, channels), not {samples.dtype} {samples.shape}")
    if samples.size == 0:
        raise UsageError("the sound is empty: it holds no samples")
    if not np.isfinite(samples).all():
        raise UsageError("the sound holds NaN or infinite samples")
    if len(samples) > MAX_SECONDS * rate:
        raise UsageError(f"the sound is longer than {MAX_SECONDS // 3600} hours: cut it into parts")
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    return Sound(np.ascontiguousarray(mono, dtype=np.float32), int(rate))


def read_sound(data: bytes, name: str = "the input") -> Sound:
    """The sound in the bytes of a file that libsndfile reads (WAV, FLAC, Ogg, MP3, AIFF, AU ...).

    Raises:
        UnreadableInputError: where there is none, or one that `as_sound` refuses.
    """
    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise UnreadableInputError(f"{name} is no sound that can be read: {error}") from None
    try:
        return as_sound((samples, rate))
    except UsageError as error:
        raise UnreadableInputError(f"{name}: {error}") from None


def check_suffix(path: str | Path) -> str:
    """The suffix that says the format of an output, .wav where there is none. Raises UsageError for another."""
    suffix = format_suffix(path, WRITABLE, ".wav")
    if suffix not in WRITABLE:
        raise UsageError(f"a sound goes into {', '.join(WRITABLE)}, not {suffix}")
    return suffix


def write_sound(sound: Sound, path: str | Path, overwrite: bool = False) -> None:
    """Writes a file whose suffix says the format, WAV without one and for "-". What is beyond -1..1 is clipped.

    WAV, FLAC and AIFF get 16-bit samples.

    Raises:
        UsageError: for another suffix, and as `files.atomic_output` does.
    """
    suffix = check_suffix(path)
    buffer = io.BytesIO()  # libsndfile seeks, which a pipe cannot do
    file_format, subtype = WRITABLE[suffix]
    try:
        soundfile.write(buffer, np.clip(sound.samples, -1, 1), sound.rate, format=file_format, subtype=subtype)
    except soundfile.LibsndfileError as error:  # such as a rate that the format does not have
        raise UsageError(f"cannot write {sound.rate} Hz as {file_format}: {error}") from None
    write_bytes(buffer.getvalue(), path, overwrite)

"""A sound as the benchmark holds it, and its reading and writing through libsndfile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from ...errors import UnreadableInputError

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif")


@dataclass(frozen=True)
class Sound:
    """Mono samples, (length,) float32 in -1..1, with their rate in Hz."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.rate

    def at(self, rate: int) -> Sound:
        """The same sound at another rate, by soxr's high-quality resampler."""
        if rate == self.rate:
            return self
        return Sound(soxr.resample(self.samples, self.rate, rate, quality="HQ").astype(np.float32), rate)

    def write(self, path: Path, subtype: str = "PCM_16", **options: Any) -> None:
        """Write the samples in the format that the ending of `path` names."""
        soundfile.write(path, self.samples, self.rate, subtype=subtype, **options)


def read_sound(path: Path) -> Sound:
    """Read any file of libsndfile as mono; raises UnreadableInputError for anything else, or an empty one."""
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise UnreadableInputError(f"cannot read {path} as a sound: {error}") from None
    if not len(samples):
        raise UnreadableInputError(f"{path} holds no samples")
    return Sound(samples.mean(axis=1), rate)


def fit_length(sound: Sound, length: int) -> Sound:
    """Cut a decoder's trailing padding, or fill what it swallowed with silence, up to `length` samples."""
    samples = sound.samples[:length]
    return Sound(np.pad(samples, (0, length - len(samples))), sound.rate)

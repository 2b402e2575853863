"""Opus in Ogg, by libsndfile and by the program opusenc; quality is the target bit rate in kbps."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import soundfile

from ...errors import UsageError
from .codec_external import ProgramCodec
from .codecs import register
from .sounds import Sound, read_sound, write_sound

OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
LIBSNDFILE_KBPS = (6.0, 256.0)  # what its compression levels 1 and 0 mean for a mono Opus file


class OpusCodec(ProgramCodec):
    """What both ways to Opus share."""

    kind = "sound"
    suffix, quality_unit = ".opus", "target kbps, 6-256"
    default_qualities = (6, 8, 12, 16, 24, 32)

    def decode(self, path: Path, folder: Path) -> Sound:
        """Read the Ogg file with libsndfile."""
        return read_sound(path)


@register("opus")
class Opus(OpusCodec):
    """libopus inside libsndfile, variable bit rate."""

    @property
    def version(self) -> str:
        """Version of libsndfile."""
        return f"libsndfile {soundfile.__libsndfile_version__}, variable bit rate"

    def prepare(self, source: Sound, folder: Path) -> Sound:
        """Opus knows five sampling rates: go up to the next one."""
        return source.at(next((rate for rate in OPUS_RATES if rate >= source.rate), OPUS_RATES[-1]))

    def encode(self, source: Sound, path: Path, quality: float) -> None:
        """Write the Ogg file."""
        low, high = LIBSNDFILE_KBPS
        if not low <= quality <= high:
            raise UsageError(f"opus: {quality:g} kbps is not in {low:g}-{high:g}")
        level = 1 - (quality - low) / (high - low)
        write_sound(source, path, subtype="OPUS", format="OGG", compression_level=level)


@register("opusenc")
class OpusEnc(OpusCodec):
    """The program opusenc, at its highest complexity and without padding, speech mode."""

    def __init__(self, spec: str, options: str = "") -> None:
        super().__init__(spec, options)
        if shutil.which("opusenc") is None:
            raise UsageError("the program opusenc is not installed (Debian: opus-tools); 'opus' needs no program")

    @property
    def version(self) -> str:
        """The first line of opusenc --version."""
        said = subprocess.run(["opusenc", "--version"], capture_output=True, text=True, check=False)
        return f"{said.stdout.partition(chr(10))[0]}, --speech --comp 10"

    def prepare(self, source: Sound, folder: Path) -> Path:
        """Write a WAV file for the program."""
        write_sound(source, folder / "source.wav")
        return folder / "source.wav"

    def encode(self, source: Path, path: Path, quality: float) -> None:
        """Run opusenc."""
        self.run_encoder(["opusenc", "--quiet", "--speech", "--comp", "10", "--padding", "0", "--discard-comments",
             "--bitrate", f"{quality:g}", str(source), str(path)])  # fmt: skip

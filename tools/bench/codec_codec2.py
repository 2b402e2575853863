"""Codec 2 (David Rowe), a speech codec of 0.7 to 3.2 kbps, by its programs c2enc and c2dec.

It works at 8 kHz. Its raw bit stream has no header, so a file is smaller by that than a file that names its
codec.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from ...errors import UsageError
from .codec_external import ProgramCodec
from .codecs import register
from .sounds import Sound

RATE = 8000
MODES = {3200: "3200", 2400: "2400", 1600: "1600", 1400: "1400", 1300: "1300", 1200: "1200", 700: "700C"}


@register("codec2")
class Codec2(ProgramCodec):
    """One of Codec 2's fixed modes; quality is its bit rate."""

    kind = "sound"
    suffix, quality_unit, searchable = ".c2raw", f"bit/s, one of {', '.join(map(str, MODES))}", False
    default_qualities = tuple(float(mode) for mode in MODES)

    def __init__(self, spec: str, options: str = "") -> None:
        super().__init__(spec, options)
        missing = [program for program in ("c2enc", "c2dec") if shutil.which(program) is None]
        if missing:
            raise UsageError(f"the program {missing[0]} is not installed (Debian: codec2)")
        self._mode = ""

    @property
    def version(self) -> str:
        """The programs do not tell their version."""
        return "codec2, programs c2enc and c2dec"

    def prepare(self, source: Sound, folder: Path) -> Path:
        """Write headerless 16-bit samples at 8 kHz."""
        samples = np.clip(source.at(RATE).samples * 32768, -32768, 32767).round().astype("<i2")
        path = folder / "source.raw"
        path.write_bytes(samples.tobytes())
        return path

    def encode(self, source: Path, path: Path, quality: float) -> None:
        """Run c2enc."""
        if int(quality) not in MODES:
            raise UsageError(f"codec2: {quality:g} is no mode; choose of {', '.join(map(str, MODES))} bit/s")
        self._mode = MODES[int(quality)]
        self.run_encoder(["c2enc", self._mode, str(source), str(path)])

    def decode(self, path: Path, folder: Path) -> Path:
        """Run c2dec in the mode of the last `encode`, which the stream itself does not name."""
        self.run_decoder(["c2dec", self._mode, str(path), str(folder / "decoded.raw")])
        return folder / "decoded.raw"

    def collect(self, decoded: Path) -> Sound:
        """Read the headerless samples."""
        samples = np.frombuffer(decoded.read_bytes(), "<i2").astype(np.float32) / 32768
        return Sound(samples, RATE)

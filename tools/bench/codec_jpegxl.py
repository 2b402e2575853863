"""JPEG XL by libjxl, through the package imagecodecs (BSD licence) where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...errors import UsageError
from .codecs import BenchCodec, parse_options, register


def libjxl() -> Any:
    """The module imagecodecs; raises UsageError where it, or its JPEG XL part, is not installed."""
    try:
        import imagecodecs
    except ImportError:
        raise UsageError("JPEG XL needs the package imagecodecs: pip install imagecodecs") from None
    if not imagecodecs.JPEGXL.available:
        raise UsageError("this imagecodecs was built without JPEG XL")
    return imagecodecs


def butteraugli_distance(quality: float) -> float:
    """The distance that cjxl takes for a JPEG-like quality 0-100 (libjxl, JxlEncoderDistanceFromQuality)."""
    if quality >= 100:
        return 0.0
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25


@register("jxl")
class JpegXl(BenchCodec):
    """Lossy JPEG XL; quality on cjxl's scale."""

    suffix = ".jxl"
    default_qualities = (10, 20, 35, 50, 65, 75, 85, 92)
    quality_unit, whole_qualities = "cjxl quality 1-99", False

    def __init__(self, spec: str, options: str = "") -> None:
        super().__init__(spec)
        self.effort = parse_options(spec, options, {"effort": int}).get("effort", 7)
        self.library = libjxl()

    @property
    def version(self) -> str:
        """Version of libjxl and the effort."""
        return f"{self.library.jpegxl_version()} by imagecodecs {self.library.__version__}, effort={self.effort}"

    def encode(self, source: Image.Image, path: Path, quality: float) -> None:
        """Write `path` as a bare lossy code stream."""
        if not 0 < quality < 100:
            raise UsageError(f"jxl: quality {quality} is not between 0 and 100")
        distance = butteraugli_distance(quality)
        data = self.library.jpegxl_encode(
            np.asarray(source), distance=distance, effort=self.effort, lossless=False, numthreads=1
        )
        path.write_bytes(data)

    def decode(self, path: Path, folder: Path) -> Image.Image:
        """Read `path` as 8-bit RGB."""
        return Image.fromarray(self.library.jpegxl_decode(path.read_bytes(), numthreads=1)).convert("RGB")

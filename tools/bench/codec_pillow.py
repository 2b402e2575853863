"""Classical picture codecs through Pillow: JPEG, WebP, AVIF and JPEG 2000.

Options after the colon go to Pillow's writer, for instance `jpeg:subsampling=4:4:4+optimize=1`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import PIL
from PIL import Image, features

from ...errors import UsageError
from .codecs import BenchCodec, parse_options, register


class PillowCodec(BenchCodec):
    """A format that Pillow writes and reads; `fixed` holds the writer's settings, options override them."""

    format: str
    feature: str  # Pillow's name of what must be built in
    library: str = ""  # Pillow's name of the library whose version is recorded, if another
    fixed: Mapping[str, Any]
    allowed: Mapping[str, Callable[[str], Any]]

    def __init__(self, spec: str, options: str = "") -> None:
        super().__init__(spec)
        self.settings = {**self.fixed, **parse_options(spec, options, self.allowed)}
        if not features.check(self.feature):
            raise UsageError(f"this Pillow was built without {self.feature}, so {spec!r} cannot be measured")

    @property
    def version(self) -> str:
        """Pillow's version, the library's, and the writer's settings."""
        library = features.version(self.library or self.feature) or "unknown"
        settings = " ".join(f"{key}={value}" for key, value in self.settings.items())
        return f"Pillow {PIL.__version__}, {self.library or self.feature} {library}, {settings}"

    def writer_options(self, quality: float) -> dict[str, Any]:
        """The arguments of `Image.save` at this quality."""
        return {"quality": int(quality), **self.settings}

    def encode(self, source: Image.Image, path: Path, quality: float) -> None:
        """Write `path` with Pillow."""
        source.save(path, format=self.format, **self.writer_options(quality))

    def decode(self, path: Path, folder: Path) -> Image.Image:
        """Read `path` with Pillow as 8-bit RGB."""
        with Image.open(path, formats=[self.format]) as image:
            return image.convert("RGB")


@register("jpeg")
class Jpeg(PillowCodec):
    """Baseline JPEG by libjpeg-turbo, 4:2:0 as nearly every writer's default; `optimize=1` for own tables."""

    suffix, format, feature = ".jpg", "JPEG", "jpg"
    library = "libjpeg_turbo"
    default_qualities, quality_unit = (5, 10, 20, 30, 45, 60, 75, 90), "libjpeg quality 1-95"
    fixed = MappingProxyType({"subsampling": "4:2:0"})
    allowed = MappingProxyType({"subsampling": str, "optimize": int, "progressive": int})


@register("webp")
class WebP(PillowCodec):
    """Lossy WebP by libwebp at its slowest and best method, 6."""

    suffix, format, feature = ".webp", "WEBP", "webp"
    default_qualities, quality_unit = (5, 15, 30, 45, 60, 75, 85, 92), "libwebp quality 0-100"
    fixed = MappingProxyType({"method": 6})
    allowed = MappingProxyType({"method": int, "exact": int})


@register("avif")
class Avif(PillowCodec):
    """AVIF by libavif and libaom, in 4:4:4 and tuned for PSNR, because RGB PSNR is the first measure here.

    `tune=iq` or `tune=ssim` and `subsampling=4:2:0` for the web's habits, a lower `speed` for fewer bits.
    """

    suffix, format, feature = ".avif", "AVIF", "avif"
    default_qualities, quality_unit = (6, 12, 20, 30, 40, 52, 64, 76), "libavif quality 0-100"
    fixed = MappingProxyType({"subsampling": "4:4:4", "speed": 6, "tune": "psnr", "max_threads": 1})
    allowed = MappingProxyType({"subsampling": str, "speed": int, "tune": str, "max_threads": int, "codec": str})

    def writer_options(self, quality: float) -> dict[str, Any]:
        """`tune` is an option of libaom's own."""
        options = super().writer_options(quality)
        return {**options, "advanced": {"tune": options.pop("tune")}}


@register("jpeg2000")
class Jpeg2000(PillowCodec):
    """JPEG 2000 by OpenJPEG, irreversible wavelet and colour transform; quality is the compression ratio."""

    suffix, format, feature = ".jp2", "JPEG2000", "jpg_2000"
    default_qualities, quality_unit = (200, 120, 80, 50, 35, 25, 16, 10), "compression ratio (24 bits / bpp)"
    whole_qualities = False
    fixed = MappingProxyType({"irreversible": True, "mct": 1})
    allowed = MappingProxyType({"num_resolutions": int})

    def writer_options(self, quality: float) -> dict[str, Any]:
        """OpenJPEG stops at a file size, so the ratio is met closely."""
        return {"quality_mode": "rates", "quality_layers": [quality], **self.settings}

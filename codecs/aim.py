"""What a file is to reach, and the way there: a quality, or the quality that makes a wished size, rate or PSNR."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import TargetError, UsageError
from .base import DEFAULT_QUALITY, Codec, PictureCodec
from .media.pictures.picture import MAX_PIXELS

MAX_BYTES = 2**50  # more than any file has


@dataclass(frozen=True)
class Aim:
    """At most one of: quality 1..100, most bytes of the file, most bits for a pixel, least PSNR in dB.

    Raises UsageError for two of them, and for a size, rate or PSNR that can be none.
    """

    quality: float | None = None
    size: int | None = None
    bpp: float | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        wishes = [wish for wish in (self.quality, self.size, self.bpp, self.psnr) if wish is not None]
        if len(wishes) > 1:
            raise UsageError("give only one of quality, size, bpp and psnr")
        if self.size is not None:
            _check_size(self.size)
        _check_positive(self.bpp, "bpp is the most bits for a pixel")
        _check_positive(self.psnr, "psnr is the least PSNR in dB")

    @property
    def searched(self) -> bool:
        """Whether a quality has to be found."""
        return self.size is not None or self.bpp is not None or self.psnr is not None


@dataclass(frozen=True)
class Reached:
    """The file, the quality that made it, and the PSNR in dB where one was asked for."""

    data: bytes
    quality: float
    psnr: float | None = None


def encode_to_aim(
    codec: Codec,
    source: Any,
    aim: Aim,
    options: Mapping[str, Any] = MappingProxyType({}),
    tell: Callable[[float, bytes], object] | None = None,
) -> Reached:
    """Return the file of `source` that meets `aim`, measured on whole files, not estimated.

    `options` go to the codec's `encode` as they are; `tell` hears of every quality that is tried, and its file.
    Raises TargetError where no quality meets the aim, UsageError for an aim that the codec does not have.
    """
    from .target import encode_to_psnr, encode_to_size

    if options.get("rate") is not None and aim != Aim():
        raise UsageError("give only one of rate, quality, size, bpp and psnr")
    picture = isinstance(codec, PictureCodec)
    if (aim.bpp is not None or aim.psnr is not None) and not picture:
        raise UsageError(f"bits for a pixel and PSNR are for pictures, not for the codec {codec.name}")
    if not aim.searched:
        data = codec.encode(source, quality=aim.quality, **options)
        quality = DEFAULT_QUALITY if aim.quality is None else float(aim.quality)
        if tell is not None:
            tell(quality, data)
        return Reached(data, quality)
    if picture:
        from .media.pictures.objects import as_picture

        source = as_picture(source)

    def encode(quality: float) -> bytes:
        data = codec.encode(source, quality=quality, **options)
        if tell is not None:
            tell(quality, data)
        return data

    if aim.psnr is not None:
        probe = encode_to_psnr(encode, _psnr_measure(codec, source, options), aim.psnr)
        return Reached(probe.data, probe.quality, probe.value)
    probe = encode_to_size(encode, _limit(aim, source))
    return Reached(probe.data, probe.quality)


def _limit(aim: Aim, source: Any) -> int:
    """Most bytes of the file. Raises TargetError where that is less than one."""
    if aim.size is not None:
        return aim.size
    pixels = source.height * source.width
    limit = int(min((aim.bpp or 0) * pixels / 8, MAX_BYTES))
    if limit < 1:
        raise TargetError(f"{aim.bpp:g} bits for each of {pixels:,} pixels are less than one byte")
    return limit


def _psnr_measure(codec: Codec, source: Any, options: Mapping[str, Any]) -> Callable[[bytes], float]:
    from .media.pictures.psnr import picture_psnr

    assert isinstance(codec, PictureCodec)
    exact, max_pixels = options.get("exact", False), options.get("max_pixels", MAX_PIXELS)
    return lambda data: picture_psnr(source, codec.decode_picture(data, max_pixels=max_pixels), exact=exact)


def _check_size(size: Any) -> None:
    try:
        value = 0 if isinstance(size, bool) else operator.index(size)
    except TypeError:
        value = 0
    if not 1 <= value <= MAX_BYTES:
        raise UsageError(f"size {size!r} is none: it is the most bytes of the file, a whole number from 1 on")


def _check_positive(value: Any, words: str) -> None:
    if value is None:
        return
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (0 < number < math.inf):
        raise UsageError(f"{value!r} cannot be met: {words}, a positive number")

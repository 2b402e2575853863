"""What a file is to reach, and the way there: a quality, or the quality that makes a wished size, rate or PSNR."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import TargetError, UsageError
from . import fallback
from .base import DEFAULT_QUALITY, Codec, PictureCodec
from .media.pictures.picture import MAX_PIXELS
from .registry import LOSSLESS

MAX_BYTES = 2**50  # more than any file has
Tell = Callable[[float, bytes], object]  # hears of a quality that is tried, and of its file


@dataclass(frozen=True)
class Aim:
    """At most one of: quality 1..100, most bytes of the file, most bits for a pixel, least PSNR in dB, no loss.

    Raises UsageError for two of them, and for a size, rate or PSNR that can be none.
    """

    quality: float | None = None
    size: int | None = None
    bpp: float | None = None
    psnr: float | None = None
    lossless: bool = False

    def __post_init__(self) -> None:
        wishes = [wish for wish in (self.quality, self.size, self.bpp, self.psnr) if wish is not None]
        if len(wishes) + self.lossless > 1:
            raise UsageError("give only one of quality, size, bpp, psnr and lossless")
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
    """The file, the quality that made it (None: it is without loss), and the PSNR in dB where one was asked for.

    `instead` says in words what a lossless file is there in place of.
    """

    data: bytes
    quality: float | None
    psnr: float | None = None
    instead: str = ""


def encode_to_aim(
    codec: Codec,
    source: Any,
    aim: Aim,
    options: Mapping[str, Any] = MappingProxyType({}),
    tell: Tell | None = None,
    *,
    may_fall_back: bool = False,
) -> Reached:
    """Return the file of `source` that meets `aim`, measured on whole files, not estimated.

    `options` go to the codec's `encode` as they are; `tell` hears of every quality that is tried, and its file.
    With `may_fall_back` it is a lossless file where that is the better one, by the rule of `fallback`; for a wished
    size or rate where it fits, for a PSNR where it is smaller, or no quality is good enough.
    Raises TargetError where no quality meets the aim, UsageError for an aim that the codec does not have.
    """
    if options.get("rate") is not None and aim != Aim():
        raise UsageError("give only one of rate, quality, size, bpp and psnr")
    picture = isinstance(codec, PictureCodec)
    if (aim.bpp is not None or aim.psnr is not None) and not picture:
        raise UsageError(f"bits for a pixel and PSNR are for pictures, not for the codec {codec.name}")
    if picture and (aim.searched or may_fall_back):
        from .media.pictures.objects import as_picture

        source = as_picture(source)

    if not isinstance(codec, PictureCodec) or not may_fall_back or aim.lossless:
        return _reach(codec, source, aim, options, tell)
    if aim.size is not None or aim.bpp is not None:
        lossless = fallback.lossless_below(source, _limit(aim, source), options)
        return _reach(codec, source, aim, options, tell) if lossless is None else Reached(lossless, None)
    try:
        reached = _reach(codec, source, aim, options, tell)
    except TargetError as error:  # no quality has the PSNR, but lossless has any
        lossless = fallback.lossless_below(source, MAX_BYTES, options)
        if lossless is None:
            raise
        return Reached(lossless, None, math.inf, str(error))
    return _better(codec, source, reached, options)


def _reach(codec: Codec, source: Any, aim: Aim, options: Mapping[str, Any], tell: Tell | None) -> Reached:
    """Return what the codec alone makes.

    A wish is looked for without effort. The file is refined at the end, and again at a quality that makes up for what
    refining changed, so that the refined file meets the wish.
    """
    if not (aim.searched and options.get("effort")):
        return _found(codec, source, aim, options, tell)
    plain = _found(codec, source, aim, {**options, "effort": 0}, tell)
    try:
        refined = _found(codec, source, aim, options, tell, near=plain.quality)
    except TargetError:
        return plain
    if aim.psnr is not None:
        return min(refined, plain, key=lambda one: len(one.data))
    measure = _psnr_measure(codec, source, options)
    return max(refined, plain, key=lambda one: measure(one.data))


def _found(
    codec: Codec,
    source: Any,
    aim: Aim,
    options: Mapping[str, Any],
    tell: Tell | None,
    near: float | None = None,
) -> Reached:
    """Return the file that meets the aim with these options, as near as its quality lies to `near` if it is given."""
    from .target import encode_to_psnr, encode_to_size

    def encode(quality: float | None) -> bytes:
        data = codec.encode(source, quality=quality, **options)
        if tell is not None:
            tell(DEFAULT_QUALITY if quality is None else float(quality), data)
        return data

    if aim.psnr is not None:
        probe = encode_to_psnr(encode, _psnr_measure(codec, source, options), aim.psnr, near)
        return Reached(probe.data, probe.quality, probe.value)
    if aim.size is not None or aim.bpp is not None:
        probe = encode_to_size(encode, _limit(aim, source), near)
        return Reached(probe.data, probe.quality)
    data = encode(aim.quality)
    if codec.name == LOSSLESS.name:
        return Reached(data, None)
    return Reached(data, DEFAULT_QUALITY if aim.quality is None else float(aim.quality))


def _better(codec: PictureCodec, source: Any, reached: Reached, options: Mapping[str, Any]) -> Reached:
    """Return a lossless file in place of `reached` by the rule of `fallback`."""
    assert reached.quality is not None
    # What has the PSNR that was wished for is as good as it should be.
    choice = fallback.better(codec, source, reached.data, reached.quality, options, good=reached.psnr is not None)
    if choice.data is reached.data:
        return reached
    shown = "" if choice.psnr is None else f" of {choice.psnr:.1f} dB"
    instead = f"{len(reached.data):,} bytes{shown} at quality {reached.quality:.4g} of {codec.name}"
    return Reached(choice.data, None, None if reached.psnr is None else math.inf, instead)


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

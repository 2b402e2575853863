"""A lossless file in place of a network's, where that is the better one.

Networks are trained on photographs. On drawings, text and patterns their file may be larger than a lossless one, or
show the picture badly. With N the bytes of the network's file, L those of the lossless one, and s how many dB the
network stays below what its quality reaches on photographs,

    L <= 1.1 N 10^(s / 12)     chooses the lossless file:

it may be a tenth larger, and tenfold for every 12 dB that the network lacks (their price on photographs), at most
2.5 times. Only where L <= 2.75 N is the network's file decoded to measure s, and only where quick estimates
leave hope is L found at all, so that a photograph costs little more than the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from .base import PictureCodec
from .lossless import LosslessCodec, may_fit
from .media.pictures.picture import MAX_PIXELS, Picture
from .media.pictures.psnr import picture_psnr

WISHES = ("auto", "never")
LARGER = 1.1
DB_PER_TENFOLD = 12.0
MOST = 2.5
LOWEST_PSNR, HIGHEST_PSNR = 26.7, 40.3  # mean PSNR of Kodak at qualities 1 and 100, nearly straight in between


@dataclass(frozen=True)
class Choice:
    """The better file, and the PSNR in dB of the network's where it was measured."""

    data: bytes
    psnr: float | None = None


def check_fallback(wish: str) -> bool:
    """Return whether a lossless file may step in; raises UsageError for another word than "auto" and "never"."""
    if wish not in WISHES:
        raise UsageError(f"fallback {wish!r} is neither of {' and '.join(WISHES)}")
    return wish == "auto"


def better(
    codec: PictureCodec,
    picture: Picture,
    data: bytes,
    quality: float,
    options: Mapping[str, Any],
    *,
    good: bool = False,
) -> Choice:
    """Return the file `data` that the codec made with `options`, or a lossless one, by the rule above.

    `good` says that the network lacks nothing.
    """
    lossless = lossless_below(picture, int(LARGER * (1 if good else MOST) * len(data)), options)
    if lossless is None:
        return Choice(data)
    if len(lossless) <= LARGER * len(data):
        return Choice(lossless)
    decoded = codec.decode_picture(data, max_pixels=options.get("max_pixels", MAX_PIXELS))
    psnr = picture_psnr(picture, decoded, exact=bool(options.get("exact", False)))
    lacking = max(promised_psnr(quality) - psnr, 0)
    if len(lossless) <= LARGER * len(data) * min(10 ** (lacking / DB_PER_TENFOLD), MOST):
        return Choice(lossless, psnr)
    return Choice(data, psnr)


def lossless_below(picture: Picture, limit: int, options: Mapping[str, Any]) -> bytes | None:
    """Return the lossless file where it has at most `limit` bytes; None where it has more, or is likely to.

    Of the codec's `options` it heeds `exact` and `strip`.
    """
    if not may_fit(picture, limit):
        return None
    exact, strip = bool(options.get("exact", False)), bool(options.get("strip", False))
    data = LosslessCodec().encode_samples(picture.stripped() if strip else picture, exact=exact)
    return data if len(data) <= limit else None


def promised_psnr(quality: float) -> float:
    """Return the PSNR in dB that a quality (1..100) reaches on photographs, in the mean."""
    return LOWEST_PSNR + (HIGHEST_PSNR - LOWEST_PSNR) * (quality - 1) / 99

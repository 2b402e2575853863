"""Pictures exactly as they are, by codecs that everybody has: lossless WebP for 8 bits a channel, JPEG XL for 16.

It steps in where a network does worse than that, and is what `--lossless` asks for. No model, no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ..errors import CorruptStreamError, UsageError
from .base import PictureCodec, check_quality
from .container import Header, Section, latents_check, pack, unpack, verify_latents
from .media.pictures.alpha import IN_PAYLOAD
from .media.pictures.jpegxl_header import jpegxl_size
from .media.pictures.picture import MAX_PIXELS, Picture, check_pixels
from .media.pictures.vp8l import MAX_SIDE, decode_vp8l, encode_vp8l
from .registry import FORMS, JPEG_XL, LOSSLESS, WEBP

# Efforts of libwebp, (method, quality), by the pixels of a picture up to which each is quick enough. The last takes
# seconds on noise, where it gains nothing, so it is for what has fewer than `_PLAIN` bits a pixel, but bytes to save.
_EFFORTS = ((1 << 40, 4, 80), (1 << 20, 5, 80), (40_000, 6, 100))
_PLAIN, _LEAST = 2, 60
# Two glances, (method, quality, hope): quicker coding, and how much smaller the file may become than what that gives.
# On photographs that is 1.3 and 1.1 times; of 20 drawings, texts and patterns one of 100 bytes was beyond these.
_GLANCES = ((0, 0, 5.0), (1, 30, 2.0))
_GLANCED, _OF_ROWS = 16, 64  # of so many rows the second glance takes the first
_HOPE = 2.0  # the same for JPEG XL
_LENGTH_BYTES = 4
_STRIP = 256  # rows in an array of the check


class LosslessCodec(PictureCodec):
    """A picture in, the same samples out; see `bitfloor.load`."""

    name: ClassVar[str] = LOSSLESS.name

    def encode(
        self,
        source: Any,
        *,
        quality: float | None = None,
        effort: int = 0,
        exact: bool = True,
        strip: bool = False,
        max_pixels: int = MAX_PIXELS,
    ) -> bytes:
        """Return the file for `source`, as `PictureCodec.encode` takes it.

        Quality and effort change nothing. Without `exact` the colours that alpha hides are not kept, with `strip`
        neither EXIF, XMP nor resolution.
        """
        from .media.pictures.objects import as_picture
        from .sources import contents

        check_quality(quality)
        picture = as_picture(contents(source, self.name, max_pixels)[0])
        check_pixels(picture.width, picture.height, max_pixels, UsageError)
        return self.encode_samples(picture.stripped() if strip else picture, exact=exact)

    def encode_picture(self, picture: Picture, quality: float, effort: int = 0) -> bytes:
        """See `PictureCodec`."""
        return self.encode_samples(picture)

    def encode_samples(self, picture: Picture, *, exact: bool = True) -> bytes:
        """Return the file for `picture`, once its payload has been decoded and compared.

        Without `exact` the colours that alpha hides are not kept.
        Raises UsageError where JPEG XL is needed and not here.
        """
        samples = _samples(picture, exact)
        form = WEBP if samples.dtype == np.uint8 else JPEG_XL
        payload = _least_webp(samples, exact) if form == WEBP else _jpegxl(samples, effort=5)
        decoded = _decode(payload, form, picture.height, picture.width, samples.shape[2])
        if not np.array_equal(_seen(decoded, picture, exact), _seen(samples, picture, exact)):
            raise UsageError(f"{FORMS[form]} did not give back what it was given: please report it with the picture")
        sections = replace(picture, alpha=None).to_sections()
        if picture.alpha is not None:
            sections[int(Section.ALPHA)] = bytes([IN_PAYLOAD])
        header = Header(LOSSLESS.codec_id, bytes(4), (picture.width, picture.height, form), sections)
        return pack(header, payload, latents_check(_strips(decoded)))

    def decode_picture(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> Picture:
        """See `PictureCodec`."""
        samples, sections = self._decode(data, max_pixels)
        has_alpha = sections.pop(int(Section.ALPHA), None) is not None
        colours = samples[:, :, :-1] if has_alpha else samples
        rgb = np.repeat(colours, 3, axis=2) if colours.shape[2] == 1 else np.ascontiguousarray(colours)
        picture = Picture.from_sections(rgb, sections)
        if picture.rgb.dtype != samples.dtype:
            raise CorruptStreamError(f"its {samples.dtype.itemsize * 8} bits are not those of its depth section")
        return replace(picture, alpha=np.ascontiguousarray(samples[:, :, -1])) if has_alpha else picture

    def decode_latents(self, data: bytes) -> list[NDArray[np.int32] | NDArray[np.int64]]:
        """The samples, in strips of 256 rows."""
        return [strip.astype(np.int32) for strip in _strips(self._decode(data, MAX_PIXELS)[0])]

    def _decode(self, data: bytes, max_pixels: int) -> tuple[NDArray[Any], dict[int, bytes]]:
        """Return samples (H, W, 1 to 4), checked, and the sections."""
        container = unpack(data)
        header, sections = container.header, dict(container.header.sections)
        if header.codec_id != LOSSLESS.codec_id or len(header.fields) != 3:
            raise CorruptStreamError("the header does not describe a lossless picture")
        width, height, form = header.fields
        if form not in FORMS or not width * height:
            raise CorruptStreamError(f"{width}x{height} pixels in form {form}: damaged, or made by a newer bitfloor")
        check_pixels(width, height, max_pixels, CorruptStreamError)
        if sections.get(Section.ALPHA, bytes([IN_PAYLOAD])) != bytes([IN_PAYLOAD]):
            raise CorruptStreamError("the alpha section of a lossless picture is damaged")
        channels = (1 if Picture.layout(sections).grey else 3) + (Section.ALPHA in sections)
        samples = _decode(container.payload, form, height, width, channels)
        verify_latents(container.latents_check, _strips(samples))
        return samples, sections


def may_fit(picture: Picture, limit: int) -> bool:
    """Return whether the file of `picture`, without what alpha hides, is likely to have at most `limit` bytes.

    This is quick, for a photograph and a limit that it is far from the quicker. False, too, where JPEG XL is not here.
    """
    samples = _samples(picture, exact=False)
    if samples.dtype != np.uint8:
        return bool(imagecodecs.JPEGXL.available) and len(_jpegxl(samples, effort=3)) <= _HOPE * limit
    for method, quality, hope in _GLANCES:
        if len(_webp(samples, False, method, quality)) * picture.height > hope * limit * len(samples):
            return False
        samples = samples[np.arange(len(samples)) % _OF_ROWS < _GLANCED]
    return True


def _samples(picture: Picture, exact: bool) -> NDArray[Any]:
    """Return the planes that have to be coded, (H, W, 1 to 4); without `exact` with black where alpha hides it."""
    planes = picture.rgb[:, :, :1] if picture.grey else picture.rgb
    if picture.alpha is None:
        return planes
    if not exact:
        planes = planes * (picture.alpha > 0)[:, :, None]
    return np.concatenate([planes, picture.alpha[:, :, None]], axis=2)


def _seen(samples: NDArray[Any], picture: Picture, exact: bool) -> NDArray[Any]:
    return samples if exact or picture.alpha is None else samples * (picture.alpha > 0)[:, :, None]


def _strips(samples: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (samples[top : top + _STRIP] for top in range(0, len(samples), _STRIP))


def _tiles(height: int, width: int) -> list[tuple[slice, slice]]:
    """Parts that WebP can hold, row by row."""
    return [
        (slice(top, min(top + MAX_SIDE, height)), slice(left, min(left + MAX_SIDE, width)))
        for top in range(0, height, MAX_SIDE)
        for left in range(0, width, MAX_SIDE)
    ]


def _least_webp(samples: NDArray[Any], exact: bool) -> bytes:
    """Return what has the fewest bytes among the efforts that are worth their time."""
    pixels, found = samples.shape[0] * samples.shape[1], list[bytes]()
    for most, method, quality in _EFFORTS:
        if pixels <= most and (quality < 100 or 8 * _LEAST < 8 * len(found[-1]) < _PLAIN * pixels):
            found.append(_webp(samples, exact, method, quality))
    return min(found, key=len)


def _webp(samples: NDArray[Any], exact: bool, method: int, quality: int) -> bytes:
    """Return the bodies of all tiles, each with its length before it but the last."""
    height, width, channels = samples.shape
    if channels < 3:  # WebP has colours only
        samples = samples[:, :, [0, 0, 0, 1][: channels + 2]]
    bodies = [
        encode_vp8l(np.ascontiguousarray(samples[tile]), method=method, quality=quality, exact=exact)
        for tile in _tiles(height, width)
    ]
    return b"".join(len(body).to_bytes(_LENGTH_BYTES, "little") + body for body in bodies[:-1]) + bodies[-1]


def _jpegxl(samples: NDArray[Any], effort: int) -> bytes:
    if not imagecodecs.JPEGXL.available:
        raise UsageError("16 bits a channel without loss need an imagecodecs with JPEG XL, which this one is not")
    squeezed = samples[:, :, 0] if samples.shape[2] == 1 else samples
    return bytes(imagecodecs.jpegxl_encode(np.ascontiguousarray(squeezed), lossless=True, effort=effort, numthreads=1))


def _decode(payload: bytes, form: int, height: int, width: int, channels: int) -> NDArray[Any]:
    """Return samples (H, W, channels) of uint8 or uint16; raises CorruptStreamError."""
    if form == JPEG_XL:
        return _decode_jpegxl(payload, height, width, channels)
    samples, at, tiles = np.empty((height, width, channels), np.uint8), 0, _tiles(height, width)
    for number, (rows, columns) in enumerate(tiles, 1):
        size = len(payload)
        if number < len(tiles):
            size = int.from_bytes(payload[at : at + _LENGTH_BYTES], "little")
            at += _LENGTH_BYTES
        body, at = payload[at : at + size], at + size
        colours = decode_vp8l(body, rows.stop - rows.start, columns.stop - columns.start)
        if channels in (2, 4):
            samples[rows, columns, -1] = colours[:, :, 3] if colours.shape[2] == 4 else 255
        samples[rows, columns, : 3 if channels > 2 else 1] = colours[:, :, : 3 if channels > 2 else 1]
    return samples


def _decode_jpegxl(payload: bytes, height: int, width: int, channels: int) -> NDArray[Any]:
    if not imagecodecs.JPEGXL.available:
        raise UsageError("the file needs an imagecodecs with JPEG XL, which this one is not")
    try:
        if jpegxl_size(payload) != (width, height):  # before the decoder takes memory for it
            raise ValueError("another size")
        decoded = np.asarray(imagecodecs.jpegxl_decode(payload, numthreads=1))
    except Exception as error:  # imagecodecs raises several kinds on bad data
        raise CorruptStreamError(f"its JPEG XL picture is damaged ({error})") from None
    decoded = decoded[:, :, None] if decoded.ndim == 2 else decoded
    if decoded.shape != (height, width, channels) or decoded.dtype != np.uint16:
        raise CorruptStreamError(f"its JPEG XL picture is none of {width}x{height} with {channels} channels of 16 bits")
    return decoded

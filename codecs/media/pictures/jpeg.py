"""JPEG (ITU-T T.81, T.872): segments taken apart here, pixels decoded by libjpeg-turbo."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np

from . import profile as profiles
from .decoded import Decoded, full_range
from .exif import is_adobe_rgb, orientation_of
from .picture import check_pixels

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END_OF_IMAGE = 0xDA, b"\xff\xd9"
_APP1, _APP2 = 0xE1, 0xE2
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"


def read_jpeg(data: bytes, max_pixels: int) -> Decoded:
    """Return the picture in a JPEG file; of several in one file, as stereo cameras write, the first.

    Raises UnreadableInputError for one with too many pixels, and other errors, imagecodecs' own among them,
    for a broken file.
    """
    exif, xmp, bits, scan = None, None, 0, 0
    profile: dict[int, bytes] = {}
    for marker, at, body in _segments(data):
        if marker in _FRAMES:
            bits, height, width = struct.unpack_from(">BHH", body)
            check_pixels(width, height, max_pixels)
        elif marker == _APP1 and body.startswith(_EXIF):
            exif = exif or body
        elif marker == _APP1 and body.startswith(_XMP):
            xmp = xmp or body
        elif marker == _APP2 and body.startswith(_ICC) and len(body) > 14:
            profile.setdefault(body[12], body[14:])
        elif marker == _SCAN:
            scan = at
    if not bits or not scan:
        raise ValueError("it has no frame or no scan")
    if data.rfind(_END_OF_IMAGE) < scan:  # the decoder would make the rest grey
        raise ValueError("it is cut: the mark of its end is missing")
    samples = imagecodecs.jpeg8_decode(data)
    samples = full_range(samples[:, :, None] if samples.ndim == 2 else samples, (1 << max(bits, 8)) - 1)
    notes = ["its gain map for bright screens is left out"] if xmp and b"hdrgm:Version" in xmp else []
    icc = b"".join(profile[index] for index in sorted(profile)) or None
    if icc is None and is_adobe_rgb(exif):
        icc = profiles.rgb_profile(profiles.ADOBE_PRIMARIES, profiles.gamma_curve(profiles.ADOBE_GAMMA))
    if samples.shape[2] == 4:  # Adobe's programs, and with them all others, store 255 for no ink
        return Decoded(np.iinfo(samples.dtype).max - samples, "cmyk", icc, orientation_of(exif, xmp), notes)
    return Decoded(samples, "grey" if samples.shape[2] == 1 else "rgb", icc, orientation_of(exif, xmp), notes)


def _segments(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield marker, position and content of the segments up to the first scan."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # bytes that belong to no segment: libjpeg passes over them, too
            at = data.find(b"\xff", at)
            if at < 0:
                return
            continue
        marker = data[at + 1]
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD7:  # filling, and markers without content
            at += 1 if marker == 0xFF else 2
            continue
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if size < 2:
            raise ValueError(f"the segment at byte {at} has no length")
        yield marker, at, data[at + 4 : at + 2 + size]
        if marker == _SCAN:
            return
        at += 2 + size

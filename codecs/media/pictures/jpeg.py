"""JPEG (ITU-T T.81, T.872): segments taken apart here, pixels decoded by libjpeg-turbo."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np

from . import profile as profiles
from .decoded import Decoded, Space, full_range
from .exif import is_adobe_rgb, orientation_of
from .metadata import Metadata
from .picture import check_pixels

_SPACES: dict[int, Space] = {1: "grey", 3: "rgb", 4: "cmyk"}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END_OF_IMAGE = 0xDA, b"\xff\xd9"
_APP2 = 0xE2
_JFIF, _EXIF, _XMP = b"JFIF\0", b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP, _PHOTOSHOP, _ICC = b"http://ns.adobe.com/xmp/extension/\0", b"Photoshop 3.0\0", b"ICC_PROFILE\0"
# Application segments beside that of the profile: what those that are kept begin with.
_TOLD = {
    0xE0: re.compile(re.escape(_JFIF)),
    0xE1: re.compile(b"|".join(re.escape(start) for start in (_EXIF, _XMP, _MORE_XMP))),
    0xED: re.compile(re.escape(_PHOTOSHOP)),
}
_LOST = (
    (_MORE_XMP, b"", "the second part of its XMP data is left out"),
    (_PHOTOSHOP, b"8BIM\x04\x04", "its IPTC data are left out"),
    (_XMP, b"hdrgm:Version", "its gain map for bright screens is left out"),
)
_PER_INCH = {1: 1.0, 2: 2.54}  # units of JFIF


def read_jpeg(data: bytes, max_pixels: int) -> Decoded:
    """Return the picture in a JPEG file; of several in one file, as stereo cameras write, the first.

    Raises UnreadableInputError for one with too many pixels, and other errors, imagecodecs' own among them,
    for a broken file.
    """
    bits, scan = 0, 0
    profile: dict[int, bytes] = {}
    told: dict[bytes, bytes] = {}
    for marker, at, body in _segments(data):
        if marker in _FRAMES:
            bits, height, width = struct.unpack_from(">BHH", body)
            check_pixels(width, height, max_pixels)
        elif marker == _APP2 and body.startswith(_ICC) and len(body) > 14:
            profile.setdefault(body[12], body[14:])
        elif marker in _TOLD and (start := _TOLD[marker].match(body)):
            told.setdefault(start[0], body[len(start[0]) :])
        elif marker == _SCAN:
            scan = at
    if not bits or not scan:
        raise ValueError("it has no frame or no scan")
    if data.rfind(_END_OF_IMAGE) < scan:  # the decoder would make the rest grey
        raise ValueError("it is cut: the mark of its end is missing")
    samples = imagecodecs.jpeg8_decode(data)
    samples = full_range(samples[:, :, None] if samples.ndim == 2 else samples, (1 << max(bits, 8)) - 1)
    exif, xmp = told.get(_EXIF), told.get(_XMP)
    metadata = Metadata(exif, xmp, _resolution(told.get(_JFIF, b"")))
    notes = [words for kind, part, words in _LOST if kind in told and part in told[kind]]
    icc = b"".join(profile[index] for index in sorted(profile)) or None
    if icc is None and is_adobe_rgb(exif):
        icc = profiles.rgb_profile(profiles.ADOBE_PRIMARIES, profiles.gamma_curve(profiles.ADOBE_GAMMA))
    if samples.shape[2] == 4:  # Adobe's programs, and with them all others, store 255 for no ink
        samples = np.iinfo(samples.dtype).max - samples
    space = _SPACES[samples.shape[2]]
    return Decoded(samples, space, icc, orientation_of(exif, xmp), notes, metadata)


def _resolution(jfif: bytes) -> tuple[float, float] | None:
    """Return dots per inch of a JFIF segment after its name; None where it gives the form of pixels alone."""
    if len(jfif) < 7:
        return None
    unit, across, down = struct.unpack_from(">BHH", jfif, 2)
    scale = _PER_INCH.get(unit)
    return (across * scale, down * scale) if scale and across and down else None


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

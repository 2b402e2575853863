"""JPEG XL: its head and boxes taken apart here, pixels decoded by libjxl."""

from __future__ import annotations

import imagecodecs
import numpy as np

from ....errors import UnreadableInputError
from . import profile as profiles
from .decoded import Decoded, Space
from .jpegxl_header import boxes, read_head
from .metadata import Metadata
from .picture import check_pixels


def read_jpegxl(data: bytes, max_pixels: int) -> Decoded:
    """Return the picture in a JPEG XL file, upright, of an animation the first one; 9 to 16 bits become 16.

    Raises UnreadableInputError for one with too many pixels or samples of floats, and other errors, imagecodecs'
    own among them, for a broken file.
    """
    if not imagecodecs.JPEGXL.available:
        raise UnreadableInputError("it needs an imagecodecs with JPEG XL, which this one is not")
    head, notes = read_head(data), list[str]()
    check_pixels(head.width, head.height, max_pixels)
    if head.is_float:
        raise UnreadableInputError("its samples are floating-point numbers, whose white is not fixed: convert it first")
    samples = np.asarray(imagecodecs.jpegxl_decode(data, index=0 if head.animated else None, numthreads=1))
    if head.animated:
        notes.append("of an animation only the first picture is taken")
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    if samples.ndim != 3 or samples.dtype not in (np.uint8, np.uint16):
        raise UnreadableInputError(f"samples of {samples.dtype} in {samples.ndim} dimensions are not supported")
    space: Space = "grey" if samples.shape[2] < 3 else "rgb"
    icc = None
    try:
        if head.colours is None:
            raise ValueError("its colours are described in a way that cannot be read")
        icc = profiles.coded_profile(*head.colours)
    except ValueError as error:
        notes.append(f"{error}, and it is taken as sRGB")
    return Decoded(samples, space, icc, 1, notes, _metadata(data, notes))


def _metadata(data: bytes, notes: list[str]) -> Metadata:
    """Return what the boxes hold, perhaps in Brotli."""
    found: dict[bytes, bytes] = {}
    for kind, body in boxes(data):
        if kind == b"brob" and body[:4] in (b"Exif", b"xml "):
            try:
                found.setdefault(body[:4], bytes(imagecodecs.brotli_decode(body[4:])))
            except Exception:  # an imagecodecs without it, or a broken box
                notes.append(f"its {body[:4].decode().strip()} data are left out: they cannot be decompressed")
        elif kind in (b"Exif", b"xml "):
            found.setdefault(kind, body)
    exif = found.get(b"Exif", b"")
    offset = int.from_bytes(exif[:4], "big")  # of the TIFF structure
    return Metadata(exif[4 + offset :].removeprefix(b"Exif\0\0") or None, found.get(b"xml "))

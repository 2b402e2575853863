"""AVIF and JPEG 2000: boxes (ISO/IEC 14496-12) taken apart here, pixels decoded by libavif and OpenJPEG."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ....errors import UnreadableInputError
from . import profile as profiles
from .decoded import Decoded, Space, full_range
from .metadata import Metadata
from .picture import check_pixels

AVIF_BRANDS = (b"avif", b"avis")
_CODESTREAM = b"\xff\x4f\xff\x51"
_CMYK, _SRGB, _GREY, _SYCC = 12, 16, 17, 18
_ALPHA = 1
_EXIF_UUID, _XMP_UUID = b"JpgTiffExif->JP2", bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_COLOUR_STEPS = ((1, 1), (2, 1), (2, 2))  # pixels across and down for one sample of colour
Boxes = list[tuple[bytes, bytes]]


def is_avif(data: bytes) -> bool:
    """Tell whether the file type box names AVIF among what the file is compatible with."""
    size = int.from_bytes(data[:4], "big")
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(size, 256), 4))]
    return data[4:8] == b"ftyp" and any(brand in AVIF_BRANDS for brand in brands)


def read_avif(data: bytes, max_pixels: int) -> Decoded:
    """Return the primary picture in an AVIF file, upright; 10 and 12 bits become 16.

    Raises UnreadableInputError for one with too many pixels, and other errors, imagecodecs' own among them,
    for a broken file.
    """
    properties, notes = _primary_properties(data)
    found = dict(reversed(properties))  # of each kind the first
    width, height = struct.unpack_from(">II", _needed(found, b"ispe"), 4)
    check_pixels(width, height, max_pixels)
    if data[8:12] == b"avis":  # the brand under which libavif takes the still picture, not the whole film
        notes.append("of an animation only the still picture is taken")
        data = data[:8] + b"avif" + data[12:]
    samples = imagecodecs.avif_decode(data)
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    samples = full_range(samples, (1 << _avif_bits(found)) - 1 if samples.dtype != np.uint8 else 255)
    if b"clap" in found:
        notes.append("it asks to be cropped, which is not done")
    for kind, body in properties:
        if kind == b"irot":
            samples = np.rot90(samples, body[0] & 3)
        elif kind == b"imir":
            samples = samples[:, ::-1] if body[0] & 1 else samples[::-1]
    space: Space = "grey" if samples.shape[2] < 3 else "rgb"
    return Decoded(samples, space, _avif_profile(properties, notes), 1, notes, _avif_metadata(data, notes))


def _avif_metadata(data: bytes, notes: list[str]) -> Metadata:
    from PIL import AvifImagePlugin

    try:
        info = AvifImagePlugin.AvifImageFile(io.BytesIO(data)).info
    except Exception:  # a Pillow without libavif, or a file that it likes less
        notes.append("what it has of EXIF and XMP data is left out")
        return Metadata()
    return Metadata(info.get("exif", b"").removeprefix(b"Exif\0\0") or None, info.get("xmp"))


def _needed(found: dict[bytes, bytes], kind: bytes) -> bytes:
    if kind not in found:
        raise ValueError(f"it has no box {kind.decode()}")
    return found[kind]


def _boxes(data: bytes, at: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the boxes from `at` on, the last perhaps cut."""
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        end = at + size if size else len(data)
        if end < start:
            raise ValueError(f"the box {kind.decode('latin-1')} has no length")
        yield kind, data[start:end]
        at = end


def _primary_properties(data: bytes) -> tuple[Boxes, list[str]]:
    """Return the properties of the primary picture in the order in which they apply, and notes."""
    meta = next((body for kind, body in _boxes(data) if kind == b"meta"), None)
    if meta is None:
        raise ValueError("it has no still picture")
    inside = dict(_boxes(meta, 4))
    notes = []
    if b"tmap" in data[:64]:
        notes.append("its gain map for bright screens is left out")
    pitm = _needed(inside, b"pitm")
    primary = int.from_bytes(pitm[4:6] if pitm[0] == 0 else pitm[4:8], "big")
    parts = list(_boxes(_needed(inside, b"iprp")))
    stored = list(_boxes(_needed(dict(parts), b"ipco")))
    indices = [index for kind, body in parts if kind == b"ipma" for index in _associated(body, primary)]
    return [stored[index - 1] for index in indices if 0 < index <= len(stored)], notes


def _associated(ipma: bytes, item: int) -> list[int]:
    """Return the numbers of the properties that an association box gives to an item."""
    wide_id, wide_index = ipma[0] > 0, ipma[3] & 1
    (count,) = struct.unpack_from(">I", ipma, 4)
    at = 8
    for _ in range(min(count, len(ipma))):
        number, total = struct.unpack_from(">IB" if wide_id else ">HB", ipma, at)
        at += 5 if wide_id else 3
        form, mask = (f">{total}H", 0x7FFF) if wide_index else (f">{total}B", 0x7F)
        if number == item:
            return [index & mask for index in struct.unpack_from(form, ipma, at)]
        at += struct.calcsize(form)
    return []


def _avif_bits(found: dict[bytes, bytes]) -> int:
    if av1c := found.get(b"av1C", b""):
        return 8 if not av1c[2] & 0x40 else 12 if av1c[2] & 0x20 else 10
    return int(_needed(found, b"pixi")[5])


def _avif_profile(properties: Boxes, notes: list[str]) -> bytes | None:
    """Return the profile in the file, else that of the code points."""
    colours = [body for kind, body in properties if kind == b"colr"]
    for body in colours:
        if body[:4] in (b"prof", b"rICC"):
            return body[4:]
    for body in colours:
        if body[:4] == b"nclx" and len(body) >= 8:
            try:
                return profiles.coded_profile(*struct.unpack_from(">HH", body, 4))
            except ValueError as error:
                notes.append(f"{error}, and it is taken as sRGB")
    return None


def read_jpeg2000(data: bytes, max_pixels: int) -> Decoded:
    """Return the picture in a JP2 file or a bare codestream; 9 to 16 bits become 16.

    Raises UnreadableInputError for one with too many pixels or bits, and other errors, imagecodecs' own
    among them, for a broken file.
    """
    header: dict[bytes, bytes] = {}
    colours: Boxes = []
    if not data.startswith(_CODESTREAM):
        body = next((body for kind, body in _boxes(data) if kind == b"jp2h"), b"")
        parts = list(_boxes(body))
        header, colours = dict(parts), [part for part in parts if part[0] == b"colr"]
    bits = _jpeg2000_bits(data, max_pixels)
    samples = imagecodecs.jpeg2k_decode(data)
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    if b"pclr" in header:
        bits = max(bits, samples.dtype.itemsize * 8)
    samples = full_range(samples, (1 << max(bits, 8)) - 1 if bits > 8 else (1 << bits) - 1)
    notes: list[str] = []
    space, icc = _jpeg2000_space(colours, samples.shape[2], notes)
    samples = _known_channels(samples, space, header.get(b"cdef", b""), notes)
    return Decoded(samples, space, icc, 1, notes, _jpeg2000_metadata(data))


def _jpeg2000_metadata(data: bytes) -> Metadata:
    if data.startswith(_CODESTREAM):
        return Metadata()
    found = {body[:16]: body[16:] for kind, body in _boxes(data) if kind == b"uuid"}
    exif = found.get(_EXIF_UUID, b"").removeprefix(b"Exif\0\0")
    return Metadata(exif or None, found.get(_XMP_UUID))


def _jpeg2000_bits(data: bytes, max_pixels: int) -> int:
    """Return the bits a sample, once the size has been found good."""
    at = data.find(_CODESTREAM)
    if at < 0:
        raise ValueError("it has no codestream")
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    (count,) = struct.unpack_from(">H", data, at + 40)
    depths = data[at + 42 : at + 42 + 3 * count : 3]
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0 or not depths:
        raise ValueError("its codestream has no size")
    check_pixels(width, height, max_pixels)
    if count > 5 or any(depth & 0x80 or (depth & 0x7F) > 15 for depth in depths):
        raise UnreadableInputError(f"{count} channels, some of more than 16 bits or signed, are not supported")
    steps = [tuple(data[at + 43 + 3 * index : at + 45 + 3 * index]) for index in range(count)]
    if set(steps[:1] + steps[3:]) != {(1, 1)} or steps[1:3] not in ([], [steps[0]], *([s] * 2 for s in _COLOUR_STEPS)):
        raise UnreadableInputError("its channels have sizes of their own, which is not supported")
    return max(depth & 0x7F for depth in depths) + 1


def _jpeg2000_space(colours: Boxes, channels: int, notes: list[str]) -> tuple[Space, bytes | None]:
    space: Space = "grey" if channels < 3 else "rgb"
    for _, body in colours:
        if body[:1] in (b"\2", b"\3"):
            icc = body[3:]
            return ("cmyk" if profiles.space_of(icc) == b"CMYK" and channels >= 4 else space), icc
        (number,) = struct.unpack_from(">I", body, 3)
        if number == _CMYK and channels >= 4:
            return "cmyk", None
        if number not in (_SRGB, _GREY, _SYCC):
            notes.append(f"its colour space {number} is not known and taken as sRGB")
        return space, None
    return space, None


def _known_channels(samples: NDArray[Any], space: Space, cdef: bytes, notes: list[str]) -> NDArray[Any]:
    """Return the colours and alpha; a fourth channel is alpha unless the file says otherwise."""
    colours = {"grey": 1, "rgb": 3, "cmyk": 4, "lab": 3}[space]
    kinds = {cdef[at + 1]: int.from_bytes(cdef[at + 2 : at + 4], "big") for at in range(2, len(cdef) - 5, 6)}
    has_alpha = samples.shape[2] > colours and kinds.get(colours, _ALPHA) in (_ALPHA, 2)
    if kinds.get(colours) == 2:
        notes.append("its colours are multiplied by alpha, which is not undone")
    if samples.shape[2] > colours + has_alpha:
        notes.append("its further channels are left out")
    return samples[:, :, : colours + has_alpha]

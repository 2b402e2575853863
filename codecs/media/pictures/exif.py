"""What EXIF and XMP say about the pixels themselves (orientation, Adobe RGB, resolution), and EXIF made upright."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import Literal

_ORIENTATION, _EXIF_IFD, _INTEROPERABILITY_IFD, _INTEROPERABILITY = 0x0112, 0x8769, 0xA005, 1
_XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])""")
_WIDTH, _HEIGHT, _X_RESOLUTION, _Y_RESOLUTION, _UNIT = 0x0100, 0x0101, 0x011A, 0x011B, 0x0128
_PIXELS_ACROSS, _PIXELS_DOWN, _THUMBNAIL, _THUMBNAIL_BYTES = 0xA002, 0xA003, 0x0201, 0x0202
_SHORT, _LONG, _ASCII, _RATIONAL = 3, 4, 2, 5


def orientation_of(exif: bytes | None, xmp: bytes | None = None) -> int:
    """Return the orientation, 1..8: that of EXIF, else that of XMP, else 1; broken data counts as none."""
    value = _first_directory(exif or b"").get(_ORIENTATION, 0)
    if isinstance(value, int) and 1 <= value <= 8:
        return value
    found = _XMP_ORIENTATION.search(xmp or b"")
    return int(found[1]) if found else 1


def is_adobe_rgb(exif: bytes | None) -> bool:
    """Tell whether a camera wrote Adobe RGB by the rule of DCF 2.0: interoperability index "R03"."""
    data = _without_prefix(exif or b"")
    directory: Mapping[int, int | bytes] = _first_directory(data)
    for tag in (_EXIF_IFD, _INTEROPERABILITY_IFD):
        offset = directory.get(tag, 0)
        directory = _directory(data, offset) if isinstance(offset, int) else {}
    return directory.get(_INTEROPERABILITY) == b"R03\0"


def _without_prefix(exif: bytes) -> bytes:
    return exif.removeprefix(b"Exif\0\0")


def _first_directory(exif: bytes) -> dict[int, int | bytes]:
    data = _without_prefix(exif)
    return _directory(data, _first_offset(data))


def _first_offset(data: bytes) -> int:
    return int(struct.unpack_from(byte_order(data) + "I", data, 4)[0]) if len(data) >= 8 else 0


def byte_order(data: bytes | bytearray) -> Literal["<", ">"]:
    """Return how `struct` calls the byte order of a TIFF structure."""
    return ">" if data[:2] == b"MM" else "<"


def _directory(data: bytes, offset: int) -> dict[int, int | bytes]:
    """Return the single integers and short texts of a TIFF directory, as far as it can be read."""
    order = byte_order(data)
    values: dict[int, int | bytes] = {}
    for entry, tag, kind, number in entries_of(data, offset):
        if kind == _ASCII and number <= 4:
            values[tag] = data[entry + 8 : entry + 8 + number]
        elif kind in (_SHORT, _LONG) and number == 1:
            (values[tag],) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), data, entry + 8)
    return values


def entries_of(data: bytes | bytearray, offset: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield position, tag, type and count of the entries of a TIFF directory, as far as they are there."""
    order = byte_order(data)
    if data[:4] not in (b"II*\0", b"MM\0*") or not offset:
        return
    try:
        (count,) = struct.unpack_from(order + "H", data, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            struct.unpack_from("4s", data, entry + 8)
            yield entry, *struct.unpack_from(order + "HHI", data, entry)
    except struct.error:
        return  # what came so far is good


def upright_exif(exif: bytes, orientation: int) -> bytes | None:
    """Return EXIF data for a picture from which `orientation` (1..8) was taken away; None where it is broken.

    The orientation becomes 1, width and height change places where the picture lay on its side, and the thumbnail goes.
    All else stays at its place, because notes of camera makers hold offsets that nobody can change.
    """
    data = bytearray(_without_prefix(exif))
    order = byte_order(data)
    try:
        (first,) = struct.unpack_from(order + "I", data, 4)
    except struct.error:
        return None
    at = {tag: (entry, kind, number) for entry, tag, kind, number in entries_of(data, first)}
    if not at:
        return None
    if _ORIENTATION in at and at[_ORIENTATION][1:] == (_SHORT, 1):
        struct.pack_into(order + "H", data, at[_ORIENTATION][0] + 8, 1)
    if orientation >= 5:
        _swap(data, at, _WIDTH, _HEIGHT)
        _swap(data, at, _X_RESOLUTION, _Y_RESOLUTION)
        inner = _first_directory(bytes(data)).get(_EXIF_IFD, 0)
        if isinstance(inner, int):
            of_exif = {tag: (entry, kind, number) for entry, tag, kind, number in entries_of(data, inner)}
            _swap(data, of_exif, _PIXELS_ACROSS, _PIXELS_DOWN)
    return _without_thumbnail(data, first, order)


def _swap(data: bytearray, at: Mapping[int, tuple[int, int, int]], one: int, other: int) -> None:
    """Let two tags of a directory change their values."""
    if one in at and other in at:
        a, b = at[one][0], at[other][0]
        data[a + 2 : a + 12], data[b + 2 : b + 12] = data[b + 2 : b + 12], data[a + 2 : a + 12]


def _without_thumbnail(data: bytearray, first: int, order: str) -> bytes:
    """Return `data` without its second directory: cut off where it lies at the end, zeros elsewhere."""
    (count,) = struct.unpack_from(order + "H", data, first)
    link = first + 2 + 12 * count
    if len(data) < link + 4:
        return bytes(data)
    (second,) = struct.unpack_from(order + "I", data, link)
    tags = _directory(bytes(data), second)
    struct.pack_into(order + "I", data, link, 0)
    start, size = tags.get(_THUMBNAIL, 0), tags.get(_THUMBNAIL_BYTES, 0)
    if not (isinstance(start, int) and isinstance(size, int) and link < start < len(data) and size):
        return bytes(data)
    if start + size >= len(data) - 4:  # some writers pad
        return bytes(data[:start])
    data[start : start + size] = bytes(size)
    return bytes(data)


def resolution_of(exif: bytes | None) -> tuple[float, float] | None:
    """Return the dots per inch, across and down, that EXIF data gives; None where it gives none."""
    data = _without_prefix(exif or b"")
    order, values = byte_order(data), _first_directory(data)
    unit = values.get(_UNIT, 2)
    at = {tag: entry for entry, tag, kind, _ in entries_of(data, _first_offset(data)) if kind == _RATIONAL}
    try:
        found = []
        for tag in (_X_RESOLUTION, _Y_RESOLUTION):
            (offset,) = struct.unpack_from(order + "I", data, at[tag] + 8)
            above, below = struct.unpack_from(order + "II", data, offset)
            found.append(above / below * {2: 1.0, 3: 2.54}[int(unit)])
        return found[0], found[1]
    except (KeyError, struct.error, ArithmeticError, ValueError):
        return None


def exif_of_resolution(dpi: tuple[float, float]) -> bytes:
    """Return EXIF data that give dots per inch and no more, for formats that have no other place for them."""
    values = b"".join(struct.pack("<II", round(value * 10_000), 10_000) for value in dpi)
    entries = [(_X_RESOLUTION, _RATIONAL, 50), (_Y_RESOLUTION, _RATIONAL, 58), (_UNIT, _SHORT, 2)]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + values

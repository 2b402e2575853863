"""The little that EXIF and XMP say about the pixels themselves: orientation, and Adobe RGB."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping

_ORIENTATION, _EXIF_IFD, _INTEROPERABILITY_IFD, _INTEROPERABILITY = 0x0112, 0x8769, 0xA005, 1
_XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([1-8])""")
_SHORT, _LONG, _ASCII = 3, 4, 2


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
    try:
        (offset,) = struct.unpack_from(_order(data) + "I", data, 4)
    except struct.error:
        return {}
    return _directory(data, offset)


def _order(data: bytes) -> str:
    return ">" if data[:2] == b"MM" else "<"


def _directory(data: bytes, offset: int) -> dict[int, int | bytes]:
    """Return the single integers and short texts of a TIFF directory, as far as it can be read."""
    order = _order(data)
    values: dict[int, int | bytes] = {}
    if data[:4] not in (b"II*\0", b"MM\0*") or not offset:
        return values
    try:
        (count,) = struct.unpack_from(order + "H", data, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", data, entry)
            if kind == _ASCII and number <= 4:
                values[tag] = data[entry + 8 : entry + 8 + number]
            elif kind in (_SHORT, _LONG) and number == 1:
                (values[tag],) = struct.unpack_from(order + ("H" if kind == _SHORT else "I"), data, entry + 8)
    except struct.error:
        pass  # what was read so far is good
    return values

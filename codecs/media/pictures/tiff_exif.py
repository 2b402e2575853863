"""EXIF data in TIFF files, where their first directory is that of the picture itself.

Directories are taken into memory with their values, and written again at another place; no value is looked into, so the
byte order stays what it is.
"""

from __future__ import annotations

import struct

from .exif import byte_order, entries_of

_EXIF, _GPS, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
# Tags of the first directory that speak to people, not of the pixels: description, make, model, software, date, artist,
# computer, ratings, copyright, Microsoft's texts.
_KEPT = {0x10E, 0x10F, 0x110, 0x131, 0x132, 0x13B, 0x13C, 0x4746, 0x4749, 0x8298, *range(0x9C9B, 0x9CA0), _EXIF, _GPS}
_RESOLUTION = {0x11A, 0x11B, 0x128}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # of a value by its type
_HEADER = 8
_MOST = 1 << 24  # bytes of all values
# Tag -> type, count and value; of a directory inside, its own content.
Directory = dict[int, "tuple[int, int, bytes | Directory]"]


def exif_in_tiff(data: bytes, offset: int) -> bytes | None:
    """Return EXIF data of the directory at `offset` of a TIFF file (not BigTIFF), None where it has none.

    A resolution alone is none. Raises ValueError where they are too large.
    """
    found = {tag: value for tag, value in _load(data, offset).items() if tag in _KEPT | _RESOLUTION}
    if not set(found) - _RESOLUTION:
        return None
    return data[:4] + struct.pack(byte_order(data) + "I", _HEADER) + _dump(found, _HEADER, byte_order(data))


def with_exif(tiff: bytes, exif: bytes) -> bytes:
    """Return a TIFF file (not BigTIFF) with EXIF data of the same byte order in its first directory.

    That is written anew at the end of the file. What the EXIF data say of the pixels and their resolution is left out,
    because the file says so itself.
    """
    order = byte_order(tiff)
    added = _load(exif, struct.unpack_from(order + "I", exif, 4)[0])
    directory = _load(tiff, struct.unpack_from(order + "I", tiff, 4)[0])
    directory = {tag: value for tag, value in added.items() if tag in _KEPT} | directory
    start = len(tiff) + len(tiff) % 2
    pixels = tiff[_HEADER:].ljust(start - _HEADER, b"\0")
    return tiff[:4] + struct.pack(order + "I", start) + pixels + _dump(directory, start, order)


def _load(data: bytes, offset: int) -> Directory:
    """Return a directory with those inside it; entries that reach beyond the data are left out."""
    order, directory, total = byte_order(data), Directory(), 0
    for entry, tag, kind, count in entries_of(data, offset):
        size = _SIZES.get(kind, 0) * count
        at = entry + 8 if size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
        value = data[at : at + size]
        total += size
        if total > _MOST:
            raise ValueError(f"its values have more than {_MOST:,} bytes")
        if not size or len(value) < size:
            continue
        if tag in (_EXIF, _GPS, _INTEROPERABILITY):
            inside = struct.unpack(order + "I", value)[0] if size == 4 else 0
            # A directory that names itself would have no end.
            if inner := {} if inside <= offset else _load(data, inside):
                directory[tag] = (4, 1, inner)
        else:
            directory[tag] = (kind, count, value)
    return directory


def _dump(directory: Directory, start: int, order: str) -> bytes:
    """Return a directory that begins at byte `start` of its file, with all values behind it."""
    entries, behind = b"", b""
    first = start + 2 + 12 * len(directory) + 4
    for tag, (kind, count, value) in sorted(directory.items()):
        at = first + len(behind)
        content = value if isinstance(value, bytes) else _dump(value, at, order)
        if isinstance(value, bytes) and len(value) <= 4:
            field = value.ljust(4, b"\0")
        else:
            field = struct.pack(order + "I", at)
            behind += content + bytes(len(content) % 2)
        entries += struct.pack(order + "HHI", tag, kind, count) + field
    return struct.pack(order + "H", len(directory)) + entries + bytes(4) + behind

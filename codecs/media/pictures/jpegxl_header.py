"""The size of a JPEG XL picture from its first bytes (ISO/IEC 18181-1, D.2; 18181-2 for the boxes around it)."""

from __future__ import annotations

import struct

CODESTREAM, BOXES = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_EXTENTS = (9, 13, 18, 30)  # bits of an extent, chosen by two bits before it
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height, numbers 1 to 7


def jpegxl_size(data: bytes) -> tuple[int, int]:
    """Return width and height as they are stored; raises ValueError where these are no such bytes."""
    codestream = data if data.startswith(CODESTREAM) else _codestream(data)
    if not codestream.startswith(CODESTREAM) or len(codestream) < 4:
        raise ValueError("it has no JPEG XL codestream")
    bits = _Bits(int.from_bytes(codestream[2:14], "little"))
    small = bits.take(1)

    def extent() -> int:
        return 8 * bits.take(5) + 8 if small else bits.take(_EXTENTS[bits.take(2)]) + 1

    height, ratio = extent(), bits.take(3)
    if ratio == 0:
        return extent(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


class _Bits:
    """Takes bits, the lowest first."""

    def __init__(self, value: int) -> None:
        self.value = value

    def take(self, count: int) -> int:
        taken = self.value & ((1 << count) - 1)
        self.value >>= count
        return taken


def _codestream(data: bytes) -> bytes:
    """Return the beginning of the codestream in boxes: whole (jxlc) or in parts that begin with a number (jxlp)."""
    at = len(BOXES)
    while data.startswith(BOXES) and at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        if kind in (b"jxlc", b"jxlp"):
            return data[start + (4 if kind == b"jxlp" else 0) :][:64]
        if size < start - at:
            break
        at += size
    return b""

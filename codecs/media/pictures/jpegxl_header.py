"""What the head of a JPEG XL codestream says (ISO/IEC 18181-1, annexes A, D and E; 18181-2 for the boxes around it)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

CODESTREAM, BOXES = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_EXTENTS = (9, 13, 18, 30)  # bits of an extent, chosen by two bits before it
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height, numbers 1 to 7
_HEAD = 4096  # bytes of the codestream that surely hold the head
_CUSTOM, _XYB_SPACE, _GREY_SPACE, _ALPHA, _SPOT, _CFA = 2, 2, 1, 0, 2, 5
_D65, _P3, _DCI_WHITE = 1, 11, 11
SRGB, P3_D65 = (1, 13), 12  # code points of H.273


@dataclass(frozen=True)
class Head:
    """Width and height as they are stored, and what the samples are.

    `colours` are code points of H.273 for primaries and transfer function, None for others and for an ICC profile.
    """

    width: int
    height: int
    is_float: bool = False
    animated: bool = False
    colours: tuple[int, int] | None = SRGB


def jpegxl_size(data: bytes) -> tuple[int, int]:
    """Return width and height as they are stored; raises ValueError where these are no such bytes."""
    return _size(_bits(data))


def read_head(data: bytes) -> Head:
    """Return the head of a codestream, bare or in boxes; raises ValueError as `jpegxl_size`."""
    bits = _bits(data)
    width, height = _size(bits)
    if bits.take(1):
        return Head(width, height)
    animated = False
    if bits.take(1):
        bits.take(3)  # orientation: libjxl applies it
        if bits.take(1):
            _size(bits)  # intrinsic size
        if bits.take(1):
            _preview(bits)
        animated = bool(bits.take(1))
        if animated:
            _animation(bits)
    is_float = _depth(bits)
    bits.take(1)  # buffers of 16 bits suffice
    for _ in range(bits.number(0, 1, (2, 4), (1, 12))):
        _extra_channel(bits)
    bits.take(1)  # XYB: libjxl gives the colours back that are named here
    return Head(width, height, is_float, animated, _colours(bits))


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the boxes of a file, the last perhaps cut; none of a bare codestream."""
    at = len(BOXES)
    while data.startswith(BOXES) and at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        end = at + size if size else len(data)
        if end < start:
            return
        yield kind, data[start:end]
        at = end


class _Bits:
    """Takes bits, the lowest first; zeros after the end."""

    def __init__(self, value: int) -> None:
        self.value = value

    def take(self, count: int) -> int:
        taken = self.value & ((1 << count) - 1)
        self.value >>= count
        return taken

    def number(self, *choices: int | tuple[int, int]) -> int:
        """Return one of four numbers, two bits say which; of a pair the first plus as many bits as the second says."""
        choice = choices[self.take(2)]
        return choice if isinstance(choice, int) else choice[0] + self.take(choice[1])

    def enum(self) -> int:
        return self.number(0, 1, (2, 4), (18, 6))


def _bits(data: bytes) -> _Bits:
    codestream = data if data.startswith(CODESTREAM) else _codestream(data)
    if not codestream.startswith(CODESTREAM) or len(codestream) < 4:
        raise ValueError("it has no JPEG XL codestream")
    return _Bits(int.from_bytes(codestream[2:_HEAD], "little"))


def _codestream(data: bytes) -> bytes:
    """Return the beginning of the codestream in boxes: whole (jxlc) or in parts that begin with a number (jxlp)."""
    whole = b""
    for kind, body in boxes(data):
        if kind == b"jxlc":
            return body[:_HEAD]
        if kind == b"jxlp" and len(whole) < _HEAD:
            whole += body[4 : 4 + _HEAD]
    return whole


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)

    def extent() -> int:
        return 8 * bits.take(5) + 8 if small else bits.take(_EXTENTS[bits.take(2)]) + 1

    height, ratio = extent(), bits.take(3)
    if ratio == 0:
        return extent(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def _preview(bits: _Bits) -> None:
    by_eight = bits.take(1)
    choices = (16, 32, (1, 5), (33, 9)) if by_eight else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.number(*choices)
    if not bits.take(3):
        bits.number(*choices)


def _animation(bits: _Bits) -> None:
    bits.number(100, 1000, (1, 10), (1, 30))
    bits.number(1, 1001, (1, 8), (1, 10))
    bits.number(0, (0, 3), (0, 16), (0, 32))
    bits.take(1)


def _depth(bits: _Bits) -> bool:
    """Pass over the depth of samples and tell whether they are floats."""
    if bits.take(1):
        bits.number(32, 16, 24, (1, 6))
        bits.take(4)
        return True
    bits.number(8, 10, 12, (1, 6))
    return False


def _extra_channel(bits: _Bits) -> None:
    if bits.take(1):
        return
    kind = bits.enum()
    _depth(bits)
    bits.number(0, 3, 4, (1, 3))
    for _ in range(bits.number(0, (0, 4), (16, 5), (48, 10))):
        bits.take(8)
    if kind == _ALPHA:
        bits.take(1)
    elif kind == _SPOT:
        bits.take(64)
    elif kind == _CFA:
        bits.number(1, (0, 2), (3, 4), (19, 8))


def _colours(bits: _Bits) -> tuple[int, int] | None:
    if bits.take(1):
        return SRGB
    is_icc, space = bits.take(1), bits.enum()
    if is_icc or space > _GREY_SPACE:
        return None
    white, primaries = bits.enum(), 1
    if white == _CUSTOM:
        return None
    if space != _GREY_SPACE:
        primaries = bits.enum()
    if primaries == _CUSTOM or bits.take(1):  # a gamma
        return None
    transfer = bits.enum()
    if (primaries, white) == (_P3, _D65):
        return P3_D65, transfer
    return (primaries, transfer) if white == (_DCI_WHITE if primaries == _P3 else _D65) else None

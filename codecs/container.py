"""The whole file format: a header, optional sections, one payload, and the checks around them.

    magic | version | codec id | fingerprint | counts | fields | sections | latents check | payload | CRC-32

`FORMAT.md` beside this module is the format's description. Nothing here knows a codec or a model.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import CorruptStreamError, UsageError
from .media.files import named, read_bytes

# The first byte is no ASCII and no start of a UTF-8 character, so that no text file can carry it.
MAGIC = b"\x8aBFL"
VERSION = 2
FINGERPRINT_SIZE = 4
LATENTS_CHECK_SIZE = 3
CRC_SIZE = 4
MAX_FIELDS = 15
MAX_SECTIONS = 15
MAX_INTEGER = 2**32 - 1

_FIXED_SIZE = len(MAGIC) + 1 + 1 + FINGERPRINT_SIZE + 1
_MIN_SIZE = _FIXED_SIZE + LATENTS_CHECK_SIZE + CRC_SIZE
_MEND = "get the file again from where it was made"
_WRONG = "its writer is at fault, make the file again with bitfloor"


class Section(IntEnum):
    """Ids of the optional sections; a reader keeps the sections that it does not know and ignores them."""

    ALPHA = 1
    ICC = 2
    DEPTH = 3
    EXIF = 4
    XMP = 5
    RESOLUTION = 6


@dataclass(frozen=True)
class Header:
    """What stands before the payload.

    `codec_id` 1..255, `fingerprint` the 4 bytes that name the model, `fields` at most 15 integers of
    0..2^32-1 whose meaning is the codec's, `sections` at most 15 byte strings by id (1..255).
    """

    codec_id: int
    fingerprint: bytes
    fields: tuple[int, ...]
    sections: Mapping[int, bytes] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Raise ValueError for a header that the format cannot hold."""
        if not 1 <= self.codec_id <= 255:
            raise ValueError(f"codec id {self.codec_id} is not in 1..255")
        if len(self.fingerprint) != FINGERPRINT_SIZE:
            raise ValueError(f"a fingerprint has {FINGERPRINT_SIZE} bytes, not {len(self.fingerprint)}")
        if len(self.fields) > MAX_FIELDS:
            raise ValueError(f"{len(self.fields)} fields: a header holds at most {MAX_FIELDS}")
        for value in self.fields:
            if not 0 <= value <= MAX_INTEGER:
                raise ValueError(f"field {value} is not in 0..{MAX_INTEGER}")
        if len(self.sections) > MAX_SECTIONS:
            raise ValueError(f"{len(self.sections)} sections: a header holds at most {MAX_SECTIONS}")
        for key in self.sections:
            if not 1 <= key <= 255:
                raise ValueError(f"section id {key} is not in 1..255")


@dataclass(frozen=True)
class Container:
    """A file taken apart. `sizes` says where its bytes go: part -> bytes, in file order."""

    header: Header
    payload: bytes
    latents_check: bytes
    sizes: Mapping[str, int]

    @property
    def overhead(self) -> int:
        """Bytes of the file that are neither payload nor sections."""
        parts = ("fixed header", "fields", "latents check", "CRC-32")
        return sum(self.sizes[part] for part in parts)


def pack(header: Header, payload: bytes, latents_check: bytes) -> bytes:
    """Return the bytes of the file; `latents_check` comes from the function of that name."""
    if len(latents_check) != LATENTS_CHECK_SIZE:
        raise ValueError(f"a latents check has {LATENTS_CHECK_SIZE} bytes, not {len(latents_check)}")
    out = bytearray(MAGIC)
    out += bytes((VERSION, header.codec_id))
    out += header.fingerprint
    out.append(len(header.fields) << 4 | len(header.sections))
    for value in header.fields:
        out += _varint(value)
    for key, content in sorted(header.sections.items()):
        out.append(key)
        out += _varint(len(content))
        out += content
    out += latents_check
    out += payload
    out += zlib.crc32(out).to_bytes(CRC_SIZE, "little")
    return bytes(out)


def unpack(data: bytes) -> Container:
    """Take a file apart. Raises CorruptStreamError, in one line, for anything but what `pack` returns."""
    data = file_bytes(data)
    _check_outside(data)
    # From here on the CRC has held, so what is wrong was written wrong; nothing below trusts it anyway.
    reader = _Reader(data, _FIXED_SIZE, len(data) - CRC_SIZE - LATENTS_CHECK_SIZE)
    codec_id = data[len(MAGIC) + 1]
    if codec_id == 0:
        raise CorruptStreamError(f"the header names codec 0, which cannot be; {_WRONG}")
    field_count, section_count = data[_FIXED_SIZE - 1] >> 4, data[_FIXED_SIZE - 1] & 15
    sizes = {"fixed header": _FIXED_SIZE}

    fields = tuple(reader.varint() for _ in range(field_count))
    sizes["fields"] = reader.position - _FIXED_SIZE
    sections: dict[int, bytes] = {}
    for _ in range(section_count):
        start = reader.position
        key = reader.take(1)[0]
        if key <= max(sections, default=0):
            raise CorruptStreamError(f"section {key} is out of order; {_WRONG}")
        sections[key] = reader.take(reader.varint())
        sizes[f"section {section_name(key)}"] = reader.position - start

    start = reader.position + LATENTS_CHECK_SIZE
    payload = data[start:-CRC_SIZE]
    sizes |= {"latents check": LATENTS_CHECK_SIZE, "payload": len(payload), "CRC-32": CRC_SIZE}
    fingerprint = data[_FIXED_SIZE - 1 - FINGERPRINT_SIZE : _FIXED_SIZE - 1]
    header = Header(codec_id, fingerprint, fields, MappingProxyType(sections))
    return Container(header, payload, data[reader.position : start], MappingProxyType(sizes))


def file_bytes(data: Any) -> bytes:
    """Return the bytes of a compressed file from what a caller gave as such: bytes in any wrapping, or its name.

    Raises UsageError for anything else, UnreadableInputError for a file that cannot be read.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, (str, os.PathLike)):
        return read_bytes(named(data))
    try:
        view = memoryview(data)
    except TypeError:
        raise UsageError(_not_bytes(data)) from None
    if view.itemsize != 1:
        raise UsageError(f"the bytes of a compressed file are needed, not values of {view.itemsize} bytes")
    return view.tobytes()


def _not_bytes(data: Any) -> str:
    if hasattr(data, "read"):
        return "an open file was given: give the bytes in it, file.read()"
    what = "None" if data is None else f"{type(data).__name__} {data!r:.40}"
    return f"the bytes of a compressed file are needed, not {what}"


def section_name(key: int) -> str:
    """Return the name of a section id, or the id itself where this version has no name for it."""
    try:
        return Section(key).name
    except ValueError:
        return str(key)


def latents_check(arrays: Iterable[ArrayLike]) -> bytes:
    """Return 3 bytes that stand for integer arrays, the same on every machine.

    SHA-256 over each array's element count (8 bytes) and its values in C order as int32, all little-endian,
    cut to 3 bytes. Raises ValueError for values that are no integers or do not fit 32 bits.
    """
    digest = hashlib.sha256()
    for array in arrays:
        values = np.asarray(array)
        if values.dtype.kind not in "iu":
            raise ValueError(f"latents are integers, not {values.dtype}")
        if values.size and (int(values.min()) < -(2**31) or int(values.max()) >= 2**31):
            raise ValueError("latents do not fit 32 bits")
        digest.update(values.size.to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(values, dtype="<i4").data)
    return digest.digest()[:LATENTS_CHECK_SIZE]


def verify_latents(expected: bytes, arrays: Iterable[ArrayLike]) -> None:
    """Raise CorruptStreamError unless `latents_check(arrays)` is `expected`."""
    if not hmac.compare_digest(latents_check(arrays), expected):
        raise CorruptStreamError(
            "the decoded values are not those that were encoded, though the file is whole: "
            "please report it with the file and the output of `bitfloor info`"
        )


def _check_outside(data: bytes) -> None:
    """Check magic, version, length and CRC, so that damage is seen before anything is decoded."""
    if not data:
        raise CorruptStreamError(f"the file is empty; {_MEND}")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise CorruptStreamError("this is not a bitfloor file: its first four bytes are others")
    if len(data) < _MIN_SIZE:
        raise CorruptStreamError(f"the file is cut: {len(data)} bytes, no file is that short; {_MEND}")
    # Every version of the format ends with this CRC, so that a newer file is told from a damaged one.
    if zlib.crc32(data[:-CRC_SIZE]) != int.from_bytes(data[-CRC_SIZE:], "little"):
        raise CorruptStreamError(f"the file is damaged, cut or followed by other data (wrong CRC); {_MEND}")
    version = data[len(MAGIC)]
    if version < VERSION:
        raise CorruptStreamError(
            f"the file has format version {version}, which this bitfloor no longer reads (it reads version {VERSION}): "
            "encode the original again, or decode the file with the bitfloor that made it"
        )
    if version > VERSION:
        raise CorruptStreamError(
            f"the file has format version {version}, this bitfloor reads version {VERSION}: upgrade bitfloor"
        )


def _varint(value: int) -> bytes:
    """Return LEB128: seven bits a byte, low bits first, the top bit set on all bytes but the last."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Reader:
    """Reads from `data[position:end]` and refuses to pass the end."""

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self.data = data
        self.position = position
        self.end = end

    def take(self, count: int) -> bytes:
        if count > self.end - self.position:
            raise CorruptStreamError(f"the header counts on {count} bytes that the file lacks; {_WRONG}")
        self.position += count
        return self.data[self.position - count : self.position]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                if value > MAX_INTEGER or (byte == 0 and shift):
                    break
                return value
        raise CorruptStreamError(f"the header holds an integer in no allowed form; {_WRONG}")

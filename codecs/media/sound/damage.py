"""Sound files that were cut, or never finished by a recorder that was stopped: what can be read, and what to say.

libsndfile reads most of them by itself and notes in its log that a size in the header did not fit; where it would find
nothing, the size is put right in a view of the file (`mend`). Nothing is ever written to the file itself.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO

import soundfile

_HEAD = 1 << 16  # bytes within which headers lie
_NO_LENGTH = "its header gives no length, as when a recorder is stopped: taken up to the end of the file"
_PLACEHOLDER = 0x7FFF0000  # sizes from here on are what programs write that do not know the length
_SIZES = re.compile(r"(?:RIFF|Riff size|riff|data|FORM|SSND|BODY|Data Size)\s*: (\d+) \(should be (\d+)\)")
# Where libsndfile takes what is there and says so in another way: AVR and MPC 2000, Psion, VOC.
_COUNT = re.compile(r"^(?:  Frames\s*:|Data length) (\d+)", re.MULTILINE)
_TRUNCATED = "truncated file"
_NIST_COUNT = re.compile(r"sample_count -i (\d+)")


class PatchedFile(io.RawIOBase):
    """A file with some of its bytes replaced, for reading."""

    def __init__(self, file: BinaryIO, patches: dict[int, bytes]) -> None:
        super().__init__()
        self._file, self._patches = file, patches

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """See `io.RawIOBase`."""
        start = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        for place, patch in self._patches.items():
            for offset, value in enumerate(patch, place - start):
                if 0 <= offset < len(data):
                    data[offset] = value
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.IOBase`."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self._file.tell()

    def seekable(self) -> bool:
        """True."""
        return True

    def readable(self) -> bool:
        """True."""
        return True


def mend(file: BinaryIO) -> tuple[dict[int, bytes], str | None]:
    """Bytes to replace so that libsndfile finds the samples, by place, and words for the user where that is needed."""
    file.seek(0)
    head = file.read(_HEAD)
    size = file.seek(0, io.SEEK_END)
    if head[8:12] == b"WAVE" and head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _mend_wave(head, size)
    if head[:4] == b".snd" and head[8:12] == bytes(4) and size > int.from_bytes(head[4:8], "big"):
        return {8: b"\xff" * 4}, _NO_LENGTH
    if head[:4] == b"caff":
        return _mend_caf(head, size)
    return {}, None


def _mend_wave(head: bytes, size: int) -> tuple[dict[int, bytes], str | None]:
    """A data chunk of size 0 that is followed by no chunk gets all the bytes that follow."""
    place, long_size = 12, 0
    while place + 8 <= len(head):
        name, length = head[place : place + 4], int.from_bytes(head[place + 4 : place + 8], "little")
        if name == b"ds64":
            long_size = int.from_bytes(head[place + 16 : place + 24], "little")
        if name == b"data":
            unknown = length == 0 or (length == 0xFFFFFFFF and head[:4] != b"RIFF" and long_size == 0)
            rest = size - place - 8
            if not unknown or rest <= 0 or _is_chunk(head, place + 8, size):
                return {}, None
            patches = {place + 4: min(rest, 0xFFFFFFFF).to_bytes(4, "little")}
            if head[:4] != b"RIFF":  # as plain WAV, which needs no other sizes
                patches |= {0: b"RIFF", 12: b"JUNK"}
            return patches, _NO_LENGTH
        place += 8 + length + length % 2
    return {}, None


def _is_chunk(head: bytes, place: int, size: int) -> bool:
    """Whether a chunk with a name in letters begins here and ends within the file."""
    name, length = head[place : place + 4], int.from_bytes(head[place + 4 : place + 8], "little")
    return len(name) == 4 and name.strip().isalnum() and place + 8 + length <= size


def _mend_caf(head: bytes, size: int) -> tuple[dict[int, bytes], str | None]:
    """A data chunk of unknown size, or of more than there is, gets what there is."""
    place = 8
    while place + 12 <= len(head):
        length = int.from_bytes(head[place + 4 : place + 12], "big", signed=True)
        rest = size - place - 12
        if head[place : place + 4] == b"data":
            if 0 < length <= rest:
                return {}, None
            words = _cut(length, rest) if length > 0 else None if length == -1 else _NO_LENGTH
            return {place + 4: rest.to_bytes(8, "big")}, words
        if length < 0:
            break
        place += 12 + length
    return {}, None


def _cut(promised: int, there: int, what: str = "bytes of samples") -> str:
    return f"it is cut: its header promises {promised:,} {what}, {there:,} are there"


def header_complaint(sound: soundfile.SoundFile, file: BinaryIO) -> str | None:
    """What libsndfile, or the header itself, says of a size that does not fit; None where all is well."""
    for promised, there in (map(int, pair) for pair in _SIZES.findall(sound.extra_info)):
        if there < promised < _PLACEHOLDER:
            return _cut(promised, there)
        if promised == 0 < there:
            return _NO_LENGTH
    place = file.tell()
    try:
        if sound.format == "OGG" and not _ogg_ends(file):
            return "it is cut, or was never finished: its last page is missing"
        file.seek(0)
        count = _COUNT.search(sound.extra_info) or _NIST_COUNT.search(file.read(1024).decode("latin-1"))
    finally:
        file.seek(place)
    if count and (promised := int(count[1])) > sound.frames:
        return _cut(promised, sound.frames, "samples")
    return "it is cut: its header promises more than is there" if _TRUNCATED in sound.extra_info else None


def _ogg_ends(file: BinaryIO) -> bool:
    """Whether the last page of an Ogg file is whole and marked as the stream's end."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 2 * 65_307))  # a page is no longer than 65,307 bytes
    tail = file.read()
    start = tail.rfind(b"OggS")
    page = tail[start:] if start >= 0 else b""
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    return bool(page[5] & 4) and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])

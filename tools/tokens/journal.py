"""What a run over many sounds has done so far, in a file beside its output, so that an interrupted run goes on.

A record is a line of JSON (name, what the tokens mean, size and CRC of what follows) and the bytes of an .npy file.
What was half-written when the run was ended is cut off when the next one opens the journal.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...codecs.secodec.token_files import Meaning
from ...errors import BitfloorError, UsageError

SUFFIX = ".partial"
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Sample:
    """Tokens (F, L) of the sound called `path`, by how much it is louder than the codec's level, and its duration."""

    path: str
    tokens: np.ndarray
    gain_db: float
    seconds: float
    meaning: Meaning


class Journal:
    """Samples by name, in a file; in a temporary one where `path` is None. A context manager.

    Raises:
        UsageError: where another run has the journal open.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self.meaning = path, None  # type: tuple[Path | None, Meaning | None]
        self._places: dict[str, int] = {}
        try:
            self._file: BinaryIO = tempfile.TemporaryFile() if path is None else open(path, "a+b")  # noqa: SIM115
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
        _lock(self._file, path)
        self._file.seek(0)
        for place, sample in self._whole():
            self._places[sample.path] = place
            self.meaning = sample.meaning
        self._file.truncate()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __len__(self) -> int:
        return len(self._places)

    def add(self, sample: Sample) -> None:
        """Keep a sample. Raises UsageError where its tokens mean something else than those of the others."""
        if self.meaning not in (None, sample.meaning):
            raise UsageError(f"{sample.path}: {_difference(self.meaning or sample.meaning, sample.meaning)}")
        buffer = io.BytesIO()
        np.save(buffer, sample.tokens, allow_pickle=False)
        content = buffer.getvalue()
        line = asdict(sample.meaning) | {"path": sample.path, "gain_db": sample.gain_db, "seconds": sample.seconds}
        line |= {"bytes": len(content), "crc": zlib.crc32(content)}
        place = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(json.dumps(line).encode() + b"\n" + content)
            self._file.flush()
        except OSError as error:
            raise BitfloorError(f"cannot write {self.path}: {error.strerror or error}") from None
        self._places[sample.path], self.meaning = place, sample.meaning

    def samples(self, names: Iterable[str]) -> Iterator[Sample]:
        """The samples of these names, in this order, as far as they are there."""
        for name in names:
            if name in self._places:
                self._file.seek(self._places[name])
                found = self._next()
                assert found is not None
                yield found

    def names(self) -> list[str]:
        """In the order in which they were added."""
        return list(self._places)

    def forget(self) -> None:
        """Remove the file."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()

    def _whole(self) -> Iterator[tuple[int, Sample]]:
        """Place and content of every whole record; the file stands behind the last one afterwards."""
        while True:
            place = self._file.tell()
            sample = self._next()
            if sample is None:
                self._file.seek(place)
                return
            yield place, sample

    def _next(self) -> Sample | None:
        line = self._file.readline(_LONGEST_LINE)
        try:
            fields = json.loads(line)
            content = self._file.read(fields["bytes"])
            if zlib.crc32(content) != fields["crc"]:
                return None
            tokens = np.load(io.BytesIO(content), allow_pickle=False)
            meaning = Meaning(fields["codec"], fields["model"], fields["frames_per_second"], tuple(fields["codes"]))
            return Sample(fields["path"], tokens, fields["gain_db"], fields["seconds"], meaning)
        except (ValueError, TypeError, KeyError, EOFError):
            return None


def _difference(ours: Meaning, other: Meaning) -> str:
    if other.model != ours.model:
        return f"its tokens are of model {other.model}, those of the other sounds of {ours.model}"
    return f"it has {len(other.codes)} layers of tokens, the other sounds have {len(ours.codes)}"


def _lock(file: BinaryIO, path: Path | None) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(f"another run is writing {path}") from None

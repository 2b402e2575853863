"""One file for the tokens of many sounds: Parquet, or a tar as WebDataset has it; written and read again.

Parquet      path, seconds, frames, gain_db, tokens: a list of frames, each of L codes; what they mean as metadata
WebDataset   for every sound KEY.json (the same fields, and what the tokens mean) and KEY.npy, tokens (F, L)
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from ...codecs.secodec.token_files import Meaning
from ...errors import UnreadableInputError, UsageError
from .journal import Sample

METADATA = b"bitfloor"  # key of the Parquet file's metadata, JSON
_ROWS = 1000  # of a row group


@dataclass(frozen=True)
class Collection:
    """A format: its usual suffix, what writes samples into an open file, and what reads them from one."""

    suffix: str
    write: Callable[[Iterable[Sample], Meaning, BinaryIO], None]
    read: Callable[[Path], Iterator[Sample]]
    check: Callable[[], object]


def write_parquet(samples: Iterable[Sample], meaning: Meaning, file: BinaryIO) -> None:
    """Write samples, a row each, in row groups of a thousand."""
    pyarrow = check_pyarrow()
    from pyarrow import parquet

    code = pyarrow.from_numpy_dtype(code_type(meaning))
    schema = pyarrow.schema(
        [
            pyarrow.field("path", pyarrow.string(), nullable=False),
            pyarrow.field("seconds", pyarrow.float64(), nullable=False),
            pyarrow.field("frames", pyarrow.int32(), nullable=False),
            pyarrow.field("gain_db", pyarrow.float32(), nullable=False),
            pyarrow.field("tokens", pyarrow.list_(pyarrow.list_(code, len(meaning.codes))), nullable=False),
        ],
        metadata={METADATA: json.dumps(asdict(meaning))},
    )
    waiting = iter(samples)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while rows := list(islice(waiting, _ROWS)):
            flat = np.concatenate([row.tokens.ravel() for row in rows]).astype(code_type(meaning))
            frames = np.array([len(row.tokens) for row in rows])
            each = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(flat), len(meaning.codes))
            offsets = pyarrow.array(np.concatenate([[0], np.cumsum(frames)]), pyarrow.int32())
            plain = [
                [row.path for row in rows],
                [row.seconds for row in rows],
                frames,
                [row.gain_db for row in rows],
            ]
            columns = [pyarrow.array(column, schema.field(place).type) for place, column in enumerate(plain)]
            columns.append(pyarrow.ListArray.from_arrays(offsets, each))
            writer.write_batch(pyarrow.record_batch(columns, schema=schema))


def read_parquet(path: Path) -> Iterator[Sample]:
    """The samples of a file of `write_parquet`. Raises UnreadableInputError for another."""
    pyarrow = check_pyarrow()
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            meaning = _meaning(json.loads((file.schema_arrow.metadata or {})[METADATA]))
            for batch in file.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    tokens = np.array(row["tokens"], dtype=code_type(meaning))
                    yield Sample(row["path"], tokens, row["gain_db"], row["seconds"], meaning)
    except (pyarrow.ArrowException, OSError, KeyError, ValueError, TypeError):
        raise UnreadableInputError(f"{path} is no Parquet file of `bitfloor tokens`") from None


def write_webdataset(samples: Iterable[Sample], meaning: Meaning, file: BinaryIO) -> None:
    """Write samples, two members each, always the same bytes for the same samples."""
    taken: set[str] = set()
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for sample in samples:
            key = _key(sample.path, taken)
            fields = {"path": sample.path, "seconds": sample.seconds, "frames": len(sample.tokens)}
            fields |= {"gain_db": sample.gain_db} | asdict(meaning)
            buffer = io.BytesIO()
            np.save(buffer, sample.tokens.astype(code_type(meaning)), allow_pickle=False)
            for suffix, content in (("json", json.dumps(fields).encode()), ("npy", buffer.getvalue())):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def read_webdataset(path: Path) -> Iterator[Sample]:
    """The samples of a file of `write_webdataset`. Raises UnreadableInputError for another."""
    try:
        with tarfile.open(path, "r|") as tar:
            fields: dict[str, Any] = {}
            for member in tar:
                stream = tar.extractfile(member)
                content = stream.read() if stream else b""
                if member.name.endswith(".json"):
                    fields = json.loads(content)
                    continue
                tokens = np.load(io.BytesIO(content), allow_pickle=False)
                yield Sample(fields["path"], tokens, fields["gain_db"], fields["seconds"], _meaning(fields))
    except (tarfile.TarError, OSError, KeyError, ValueError, TypeError, EOFError):
        raise UnreadableInputError(f"{path} is no tar file of `bitfloor tokens`") from None


def code_type(meaning: Meaning) -> np.dtype[Any]:
    """The smallest signed type that holds the codes: readers have them all."""
    return np.dtype(np.int16 if max(meaning.codes) <= 1 << 15 else np.int32)


def check_pyarrow() -> ModuleType:
    """Import pyarrow. Raises UsageError where it is not installed."""
    try:
        import pyarrow
    except ImportError:
        words = "Parquet needs pyarrow: pip install 'bitfloor[parquet]', or write a .tar"
        raise UsageError(words) from None
    module: ModuleType = pyarrow
    return module


def _meaning(fields: dict[str, Any]) -> Meaning:
    return Meaning(fields["codec"], fields["model"], fields["frames_per_second"], tuple(fields["codes"]))


def _key(name: str, taken: set[str]) -> str:
    """WebDataset's key of a sound: no dots, which would end it; no two alike."""
    path = PurePosixPath(name)
    parts = [part.replace(".", "_") for part in path.parts if part not in ("/", "..")]
    whole = "/".join(parts) or "sound"
    key = "/".join([*parts[:-1], path.stem.replace(".", "_")]) or whole
    number = 1
    while key in taken:
        number += 1
        key = whole if whole not in taken else f"{whole}_{number}"
    taken.add(key)
    return key


COLLECTIONS = {
    "parquet": Collection(".parquet", write_parquet, read_parquet, check_pyarrow),
    "webdataset": Collection(".tar", write_webdataset, read_webdataset, lambda: None),
}

"""Results on disk, one small file for each measurement: an interrupted run goes on where it stopped."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...codecs.media.files import write_bytes
from .measure import Record, digest

FORMAT = 1  # raised when the same measurement would give another record


def slug(text: str) -> str:
    """`text` as a part of a file name, of at most 80 bytes."""
    name = re.sub(r"[^\w.=-]+", "_", text).strip("_")
    return name.encode("utf-8", "replace")[:80].decode("utf-8", "ignore") or "_"


@dataclass(frozen=True)
class Key:
    """What a result depends on: any change here means a new measurement."""

    label: str
    version: str
    quality: float
    source: str
    source_sha256: str
    metrics: tuple[str, ...]

    def fields(self) -> Record:
        """The key as it stands in a record."""
        return {
            "codec": self.label,
            "version": self.version,
            "quality": self.quality,
            "source": self.source,
            "source_sha256": self.source_sha256,
            "measured": list(self.metrics),
            "format": FORMAT,
        }


class Store:
    """The folder of one run: `records/` and `files/`, by codec, source and quality."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _name(self, key: Key) -> Path:
        unique = digest(key.label.encode())[:6]
        return Path(f"{slug(key.label)}-{unique}") / key.source / f"q{key.quality:g}"

    def record_path(self, key: Key) -> Path:
        """Where the record of `key` lies."""
        return self.folder / "records" / f"{self._name(key)}.json"

    def file_path(self, key: Key, suffix: str) -> Path:
        """Where the compressed file of `key` lies."""
        return self.folder / "files" / f"{self._name(key)}{suffix}"

    def load(self, key: Key) -> Record | None:
        """The finished record of `key`; None where there is none, it failed, or is of another version."""
        try:
            record: Any = json.loads(self.record_path(key).read_text())
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict) or record.get("status") != "ok":
            return None
        wanted = key.fields()
        return record if all(record.get(name) == value for name, value in wanted.items()) else None

    def save(self, key: Key, record: Record, data: bytes, suffix: str) -> Record:
        """Keep a record and its compressed file; returns the record with the fields of the key."""
        whole = {**key.fields(), **record}
        if data:
            _write(self.file_path(key, suffix), data)
        _write(self.record_path(key), json.dumps(finite(whole), indent=1).encode())
        return whole


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(data, path, overwrite=True)


def write_text(path: Path, text: str) -> None:
    """Write a file of the run's folder as a whole: a stop in between leaves the old one."""
    write_bytes(text.encode("utf-8"), path, overwrite=True)


def finite(value: Any) -> Any:
    """`value` with infinities, not in JSON, as the strings "inf" and "-inf"; `number` reads them back."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return str(value)
    return value


def number(value: Any) -> float | None:
    """A number of a record, infinities included; None for none."""
    return None if value is None else float(value)

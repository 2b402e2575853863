"""Reading and writing whole files, so that a person's file is never half-written or lost."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ..errors import BitfloorError, UnreadableInputError, UsageError

STANDARD = "-"
MAX_INPUT_BYTES = 1 << 31


def read_bytes(path: str | Path) -> bytes:
    """Return the whole of a file, or of standard input for "-"; raises UnreadableInputError."""
    try:
        if str(path) == STANDARD:
            if sys.stdin.isatty():
                raise UnreadableInputError("standard input is a terminal: pipe a file into it, or name one")
            data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise UnreadableInputError(f"cannot read {path}: {error.strerror or error}") from None
    if not data:
        raise UnreadableInputError(f"{path} is empty")
    if len(data) > MAX_INPUT_BYTES:
        raise UnreadableInputError(f"{path} is larger than {MAX_INPUT_BYTES >> 30} GiB")
    return data


def check_output(path: str | Path, overwrite: bool) -> None:
    """Raise UsageError where `path` cannot be written: meant to be asked before long work starts."""
    if str(path) == STANDARD:
        if sys.stdout.isatty():
            raise UsageError("standard output is a terminal: name a file with -o, or pipe the output")
        return
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{path} is a folder, not a file")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}")
    if not os.access(target.parent, os.W_OK) and not (target.exists() and not target.is_file()):
        raise UsageError(f"the folder {target.parent} is not writable")
    if not overwrite and target.is_file():
        raise UsageError(f"{path} is there already: -f overwrites it")


@contextmanager
def atomic_output(path: str | Path, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under `path` only when the block ends well.

    The bytes go to a temporary file in the same folder, which is renamed at the end and removed on any
    exception, an interrupt included. A device or pipe is written directly, "-" is standard output.
    Raises UsageError as `check_output` does, BitfloorError where the disk refuses.
    """
    check_output(path, overwrite)
    if str(path) == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path).resolve()  # through a symbolic link, which then stays one
    special = target.exists() and not target.is_file()
    temporary = target if special else target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "wb" if special else "xb") as file:
            yield file
        if not special:
            check_output(target, overwrite)
            os.replace(temporary, target)
    except BaseException as error:
        if not special:
            with suppress(OSError):
                temporary.unlink()
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            raise BitfloorError(f"cannot write {path}: {error.strerror or error}") from None
        raise


def write_bytes(data: bytes, path: str | Path, overwrite: bool = False) -> None:
    """Write a whole file through `atomic_output`, or to standard output for "-"."""
    with atomic_output(path, overwrite) as file:
        file.write(data)

"""Reading and writing whole files, so that a person's file is never half-written or lost."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ...errors import BitfloorError, UnreadableInputError, UsageError

STANDARD = "-"
MAX_INPUT_BYTES = 1 << 31
_MAX_LINKS = 40  # symbolic links that lead to each other; systems stop there, too


def shown_name(path: str | Path) -> str:
    """What a message calls an input."""
    return "standard input" if str(path) == STANDARD else str(path)


def named(name: str | os.PathLike[str]) -> Path:
    """Return the path of a file that a Python program names; "-" is a file like others there.

    Raises UsageError for an empty name, which would be the current folder.
    """
    text = os.fsdecode(name)
    if not text:
        raise UsageError("the name of a file is empty")
    return Path(os.path.abspath(text)) if text == STANDARD else Path(text)


def read_bytes(path: str | Path, empty: bool = False) -> bytes:
    """Return the whole of a file, or of standard input for "-"; raises UnreadableInputError.

    `empty` accepts a file of no bytes, which is an error otherwise.
    """
    try:
        if str(path) == STANDARD:
            data = _standard_input().read(MAX_INPUT_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UnreadableInputError(f"cannot read {shown_name(path)}: {_reason(error)}") from None
    if not data and not empty:
        raise UnreadableInputError(f"{shown_name(path)} is empty")
    if len(data) > MAX_INPUT_BYTES:
        raise UnreadableInputError(f"{shown_name(path)} is larger than {MAX_INPUT_BYTES >> 30} GiB")
    return data


def _standard_input() -> BinaryIO:
    if sys.stdin is None:  # as after `<&-`
        raise UnreadableInputError("standard input is closed: name a file")
    if sys.stdin.isatty():
        raise UnreadableInputError("standard input is a terminal: pipe a file into it, or name one")
    return sys.stdin.buffer


def is_stream(path: str | Path) -> bool:
    """Tell whether `path` is "-", a pipe, a device, or an open descriptor such as /dev/stdout: no file to replace."""
    if str(path) == STANDARD or _descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def format_suffix(path: str | Path, known: Collection[str], default: str) -> str:
    """Return the suffix that says the format of an output: `default` where the name has none, and for "-".

    A pipe or device may have any suffix: one that is not `known` says nothing.
    """
    suffix = "" if str(path) == STANDARD else Path(path).suffix.lower()
    return suffix if suffix and (suffix in known or not is_stream(path)) else default


def same_file(one: str | Path, other: str | Path) -> bool:
    """Whether both names lead to one file, be it there or not."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)


def check_output(path: str | Path, overwrite: bool, *sources: str | Path | None) -> None:
    """Raise UsageError where `path` cannot be written: meant to be asked before long work starts.

    None of the `sources`, from which it is made, may be replaced by it, either.
    """
    number = _descriptor(path)
    if str(path) == STANDARD or number is not None:
        _check_descriptor(path, number)
        return
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = 0
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {path}: {_reason(error)}") from None
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path} is a folder, not a file")
    if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise UsageError(f"{path} is a {'disk' if stat.S_ISBLK(mode) else 'socket'}, not a file")
    if mode and not stat.S_ISREG(mode):
        if not os.access(path, os.W_OK):
            raise UsageError(f"{path} is not writable")
        return
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder if Path(path).is_symlink() else Path(path).parent}")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"the folder {folder} is not writable")
    if mode and any(same_file(source, path) for source in sources if source is not None and not is_stream(source)):
        raise UsageError(f"{path} would be replaced by what is made of it: name another output")
    if mode and not overwrite:
        raise _is_there(path)


def _check_descriptor(path: str | Path, number: int | None) -> None:
    """Check standard output, or the open file of descriptor `number`."""
    if number is None:
        if sys.stdout is None:  # as after `>&-`
            raise UsageError("standard output is closed: name a file with -o")
        terminal = sys.stdout.isatty()
    else:
        try:
            terminal = os.isatty(number)
            os.write(number, b"")  # fails for what is closed, or open for reading only
        except OSError as error:
            raise UsageError(f"cannot write {path}: {_reason(error)}") from None
    if terminal:
        name = "standard output" if number in (None, 1) else str(path)
        raise UsageError(f"{name} is a terminal: name a file with -o, or pipe the output")


@contextmanager
def atomic_output(path: str | Path, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under `path` only when the block ends well.

    The bytes go to a temporary file in the same folder, which is renamed at the end and removed on any
    exception, an interrupt included. With `overwrite` the new file gets the mode of the old one, and its owner
    and group where the system allows it; a symbolic link stays, and what it leads to is replaced; a further hard
    link keeps the old content. A pipe, a device and an open descriptor (/dev/stdout, /dev/fd/63) are written
    directly, "-" is standard output.
    Raises UsageError as `check_output` does, BitfloorError where the disk refuses.
    """
    check_output(path, overwrite)
    try:
        if is_stream(path):
            with _open_stream(path) as file:
                yield file
        else:
            with _replacing(path, overwrite) as file:
                yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BitfloorError(f"cannot write {path}: {_reason(error)}") from None


@contextmanager
def _open_stream(path: str | Path) -> Iterator[BinaryIO]:
    number = _descriptor(path)
    if str(path) == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if number == 1 and sys.stdout is not None:
        sys.stdout.flush()
    with open(path if number is None else os.dup(number), "wb") as file:
        yield file


@contextmanager
def _replacing(path: str | Path, overwrite: bool) -> Iterator[BinaryIO]:
    target = os.path.realpath(path)
    # A name of its own, because the target's may be as long as a name can be.
    temporary = os.path.join(os.path.dirname(target), f".bitfloor-{secrets.token_hex(8)}.tmp")
    try:
        old = os.stat(target) if os.path.exists(target) else None
        mode = 0o666 if old is None else 0o600  # nobody reads what the old file kept from them
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            if old is not None:
                file.flush()
                os.fsync(file.fileno())  # a power cut leaves the old file or the new one, not an empty one
                _take_over(file.fileno(), old)
        _move(temporary, target, path, overwrite)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _take_over(descriptor: int, old: os.stat_result) -> None:
    """Give an open file the owner, group and mode of another; where they cannot be kept, nobody may do more."""
    if not hasattr(os, "fchown"):
        return
    mode = stat.S_IMODE(old.st_mode)
    new = os.fstat(descriptor)
    if new.st_uid != old.st_uid:
        try:
            os.fchown(descriptor, old.st_uid, -1)
        except OSError:
            mode &= ~(stat.S_ISUID | stat.S_ISGID)
    if new.st_gid != old.st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            others = mode & 0o007
            mode = mode & ~(stat.S_ISGID | 0o070) | others << 3 & mode
    os.fchmod(descriptor, mode)


def _move(temporary: str, target: str, path: str | Path, overwrite: bool) -> None:
    """Give the finished file its name; without `overwrite` never over one that appeared in the meantime."""
    if not overwrite:
        try:
            os.link(temporary, target)
            return
        except FileExistsError:
            raise _is_there(path) from None
        except OSError:  # a file system without hard links
            check_output(path, overwrite)
    os.replace(temporary, target)


def write_bytes(data: bytes, path: str | Path, overwrite: bool = False) -> None:
    """Write a whole file through `atomic_output`, or to standard output for "-"."""
    with atomic_output(path, overwrite) as file:
        file.write(data)


def _is_there(path: str | Path) -> UsageError:
    return UsageError(f"{path} is there already: -f overwrites it")


def _reason(error: Exception) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _descriptor(path: str | Path) -> int | None:
    """The number of the open descriptor that `path` names, as /dev/stdout and `>(command)` do; None for a file."""
    own = {"/dev/fd", f"/proc/{os.getpid()}/fd"}
    name = os.fspath(path)
    for _ in range(_MAX_LINKS):
        folder, last = os.path.split(name)
        if last.isdecimal() and os.path.realpath(folder) in own:
            return int(last)
        try:
            name = os.path.join(folder, os.readlink(name))
        except (OSError, ValueError):
            return None
    return None

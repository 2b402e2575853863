"""The input files of a command: those that were named, and those in the folders that were named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..codecs.media.files import STANDARD
from ..errors import BitfloorError, UnreadableInputError
from .console import note

NAMED = 3  # files of a suffix that are named where they are passed over; of more, the number


@dataclass(frozen=True)
class Found:
    """An input, and its path below the folder that was named; `problem` is why it cannot be read."""

    path: Path
    below: Path
    problem: BitfloorError | None = None


@dataclass
class Passed:
    """What a folder holds that is not taken."""

    files: list[str] = field(default_factory=list)
    folders: int = 0

    def __str__(self) -> str:
        kinds = Counter(Path(name).suffix.lower() for name in self.files)
        words = [
            ", ".join(name for name in self.files if Path(name).suffix.lower() == kind)
            if count <= NAMED
            else f"{count:,} {kind or 'without suffix'}"
            for kind, count in sorted(kinds.items())
        ]
        if self.folders:
            words.append(f"{self.folders:,} folder{'s' if self.folders > 1 else ''} (see --recursive)")
        return "; ".join(words)


def gather(inputs: Collection[Path], recursive: bool, wanted: Collection[str]) -> list[Found]:
    """Return the files that `inputs`, files and folders, stand for, each of them once.

    Of a folder those are taken whose suffix is one of `wanted`, with `recursive` also those in the folders below
    (no links to folders). What is passed over is said in one line for each folder that was named.
    Raises UnreadableInputError for a folder without such files.
    """
    found: dict[str, Found] = {}
    for path in inputs:
        for item in _in_folder(path, recursive, wanted) if os.path.isdir(path) else [_single(path)]:
            key = str(path) if str(path) == STANDARD else os.path.realpath(item.path)
            if found.setdefault(key, item) is not item:
                note(f"{item.path} is named twice: it is taken once")
    return list(found.values())


def _single(path: Path) -> Found:
    return Found(path, Path("stdin" if str(path) == STANDARD else path.name))


def _in_folder(folder: Path, recursive: bool, wanted: Collection[str]) -> Iterator[Found]:
    passed, taken, problems = Passed(), [], []
    for path, error in _walk(folder, recursive, passed):
        if error is not None:
            problem = UnreadableInputError(f"cannot read the folder {path}: {error.strerror or error}")
            problems.append(Found(path, path.relative_to(folder), problem))
        elif path.suffix.lower() in wanted and path.is_file():
            taken.append(Found(path, path.relative_to(folder)))
        else:
            passed.files.append(str(path.relative_to(folder)))
    if not taken and problems:
        raise problems[0].problem or UnreadableInputError(f"cannot read {folder}")
    if not taken:
        kinds = " ".join(wanted)
        hint = "" if recursive else " (--recursive also looks into the folders in it)"
        others = f"; it holds {passed}" if passed.files else ""
        raise UnreadableInputError(f"{folder} holds no files that end in {kinds}{hint}{others}")
    if passed.files or passed.folders:
        note(f"{folder}: not taken: {passed}")
    yield from [*taken, *problems]


def _walk(folder: Path, recursive: bool, passed: Passed) -> Iterator[tuple[Path, OSError | None]]:
    """Yield every file, sorted, and every folder that cannot be read with the error; count those not entered."""
    failed: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=failed.append):
        linked = [name for name in folders if os.path.islink(os.path.join(place, name))]
        passed.folders += len(linked) if recursive else len(folders)
        folders[:] = sorted(set(folders) - set(linked)) if recursive else []
        for name in sorted(files):
            yield Path(place, name), None
    for error in failed:
        yield Path(error.filename or folder), error

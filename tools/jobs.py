"""Several files in one command: which output belongs to which input, and going on after a bad one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from ..codecs.files import STANDARD, check_output, shown_name
from ..errors import BitfloorError, UnreadableInputError, UsageError
from .console import DEBUG, QUIET, error_line, setting


@dataclass(frozen=True)
class Job:
    """One file to read and one to write; either may be "-". `into` is a folder to make first, if any."""

    source: Path
    target: Path
    into: Path | None = None


def plan(
    inputs: Collection[Path], out: str | None, suffix: str, recursive: bool, wanted: Collection[str]
) -> list[Job]:
    """Return the jobs for `inputs`, files and folders, whose outputs end in `suffix`.

    Of a folder those files are taken that end in one of `wanted`, with `recursive` those in the folders
    below too. `out` is a file for one input file and a folder otherwise, where the tree of an input
    folder is built again; None puts every output beside its input, a "/" at its end makes it a folder.
    Raises UsageError where two inputs would become one output, or an input its own output.
    """
    jobs = []
    into_folder = len(inputs) > 1 or any(path.is_dir() for path in inputs)
    into_folder = into_folder or (out is not None and (Path(out).is_dir() or out.endswith("/")))
    for path in inputs:
        for source, below in _sources(path, recursive, wanted):
            if out is None and source.suffix.lower() == suffix:
                raise UsageError(f"{source} ends in {suffix} already: name the output with -o")
            if out is None:
                target = source if str(source) == STANDARD else source.with_suffix(suffix)
            elif into_folder and out != STANDARD:
                target = Path(out) / below.with_suffix(suffix)
            else:
                target = Path(out)
            jobs.append(Job(source, target, target.parent if into_folder and out is not None else None))
    _check(jobs)
    return jobs


def _sources(path: Path, recursive: bool, wanted: Collection[str]) -> Iterator[tuple[Path, Path]]:
    """Yield each input file with its path below the folder that was named."""
    if not path.is_dir():
        yield path, Path(path.name if str(path) != STANDARD else "stdin")
        return
    files = sorted(path.rglob("*") if recursive else path.iterdir())
    files = [file for file in files if file.suffix.lower() in wanted and file.is_file()]
    if not files:
        hint = "" if recursive else " (--recursive also looks into the folders in it)"
        raise UnreadableInputError(f"{path} holds no files that end in {' '.join(wanted)}{hint}")
    for file in files:
        yield file, file.relative_to(path)


def _check(jobs: list[Job]) -> None:
    taken: dict[Path, Path] = {}
    for job in jobs:
        other = taken.setdefault(job.target, job.source)
        if str(job.target) == STANDARD and len(jobs) > 1:
            raise UsageError("standard output takes the output of one file, not of several")
        if other is not job.source:
            raise UsageError(f"{other} and {job.source} would both become {job.target}")
        if str(job.source) != STANDARD and job.source.resolve() == job.target.resolve():
            raise UsageError(f"{job.source} would be replaced by its own output: name another with -o")


def run_jobs(jobs: list[Job], work: Callable[[Job], None], overwrite: bool) -> None:
    """Do `work` for every job with a progress bar; ends the command with the code of the first failure.

    What goes wrong with one of several files is reported, and the others go on. Outputs that are there
    already are refused before the work on their file starts.
    """
    if len(jobs) == 1:
        _one(jobs[0], work, overwrite)
        return
    from tqdm import tqdm

    first_code = 0
    quiet = setting(click.get_current_context(silent=True), QUIET)
    for job in tqdm(jobs, unit="file", disable=quiet or None, file=sys.stderr):
        try:
            _one(job, work, overwrite)
        except BitfloorError as error:
            error_line(str(error))
            first_code = first_code or error.exit_code
        except Exception as error:
            if setting(click.get_current_context(silent=True), DEBUG):
                raise
            error_line(f"{job.source}: unexpected {type(error).__name__}: {error}; --debug shows where")
            first_code = first_code or 1
    if first_code:
        click.get_current_context().exit(first_code)


def _one(job: Job, work: Callable[[Job], None], overwrite: bool) -> None:
    if job.into is not None:
        _make_folder(job.into)
    check_output(job.target, overwrite)
    work(job)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror or error}") from None


@contextmanager
def naming(source: Path) -> Iterator[None]:
    """Put the name of the file before the message of an error that says nothing of it."""
    name = shown_name(source)
    try:
        yield
    except BitfloorError as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error

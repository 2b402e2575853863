"""Several files in one command: which output belongs to which input, and going on after a bad one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import click

from ..codecs.media.files import STANDARD, check_output, is_stream, same_file, shown_name
from ..errors import BitfloorError, UnreadableInputError, UsageError
from .console import QUIET, note, setting
from .gather import Found, gather
from .tally import Tally


class Namer(Protocol):
    """Names an output after its input."""

    def __call__(self, source: Path, below: Path, whole: bool) -> str:
        """Return the file name for `source`, called `below`; with `whole` all of that name stays in it.

        Raises BitfloorError where the input has no output.
        """


@dataclass(frozen=True)
class Job:
    """One file to read and one to write; either may be "-".

    `into` is a folder to make first, if any; `problem` is why the job cannot be done; `beside` tells that the output
    lies beside its input under a name that no option gave.
    """

    source: Path
    target: Path
    into: Path | None = None
    problem: BitfloorError | None = None
    beside: bool = False


@dataclass(frozen=True)
class Sizes:
    """Bytes of an input and of its output."""

    before: int
    after: int


@dataclass(frozen=True)
class Existing:
    """What happens to outputs that are there already: refused, replaced (`force`) or left alone (`skip`).

    `originals` tells that an output beside its input may be what that was made from, which `force` then spares.
    """

    force: bool = False
    skip: bool = False
    originals: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for two wishes at once."""
        if self.force and self.skip:
            raise UsageError("give only one of -f and --skip-existing")

    def replaces(self, job: Job) -> bool:
        """Tell whether the output of `job` may be replaced."""
        return self.force and not (self.originals and job.beside)

    def check(self, job: Job) -> None:
        """Raise UsageError where the output of `job` cannot be written."""
        if self.force and not self.replaces(job) and os.path.isfile(job.target):
            raise UsageError(
                f"{job.target} is there already, and it may be what {job.source} was made from: "
                f"-f replaces it only where -o names it"
            )
        check_output(job.target, self.replaces(job))


def plan(found: Sequence[Found], inputs: Sequence[Path], out: str | None, name: Namer) -> list[Job]:
    """Return the jobs for the files `found` among `inputs`, whose outputs `name` names.

    `out` is a file for one input file and a folder otherwise, where the tree of an input folder is built again; a "/"
    at its end makes it a folder. None puts every output beside its input. Where two outputs would be one, both keep
    the whole name of their input (`a.png.bf`, `a.jpg.bf`).
    Raises UsageError where that does not help, or for an output that cannot be.
    """
    folder = out is not None and out != STANDARD and (out.endswith("/") or os.path.isdir(out))
    folder = folder or len(inputs) > 1 or any(os.path.isdir(path) for path in inputs)
    if out == STANDARD and len(found) > 1:
        raise UsageError("standard output takes the output of one file, not of several")
    if folder and out is not None and out != STANDARD and os.path.exists(out) and not os.path.isdir(out):
        raise UsageError(f"several files go into a folder, and {out} is none")
    if out is not None and (not folder or out == STANDARD):
        return [_checked(Job(item.path, Path(out), problem=item.problem)) for item in found]
    jobs = [_job(item, out, name, whole=False) for item in found]
    while clashes := _clashes(jobs):
        before = list(jobs)
        for index in clashes:
            jobs[index] = _job(found[index], out, name, whole=True)
        if jobs == before:
            one, other = clashes[:2]
            raise UsageError(f"{found[one].path} and {found[other].path} would both become {jobs[one].target}")
    return [_checked(job) for job in jobs]


def single(source: Path, out: str | None, name: Namer | None, existing: Existing) -> Path:
    """Return where the output of one file goes: `out`, else what `name` calls it. Raises UsageError where it cannot."""
    if out is not None and (out.endswith("/") or os.path.isdir(out)) and name is None:
        raise UsageError(f"{out} is a folder: name a file with -o")
    if os.path.isdir(source):
        raise UnreadableInputError(f"{source} is a folder, not a file")
    (job,) = plan(gather((source,), False, ()), (source,), out, name or _unnamed)
    if job.problem is not None:
        raise job.problem
    existing.check(job)
    return job.target


def _unnamed(source: Path, below: Path, whole: bool) -> str:
    raise UsageError("name the output with -o")


def _clashes(jobs: Sequence[Job]) -> list[int]:
    """Where the jobs stand whose output is that of another, too; those of one output beside each other."""
    places: dict[Path, list[int]] = {}
    for index, job in enumerate(jobs):
        if job.problem is None:
            places.setdefault(job.target, []).append(index)
    return [index for same in places.values() if len(same) > 1 for index in same]


def _job(item: Found, out: str | None, name: Namer, whole: bool) -> Job:
    source = item.path
    try:
        if item.problem is not None:
            raise item.problem
        if out is None and str(source) == STANDARD:
            return Job(source, source)
        if out is None and is_stream(source):
            raise UsageError(f"{source} is a pipe or a device: name the output with -o")
        place = source.parent if out is None else Path(out) / item.below.parent
        target = place / name(source, item.below, whole)
        return Job(source, target, None if out is None else place, beside=same_file(place, source.parent))
    except BitfloorError as error:
        return Job(source, source, problem=error)


def _checked(job: Job) -> Job:
    """The job, with a problem where its output is its input."""
    if job.problem is None and same_file(job.source, job.target) and not is_stream(job.source):
        problem = UsageError(f"{job.source} would be replaced by its own output: name another with -o")
        return replace(job, problem=problem)
    return job


def run_jobs(jobs: Sequence[Job], work: Callable[[Job], Sizes], existing: Existing, workers: int = 1) -> None:
    """Do `work` for every job with a progress bar; ends the command with the code of the first failure.

    What goes wrong with one of several files is reported, and the others go on. Outputs that are there already are
    refused before the work on their file starts. A last line says what came of all. With several `workers`, processes
    of their own, `work` must be one that pickle takes.
    """
    one = OneJob(work, existing)
    if len(jobs) == 1:
        if one(jobs[0]) is None:
            note(f"{jobs[0].target} is there already: skipped")
        return
    from tqdm import tqdm

    tally = Tally(len(jobs))
    done: list[Sizes] = []
    quiet = setting(click.get_current_context(silent=True), QUIET)
    results = in_turn(jobs, one) if workers == 1 else _in_processes(jobs, one, workers)
    tally.hint()
    for job, result in tqdm(results, total=len(jobs), unit="file", disable=quiet or None, file=sys.stderr):
        if isinstance(result, Exception):
            tally.fail(job.source, result)
        else:
            done += [result] if result else []
            tally.done, tally.there = len(done), tally.there + (result is None)
        tally.hint()
    tally.close(changed(done))


@dataclass(frozen=True)
class OneJob:
    """What is done for one job: its sizes, or None where its output is there already and stays."""

    work: Callable[[Job], Sizes]
    existing: Existing

    def __call__(self, job: Job) -> Sizes | None:
        """Raise what stops the job."""
        return self.work(job) if is_due(job, self.existing) else None


Result = Sizes | Exception | None


def in_turn(jobs: Sequence[Job], one: OneJob) -> Iterator[tuple[Job, Result]]:
    """Every job with what came of it, one after the other in this process."""
    for job in jobs:
        try:
            yield job, one(job)
        except Exception as error:
            yield job, error


def _in_processes(jobs: Sequence[Job], one: OneJob, workers: int) -> Iterator[tuple[Job, Result]]:
    """As `in_turn`; pipes, which only this process has, first, then all files in several processes."""
    from .parallel import in_processes

    def is_piped(job: Job) -> bool:
        return is_stream(job.source) or is_stream(job.target)

    yield from in_turn([job for job in jobs if is_piped(job)], one)
    yield from in_processes([job for job in jobs if not is_piped(job)], one, workers)


def is_due(job: Job, existing: Existing) -> bool:
    """Prepare the place of a job's output; False where one is there already and stays. Raises what stops the job."""
    if job.problem is not None:
        raise job.problem
    if existing.skip and os.path.isfile(job.target):
        return False
    if job.into is not None:
        _make_folder(job.into)
    existing.check(job)
    return True


def changed(done: Sequence[Sizes]) -> str:
    """How many files were done, and what became of their bytes."""
    before, after = sum(sizes.before for sizes in done), sum(sizes.after for sizes in done)
    change = f", {abs(after / before - 1):.1%} {'less' if after <= before else 'more'}" if before else ""
    return f"{len(done):,} file{'' if len(done) == 1 else 's'}: {before:,} -> {after:,} bytes{change}"


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

"""The files of a command in several processes: each worker loads a model once, and what it says this process says."""

from __future__ import annotations

import math
import pickle
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import BitfloorError
from .console import DEBUG, say, settings, speaking_for
from .jobs import Job, OneJob, Result
from .pool import Pool, cores
from .threads import wished_threads


@dataclass(frozen=True)
class Told:
    """What came of a job in a worker, and the lines that it said."""

    result: Result
    said: list[str]


@dataclass(frozen=True)
class _Worker:
    """What a worker does, under the settings of the command."""

    one: OneJob
    settings: Mapping[str, bool]

    def __call__(self, job: Job) -> Told:
        """The result; an exception is one, too."""
        with speaking_for(self.settings) as said:
            try:
                return Told(self.one(job), said)
            except Exception as error:
                if self.settings[DEBUG]:
                    said.extend(traceback.format_exc().splitlines())
                return Told(_sendable(error), said)


def in_processes(jobs: Sequence[Job], one: OneJob, workers: int) -> Iterator[tuple[Job, Result]]:
    """Every job with what came of it, as they are done. A worker that dies costs its job alone.

    The cores are shared out among the workers, unless the user has said how many threads there are.
    """
    workers = min(workers, len(jobs))
    threads = None if wished_threads() or not workers else max(1, cores() // workers)
    work = _Worker(one, settings())
    with Pool(work, workers=workers, threads=threads, timeout_s=math.inf, lost=_lost) as pool:
        for job, told in pool.run(jobs):
            for line in told.said:
                say(line)
            yield job, told.result


def _lost(reason: str) -> Told:
    return Told(BitfloorError(reason), [])


def _sendable(error: Exception) -> Exception:
    """The error, or its words where it does not survive the way between processes."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error

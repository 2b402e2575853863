"""What the workers of `test_parallel` do: in a module that a process of its own finds without pytest."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

from bitfloor.codecs.media.files import atomic_output
from bitfloor.errors import UsageError
from bitfloor.tools.console import note
from bitfloor.tools.jobs import Existing, Job, OneJob, Sizes
from bitfloor.tools.parallel import in_processes


def job(name: str) -> Job:
    return Job(Path(name), Path(f"{name}.out"))


def work(job: Job) -> Sizes:
    """What a name asks for."""
    note(f"at {job.source}")
    logging.getLogger("bitfloor.test").warning("of %s", job.source)
    if job.source.name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.source.name == "wrong":
        raise UsageError("it is wrong")
    if job.source.name == "odd":
        raise OddError(1, 2)
    return Sizes(os.getpid(), int(os.environ["OMP_NUM_THREADS"]))


class OddError(Exception):
    """An exception that does not survive pickle."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


def half_written(job: Job) -> Sizes:
    """Begin an output and wait."""
    with atomic_output(job.target, False) as file:
        file.write(b"half")
        file.flush()
        Path(f"{job.source}.begun").touch()
        time.sleep(60)
    return Sizes(0, 0)


def interrupted() -> None:
    jobs = [job(name) for name in ("one", "two")]
    for _ in in_processes(jobs, OneJob(half_written, Existing()), 2):
        pass

"""Worker processes that survive their jobs: a crash or a hang costs one job, not the run.

concurrent.futures gives up a whole pool when one process dies, and codecs written in C do die on some
picture.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")
_TICK_S = 1.0


def _serve(pipe: Connection, work: Callable[[J], R], threads: int) -> None:
    """The worker's loop: take a job, send its result, until the pipe closes."""
    if hasattr(os, "setsid"):
        os.setsid()  # so that a codec's own child processes can be ended together with the worker
    import torch

    torch.set_num_threads(threads)
    with suppress(EOFError, OSError):
        while True:
            pipe.send(work(pipe.recv()))


class _Worker(Generic[J, R]):
    """One process with the job it is at."""

    def __init__(self, work: Callable[[J], R], threads: int, job: J) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work, threads), daemon=False)
        self.process.start()
        theirs.close()
        self.alive = True
        self.start(job)

    def start(self, job: J) -> None:
        self.job, self.since = job, time.monotonic()
        self.pipe.send(job)

    def take(self, lost: Callable[[str], R], timeout_s: float) -> R:
        """The result that is ready, or `lost` with the reason why there will be none."""
        if not self.pipe.poll():
            self.alive = False
            return lost(f"no answer within {timeout_s:g} s")
        try:
            result: R = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(5)
            self.alive = False
            return lost(_epitaph(self.process.exitcode))
        return result

    def stop(self) -> None:
        self.pipe.close()
        with suppress(ProcessLookupError, PermissionError):
            if (
                hasattr(os, "killpg")
                and self.process.pid
                and os.getpgid(self.process.pid) == self.process.pid
            ):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


def run_jobs(
    work: Callable[[J], R],
    jobs: Sequence[J],
    *,
    workers: int,
    threads: int,
    timeout_s: float,
    lost: Callable[[str], R],
) -> Iterator[tuple[J, R]]:
    """Yield (job, result) as they come. `lost(reason)` is the result of a job whose worker died or hung."""
    waiting = list(reversed(jobs))
    team: list[_Worker[J, R]] = []
    try:
        while waiting or team:
            while waiting and len(team) < workers:
                team.append(_Worker(work, threads, waiting.pop()))
            ready = wait([worker.pipe for worker in team], timeout=_TICK_S)
            for worker in list(team):
                if worker.pipe not in ready and time.monotonic() - worker.since <= timeout_s:
                    continue
                job, result = worker.job, worker.take(lost, timeout_s)
                if not worker.alive or not waiting:
                    worker.stop()
                    team.remove(worker)
                else:
                    worker.start(waiting.pop())
                yield job, result
    finally:
        for worker in team:
            worker.stop()


def _epitaph(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"the worker was killed by signal {-exit_code} ({signal.Signals(-exit_code).name})"
    return f"the worker exited with {exit_code}"

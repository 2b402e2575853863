"""Worker processes that survive their jobs: a crash or a hang costs one job, not the run.

concurrent.futures gives up a whole pool when one process dies, and codecs written in C do die on some
picture.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

from .threads import VARIABLES

J = TypeVar("J")
R = TypeVar("R")
_TICK_S = 1.0
_GRACE_S = 2.0  # in which a worker that is stopped may remove what it had half written


def _serve(pipe: Connection, work: Callable[[J], R]) -> None:
    """The worker's loop: take a job, send its result, until the pipe closes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves by way of every `finally`
    if hasattr(os, "setsid"):
        os.setsid()  # so that a codec's own child processes can be ended together with the worker
    with suppress(EOFError, OSError):
        while True:
            pipe.send(work(pipe.recv()))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is half written now, and libraries are being taken down


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let processes started in this context, with whatever numeric library they load, use `count` threads.

    None leaves them what the environment says.
    """
    before = {} if count is None else {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(before, str(count)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Worker(Generic[J, R]):
    """One process with the job it is at."""

    def __init__(self, work: Callable[[J], R], threads: int | None, job: J) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work))
        with _threads(threads):
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
        self.process.terminate()
        self.process.join(_GRACE_S)
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg") and self.process.pid and os.getpgid(self.process.pid) == self.process.pid:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


class Pool(Generic[J, R]):
    """Up to `workers` processes that call `work`; a context manager that ends them.

    `threads` is for each of them, None what the environment says. `lost(reason)` is the result of a job whose worker
    died, or gave no answer within `timeout_s`.
    """

    def __init__(
        self,
        work: Callable[[J], R],
        *,
        workers: int,
        threads: int | None,
        timeout_s: float,
        lost: Callable[[str], R],
    ) -> None:
        self._work, self._size, self._threads = work, workers, threads
        self._timeout_s, self._lost = timeout_s, lost
        self._idle: list[_Worker[J, R]] = []

    def __enter__(self) -> Pool[J, R]:
        return self

    def __exit__(self, *_: object) -> None:
        while self._idle:
            self._idle.pop().stop()

    def _begin(self, job: J) -> _Worker[J, R]:
        if not self._idle:
            return _Worker(self._work, self._threads, job)
        worker = self._idle.pop()
        worker.start(job)
        return worker

    def run(self, jobs: Sequence[J]) -> Iterator[tuple[J, R]]:
        """Yield (job, result) as they come."""
        waiting = list(reversed(jobs))
        busy: list[_Worker[J, R]] = []
        try:
            while waiting or busy:
                while waiting and len(busy) < self._size:
                    busy.append(self._begin(waiting.pop()))
                ready = wait([worker.pipe for worker in busy], timeout=_TICK_S)
                for worker in list(busy):
                    if worker.pipe not in ready and time.monotonic() - worker.since <= self._timeout_s:
                        continue
                    job, result = worker.job, worker.take(self._lost, self._timeout_s)
                    busy.remove(worker)
                    if worker.alive:
                        self._idle.append(worker)
                    else:
                        worker.stop()
                    yield job, result
        finally:
            for worker in busy:
                worker.stop()


def _epitaph(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"the worker was killed by signal {-exit_code} ({signal.Signals(-exit_code).name})"
    return f"the worker exited with {exit_code}"

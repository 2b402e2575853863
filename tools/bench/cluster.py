"""A run spread over a Dask cluster: sources travel to the workers, records and compressed files come back.

A worker that dies takes its jobs with it; the scheduler gives them to another one. A job that has killed
several workers is reported as failed (Dask's `allowed-failures`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .measure import Job, Outcome

CONNECT_S = 20


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--scheduler needs the package distributed: pip install 'bitfloor[cluster]'") from None
    try:
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"there is no Dask scheduler at {address}: {error}") from None


def _read(data: bytes) -> bytes:
    """The bytes of one source as a task: unlike scattered data it is there again when its worker has died."""
    return data


def _with_data(work: Callable[[Job], Outcome], job: Job, data: bytes) -> Outcome:
    return work(replace(job, data=data))


def run_on_cluster(
    work: Callable[[Job], Outcome], jobs: Sequence[Job], address: str, lost: Callable[[str], Outcome]
) -> Iterator[tuple[Job, Outcome]]:
    """Yield (job, outcome) as they come. `lost(reason)` makes the outcome of a job that Dask gave up.

    Raises UsageError where Dask or the scheduler is missing, or a worker would run several jobs at once,
    which would spoil their times.
    """
    client = _client(address)
    from distributed import as_completed

    try:
        for worker, info in client.scheduler_info(n_workers=-1)["workers"].items():
            if info["nthreads"] > 1:
                raise UsageError(f"worker {worker} has several threads: start the workers with --nthreads 1")
        sources = {path: client.submit(_read, Path(path).read_bytes()) for path in {job.path for job in jobs}}
        futures = {client.submit(_with_data, work, job, sources[job.path], pure=False): job for job in jobs}
        with client.as_current():  # as_completed looks for a client of its own
            finished = as_completed(list(futures))
        for future in finished:
            if future.status == "finished":
                yield futures[future], future.result()
            else:
                error = future.exception()
                yield futures[future], lost(f"Dask gave the job up: {type(error).__name__}: {error}")
            future.release()
    finally:
        client.close()

"""Codecs in memory: one object for one model file, however and from wherever it is asked for."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

C = TypeVar("C")

KEPT = 4  # codecs that stay in memory though nobody holds them

_alive: WeakValueDictionary[tuple[object, ...], object] = WeakValueDictionary()
_recent: deque[object] = deque(maxlen=KEPT)
_locks: dict[int, Any] = {}  # one lock for each process: a fork copies a lock as it is, perhaps held


def one_in_memory(cls: type[C], path: Path | None, build: Callable[[], C]) -> C:
    """Return the object of `cls` for the file `path`, which `build` makes when there is none yet.

    A file that was written anew since is another file. Threads that ask at the same time get the same object.
    """
    with _locks.setdefault(os.getpid(), threading.RLock()):
        key = (cls, *_identity(path))
        found = _alive.get(key)
        made = found if isinstance(found, cls) else build()
        _alive[key] = made
        if made in _recent:
            _recent.remove(made)
        _recent.append(made)
        return made


def _identity(path: Path | None) -> tuple[object, ...]:
    if path is None:
        return ()
    try:
        status = path.stat()
    except OSError:  # `build` says what is wrong with it
        return (path,)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size

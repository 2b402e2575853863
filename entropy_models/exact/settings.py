"""torch as the codecs need it, whatever the calling program has set, and all of that left as it was.

A caller's settings are of two kinds. Those of a thread (autocast, gradients, default device) are set aside by
`own_settings` while a codec works. Those of the whole process (default type, random numbers, deterministic
algorithms) must not be touched, because other threads work under them: there the codecs name type and device
themselves and draw nothing.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch

from ...process import IMPORTED_IN

Item = TypeVar("Item")


@contextmanager
def own_settings(*, inference: bool = True) -> Iterator[None]:
    """Compute on the processor, in the types that the code names, without gradients; usable as a decorator.

    `inference=False` makes tensors that may be trained further: for loading.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(inference))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast("cpu", enabled=False))
        stack.enter_context(np.errstate(divide="ignore", over="ignore", under="ignore"))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if _forked():
            stack.enter_context(one_thread())
        yield


def in_own_settings(made: Iterator[Item]) -> Iterator[Item]:
    """The items of a generator, each made under `own_settings`, which the caller never sees in between."""
    while True:
        with own_settings():
            try:
                item = next(made)
            except StopIteration:
                return
        yield item


class CallersSettings:
    """What the caller has set for its thread, to be restored while code of the caller's runs inside a codec."""

    def __init__(self) -> None:
        self.note()

    def note(self) -> None:
        """Remember the settings as they are now."""
        self._inference, self._grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
        self._autocast = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
        self._device, self._errors = torch.get_default_device(), np.geterr()

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Have them again, inside `own_settings`."""
        enabled, dtype = self._autocast
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(self._inference))
            stack.enter_context(torch.set_grad_enabled(self._grad))
            stack.enter_context(torch.autocast("cpu", dtype=dtype, enabled=enabled))
            stack.enter_context(np.errstate(**self._errors))
            if torch.get_default_device() != self._device:
                stack.enter_context(self._device)
            yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch in one thread: where matrices are so small that handing them to others costs far more.

    On a machine busy with other work, threads that wait for each other made a walk over tokens thirty times slower.
    """
    if getattr(_here, "alone", False):
        yield
        return
    shared = _shared()
    with shared.lock:
        before = torch.get_num_threads()
        if shared.inside == 0:
            shared.before = before
        elif before == 1:  # torch starts a new thread with what another one has set here for a while
            before = shared.before
        shared.inside += 1
        torch.set_num_threads(1)
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = False
        with shared.lock:
            shared.inside -= 1
            torch.set_num_threads(before)


@dataclass
class _Shared:
    """How many threads of this process are in `one_thread`, and how many of its own torch had before the first."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    inside: int = 0
    before: int = 1


_here = threading.local()
_of_process: dict[int, _Shared] = {}


def _shared() -> _Shared:
    """The state of this process: a fork copies that of its parent, whose threads are not there any more."""
    return _of_process.setdefault(os.getpid(), _Shared())


def _forked() -> bool:
    """Whether this process is a fork of one that may have used torch.

    The threads of torch's pool stay behind in the parent, and GNU's OpenMP waits for them for ever; with one thread
    it asks for none.
    """
    if os.getpid() != IMPORTED_IN:
        return True
    # Forked before bitfloor was imported. A worker that was started afresh has its program under another name.
    processes = sys.modules.get("multiprocessing.process")
    worker = processes is not None and processes.parent_process() is not None
    return worker and sys.modules["__main__"].__name__ != "__mp_main__"

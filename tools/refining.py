"""What a person sees of a refinement, and how they end it: a bar with the time left, Ctrl-C for what is there."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import click

from .console import QUIET, note, setting


@dataclass
class Refining:
    """Whether the person has had enough."""

    stopped: bool = False


@contextmanager
def refining(name: str) -> Iterator[Refining]:
    """Show how far the encoding of `name` is; Ctrl-C makes it take the best latent so far, a second one ends all."""
    from tqdm import tqdm

    from ..codecs.image.refine import WATCHER

    state = Refining()
    quiet = setting(click.get_current_context(silent=True), QUIET)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if state.stopped:
            raise KeyboardInterrupt
        state.stopped = True
        note(f"interrupted: {name} is written as it is now; once more ends without it")

    with tqdm(desc="refining", unit="step", disable=quiet or None, file=sys.stderr, leave=False) as bar:

        def watch(done: int, total: int) -> bool:
            bar.total, bar.n = total, done
            bar.update(0)
            return state.stopped

        token = WATCHER.set(watch)
        before = _catch(interrupt)
        try:
            yield state
        finally:
            WATCHER.reset(token)
            if before is not None:
                signal.signal(signal.SIGINT, before)


def _catch(handler: Any) -> Any:
    """Let `handler` have Ctrl-C; what had it before, or None in a thread that cannot."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        return None
    return signal.signal(signal.SIGINT, handler)

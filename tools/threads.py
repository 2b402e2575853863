"""How many threads a command computes with, and how they wait; settled before torch is imported.

Threads that wait spin by default: beside one other busy process a picture then took four times the processor time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_WAITING = "OMP_WAIT_POLICY"


def wait_passively() -> None:
    """Let threads sleep while they wait, unless the environment says otherwise."""
    os.environ.setdefault(_WAITING, "passive")


def wished_threads() -> int | None:
    """Threads that the person asks numeric libraries to use, by the first of their variables that is set."""
    for name in VARIABLES:
        first = os.environ.get(name, "").partition(",")[0].strip()  # "4,2" is for nested loops
        if first.isdecimal() and int(first) > 0:
            return int(first)
    return None


def threads_option(function: Function) -> Function:
    """Add `--threads N` to a command."""
    return click.option(
        "--threads",
        type=click.IntRange(1, 1024),
        expose_value=False,
        is_eager=True,
        callback=_use_wished,
        help="Threads of the networks. [OMP_NUM_THREADS, else every core]",
    )(function)


def _use_wished(context: click.Context, parameter: click.Parameter, count: int | None) -> None:
    if count is not None:
        use_threads(count)


def use_threads(count: int) -> None:
    """Compute with `count` threads in this process and those that it starts."""
    os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)

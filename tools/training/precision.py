"""Which precision this processor trains fastest in, found by a short measurement.

On processors with bfloat16 units (AMX, AVX512-BF16) a matrix product in bfloat16 takes a third of the time of float32;
on those without them it is emulated and takes ten to thirty times as long. The name of a processor does not tell which
it is, so two products of a network's typical size are timed, some milliseconds in all.
"""

from __future__ import annotations

import time
from functools import cache

import torch

from ...errors import UsageError

CHOICES = ("auto", "float32", "bfloat16")
_SHAPE = (1024, 256, 256)  # rows, inputs, outputs: a block of a small network at a batch of eight crops
_SECONDS = 0.02  # of timing for each precision


def check_device(name: str) -> None:
    """Raise UsageError where torch has no device called `name` here."""
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"torch has no device {name!r} here: {str(error).splitlines()[0]}") from None


def choose(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of matrix products for `precision`: one of `CHOICES`; "auto" measures.

    Raises ValueError for another word.
    """
    if precision not in CHOICES:
        raise ValueError(f"no precision '{precision}': there is {', '.join(CHOICES)}")
    if precision == "auto":
        return fastest(device)
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


@cache
def fastest(device: torch.device) -> torch.dtype:
    """bfloat16 where a matrix product is faster in it than in float32, else float32."""
    seconds = {dtype: _time(dtype, device) for dtype in (torch.float32, torch.bfloat16)}
    return min(seconds, key=lambda dtype: seconds[dtype])


def _time(dtype: torch.dtype, device: torch.device) -> float:
    """Shortest time of one product in seconds, forward form, after one that is not counted."""
    rows, inputs, outputs = _SHAPE
    left = torch.ones(rows, inputs, dtype=dtype, device=device)
    right = torch.ones(inputs, outputs, dtype=dtype, device=device)
    best, spent = float("inf"), 0.0
    for number in range(50):
        start = time.perf_counter()
        torch.mm(left, right)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
        if number:
            best, spent = min(best, seconds), spent + seconds
        if spent > _SECONDS:
            break
    return best


def mixed(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which matrix products of float32 tensors run in `dtype`; without effect for float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)

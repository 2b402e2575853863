"""Compute the function tables anew: python -m bitfloor.entropy_models.exact.make_tables FILE

The tables that ship were made by this and are never made again: a file's meaning rests on them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import mpmath
import torch
from safetensors.torch import save_file

from .functions import EXP_HIGH, EXP_LOW, GELU_REACH, POINTS, SOFTPLUS_REACH, TANH_REACH, VALUE_BITS
from .grid import ACTIVATION_BITS

DIGITS = 40


def tabulate(function: Callable[[Any], Any], low: int, high: int, bits: int) -> torch.Tensor:
    """function at low, low + 1 / POINTS ... high as integers in units of 2^-bits, rounded half to even."""
    with mpmath.workdps(DIGITS):
        points = range(low * POINTS, high * POINTS + 1)
        values = [int(mpmath.nint(function(mpmath.mpf(i) / POINTS) * 2**bits)) for i in points]
    return torch.tensor(values, dtype=torch.int32)


def make_tables() -> dict[str, torch.Tensor]:
    """All tables by name, int32."""
    return {
        "gelu_gap": tabulate(lambda x: x * mpmath.ncdf(-x), 0, GELU_REACH, ACTIVATION_BITS),
        "tanh": tabulate(mpmath.tanh, 0, TANH_REACH, VALUE_BITS),
        "softplus_gap": tabulate(lambda x: mpmath.log1p(mpmath.exp(-x)), 0, SOFTPLUS_REACH, VALUE_BITS),
        "exp": tabulate(mpmath.exp, EXP_LOW, EXP_HIGH, VALUE_BITS),
    }


if __name__ == "__main__":
    save_file(make_tables(), sys.argv[1])

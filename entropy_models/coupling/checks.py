"""Checking of plain numbers that a user gives: what is not meant is an error, never rounded to something else."""

from __future__ import annotations

import math
import operator
from typing import Any

from ...errors import UsageError


def check_integer(value: Any, name: str, low: int, high: int) -> int:
    """Return an integer of low..high as `int`; raises `UsageError` for anything else.

    Python's and numpy's integers count as integers; 1.0, 1.5, "1" and True do not.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise UsageError(f"{name} must be an integer, not {value!r}") from None
    if not low <= number <= high:
        raise UsageError(f"{name} must be in {low}..{high}, not {number}")
    return number


def check_number(value: Any, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a finite number of low..high as `float`; raises `UsageError` for anything else.

    Strings, booleans, complex numbers and arrays of more than one number are no numbers.
    """
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{name} must be a number, not {value!r}") from None
    if not math.isfinite(number):
        raise UsageError(f"{name} must be a finite number, not {number}")
    if not low <= number <= high:
        if high == math.inf:
            raise UsageError(f"{name} must be {low:g} or more, not {number:g}")
        raise UsageError(f"{name} must lie in {low:g}..{high:g}, not {number:g}")
    return number

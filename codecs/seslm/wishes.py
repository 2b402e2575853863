"""How a text may be spoken: the defaults and the limits, which the command knows without torch."""

from __future__ import annotations

import math

from ...errors import UsageError

TEMPERATURE = 0.0  # the best understood of 0, 0.3, 0.5 and 0.7 on texts held out from training
TEMPERATURES, SPEEDS, SEEDS = (0.0, 10.0), (0.5, 2.0), 2**32


def check_wishes(seed: int, temperature: float, speed: float) -> None:
    """Raise UsageError for a seed, a temperature or a speed that can be none."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < SEEDS:
        raise UsageError(f"a seed is a whole number of 0 to {SEEDS - 1}, not {seed!r}")
    for name, value, (low, high) in (("temperature", temperature, TEMPERATURES), ("speed", speed, SPEEDS)):
        if not isinstance(value, (int, float)) or not math.isfinite(value) or not low <= value <= high:
            raise UsageError(f"a {name} is a number of {low:g} to {high:g}, not {value!r}")

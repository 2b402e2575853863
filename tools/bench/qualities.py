"""Reading `-q`: `10,30,50` for every codec, `jpeg=10,30` for one, `5:95:5` for a range with its step."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ...errors import UsageError

MOST = 10_000  # qualities of a range


def parse_qualities(texts: Iterable[str]) -> dict[str, tuple[float, ...]]:
    """Return {codec name: qualities}, with "" for those that hold for every codec. Raises UsageError."""
    found: dict[str, tuple[float, ...]] = {}
    for text in texts:
        name, equals, values = text.rpartition("=")
        if name in found:
            raise UsageError(f"-q {text}: qualities for {name or 'every codec'} were given twice")
        found[name if equals else ""] = tuple(
            dict.fromkeys(q for item in values.split(",") for q in _items(item, text))
        )
    return found


def _items(item: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in item.split(":")]
    except ValueError:
        raise UsageError(f"-q {text}: {item!r} is no number and no range START:STOP:STEP") from None
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"-q {text}: {item!r} is not finite")
    if len(numbers) == 1:
        return numbers
    if len(numbers) != 3 or numbers[2] <= 0 or numbers[1] < numbers[0]:
        raise UsageError(f"-q {text}: a range is START:STOP:STEP, rising")
    start, stop, step = numbers
    if (stop - start) / step > MOST:
        raise UsageError(f"-q {text}: that is more than {MOST:,} qualities")
    return [start + i * step for i in range(int((stop - start) / step + 1e-9) + 1)]

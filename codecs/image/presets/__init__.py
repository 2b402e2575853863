"""Networks by name; one file a system, with a dictionary PRESETS.

`find("small", "mlicv2")` is what `bitfloor train --codec mlicv2 --preset small` trains.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from ....errors import UsageError
from ..config import ImageConfig


@cache
def all_presets() -> dict[str, ImageConfig]:
    """Every preset by its full name, SYSTEM-SIZE."""
    found: dict[str, ImageConfig] = {}
    for module in pkgutil.iter_modules(__path__):
        found |= import_module(f"{__name__}.{module.name}").PRESETS
    return found


def find(name: str, system: str) -> ImageConfig:
    """The preset called `name`, or `name` of `system`. Raises UsageError where there is none."""
    presets = all_presets()
    found = presets.get(f"{system}-{name}") or presets.get(name)
    if found is None:
        raise UsageError(f"no preset '{name}' of {system}: there is {', '.join(presets)}")
    return found

"""How often Python looks for garbage in a command; settled before torch is imported.

torch makes 170,000 objects that stay. Python looks through them again and again while they are made, and once more when
the process ends, to no avail: a fifth of the time that a command for one picture takes.
"""

from __future__ import annotations

import atexit
import gc

NEW_OBJECTS = 10_000  # between two looks at the youngest; 700 to 2,000 by default


def collect_rarely() -> None:
    """Look for garbage at most every `NEW_OBJECTS` objects, and no more when the process ends."""
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)  # the last of all handlers, because it is the first that is registered

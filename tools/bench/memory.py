"""Peak memory of one call, read from the kernel's own high-water mark.

Linux keeps, for every process, the largest resident size since a mark that the process may reset. Before the
call the free pages of the allocator are given back and the mark is reset; the result is the peak of the call
above that level. So loaded libraries and a network's weights do not count (parameters are reported apart),
buffers of the call do.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def _status_kib(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise OSError(f"{_STATUS} has no {field}")


def start() -> int | None:
    """Reset the mark; return the resident size now in KiB, or None where the system keeps no such mark."""
    with suppress(OSError, AttributeError):  # only glibc has it; elsewhere free pages hide a part of the peak
        ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR.write_text("5")
        return _status_kib("VmRSS")
    except OSError:
        return None


def peak_mib(level: int | None) -> float | None:
    """Peak since `start`, which returned `level`, above that level in MiB."""
    if level is None:
        return None
    return max(0, _status_kib("VmHWM") - level) / 1024

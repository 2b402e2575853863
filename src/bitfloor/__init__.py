"""bitfloor: learned codecs whose files decode on every machine.

import bitfloor
codec = bitfloor.load("mlicv2")
data = codec.encode(image, quality=40)   # PIL image, HxWx3 array or 3xHxW tensor
image = bitfloor.decode(data)            # a PIL image
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    BitfloorError,
    CorruptStreamError,
    ModelError,
    TargetError,
    UnreadableInputError,
    UsageError,
)
from .process import IMPORTED_IN as IMPORTED_IN

if TYPE_CHECKING:
    from .codecs.api import decode, encode, info, load

__version__ = "0.2.0"

__all__ = [
    "BitfloorError",
    "CorruptStreamError",
    "ModelError",
    "TargetError",
    "UnreadableInputError",
    "UsageError",
    "__version__",
    "decode",
    "encode",
    "info",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import the functions when they are first asked for, so that `import bitfloor` itself costs nothing."""
    if name in ("decode", "encode", "info", "load"):
        value = getattr(import_module(".codecs.api", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

"""The library in four functions: load, encode, decode, info."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from . import registry
from .base import Codec
from .container import unpack
from .info import FileInfo, describe


@lru_cache(maxsize=4)
def load(name: str = "mlicv2", model: str | None = None) -> Codec:
    """Return the codec called `name` with its model; a second call with the same arguments returns the same.

    `model` is a name that `bitfloor models` shows or a path, None is the codec's default.
    Raises UsageError for an unknown codec, ModelError where there is no such model.
    """
    return registry.load(name).load(model)


def encode(source: Any, *, codec: str = "mlicv2", model: str | None = None, **options: Any) -> bytes:
    """Return the file for `source`; `options` (such as quality=40) are those of the codec's `encode`."""
    return load(codec, model).encode(source, **options)


def decode(data: bytes) -> Any:
    """Return what a compressed file holds, as the usual object of its kind: a picture as a PIL image.

    Codec and model are found from the file.
    Raises CorruptStreamError for damaged data, ModelError where its model is not here.
    """
    return codec_of(data).decode(data)


def codec_of(data: bytes) -> Codec:
    """Return the codec that decodes the file `data` with the model that it names; raises as `decode`."""
    header = unpack(data).header
    return _with_fingerprint(registry.by_id(header.codec_id).name, header.fingerprint)


@lru_cache(maxsize=4)
def _with_fingerprint(name: str, fingerprint: bytes) -> Codec:
    return registry.load(name).load(fingerprint=fingerprint)


def info(data: bytes) -> FileInfo:
    """Return what a compressed file says of itself; needs neither the model nor torch."""
    return describe(data)

"""The library in four functions: load, encode, decode, info. Threads may call them at the same time."""

from __future__ import annotations

from typing import Any

from . import registry
from .base import Codec, Model
from .container import unpack
from .info import FileInfo, describe


def load(name: str = "mlicv2", model: Model | None = None) -> Codec:
    """Return the codec called `name` with its model: one object for one model, however it is asked for.

    `model` is a name that `bitfloor models` shows, a model file, or a folder with one model; None is the codec's
    default. Raises UsageError for an unknown codec, ModelError where there is no such model.
    """
    return registry.load(name).load(model)


def encode(source: Any, *, codec: str = "mlicv2", model: Model | None = None, **options: Any) -> bytes:
    """Return the file for `source`; `options` (such as quality=40) are those of the codec's `encode`."""
    return load(codec, model).encode(source, **options)


def decode(data: bytes, *, model: Model | None = None, **options: Any) -> Any:
    """Return what a compressed file holds, as the usual object of its kind: a picture as a PIL image.

    Codec and model are found from the file; `model` says where the model is that the file names, as for `load`;
    `options` (such as max_pixels=2**30 for a picture) are those of the codec's `decode`.
    Raises CorruptStreamError for damaged data, ModelError where its model is not here.
    """
    return codec_of(data, model).decode(data, **options)


def codec_of(data: bytes, model: Model | None = None) -> Codec:
    """Return the codec that decodes the file `data` with the model that it names; raises as `decode`."""
    header = unpack(data).header
    return registry.load(registry.by_id(header.codec_id).name).load(model, fingerprint=header.fingerprint)


def info(data: bytes) -> FileInfo:
    """Return what a compressed file says of itself; needs neither the model nor torch."""
    return describe(data)

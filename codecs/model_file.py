"""A shipped model file: tensors under dotted names, a format and a configuration, and the fingerprint of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import ModelError

FINGERPRINT_BYTES = 4


def read_model(path: Path, model_format: str) -> tuple[str, dict[str, Tensor]]:
    """The configuration, as it was written, and all tensors.

    Raises:
        ModelError: when the file is missing, damaged or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read the model {path}: {error}") from error
    if metadata.get("format") != model_format:
        raise ModelError(f"{path} is no model of this version: its format is {metadata.get('format')!r}")
    return metadata["config"], tensors


def fingerprint_of(model_format: str, config: str, tensors: Mapping[str, Tensor], names: Iterable[str]) -> bytes:
    """First 4 bytes of a SHA-256 over the format, the configuration and the tensors called `names`."""
    digest = hashlib.sha256(f"{model_format} {config}".encode())
    for name in sorted(names):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.digest()[:FINGERPRINT_BYTES]


def below(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors under `part`, by what follows it in their names."""
    prefix = part + "."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

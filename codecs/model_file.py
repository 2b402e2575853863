"""A shipped model file: tensors under dotted names, a format and a configuration, and the fingerprint of both."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import ModelError

FINGERPRINT_BYTES = 4


def read_model(path: Path, *formats: str) -> tuple[str, dict[str, Tensor]]:
    """The configuration, as it was written, and all tensors of a file in one of the formats.

    Raises:
        ModelError: when the file is missing, damaged or of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read the model {path}: {error}") from error
    if metadata.get("format") not in formats:
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


class WithoutValues(TorchFunctionMode):
    """Inside it networks are built without drawing what they begin with, because `fill` gives them other values.

    Drawing took longer than reading the model, and used up the caller's random numbers.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Leave memory as it is where `func` would fill it at random."""
        named = kwargs or {}
        if func in _FILLING:
            return args[0] if args else named["tensor"]
        return _EMPTY.get(func, func)(*args, **named)


_FILLING = {torch.Tensor.normal_, torch.Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_}
_EMPTY = {torch.randn: torch.empty, torch.rand: torch.empty}


def fill(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give `module` its parameters and buffers; half precision becomes float32, all else stays as it is.

    Raises RuntimeError where names or shapes do not fit.
    """
    state = {name: tensor.float() if tensor.dtype == torch.float16 else tensor for name, tensor in tensors.items()}
    module.load_state_dict(state, assign=True)


def content_fingerprint(words: str, arrays: Iterable[NDArray[np.generic]]) -> bytes:
    """First 4 bytes of a SHA-256 over `words` and arrays in their order: types, shapes and content, no names."""
    digest = hashlib.sha256(words.encode())
    for array in arrays:
        digest.update(f"{array.dtype.name} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.digest()[:FINGERPRINT_BYTES]


def below(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors under `part`, by what follows it in their names."""
    prefix = part + "."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

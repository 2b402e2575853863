"""Checkpoints: one safetensors file with weights, averages, optimiser state, progress and the configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...errors import ModelError


class HasState(Protocol):
    """An optimiser whose state is named tensors."""

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """See `MatrixOptimizer.tensors`."""


def save(
    path: Path,
    model: nn.Module,
    average: dict[str, Tensor],
    optimizer: HasState,
    progress: dict[str, object],
    config: str,
) -> None:
    """Write to a temporary file beside `path`, then rename. `config` says as JSON what network it is."""
    tensors = {f"model/{k}": v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    tensors |= {f"average/{k}": v.cpu().contiguous() for k, v in average.items()}
    tensors |= {f"optimizer/{k}": v.detach().cpu().contiguous().clone() for k, v in optimizer.tensors()}
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"progress": json.dumps(progress), "config": config})
    os.replace(partial, path)


def config_of(path: Path) -> str:
    """The network's configuration, as JSON. Raises ModelError for a checkpoint that has none."""
    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {})["config"])
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{path} is no training checkpoint that says of what network it is: {error}") from error


def fill(model: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load the weights `tensors` of the checkpoint `path`. Raises ModelError where they are another network's."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"{path} holds another network: was it trained with another codec or preset?") from error


def load(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, object]]:
    """Tensors by part ("model", "average", "optimizer") and the progress. Raises ModelError."""
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a dictionary
                part, key = name.split("/", 1)
                parts[part][key] = file.get_tensor(name)
            progress = json.loads(file.metadata()["progress"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is no training checkpoint: {error}") from error
    return parts, progress

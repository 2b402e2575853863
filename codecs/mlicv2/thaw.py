"""From a shipped model back to a network that can be trained further.

A shipped model holds what coding needs: tables in place of the factorised prior, gains on the grid in place of
their logarithms. `NAME.training.safetensors` beside it (some 90 kB) holds those parameters themselves.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...errors import ModelError
from .frozen import ENTROPY_MODULES, TRANSFORM_MODULES, parse_config
from .model import MLICv2

TRAINING_MODULES = ("prior", "quality")


def training_path(path: Path) -> Path:
    """Where the training parameters of the model file `path` lie."""
    return path.with_suffix(".training.safetensors")


def save_training(path: Path, model: MLICv2) -> None:
    """Write what of `model` the model file `path` does not hold."""
    tensors = {
        f"{part}.{name}": value.detach().contiguous()
        for part in TRAINING_MODULES
        for name, value in getattr(model, part).state_dict().items()
    }
    save_file(tensors, training_path(path))


def thaw(path: Path) -> MLICv2:
    """The network of a model file, ready to be trained; weights are as precise as the file, half precision.

    Raises ModelError where the file or its training parameters are missing or do not fit.
    """
    state: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            model = MLICv2(parse_config(json.loads(file.metadata()["config"])))
            for name in file.keys():  # noqa: SIM118 - not a dictionary
                if name.split(".")[0] in ENTROPY_MODULES + TRANSFORM_MODULES:
                    state[name] = file.get_tensor(name).to(torch.float32)
        model.load_state_dict(state | load_file(training_path(path)))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot train {path.stem} further: {str(error).splitlines()[0]}") from error
    return model

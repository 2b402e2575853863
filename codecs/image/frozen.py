"""A picture model in a file, and what it becomes when it is loaded.

    trained ImageNetwork --save_model--> one safetensors file --FrozenImage.load--> float32 network, exact float64 path

The file holds the whole network, ready for coding, refinement and more training, and beside it what
`exact_path.tabulate` made of it once. The fingerprint covers the configuration and everything in `exact`, by order and
content, not by names. The transforms, the prior and the logarithms of the gains are outside: they only say what to code
and how it looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...entropy_models.exact.layers import FreezeError
from ...entropy_models.exact.settings import own_settings
from ...entropy_models.exact.tabulate import Tabulated
from ...entropy_models.exact.tabulate import tabulate as tabulate_modules
from ...entropy_models.latent.exact_path import ExactPath, tabulate
from ...entropy_models.latent.factorized import FactorizedPrior
from ...entropy_models.latent.gains import Gains
from ...entropy_models.parts import from_json, to_json
from ...errors import ModelError
from ..model_file import WithoutValues, below, content_fingerprint, fill, read_model
from .config import ImageConfig
from .model import ImageNetwork

FORMAT = "bitfloor image 1"
FULL_PRECISION = (FactorizedPrior, Gains)  # what training would lose in half precision


@dataclass(frozen=True, eq=False)
class FrozenImage:
    """A network ready to code.

    Attributes:
        name: of the model.
        fingerprint: 4 bytes, stands in every file.
        network: float32; its transforms and h_a run, its entropy model only in refinement and training.
        exact: the entropy model in float64 on the grid.
    """

    name: str
    fingerprint: bytes
    network: ImageNetwork
    exact: ExactPath

    @classmethod
    @own_settings(inference=False)
    def from_tensors(cls, config_text: str, tensors: Mapping[str, Tensor], name: str) -> FrozenImage:
        """Build it from what a model file holds. Raises ModelError where something does not fit."""
        network = network_from(config_text, tensors, name)
        try:
            exact = ExactPath(
                deepcopy(network.hyper_synthesis),
                deepcopy(network.context),
                network.config.hyper.channels,
                below(tensors, "exact"),
            )
        except (FreezeError, KeyError, ValueError) as error:
            raise ModelError(f"{name} is no picture model: {str(error).splitlines()[0]}") from error
        fingerprint = content_fingerprint(f"{FORMAT} {config_text}", exact.content())
        return cls(name, fingerprint, network.eval().requires_grad_(False), exact)

    @classmethod
    @own_settings(inference=False)
    def load(cls, path: Path) -> FrozenImage:
        """Read a model file. Raises ModelError."""
        return cls.from_tensors(*read_model(path, FORMAT), path.stem)

    def to(self, device: torch.device) -> FrozenImage:
        """The same on another device; network and exact part move in place."""
        self.network.to(device)
        self.exact.to(device)
        return self


def network_from(config_text: str, tensors: Mapping[str, Tensor], name: str) -> ImageNetwork:
    """The network in a model file, in float32, ready to be trained. Raises ModelError where something does not fit."""
    try:
        with WithoutValues():
            network = ImageNetwork(from_json(config_text, ImageConfig))
        fill(network, below(tensors, "network"))
    except (ModelError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name} is no picture model: {_one_line(error)}") from error
    return network


def load_network(path: Path) -> ImageNetwork:
    """The network of a model file, ready to be trained. Raises ModelError."""
    network = network_from(*read_model(path, FORMAT), path.stem)
    for module in network.modules():
        if isinstance(module, Tabulated):  # its tables were those of the weights before more training
            for name, _ in list(module.named_buffers(recurse=False)):
                setattr(module, name, None)
    return network


def model_tensors(network: ImageNetwork) -> dict[str, Tensor]:
    """All that a model file holds, by name: weights in half precision, tables in integers."""
    tensors: dict[str, Tensor] = {}
    for part, module in network.named_children():
        full = isinstance(module, FULL_PRECISION)
        exported = deepcopy(module).cpu()
        if not full:
            exported.half().float()  # tables are those of the weights in the file
        tabulate_modules(exported)
        for name, value in exported.state_dict().items():
            half = value.is_floating_point() and not full
            tensors[f"network.{part}.{name}"] = value.half() if half else value
    tensors |= {f"exact.{name}": value for name, value in tabulate(network.prior, network.gains).items()}
    return {name: value.contiguous() for name, value in tensors.items()}


def save_model(path: Path, network: ImageNetwork) -> FrozenImage:
    """Write a model file and return what it holds. Raises ModelError where a layer cannot be frozen."""
    tensors, config = model_tensors(network), to_json(network.config)
    frozen = FrozenImage.from_tensors(config, tensors, path.stem)
    save_file(tensors, path, metadata={"format": FORMAT, "config": config})
    return frozen


def _one_line(error: Exception) -> str:
    """The lines of an error in one: torch names the tensors that do not fit on lines of their own."""
    return " ".join(str(error).split())[:300]

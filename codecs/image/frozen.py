"""A picture model in a file, and what it becomes when it is loaded.

    trained ImageNetwork --save_model--> one safetensors file --FrozenImage.load--> float32 network, exact path

The file holds the whole network, ready for coding, refinement and more training, and beside it what
`exact_path.tabulate` made of it once. There are two formats, and a model stays in its own for ever:

    bitfloor image 1    weights in half precision; the exact path snaps those of h_s and contexts and runs in float64
    bitfloor image 2    weights in 8 bits; h_s and contexts are integers on grids of their own (`exact.storage`), and
                        the exact path runs in float32

The fingerprint covers format, configuration and everything in `exact`, by order and content, not by names. The
transforms, the prior and the logarithms of the gains are outside: they only say what to code and how it looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...entropy_models.exact.layers import ExactLayer, FreezeError
from ...entropy_models.exact.settings import own_settings
from ...entropy_models.exact.storage import integers, load_integers
from ...entropy_models.exact.tabulate import Tabulated
from ...entropy_models.exact.tabulate import tabulate as tabulate_modules
from ...entropy_models.latent.exact_path import ExactPath, tabulate
from ...entropy_models.latent.factorized import FactorizedPrior
from ...entropy_models.latent.gains import Gains
from ...entropy_models.parts import from_json, to_json
from ...errors import ModelError
from ..model_file import WithoutValues, below, content_fingerprint, fill, read_model
from ..small_weights import Rows, stored, whole
from .config import ImageConfig
from .model import ImageNetwork

HALF, SMALL = "bitfloor image 1", "bitfloor image 2"
FULL_PRECISION = (FactorizedPrior, Gains)  # what training would lose in half precision
ENTROPY = ("hyper_synthesis", "context")  # the parts of a network that both ends must compute alike


@dataclass(frozen=True, eq=False)
class FrozenImage:
    """A network ready to code.

    Attributes:
        name: of the model.
        fingerprint: 4 bytes, stands in every file.
        network: float32; its transforms and h_a run, its entropy model only in refinement and training.
        exact: the entropy model on its grids.
    """

    name: str
    fingerprint: bytes
    network: ImageNetwork
    exact: ExactPath

    @classmethod
    @own_settings(inference=False)
    def from_tensors(cls, config_text: str, tensors: Mapping[str, Tensor], name: str) -> FrozenImage:
        """Build it from what a model file holds. Raises ModelError where something does not fit."""
        network = _network(config_text, tensors, name)
        path = torch.float32 if format_of(tensors) == SMALL else torch.float64
        try:
            exact = ExactPath(
                deepcopy(network.hyper_synthesis),
                deepcopy(network.context),
                network.config.hyper.channels,
                below(tensors, "exact"),
                path,
            )
        except (FreezeError, KeyError, ValueError) as error:
            raise ModelError(f"{name} is no picture model: {str(error).splitlines()[0]}") from error
        fingerprint = content_fingerprint(f"{format_of(tensors)} {config_text}", exact.content())
        return cls(name, fingerprint, network.float().eval().requires_grad_(False), exact)

    @classmethod
    @own_settings(inference=False)
    def load(cls, path: Path) -> FrozenImage:
        """Read a model file. Raises ModelError."""
        return cls.from_tensors(*read_model(path, HALF, SMALL), path.stem)

    def to(self, device: torch.device) -> FrozenImage:
        """The same on another device; network and exact part move in place."""
        self.network.to(device)
        self.exact.to(device)
        return self


def format_of(tensors: Mapping[str, Tensor]) -> str:
    """The format of a model file with these tensors."""
    return SMALL if any(name.startswith("exact.context.") for name in tensors) else HALF


def load_network(path: Path) -> ImageNetwork:
    """The network of a model file in float32, ready to be trained without grids. Raises ModelError."""
    network = _network(*read_model(path, HALF, SMALL), path.stem).float()
    for module in network.modules():
        if isinstance(module, ExactLayer):
            module.set_grid()
        if isinstance(module, Tabulated):  # its tables were those of the weights before more training
            for name, _ in list(module.named_buffers(recurse=False)):
                setattr(module, name, None)
    return network


def _network(config_text: str, tensors: Mapping[str, Tensor], name: str) -> ImageNetwork:
    """The network in a model file; what is stored as integers in float64. Raises ModelError where it does not fit."""
    given = whole(below(tensors, "network"))
    try:
        with WithoutValues():
            network = ImageNetwork(from_json(config_text, ImageConfig))
        if format_of(tensors) == HALF:
            fill(network, given)
        else:
            for part, module in network.named_children():
                if part in ENTROPY:
                    load_integers(module, below(tensors, f"exact.{part}"))
                else:
                    fill(module, below(given, part))
    except (KeyError, ModelError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name} is no picture model: {_one_line(error)}") from error
    return network


def model_tensors(network: ImageNetwork, small: Mapping[str, Rows] | None = None) -> dict[str, Tensor]:
    """All that a model file holds, by name: tables in integers, weights in half precision.

    With `small`, the weights of the transforms in 8 bits by their names in the network, the file is in the second
    format, and the layers of the entropy path are stored on the grids that they have.
    """
    tensors: dict[str, Tensor] = {f"network.{name}": value for name, value in stored(small or {}).items()}
    for part, module in network.named_children():
        full = isinstance(module, FULL_PRECISION)
        exported = deepcopy(module).cpu()
        if small is not None and part in ENTROPY:
            tabulate_modules(exported)
            tensors |= {f"exact.{part}.{name}": value for name, value in integers(exported).items()}
            continue
        if not full:
            exported.half().float()  # tables are those of the weights in the file
        tabulate_modules(exported)
        for name, value in exported.state_dict().items():
            half = value.is_floating_point() and not full
            tensors.setdefault(f"network.{part}.{name}", value.half() if half else value)
    tensors |= {f"exact.{name}": value for name, value in tabulate(network.prior, network.gains).items()}
    return {name: value.contiguous() for name, value in tensors.items()}


def save_model(path: Path, network: ImageNetwork, small: Mapping[str, Rows] | None = None) -> FrozenImage:
    """Write a model file and return what it holds; `small` as for `model_tensors`.

    Raises:
        ModelError: where a layer cannot be frozen.
    """
    try:
        tensors, config = model_tensors(network, small), to_json(network.config)
    except FreezeError as error:
        raise ModelError(f"{path.stem} is no picture model: {_one_line(error)}") from error
    frozen = FrozenImage.from_tensors(config, tensors, path.stem)
    save_file(tensors, path, metadata={"format": format_of(tensors), "config": config})
    return frozen


def _one_line(error: Exception) -> str:
    """The lines of an error in one: torch names the tensors that do not fit on lines of their own."""
    return " ".join(str(error).split())[:300]

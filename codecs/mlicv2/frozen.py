"""The frozen network: the entropy path on the grid, its integer tables, and its fingerprint.

    trained MLICv2 --freeze--> tensors --save--> one safetensors file --load--> FrozenMLICv2

What decides a table index or an offset (`context`, `hyper_synthesis`, quality vectors, tables) enters the
fingerprint and runs in exact float64. The transforms run in float32: they only say what to code and how it looks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ...entropy_models.coding.tables import ProbabilityTables, gaussian_tables, tables_from_pmfs
from ...entropy_models.exact.layers import FreezeError, freeze
from ...entropy_models.exact.settings import own_settings
from ...entropy_models.latent.context_model import QualityState
from ...entropy_models.latent.gaussian import SCALE_COUNT, coded_scales
from ...errors import ModelError
from ..model_file import WithoutValues, below, fill, fingerprint_of, read_model
from .model import MLICv2, MLICv2Config
from .quality import NODES, interpolate, nearest_node, state_between

ENTROPY_MODULES = ("context", "hyper_synthesis")
TRANSFORM_MODULES = ("analysis", "synthesis", "hyper_analysis")
MODULATIONS = ("analysis", "synthesis")
Z_REACH = 512  # z is tabulated over -Z_REACH..Z_REACH; what has no mass there is dropped
FORMAT = "bitfloor mlicv2 1"


def freeze_tensors(model: MLICv2) -> dict[str, Tensor]:
    """All that a shipped model holds: half-precision weights, quality vectors on the grid, integer tables."""
    tensors = {f"quality.{k}": v for k, v in model.quality.frozen().items()}
    tensors |= {f"modulation.{k}": getattr(model.quality, k).detach().half() for k in MODULATIONS}
    for name in ENTROPY_MODULES + TRANSFORM_MODULES:
        module: nn.Module = getattr(model, name)
        tensors |= {f"{name}.{k}": v.detach().half() for k, v in module.state_dict().items()}
    for name, tables in (("y", gaussian_tables(coded_scales())), ("z", hyper_tables(model))):
        arrays = tables.to_arrays(f"tables.{name}.")
        tensors |= {k: torch.from_numpy(v.astype(np.int32)) for k, v in arrays.items()}
    return {k: v.contiguous() for k, v in tensors.items()}


@torch.no_grad()
def hyper_tables(model: MLICv2) -> ProbabilityTables:
    """One table for each quality node and channel of z, node-major, in float64 from the trained prior."""
    values = torch.arange(-Z_REACH, Z_REACH + 1, dtype=torch.float64)
    prior = type(model.prior)(model.config.hyper_latent).double()
    prior.load_state_dict({k: v.double() for k, v in model.prior.state_dict().items()})
    pmfs: list[np.ndarray] = []
    for node in range(NODES):
        scale = model.quality.log_z_scale[node].double().exp()[:, None]
        pmfs.extend(prior.likelihood(values.expand(len(scale), -1), scale, floor=0.0).numpy())
    return tables_from_pmfs(pmfs, [-Z_REACH] * len(pmfs))


def save_frozen(path: Path, model: MLICv2) -> FrozenMLICv2:
    """Write the shipped model and return it. Raises ModelError where a layer cannot be frozen."""
    tensors = freeze_tensors(model)
    config = json.dumps(model.config.to_dict(), sort_keys=True)
    frozen = FrozenMLICv2.from_tensors(config, tensors, path.stem)
    save_file(tensors, path, metadata={"format": FORMAT, "config": config})
    return frozen


def fingerprint(config: str, tensors: Mapping[str, Tensor]) -> bytes:
    """First 4 bytes of a SHA-256 over the configuration and everything that the entropy path reads."""
    parts = (*ENTROPY_MODULES, "quality", "tables")
    return fingerprint_of(FORMAT, config, tensors, (name for name in tensors if name.split(".")[0] in parts))


@dataclass(frozen=True)
class FrozenMLICv2:
    """A network ready to code. `model` has its entropy modules in float64 on the grid."""

    name: str
    fingerprint: bytes
    model: MLICv2
    y_tables: ProbabilityTables
    z_tables: ProbabilityTables
    nodes: Mapping[str, Tensor]
    modulations: Mapping[str, Tensor]

    @classmethod
    @own_settings(inference=False)
    def from_tensors(cls, config_text: str, tensors: Mapping[str, Tensor], name: str) -> FrozenMLICv2:
        """Build it from what `freeze_tensors` gave. Raises ModelError where something does not fit."""
        try:
            with WithoutValues():
                model = MLICv2(parse_config(json.loads(config_text)))
            del model.prior, model.quality  # for training; coding has tables and `nodes` in their place
            for part in ENTROPY_MODULES + TRANSFORM_MODULES:
                fill(getattr(model, part), below(tensors, part))
            for part in ENTROPY_MODULES:
                freeze(getattr(model, part).double())
            y_tables, z_tables = (ProbabilityTables.from_arrays(_arrays(tensors, f"tables.{t}.")) for t in "yz")
            if len(y_tables) != SCALE_COUNT or len(z_tables) != NODES * model.config.hyper_latent:
                raise ValueError(f"{len(y_tables)} tables for y and {len(z_tables)} for z do not fit")
        except (FreezeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{name} is no MLICv2 model: {str(error).splitlines()[0]}") from error
        nodes = {k: v.double() for k, v in below(tensors, "quality").items()}
        modulations = {k: v.float() for k, v in below(tensors, "modulation").items()}
        model.eval().requires_grad_(False)
        return cls(name, fingerprint(config_text, tensors), model, y_tables, z_tables, nodes, modulations)

    @classmethod
    @own_settings(inference=False)
    def load(cls, path: Path) -> FrozenMLICv2:
        """Read a shipped model. Raises ModelError."""
        return cls.from_tensors(*read_model(path, FORMAT), path.stem)

    def state(self, position: Tensor) -> QualityState:
        """What the entropy model needs of one quality index, exact."""
        n = self.nodes
        return state_between(n["embedding"], n["gain"], n["inverse_gain"], n["log_gain"], position)

    def modulation(self, part: str, position: Tensor) -> Tensor:
        """Feature scales (1, 1, 1, N1 + N2) of the transform `part`."""
        return interpolate(self.modulations[part], position)[:, None, None]

    def z_indexes(self, position: Tensor, shape: tuple[int, ...]) -> np.ndarray:
        """Table index of every element of z (..., Z) at one quality index."""
        channels = shape[-1]
        first = int(nearest_node(position)) * channels
        return np.broadcast_to(np.arange(first, first + channels, dtype=np.int32), shape)

    def least_bits_per_block(self) -> float:
        """Fewest bits that the z of one 64x64 block can cost at any quality: a bound for hostile headers."""
        best = np.maximum.reduceat(self.z_tables.frequencies, self.z_tables.starts[:-1])
        total = float(self.z_tables.row(0).sum())
        return float(np.log2(total / best).reshape(NODES, -1).sum(1).min())


def parse_config(raw: Mapping[str, Any]) -> MLICv2Config:
    """The configuration that a model file holds as JSON, whose lists are tuples. Raises TypeError."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    return MLICv2Config(**values)


def _arrays(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v.numpy() for k, v in tensors.items() if k.startswith(prefix)}

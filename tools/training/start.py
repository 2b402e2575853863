"""A trained network's weights in another network: where a training begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ... import weights
from ...codecs import registry
from ...codecs.image.model import ImageNetwork
from ...entropy_models.exact.tabulate import Normed
from ...entropy_models.latent.q_index import NODES
from ...entropy_models.latent.reads import Reads
from ...errors import ModelError


@dataclass(frozen=True)
class Start:
    """What a network took over, by modules: new ones begin as they are built, dropped ones have no place any more."""

    new: tuple[str, ...]
    dropped: tuple[str, ...]

    def __str__(self) -> str:
        """One line for a person."""
        words = [f"{label}: {', '.join(names)}" for label, names in vars(self).items() if names]
        return "; ".join(words) or "every weight was taken over"


@torch.no_grad()
def start_from(trained: nn.Module, network: nn.Module) -> Start:
    """Give `network` the weights of `trained` wherever both have the same part.

    A context that only `network` has changes nothing at first: what others read of it begins at zero. A context that
    only `trained` has is dropped, with what others read of it. A norm that `trained` has folded into its layer stays
    folded. Where the range of lambda is another, the vectors of the quality nodes move to where they belong.

    Raises:
        ModelError: where a part of both has another shape.
    """
    source, target = trained.state_dict(), network.state_dict()
    if isinstance(trained, ImageNetwork) and isinstance(network, ImageNetwork):
        source |= _nodes_of_range(trained, network.config.lambdas)
    for name, value in source.items():
        if name in target and target[name].shape != value.shape:
            shapes = " and ".join(str(tuple(t.shape)) for t in (value, target[name]))
            raise ModelError(f"cannot start from another network: {name} is {shapes}")
    for prefix, part in network.named_modules():
        if isinstance(part, Normed) and f"{prefix}.layer.weight" in source:
            target = {name: value for name, value in target.items() if not name.startswith(f"{prefix}.norm.")}
    new = [name for name in target if name not in source]
    network.load_state_dict({**target, **{k: v for k, v in source.items() if k in target}})
    for prefix, reads in network.named_modules():
        if isinstance(reads, Reads):
            for name, part in reads.parts.items():
                if f"{prefix}.parts.{name}.weight" in new:
                    for parameter in part.parameters():
                        nn.init.zeros_(parameter)
    return Start(_modules(new), _modules([name for name in source if name not in target]))


def _nodes_of_range(trained: ImageNetwork, lambdas: tuple[float, float]) -> dict[str, Tensor]:
    """What belongs to the quality nodes of another range of lambda: on lines through the two nearest of the old."""
    (old_low, old_high), (low, high) = (np.log(ends) for ends in (trained.config.lambdas, lambdas))
    at = torch.from_numpy((np.linspace(low, high, NODES) - old_low) / (old_high - old_low) * (NODES - 1)).float()
    left = at.floor().clamp(0, NODES - 2).long()
    share = (at - left)[:, None]
    return {
        f"{part}.{name}": torch.lerp(nodes.data[left], nodes.data[left + 1], share)
        for part in ("gains", "q_scale")
        for name, nodes in getattr(trained, part).named_parameters()
    }


def picture_model(model: str, codec: str) -> Path:
    """The file of a picture model: one of `codec` if there is such, else one of another codec of pictures.

    Raises:
        ModelError: where no codec of pictures has it.
    """
    others = [entry.name for entry in registry.CODECS if entry.kind == "picture" and entry.has_models]
    for name in sorted(others, key=lambda other: other != codec):
        try:
            return weights.find(name, model)
        except ModelError:
            continue
    return weights.find(codec, model)


def _modules(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in names))

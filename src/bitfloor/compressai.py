"""CompressAI knows bitfloor's picture networks after `import bitfloor.compressai`.

Their names are "bitfloor-mlicv2" and so on, in its registry, its list of architectures and its zoo, where `quality` is
1 to 100. Its own evaluation runs them under another name only:

    python -m bitfloor.compressai pretrained photos/ -a bitfloor-mlicv2 -q 10,50,90
    python -m bitfloor.compressai checkpoint photos/ -a bitfloor-mlicv2 -p mine.pth.tar

are `python -m compressai.utils.eval_model`. A checkpoint is `torch.save(network.state_dict(), "mine.pth.tar")`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

try:
    import compressai.zoo
    from compressai.registry import register_model
except ModuleNotFoundError as missing:
    if missing.name != "compressai":
        raise
    raise ModuleNotFoundError("this needs CompressAI: pip install 'bitfloor[compressai]'", name="compressai") from None

from .codecs import registry
from .codecs.image.fixed_quality import FixedQuality
from .codecs.image.model import ImageNetwork
from .codecs.image.presets import find
from .errors import UsageError

__all__ = ["NETWORKS", "FixedQuality"]


def _network_of(codec: str) -> type[FixedQuality]:
    """The class whose files are those of a codec."""
    return type(FixedQuality.__name__, (FixedQuality,), {"codec": codec, "__doc__": FixedQuality.__doc__})


NETWORKS = {
    f"bitfloor-{entry.name}": _network_of(entry.name)
    for entry in registry.CODECS
    if entry.kind == "picture" and entry.has_models
}


def _zoo_of(network: type[FixedQuality]) -> Callable[..., FixedQuality]:
    """What CompressAI's zoo calls to make a network."""

    def make(
        quality: float, metric: str = "mse", pretrained: bool = False, progress: bool = True, **_: Any
    ) -> FixedQuality:
        if metric != "mse":
            raise UsageError(f"{network.codec} was not trained for {metric!r}")
        if pretrained:
            return network.from_model(quality=quality)
        return network(ImageNetwork(find("small", network.codec)), quality)

    return make


for _name, _network in NETWORKS.items():
    register_model(_name)(_network)
    compressai.zoo.image.model_architectures[_name] = _network
    compressai.zoo.image_models[_name] = _zoo_of(_network)

if __name__ == "__main__":
    from compressai.utils.eval_model.__main__ import main

    main(sys.argv[1:])

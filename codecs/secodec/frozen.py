"""The shipped speech model: networks in 8 bits, codebooks, the exact token model, and their fingerprint.

    trained network + token model --freeze--> tensors --save--> one safetensors file --load--> FrozenSECodec

The fingerprint covers what a decoder must have in common with the encoder to read tokens and to give them a meaning:
the token model and the centroids. The networks' last bits may differ between machines; they only say how it sounds.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...entropy_models.exact.grid import ACTIVATION, WEIGHT_BITS
from ...entropy_models.exact.layers import FreezeError, freeze
from ...entropy_models.exact.quantise import PRECISION, weight_exponents
from ...entropy_models.exact.settings import own_settings
from ...entropy_models.tokens.token_model import TokenModel, TokenModelConfig
from ...errors import ModelError
from ..model_file import WithoutValues, below, fill, fingerprint_of, read_model
from ..small_weights import Rows, nearest, stored, whole
from .model import SECodecConfig, SECodecNetwork

FORMAT = "bitfloor secodec 1"
_WEIGHT, _NODES, _EMBEDDING = ".weight", ".nodes", "embedding"  # ends of names
_placing = threading.Lock()


@dataclass(frozen=True)
class FrozenSECodec:
    """A codec ready to code. `tokens` is exact; its embeddings are float64 on the grid."""

    name: str
    fingerprint: bytes
    network: SECodecNetwork
    tokens: TokenModel
    _placed: dict[torch.device, FrozenSECodec] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    @own_settings(inference=False)
    def load(cls, path: Path) -> FrozenSECodec:
        """Reads a shipped model.

        Raises:
            ModelError: when it is missing, damaged or of another version.
        """
        return cls.from_tensors(*read_model(path, FORMAT), path.stem)

    def on(self, device: str | torch.device) -> FrozenSECodec:
        """The same on another device: a copy that is made once. There only the encoder's work is done."""
        place = torch.device(device)
        if place.type == "cpu":
            return self
        with _placing:
            if place not in self._placed:
                with own_settings(inference=False):
                    network, tokens = copy.deepcopy(self.network).to(place), copy.deepcopy(self.tokens)
                    tokens.__dict__.pop("entering", None)  # looked up anew there
                    self._placed[place] = replace(self, network=network, tokens=tokens.to(place), _placed={})
            return self._placed[place]

    @classmethod
    @own_settings(inference=False)
    def from_tensors(cls, config: str, tensors: Mapping[str, Tensor], name: str) -> FrozenSECodec:
        """Builds it from what `freeze_tensors` gave.

        Raises:
            ModelError: where something does not fit.
        """
        try:
            sizes = json.loads(config)
            with WithoutValues():
                network = SECodecNetwork(SECodecConfig(**sizes["network"]))
            fill(network, whole(below(tensors, "network")))
            network.eval().requires_grad_(False)
            tokens = _token_model(sizes["tokens"], network, whole(below(tensors, "tokens")))
        except (FreezeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{name} is no speech model: {str(error).splitlines()[0]}") from error
        return cls(name, fingerprint(config, tensors), network, tokens)


def _token_model(config: dict, network: SECodecNetwork, tensors: Mapping[str, Tensor]) -> TokenModel:
    sizes = [int(size) for size in tensors["sizes"]]
    if sizes != network.quantiser.sizes:
        raise ModelError(f"the token model knows {sizes} codes, the codebooks hold {network.quantiser.sizes}")
    with WithoutValues():
        tokens = TokenModel(TokenModelConfig(**{**config, "dilations": tuple(config["dilations"])}), sizes)
    fill(tokens, tensors)
    freeze(tokens.double())
    return tokens.eval()


def freeze_tensors(network: SECodecNetwork, tokens: TokenModel) -> dict[str, Tensor]:
    """All that a shipped model holds: matrices in 8 bits, see `in_eight_bits`, all else in half precision.

    Half precision holds the nodes' labels (below 2,048) exactly.
    """
    tensors = stored(in_eight_bits(network, tokens))
    for prefix, module in (("network", network), ("tokens", tokens)):
        for name, value in module.state_dict().items():
            half = value.dtype == torch.float32
            tensors.setdefault(f"{prefix}.{name}", value.detach().half() if half else value.detach().clone())
    return {name: value.contiguous() for name, value in tensors.items()}


def in_eight_bits(network: SECodecNetwork, tokens: TokenModel) -> dict[str, Rows]:
    """The weights of the networks, the nodes and the token model's matrices by their names in a model file.

    The steps of the token model's rows are powers of two, so that its sums stay exact, and no finer than its grid.
    """
    small = {}
    for name, value in network.state_dict().items():
        if name.endswith(_NODES) or (name.endswith(_WEIGHT) and value.ndim > 1):
            small[f"network.{name}"] = nearest(value)
    for name, value in tokens.state_dict().items():
        if name.endswith(_WEIGHT) or name == _EMBEDDING:
            finest = -(ACTIVATION.bits if name == _EMBEDDING else WEIGHT_BITS)
            steps = torch.exp2(weight_exponents(value, PRECISION).clamp(min=finest))
            small[f"tokens.{name}"] = nearest(value, steps)
    return small


def save_frozen(path: Path, network: SECodecNetwork, tokens: TokenModel) -> FrozenSECodec:
    """Writes the shipped model and returns it.

    Raises:
        ModelError: where a layer cannot be frozen, or token model and codebooks do not fit each other.
    """
    tensors = freeze_tensors(network, tokens)
    config = json.dumps({"network": asdict(network.config), "tokens": asdict(tokens.config)}, sort_keys=True)
    frozen = FrozenSECodec.from_tensors(config, tensors, path.stem)
    save_file(tensors, path, metadata={"format": FORMAT, "config": config})
    return frozen


def fingerprint(config: str, tensors: Mapping[str, Tensor]) -> bytes:
    """First 4 bytes of a SHA-256 over the configuration, the token model and the centroids."""
    names = (name for name in tensors if name.startswith("tokens.") or name.endswith(".centroids"))
    return fingerprint_of(FORMAT, config, tensors, names)


def new_token_model(network: SECodecNetwork, config: TokenModelConfig | None = None) -> TokenModel:
    """An untrained token model for a network's codebooks, its embeddings started at the centroids.

    Raises:
        ModelError: before the codebooks have been extracted.
    """
    if not network.quantiser.extracted:
        raise ModelError("a token model needs a speech codec whose codebooks have been extracted")
    sizes = network.config
    config = config or TokenModelConfig(layers=sizes.layers, codes=sizes.capacity, embedding=sizes.dim)
    tokens = TokenModel(config, network.quantiser.sizes)
    if config.embedding == sizes.dim and config.codes == sizes.capacity:
        with torch.no_grad():
            tokens.embedding.copy_(network.quantiser.centroids())
    return tokens

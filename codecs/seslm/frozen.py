"""SESLM as a file: the network in 8 bits, the voice in the box, and which speech codec its tokens belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...entropy_models.exact.settings import own_settings
from ...errors import ModelError
from ..model_file import WithoutValues, below, fill, fingerprint_of, read_model
from ..secodec.codec import SECodecCodec
from ..small_weights import nearest, stored, whole
from .model import SESLM, SESLMConfig

FORMAT = "bitfloor seslm 1"
_VOICE = "default_voice"  # codes (F, L) of some seconds of speech


@dataclass(frozen=True)
class FrozenSESLM:
    """A network ready to speak, the speech codec that sounds its tokens, and the codes (F, L) of the default voice."""

    fingerprint: bytes
    network: SESLM
    codec: SECodecCodec
    voice: Tensor

    @classmethod
    @own_settings(inference=False)
    def load(cls, path: Path) -> FrozenSESLM:
        """Reads a model, and the model of the speech codec that it names.

        Raises:
            ModelError: when either is missing, damaged or of another version.
        """
        return cls.from_tensors(*read_model(path, FORMAT), path.stem)

    @classmethod
    def from_tensors(cls, config: str, tensors: Mapping[str, Tensor], name: str) -> FrozenSESLM:
        """Builds it from what `freeze_tensors` gave. Raises ModelError where something does not fit."""
        try:
            about = json.loads(config)
            sizes = SESLMConfig(**{**about["network"], "codes": tuple(about["network"]["codes"])})
            codec = SECodecCodec.load(fingerprint=bytes.fromhex(about["codec"]))
            if tuple(codec.codebook_sizes) != sizes.codes:
                raise ModelError(f"{name} knows {sizes.codes} codes, the speech codec has {codec.codebook_sizes}")
            with WithoutValues():
                network = SESLM(sizes, centroids_of(codec))
            fill(network, whole(below(tensors, "network")))
            network.eval().requires_grad_(False)
            voice = tensors[_VOICE].long()
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{name} is no model that speaks: {str(error).splitlines()[0]}") from error
        return cls(fingerprint_of(FORMAT, config, tensors, tensors), network, codec, voice)


def centroids_of(codec: SECodecCodec) -> Tensor:
    """The centroids (L, K, dim) float32 of a speech codec's layers, zero beyond a layer's own."""
    return codec.network.quantiser.centroids().detach().float().clone()


def save_frozen(path: Path, network: SESLM, codec: SECodecCodec, voice: Tensor) -> FrozenSESLM:
    """Writes a model and returns it as it will be read; `voice` (F, L) are the codes of the default voice."""
    config = json.dumps({"network": asdict(network.config), "codec": codec.fingerprint.hex()}, sort_keys=True)
    matrices = {name: value for name, value in network.state_dict().items() if value.ndim > 1}
    tensors = stored({f"network.{name}": nearest(value) for name, value in matrices.items()})
    for name, value in network.state_dict().items():
        tensors.setdefault(f"network.{name}", value.detach().half())
    tensors[_VOICE] = voice.to(torch.int16)
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    frozen = FrozenSESLM.from_tensors(config, tensors, path.stem)
    save_file(tensors, path, metadata={"format": FORMAT, "config": config})
    return frozen

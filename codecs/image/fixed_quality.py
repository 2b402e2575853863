"""A picture network at one quality, in the protocol of CompressAI (Bégaint et al., arXiv 2011.03029).

Its trainers, evaluators and plots expect of a network what stands here. CompressAI itself is not needed;
`bitfloor.compressai` makes these classes known to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from ... import weights
from ...entropy_models.exact.layers import GRID_KEY
from ...entropy_models.latent.q_index import q_index_of, quality_of
from ...entropy_models.parts import from_json, to_json
from ...errors import ModelError, UsageError
from .. import registry
from ..base import Model
from ..media.pictures.arrays import array_picture
from ..model_file import WithoutValues
from .codec import ImageCodec
from .config import ImageConfig
from .frozen import FrozenImage, model_tensors
from .model import ImageNetwork

if TYPE_CHECKING:
    from typing_extensions import Self


class FixedQuality(nn.Module):
    """A network that codes pictures (B, 3, H, W) in [0, 1] at one of its qualities.

        x ── forward ── x_hat, likelihoods            for training, and for estimates of the rate
        x ── compress ── strings, shape ── decompress ── x_hat

    A string is a whole .bf file, header and check value included: `bitfloor decode` reads it where the model is known.
    The state holds the quality and the configuration beside the weights, so `from_state_dict` needs nothing else.

    Args:
        network: its weights are shared, not copied.
        quality: 1 to 100, as `bitfloor encode --quality`.
        frozen: what `network` was loaded with; without it `update` must come before `compress`.
    """

    codec: ClassVar[str] = "mlicv2"  # whose files the strings are
    config: Tensor
    q_index: Tensor

    def __init__(self, network: ImageNetwork, quality: float = 50.0, frozen: FrozenImage | None = None) -> None:
        super().__init__()
        self.network = network
        text = to_json(network.config).encode()
        self.register_buffer("config", torch.tensor(list(text), dtype=torch.uint8))
        self.register_buffer("q_index", torch.tensor([q_index_of(quality)]))
        self._coder = None if frozen is None else self._coder_of(frozen)

    @classmethod
    def from_model(cls, model: Model | None = None, quality: float = 50.0) -> Self:
        """The network of a model by its name or file, by default the codec's own, ready to compress.

        Raises:
            ModelError: where there is no such model.
        """
        frozen = FrozenImage.load(weights.find(cls.codec, model))
        return cls(deepcopy(frozen.network).requires_grad_(True), quality, frozen).eval()

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> Self:
        """The network whose `state_dict` this is; `update` freezes it.

        Raises:
            ModelError: for the state of something else.
        """
        try:
            config = from_json(bytes(state_dict["config"].tolist()), ImageConfig)
            with WithoutValues():
                network = ImageNetwork(config)
            made = cls(network, quality_of(int(state_dict["q_index"])))
            made.load_state_dict(state_dict)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            words = " ".join(str(error).split())[:200]
            raise ModelError(f"this is no state of a {cls.codec} network: {words}") from error
        return made

    def update(self, scale_table: object = None, force: bool = False, update_quantiles: bool = False) -> bool:
        """Freeze the entropy model as its weights are now: round it onto its grids, tabulate, prove the sums exact.

        Args:
            scale_table: a network has its own; here for CompressAI's tools only, as `update_quantiles` is.
            force: do so even if it has been frozen before.

        Returns:
            Whether anything was done.

        Raises:
            ModelError: where it cannot be frozen.
        """
        if self._coder is not None and not force:
            return False
        has_grids = any(name.endswith(f".{GRID_KEY}") for name in self.network.state_dict())
        tensors = model_tensors(self.network, {} if has_grids else None)
        frozen = FrozenImage.from_tensors(to_json(self.network.config), tensors, "this network")
        transforms = deepcopy(self.network).cpu().float().eval().requires_grad_(False)
        self._coder = self._coder_of(replace(frozen, network=transforms))
        return True

    def aux_loss(self) -> Tensor:
        """0: the tables of z need no quantiles, so there is nothing beside the loss to train."""
        return torch.zeros((), device=self.q_index.device, requires_grad=True)

    def forward(self, x: Tensor) -> dict[str, Any]:
        """Estimate: {"x_hat": (B, 3, H, W), "likelihoods": {"y": (B, N), "z": (B, N)}}.

        Raises:
            UsageError: where H or W is no multiple of 64, or of what the network's blocks are.
        """
        block = self.network.config.block
        if x.shape[-2] % block or x.shape[-1] % block:
            raise UsageError(f"a picture of {x.shape[-1]}x{x.shape[-2]} has no whole blocks of {block}: pad it")
        out: dict[str, Any] = self.network(x, self.q_index.expand(len(x)))
        return out

    def compress(self, x: Tensor) -> dict[str, Any]:
        """Code pictures, rounded to 8 bits: {"strings": [B files], "shape": rows and columns of z}.

        Raises:
            ModelError: before `update`.
            UsageError: for values outside [0, 1].
        """
        coder, quality = self._ready(), quality_of(int(self.q_index))
        files = [coder.encode_picture(array_picture(picture), quality) for picture in x]
        block = self.network.config.block
        return {"strings": [files], "shape": (-(-x.shape[-2] // block), -(-x.shape[-1] // block))}

    def decompress(self, strings: Sequence[Sequence[bytes]], shape: Sequence[int]) -> dict[str, Tensor]:
        """Decode what `compress` gave: {"x_hat": (B, 3, H, W)}; the files know the `shape` themselves.

        Raises:
            ModelError: before `update`, and for files of another network.
            CorruptStreamError: for damaged ones.
        """
        coder, (files,) = self._ready(), strings
        pictures = [torch.from_numpy(coder.decode_picture(data).rgb).permute(2, 0, 1) for data in files]
        return {"x_hat": torch.stack(pictures).to(self.q_index.device).float() / 255}

    def _ready(self) -> ImageCodec:
        if self._coder is None:
            raise ModelError("the entropy model has not been frozen: call update() first")
        return self._coder

    def _coder_of(self, frozen: FrozenImage) -> ImageCodec:
        kind: Any = registry.load(self.codec)
        coder: ImageCodec = kind(frozen)
        return coder

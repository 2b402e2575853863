"""SECodec's network: encoder, residual quantiser, decoder; one set of weights for every rate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...entropy_models.structural import Rule
from .frames import FrameTransform, pad_to_frames
from .networks import Decoder, Encoder
from .residual_vq import Quantised, ResidualQuantiser
from .spectrum import SAMPLE_RATE


@dataclass(frozen=True)
class SECodecConfig:
    """Sizes of the network.

    Attributes:
        dim: of the latents, which are quantised as they are.
        layers: of the residual quantiser, at most 8 of them used.
        capacity: most codes of a layer.
        structural_layers: layers that store frames, for the structural rule: the first, as in the paper.
        n_nodes: how many frames each of those stores.
    """

    n_fft: int = 1024
    hop: int = 320
    encoder_width: int = 256
    encoder_blocks: int = 6
    decoder_width: int = 352
    decoder_blocks: int = 6
    dim: int = 64
    layers: int = 8
    capacity: int = 1024
    structural_layers: int = 1
    n_nodes: int = 10_000

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return SAMPLE_RATE / self.hop


PRESETS = {
    "small": SECodecConfig(),
    "tiny": SECodecConfig(
        encoder_width=32, encoder_blocks=1, decoder_width=32, decoder_blocks=1, dim=8, layers=3, capacity=32,
        structural_layers=2, n_nodes=200,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Reconstruction:
    """The decoded waveform (B, T) and what the quantiser did on the way."""

    waveform: Tensor
    quantised: Quantised


class SECodecNetwork(nn.Module):
    """Waveform (B, T) at 16 kHz -> latents (B, F, dim) -> codes (B, F, L) -> waveform (B, T)."""

    def __init__(self, config: SECodecConfig) -> None:
        super().__init__()
        self.config = config
        transform = FrameTransform(config.n_fft, config.hop)
        self.encoder = Encoder(transform, config.encoder_width, config.encoder_blocks, config.dim)
        self.quantiser = ResidualQuantiser(
            config.dim, config.layers, capacity=config.capacity,
            structural_layers=config.structural_layers, n_nodes=config.n_nodes,
        )  # fmt: skip
        self.decoder = Decoder(transform, config.decoder_width, config.decoder_blocks, config.dim)

    def encode(self, waveform: Tensor) -> Tensor:
        """(B, T) -> latents (B, F, dim), F = ceil(T / hop) and at least 1."""
        return self.encoder(pad_to_frames(waveform, self.config.hop))

    def forward(self, waveform: Tensor, active: Tensor | None = None, rule: Rule = "nearest") -> Reconstruction:
        """Through `active` (B,) layers of the quantiser, all of them when None; the length is kept."""
        if active is None:
            active = torch.full((waveform.shape[0],), self.config.layers, device=waveform.device)
        quantised = self.quantiser(self.encode(waveform), active, rule)
        decoded = self.decoder(quantised.latents)[:, : waveform.shape[1]]
        return Reconstruction(decoded, quantised)

    def decode(self, codes: Tensor, length: int) -> Tensor:
        """Codes (B, F, L) of any number of layers -> (B, length); `length` is at most F * hop samples."""
        return self.decoder(self.quantiser.decode(codes))[:, :length]

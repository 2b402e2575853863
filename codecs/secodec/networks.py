"""Analysis and synthesis networks at one frame in 20 ms: spectra in, latents; latents in, spectra out.

All convolutions run at the frame rate (the inverse transform alone returns to samples), after Vocos (Siuzdak,
arXiv 2306.00814), whose blocks are ConvNeXt's in one dimension (Liu et al., arXiv 2201.03545).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .frames import FrameTransform

KERNEL = 7
_COMPRESSION = 0.3  # power of the magnitude in the encoder's input
_LOUDEST = 100.0  # bound on an output magnitude: an untrained head must not overflow


class ConvNeXtBlock(nn.Module):
    """x + scale * expand(norm(depthwise(x))) on (B, F, C); sees `KERNEL` // 2 frames on either side."""

    def __init__(self, width: int, expansion: int, scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.widen = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, F, C) -> (B, F, C). Frames outside `mask` (B, F) are as little there as those beyond the ends."""
        seen = x if mask is None else x * mask[..., None]
        y = self.depthwise(seen.transpose(1, 2)).transpose(1, 2)
        return x + self.scale * self.narrow(F.gelu(self.widen(self.norm(y))))


class Trunk(nn.Module):
    """A linear entry, blocks at one width, a norm and a linear exit: (B, F, n_in) -> (B, F, n_out)."""

    def __init__(self, n_in: int, width: int, blocks: int, n_out: int, expansion: int = 3) -> None:
        super().__init__()
        self.entry = nn.Linear(n_in, width)
        self.entry_norm = nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(ConvNeXtBlock(width, expansion, 1 / blocks) for _ in range(blocks))
        self.exit_norm = nn.LayerNorm(width, eps=1e-6)
        self.exit = nn.Linear(width, n_out)

    @property
    def reach(self) -> int:
        """Frames on either side that an output frame depends on."""
        return len(self.blocks) * (KERNEL // 2)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """See the class; `mask` (B, F) says which frames an item of a batch has, all when None."""
        x = self.entry_norm(self.entry(x))
        for block in self.blocks:
            x = block(x, mask)
        return self.exit(self.exit_norm(x))


class Encoder(nn.Module):
    """Waveform (B, F * hop) -> latents (B, F, dim).

    The trunk sees every bin's complex value with its magnitude raised to 0.3, which keeps the phase and
    brings the 60 dB between a vowel and a breath near enough together for a network.
    """

    def __init__(self, transform: FrameTransform, width: int, blocks: int, dim: int) -> None:
        super().__init__()
        self.transform = transform
        self.trunk = Trunk(2 * transform.bins, width, blocks, dim)

    def forward(self, waveform: Tensor, mask: Tensor | None = None) -> Tensor:
        """See the class; `mask` (B, F) as in `Trunk`, the waveform is silent outside."""
        spectrum = self.transform.analyse(waveform)
        magnitude = spectrum.abs().clamp(min=1e-5)
        compressed = spectrum * magnitude.pow(_COMPRESSION - 1)
        return self.trunk(torch.cat([compressed.real, compressed.imag], dim=-1), mask)


class Decoder(nn.Module):
    """Latents (B, F, dim) -> magnitude and phase of every bin -> waveform (B, F * hop).

    The constant and the highest frequency stay silent: their phase is a sign alone, libraries differ in what they make
    of another one, and a network trained on a GPU made them louder than speech.
    """

    def __init__(self, transform: FrameTransform, width: int, blocks: int, dim: int) -> None:
        super().__init__()
        self.transform = transform
        self.trunk = Trunk(dim, width, blocks, 2 * transform.bins)

    def forward(self, latents: Tensor, mask: Tensor | None = None) -> Tensor:
        """See the class; `mask` (B, F) as in `Trunk`, the waveform is silent outside."""
        log_magnitude, phase = self.trunk(latents, mask).float().chunk(2, dim=-1)
        magnitude = F.pad(log_magnitude[..., 1:-1].exp().clamp(max=_LOUDEST), (1, 1))
        return self.transform.synthesise(torch.polar(magnitude, phase), mask)

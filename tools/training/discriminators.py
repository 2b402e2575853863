"""Judges of speech, for the second stage of training: is a waveform recorded or decoded?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .spectral_loss import SILENCE, magnitude, real_spectrum

SCALES = (256, 512, 1024)  # window lengths in samples
_POWER = 0.3  # of the magnitude: soft sounds count


class SpectrogramDiscriminator(nn.Module):
    """Convolutions over one complex spectrogram that halve its frequencies, layer by layer.

    As in EnCodec's MS-STFT discriminator (arXiv 2210.13438, section 3.4), with half of its channels.
    """

    def __init__(self, n_fft: int, channels: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.layers = nn.ModuleList(
            nn.Conv2d(n_in, channels, (5, 3), stride=(2, 1), padding=(2, dilation), dilation=(1, dilation))
            for n_in, dilation in ((2, 1), (channels, 1), (channels, 2), (channels, 4))
        )
        self.verdict = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """(B, T) -> the features of every layer and, last, the verdicts (B, 1, frequencies, frames)."""
        spectrum = real_spectrum(waveform, self.n_fft)
        x = spectrum * magnitude(spectrum, SILENCE).pow(_POWER - 1)[..., None]
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return [*features, self.verdict(x)]


class MultiScaleDiscriminator(nn.Module):
    """One judge for each window length."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.scales = nn.ModuleList(SpectrogramDiscriminator(n_fft, channels) for n_fft in SCALES)

    def forward(self, waveform: Tensor) -> list[list[Tensor]]:
        """What every judge finds in waveforms (B, T)."""
        return [judge(waveform) for judge in self.scales]


def discriminator_loss(recorded: list[list[Tensor]], decoded: list[list[Tensor]]) -> Tensor:
    """Hinge loss: recorded waveforms above 1, decoded ones below -1."""
    pairs = zip(recorded, decoded, strict=True)
    return torch.stack([F.relu(1 - a[-1]).mean() + F.relu(1 + b[-1]).mean() for a, b in pairs]).mean()


def deception_loss(decoded: list[list[Tensor]]) -> Tensor:
    """Hinge loss of the decoder: decoded waveforms above 1."""
    return torch.stack([F.relu(1 - found[-1]).mean() for found in decoded]).mean()


def feature_distance(recorded: list[list[Tensor]], decoded: list[list[Tensor]]) -> Tensor:
    """Mean absolute difference of all features, relative to the recorded ones; gradients go to `decoded` alone."""
    distances = [
        (x - y.detach()).abs().mean() / y.detach().abs().mean().clamp(min=1e-6)
        for a, b in zip(recorded, decoded, strict=True)
        for y, x in zip(a[:-1], b[:-1], strict=True)
    ]
    return torch.stack(distances).mean()

"""Mel filters and log-mel spectra of 16 kHz speech."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import UsageError

SAMPLE_RATE = 16_000  # Hz


def _to_mel(hertz: Tensor) -> Tensor:
    return 2595.0 * torch.log10(1.0 + hertz / 700.0)


def mel_filters(bins: int, n_mels: int, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Triangular filters (n_mels, bins), equally spaced on the mel scale 2595 log10(1 + f/700) from 0 Hz to
    Nyquist.

    A filter is 1 at its centre frequency; where it is narrower than one bin of the spectrum it may be
    empty, which is refused because a log of nothing would follow.

    Raises:
        UsageError: when `bins` is too coarse for `n_mels` filters.
    """
    frequency = _to_mel(torch.linspace(0, sample_rate / 2, bins, dtype=torch.float64))
    corners = torch.linspace(0, float(frequency[-1]), n_mels + 2, dtype=torch.float64)[:, None]
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequency - low) / (centre - low)
    falling = (high - frequency) / (high - centre)
    filters = torch.minimum(rising, falling).clamp(min=0)
    if bool((filters.sum(dim=1) == 0).any()):
        raise UsageError(f"{bins} frequency bins are too coarse for {n_mels} mel filters")
    return filters.float()


def magnitude_spectrum(waveform: Tensor, n_fft: int, hop: int) -> Tensor:
    """|STFT| with a Hann window, centred frames: (B, T) -> (B, n_fft // 2 + 1, T // hop + 1)."""
    window = torch.hann_window(n_fft, dtype=waveform.dtype, device=waveform.device)
    # Zeros, not mirrored samples, at the ends: a clip shorter than half a window has nothing to mirror.
    spectrum = torch.stft(waveform, n_fft, hop, window=window, pad_mode="constant", return_complex=True)
    return spectrum.abs()


def log_mel(waveform: Tensor, *, n_fft: int = 1024, hop: int = 320, n_mels: int = 80, floor: float = 1e-5) -> Tensor:
    """Natural logarithm of mel-band magnitudes, floored: (B, T) -> (B, n_mels, T // hop + 1)."""
    magnitude = magnitude_spectrum(waveform, n_fft, hop)
    filters = mel_filters(magnitude.shape[1], n_mels).to(waveform.device)
    return (filters @ magnitude).clamp(min=floor).log()

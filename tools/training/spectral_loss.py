"""Spectral distances between waveforms, over several window lengths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...codecs.secodec.spectrum import SAMPLE_RATE, mel_filters

SOFT_FLOOR = 0.02  # of the reference's mean: what is far below cannot be coded, being noise, and is hardly heard
NOTHING = 1e-5  # magnitude that keeps logarithms and slopes finite in digital silence
SILENCE = 1e-3  # magnitude below which the compressed distance's slope stops growing: 16-bit noise
PHASE_BELOW = 1000.0  # Hz: above, the phase costs more bits than there are, and a wrong one only makes sounds softer
SCALES = {128: 10, 256: 20, 512: 40, 1024: 80, 2048: 160}  # window length in samples: mel bands


class MelDistance(nn.Module):
    """Mean absolute difference of log-mel spectra, averaged over `SCALES`, hops of a quarter window.

    Natural logarithms of magnitudes: 0.1 is 0.87 dB. Short windows see onsets, long ones see harmonics. Of every clip
    `soft_floor` times the mean magnitude of its reference is added on both sides, so that a recording's noise counts
    little.
    """

    def __init__(self, soft_floor: float = SOFT_FLOOR) -> None:
        super().__init__()
        self.soft_floor = soft_floor
        for n_fft, bands in SCALES.items():
            self.register_buffer(f"filters{n_fft}", mel_filters(n_fft // 2 + 1, bands), persistent=False)

    def forward(self, ours: Tensor, reference: Tensor) -> Tensor:
        """(B, T), (B, T) -> scalar; gradients go to `ours` alone."""
        distances = []
        for n_fft in SCALES:
            filters = self.get_buffer(f"filters{n_fft}")
            a, b = (filters @ magnitude(real_spectrum(x, n_fft), NOTHING) for x in (ours, reference.detach()))
            floor = self.soft_floor * b.mean(dim=(1, 2), keepdim=True) + NOTHING
            distances.append(((a + floor).log() - (b + floor).log()).abs().mean())
        return torch.stack(distances).mean()


def compressed_distance(
    ours: Tensor, reference: Tensor, n_fft: int = 512, power: float = 0.3, below: float = PHASE_BELOW
) -> Tensor:
    """Mean absolute difference of complex spectra `below` Hz, magnitudes raised to `power`: (B, T), (B, T) -> scalar.

    Unlike a mel distance it sees the phase; unlike a distance of samples it sees soft sounds as well. Gradients go
    to `ours` alone.
    """
    bins = int(below / SAMPLE_RATE * n_fft) + 1
    a, b = (
        spectrum * magnitude(spectrum, SILENCE).pow(power - 1)[..., None]
        for spectrum in (real_spectrum(x, n_fft)[:, :bins] for x in (ours, reference.detach()))
    )
    return (a - b).abs().mean()


def real_spectrum(waveform: Tensor, n_fft: int) -> Tensor:
    """(B, T) -> (B, bins, frames, 2): real and imaginary parts, because complex gradients cost twice the time."""
    window = torch.hann_window(n_fft, device=waveform.device)
    spectrum = torch.stft(waveform.float(), n_fft, n_fft // 4, window=window, pad_mode="constant", return_complex=True)
    return torch.view_as_real(spectrum)


def magnitude(spectrum: Tensor, floor: float) -> Tensor:
    """(..., 2) -> (...), a little above `floor` where there is nothing, so that slopes stay finite."""
    real, imaginary = spectrum.unbind(dim=-1)
    return torch.addcmul(real.square() + floor**2, imaginary, imaginary).sqrt()

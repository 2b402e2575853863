"""Spectral distances between waveforms, over several window lengths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...codecs.secodec.spectrum import mel_filters

FLOOR = 1e-5  # of a magnitude: 100 dB below a full-scale tone of a few hundred samples
SILENCE = 1e-3  # magnitude below which the compressed distance's slope stops growing: 16-bit noise
NOTHING = 1e-8  # keeps the slope of a magnitude finite in digital silence
SCALES = {128: 10, 256: 20, 512: 40, 1024: 80, 2048: 160}  # window length in samples: mel bands


class MelDistance(nn.Module):
    """Mean absolute difference of log-mel spectra, averaged over `SCALES`, hops of a quarter window.

    Natural logarithms of magnitudes: 0.1 is 0.87 dB. Short windows see onsets, long ones see harmonics.
    """

    def __init__(self) -> None:
        super().__init__()
        for n_fft, bands in SCALES.items():
            self.register_buffer(f"filters{n_fft}", mel_filters(n_fft // 2 + 1, bands), persistent=False)

    def forward(self, ours: Tensor, reference: Tensor) -> Tensor:
        """(B, T), (B, T) -> scalar; gradients go to `ours` alone."""
        distances = []
        for n_fft in SCALES:
            filters = self.get_buffer(f"filters{n_fft}")
            a, b = (
                (filters @ _magnitude(_spectrum(x, n_fft), NOTHING)).clamp(min=FLOOR).log()
                for x in (ours, reference.detach())
            )
            distances.append((a - b).abs().mean())
        return torch.stack(distances).mean()


def compressed_distance(ours: Tensor, reference: Tensor, n_fft: int = 512, power: float = 0.3) -> Tensor:
    """Mean absolute difference of complex spectra, magnitudes raised to `power`: (B, T), (B, T) -> scalar.

    Unlike a mel distance it sees the phase; unlike a distance of samples it sees soft sounds as well. Gradients go
    to `ours` alone.
    """
    a, b = (
        spectrum * _magnitude(spectrum, SILENCE).pow(power - 1)[..., None]
        for spectrum in (_spectrum(x, n_fft) for x in (ours, reference.detach()))
    )
    return (a - b).abs().mean()


def _spectrum(waveform: Tensor, n_fft: int) -> Tensor:
    """(B, T) -> (B, bins, frames, 2): real and imaginary parts, because complex gradients cost twice the time."""
    window = torch.hann_window(n_fft, device=waveform.device)
    spectrum = torch.stft(
        waveform.float(), n_fft, n_fft // 4, window=window, pad_mode="constant", return_complex=True
    )
    return torch.view_as_real(spectrum)


def _magnitude(spectrum: Tensor, floor: float) -> Tensor:
    real, imaginary = spectrum.unbind(dim=-1)
    return torch.addcmul(real.square() + floor**2, imaginary, imaginary).sqrt()

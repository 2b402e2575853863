"""Spectral distances between waveforms, over several window lengths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...codecs.secodec.spectrum import magnitude_spectrum, mel_filters

FLOOR = 1e-5  # of a magnitude: 100 dB below a full-scale tone of a few hundred samples
SILENCE = 1e-3  # magnitude below which the compressed distance's slope stops growing: 16-bit noise
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
        """(B, T), (B, T) -> scalar."""
        both = torch.cat([ours.float(), reference.float()])
        distances = []
        for n_fft in SCALES:
            mel = self.get_buffer(f"filters{n_fft}") @ magnitude_spectrum(both, n_fft, n_fft // 4)
            a, b = mel.clamp(min=FLOOR).log().chunk(2)
            distances.append((a - b).abs().mean())
        return torch.stack(distances).mean()


def compressed_distance(ours: Tensor, reference: Tensor, n_fft: int = 512, power: float = 0.3) -> Tensor:
    """Mean absolute difference of complex spectra, magnitudes raised to `power`: (B, T), (B, T) -> scalar.

    Unlike a mel distance it sees the phase; unlike a distance of samples it sees soft sounds as well.
    """
    window = torch.hann_window(n_fft, device=ours.device)
    both = torch.cat([ours.float(), reference.float()])
    spectrum = torch.stft(both, n_fft, n_fft // 4, window=window, pad_mode="constant", return_complex=True)
    magnitude = (spectrum.real.square() + spectrum.imag.square() + SILENCE**2).sqrt()
    compressed = torch.view_as_real(spectrum) * magnitude.pow(power - 1)[..., None]
    a, b = compressed.chunk(2)
    return (a - b).abs().mean()

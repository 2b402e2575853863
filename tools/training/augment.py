"""Training speech changed a little: gain, noise, missing bands.

The codec brings every sound to one level before its encoder (`level`), so training does the same; the random gain
covers what that measure gets wrong. Noise and missing bands are part of the clip that the codec has to reproduce.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...codecs.secodec.spectrum import SAMPLE_RATE


@dataclass(frozen=True)
class Augmentation:
    """What happens to clips at the common level.

    Attributes:
        gain: standard deviation of the gain in dB.
        noisy: share of the clips that get noise, `snr` dB below the clip's mean power, its slope -6 to 0 dB an octave.
        banded: share of the clips that lose what is below 50 to 300 Hz or above 3.4 to 7 kHz, or both.
    """

    gain: float = 2.5
    noisy: float = 0.15
    snr: tuple[float, float] = (15.0, 40.0)
    banded: float = 0.15

    def apply(self, rng: np.random.Generator, clips: Tensor, there: Tensor) -> Tensor:
        """Changed copies of clips (B, T) float32, on their device; silence outside `there` (B, T) bool stays."""
        changed = clips.clone()
        if len(chosen := _some(rng, len(clips), self.noisy, clips.device)):
            changed[chosen] += self._noise(rng, clips[chosen], there[chosen])
        if len(chosen := _some(rng, len(clips), self.banded, clips.device)):
            changed[chosen] = _without_bands(rng, changed[chosen])
        gains = _numbers(10 ** (rng.normal(0, self.gain, len(clips)) / 20), clips.device)
        return changed * gains * there

    def _noise(self, rng: np.random.Generator, clips: Tensor, there: Tensor) -> Tensor:
        count, samples = clips.shape
        generator = torch.Generator(clips.device).manual_seed(int(rng.integers(2**62)))
        white = torch.randn(count, samples, generator=generator, device=clips.device)
        slope = _numbers(rng.uniform(-1, 0, count), clips.device)
        noise = torch.fft.irfft(torch.fft.rfft(white) * _frequencies(clips).clamp(min=50) ** slope, samples)
        ratio = _numbers(10 ** (-rng.uniform(*self.snr, count) / 10), clips.device)
        power = clips.square().sum(1, keepdim=True) / there.sum(1, keepdim=True) * ratio
        return noise * (power / noise.square().mean(1, keepdim=True)).sqrt()


def _some(rng: np.random.Generator, count: int, share: float, device: torch.device) -> Tensor:
    """Which of `count` clips are among a random `share` of them, numbers (N,) int64."""
    return torch.from_numpy(np.flatnonzero(rng.random(count) < share)).to(device, non_blocking=True)


def _numbers(values: np.ndarray, device: torch.device) -> Tensor:
    """Values (B,) as float32 (B, 1) on a device."""
    return torch.from_numpy(values.astype(np.float32))[:, None].to(device, non_blocking=True)


def _frequencies(clips: Tensor) -> Tensor:
    """Of the spectrum of clips (B, T), (T // 2 + 1,) in Hz."""
    bins = torch.arange(clips.shape[1] // 2 + 1, device=clips.device)
    return bins * (SAMPLE_RATE / clips.shape[1])


def _without_bands(rng: np.random.Generator, clips: Tensor) -> Tensor:
    """Butterworth slopes of fourth order, in the spectrum; of each clip the low end, the high end or both are cut."""
    frequency, which = _frequencies(clips), rng.integers(3, size=len(clips))
    low = _numbers(np.where(which == 1, 0.0, rng.uniform(50, 300, len(clips))), clips.device)
    high = _numbers(np.where(which == 0, np.inf, rng.uniform(3400, 7000, len(clips))), clips.device)
    kept = 1 / ((1 + (frequency / high) ** 8) * (1 + (low / frequency.clamp(min=1e-3)) ** 8)).sqrt()
    return torch.fft.irfft(torch.fft.rfft(clips) * kept, clips.shape[1])

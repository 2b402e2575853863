"""Training speech changed a little: gain, noise, missing bands.

The codec brings every sound to one level before its encoder (`level`), so training does the same; the random gain
covers what that measure gets wrong. Noise and missing bands are part of the clip that the codec has to reproduce.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...codecs.secodec.spectrum import SAMPLE_RATE


@dataclass(frozen=True)
class Augmentation:
    """What happens to a clip at the common level.

    Attributes:
        gain: standard deviation of the gain in dB.
        noisy: share of the clips that get noise, `snr` dB below the clip's mean power, its slope -6 to 0 dB an octave.
        banded: share of the clips that lose what is below 50 to 300 Hz or above 3.4 to 7 kHz, or both.
    """

    gain: float = 2.5
    noisy: float = 0.15
    snr: tuple[float, float] = (15.0, 40.0)
    banded: float = 0.15

    def apply(self, rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
        """A changed copy of `clip` (T,) float32."""
        changed = clip
        if rng.random() < self.noisy:
            changed = changed + self._noise(rng, clip)
        if rng.random() < self.banded:
            changed = _without_bands(rng, changed)
        return (changed * 10 ** (rng.normal(0, self.gain) / 20)).astype(np.float32)

    def _noise(self, rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
        spectrum = np.fft.rfft(rng.standard_normal(clip.size))
        frequency = np.maximum(np.arange(spectrum.size) * SAMPLE_RATE / clip.size, 50)
        noise = np.fft.irfft(spectrum * frequency ** rng.uniform(-1, 0), clip.size)
        power = np.mean(np.square(clip)) * 10 ** (-rng.uniform(*self.snr) / 10)
        return noise * np.sqrt(power / np.mean(np.square(noise)))


def _without_bands(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    """Butterworth slopes of fourth order, in the spectrum."""
    frequency = np.arange(clip.size // 2 + 1) * SAMPLE_RATE / clip.size
    which = rng.integers(3)
    kept = np.ones_like(frequency)
    if which != 0:
        kept = kept / np.sqrt(1 + (frequency / rng.uniform(3400, 7000)) ** 8)
    if which != 1:
        low = rng.uniform(50, 300)
        kept = kept / np.sqrt(1 + (low / np.maximum(frequency, 1e-3)) ** 8)
    return np.fft.irfft(np.fft.rfft(clip) * kept, clip.size)

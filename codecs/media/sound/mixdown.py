"""Several channels into one, and what is lost by it.

The weights are those of ITU-R BS.775 for stereo, averaged: left and right count half each, the centre, where speech
is, 0.71, all surround channels together as much, the low-frequency channel nothing.
"""

from __future__ import annotations

from math import log10, sqrt

import numpy as np

_FRONT, _CENTRE, _SURROUND, _LOW = 0.5, 0.5 * sqrt(2), 0.5 * sqrt(2), 0.0  # surround: all such channels together
_LOST = 0.1  # share of the energy of unrelated channels below which a mix is called a loss

# Orders of channels: WAV, FLAC and most others (SMPTE), then Ogg (Vorbis and Opus).
_ORDERS = {
    3: "LRC", 4: "LRSS", 5: "LRCSS", 6: "LRCESS", 7: "LRCESSS", 8: "LRCESSSS",
}  # fmt: skip
_OGG_ORDERS = {
    3: "LCR", 4: "LRSS", 5: "LCRSS", 6: "LCRSSE", 7: "LCRSSSE", 8: "LCRSSSSE",
}  # fmt: skip
_WEIGHTS = {"L": _FRONT, "R": _FRONT, "C": _CENTRE, "S": _SURROUND, "E": _LOW}


def mix_weights(channels: int, ogg: bool = False) -> np.ndarray:
    """Weights (channels,) float64; of more channels than surround sound has, the mean."""
    order = (_OGG_ORDERS if ogg else _ORDERS).get(channels)
    if not order:
        return np.full(channels, 1 / channels)
    return np.array([_WEIGHTS[place] / (order.count("S") if place == "S" else 1) for place in order])


class Mixer:
    """Mixes blocks (n, channels) and keeps count of what cancels out."""

    def __init__(self, channels: int, ogg: bool = False) -> None:
        self.channels = channels
        self.weights = mix_weights(channels, ogg)
        # The low-frequency channel counts here like a surround channel, so that its loss shows.
        self.counted = np.where(self.weights == _LOW, _SURROUND / 2, self.weights)
        self.mixed = self.unrelated = self.loudest = self.peak = 0.0

    def mix(self, block: np.ndarray) -> np.ndarray:
        """(n, channels) float32 -> (n,) float32."""
        if self.channels == 1:
            return block[:, 0]
        wide = block.astype(np.float64)
        mono: np.ndarray = wide @ self.weights
        self.mixed += float(mono @ mono)
        self.unrelated += float((wide**2).sum(axis=0) @ self.counted**2)
        self.loudest = max(self.loudest, float(np.abs(wide).max()))
        self.peak = max(self.peak, float(np.abs(mono).max()))
        return mono.astype(np.float32)

    @property
    def scale(self) -> float:
        """What keeps the mix within full scale where every channel was: 1, or less."""
        return 1 / self.peak if self.loudest <= 1 < self.peak else 1.0

    @property
    def loss(self) -> str | None:
        """Words for a mix that loses most of what the channels hold, or is made quieter, else None."""
        if self.scale < 1:
            quieter = -20 * log10(self.scale)
            return f"its {self.channels} channels add up beyond full scale: made {quieter:.1f} dB quieter"
        if self.mixed >= _LOST * self.unrelated:
            return None
        share = 100 * self.mixed / self.unrelated
        return (
            f"its {self.channels} channels cancel each other: one channel keeps {share:.2g} % of their energy; "
            "encode a single channel instead"
        )

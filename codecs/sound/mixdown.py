"""Several channels into one, and what is lost by it.

The weights are those of ITU-R BS.775 for stereo, averaged: left and right count half each, the centre, where speech
is, 0.71, surround channels 0.35, the low-frequency channel nothing.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

_FRONT, _CENTRE, _SURROUND, _LOW = 0.5, 0.5 * sqrt(2), 0.25 * sqrt(2), 0.0
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
    return np.array([_WEIGHTS[place] for place in order]) if order else np.full(channels, 1 / channels)


class Mixer:
    """Mixes blocks (n, channels) and keeps count of what cancels out."""

    def __init__(self, channels: int, ogg: bool = False) -> None:
        self.channels = channels
        self.weights = mix_weights(channels, ogg)
        self.mixed = self.unrelated = 0.0

    def mix(self, block: np.ndarray) -> np.ndarray:
        """(n, channels) float32 -> (n,) float32."""
        if self.channels == 1:
            return block[:, 0]
        wide = block.astype(np.float64)
        mono: np.ndarray = wide @ self.weights
        self.mixed += float(mono @ mono)
        # The low-frequency channel counts here like a surround channel, so that its loss shows.
        self.unrelated += float((wide**2).sum(axis=0) @ np.where(self.weights == _LOW, _SURROUND, self.weights) ** 2)
        return mono.astype(np.float32)

    @property
    def loss(self) -> str | None:
        """Words for a mix that loses most of what the channels hold, else None."""
        if self.mixed >= _LOST * self.unrelated:
            return None
        share = 100 * self.mixed / self.unrelated
        return (
            f"its {self.channels} channels cancel each other: one channel keeps {share:.2g} % of their energy; "
            "encode a single channel instead"
        )

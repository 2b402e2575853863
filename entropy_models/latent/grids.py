"""Operations on grids of features (B, H, W, C) that change their resolution or look at neighbours."""

from __future__ import annotations

from torch import Tensor, nn


class Depthwise(nn.Conv2d):
    """3x3 depthwise convolution over (B, H, W, C), in ordinary floats."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """(B, H, W, C) to (B, H / factor, W / factor, factor^2 C)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def shuffle(x: Tensor, factor: int) -> Tensor:
    """Inverse of `unshuffle`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // (factor * factor))
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // (factor * factor))

"""Layers in ordinary floats over grids of features (B, H, W, C)."""

from __future__ import annotations

from torch import Tensor, nn

from ..exact.convolution import shuffle


class Depthwise(nn.Conv2d):
    """k x k depthwise convolution over (B, H, W, C), in ordinary floats."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__(channels, channels, kernel, padding=kernel // 2, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) to the same shape."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Conv2d(nn.Conv2d):
    """k x k convolution with zero padding over (B, H, W, C), in ordinary floats."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in) to (B, H / stride, W / stride, out)."""
        return super().forward(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class SubPixel(Conv2d):
    """k x k convolution and pixel shuffle: (B, H, W, in) to (B, factor H, factor W, out), in ordinary floats."""

    def __init__(self, inputs: int, outputs: int, factor: int = 2, kernel: int = 3) -> None:
        super().__init__(inputs, outputs * factor**2, kernel)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Channels of the convolution are ordered (row, column, channel)."""
        return shuffle(super().forward(x), self.factor)

"""Convolutions as shifted matrix products, whose frozen sums do not depend on any convolution library.

A k x k convolution is a sum of k^2 products, one for each tap: the grid shifted to that tap times the tap's part of
the weights. The weight is stored as a matrix (out, k^2 in), tap after tap, so that the proof of a linear layer holds.

    padded grid, row by row:   . a b c . . d e f . . g h i .       one tap = the same rows, moved by a fixed distance
    tap (0, 0)                 ^ ^ ^ ^ ^ ^ ^ ^ ^ ^ ^               so no tap needs a copy; what falls between two rows
    tap (1, 2)                     .. ^ ^ ^ ^ ^ ^ ^ ^ ^ ^ ^        of the result is cut off at the end
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import ExactLayer, add_product

Window = Sequence[tuple[int, int]]


class ExactConv2d(ExactLayer):
    """Convolution of (B, H, W, in) with zero padding to (B, H', W', out), as `torch.nn.Conv2d` on the last three.

    `window` lists the taps that have weights, as (row, column) from the kernel's corner at -padding; without it all of
    the kernel's. Of a masked convolution (a checkerboard's anchors, say) no other tap is stored or computed.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        padding: int | None = None,
        window: Window | None = None,
    ) -> None:
        self_padding = kernel // 2 if padding is None else padding
        taps = square_window(kernel, self_padding) if window is None else tuple(window)
        if not set(taps) <= set(square_window(kernel, self_padding)):
            raise ValueError(f"a window {taps} does not fit into a kernel of {kernel} padded by {self_padding}")
        plain = nn.Linear(len(taps) * inputs, outputs)
        super().__init__(plain.weight.data, plain.bias.data)
        self.inputs, self.kernel, self.stride, self.padding, self.window = inputs, kernel, stride, self_padding, taps

    def product(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(B, H, W, in) to (B, H', W', out)."""
        if self.dtype is None:
            y = F.conv2d(x.permute(0, 3, 1, 2), self._kernel(weight), bias, self.stride, self.padding)
            return y.permute(0, 2, 3, 1)
        p = self.padding
        padded = F.pad(x, (0, 0, p, p, p, p)) if p else x.contiguous()
        taps = [(row + p, column + p) for row, column in self.window]
        parts = weight.split(self.inputs, 1)
        if self.stride == 1:
            return _moved_products(padded, taps, parts, bias, self.kernel)
        rows, columns = ((size - self.kernel) // self.stride + 1 for size in padded.shape[1:3])
        total = bias
        for (top, left), part in zip(taps, parts, strict=True):
            seen = padded[:, top :: self.stride, left :: self.stride][:, :rows, :columns]
            total = add_product(total, seen, part)
        return total

    def _kernel(self, weight: Tensor) -> Tensor:
        """The weight as (out, in, k, k), zeros where the window has no tap."""
        by_tap = weight.unflatten(1, (len(self.window), self.inputs)).transpose(1, 2)
        if len(self.window) < self.kernel**2:
            places = [(r + self.padding) * self.kernel + c + self.padding for r, c in self.window]
            index = torch.tensor(places, device=weight.device)
            whole = weight.new_zeros(len(weight), self.inputs, self.kernel**2)
            by_tap = whole.index_copy(2, index, by_tap)
        return by_tap.unflatten(2, (self.kernel, self.kernel))


class ExactSubPixel(ExactConv2d):
    """Convolution and pixel shuffle: (B, H, W, in) to (B, factor H, factor W, out).

    The convolution's outputs are ordered (row, column, channel), unlike `torch.nn.PixelShuffle`.
    """

    def __init__(self, inputs: int, outputs: int, factor: int = 2, kernel: int = 3) -> None:
        super().__init__(inputs, outputs * factor**2, kernel)
        self.factor = factor

    def product(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """(B, H, W, in) to (B, factor H, factor W, out)."""
        return shuffle(super().product(x, weight, bias), self.factor)


def square_window(kernel: int, padding: int | None = None) -> tuple[tuple[int, int], ...]:
    """All taps of a kernel, row by row; centred where the padding is not given."""
    start = -(kernel // 2 if padding is None else padding)
    return tuple((r, c) for r in range(start, start + kernel) for c in range(start, start + kernel))


def checkerboard_window(kernel: int, parity: int = 1) -> tuple[tuple[int, int], ...]:
    """The taps with (row + column) % 2 == parity: 1 sees the other colour of a checkerboard only."""
    return tuple((r, c) for r, c in square_window(kernel) if (r + c) % 2 == parity)


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """(B, H, W, C) to (B, H / factor, W / factor, factor^2 C), channels ordered (row, column, channel)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h // factor, w // factor, factor * factor * c)


def shuffle(x: Tensor, factor: int) -> Tensor:
    """Inverse of `unshuffle`."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, factor, factor, c // (factor * factor))
    return x.permute(0, 1, 3, 2, 4, 5).reshape(b, h * factor, w * factor, c // (factor * factor))


def _moved_products(
    padded: Tensor, taps: Sequence[tuple[int, int]], parts: Sequence[Tensor], bias: Tensor, kernel: int
) -> Tensor:
    """The sum over taps (row, column) of `padded` (B, H, W, in) moved there times its part of the weights (out, in)."""
    b, h, w, channels = padded.shape
    flat = padded.view(-1, channels)
    count = len(flat) - (kernel - 1) * (w + 1)  # results up to the last one that is kept
    total = padded.new_empty(b * h * w, len(bias))
    used = total[:count]
    source = bias
    for (row, column), part in zip(taps, parts, strict=True):
        start = row * w + column
        torch.addmm(source, flat[start : start + count], part.t(), out=used)
        source = used
    return total.view(b, h, w, -1)[:, : h - kernel + 1, : w - kernel + 1]

"""A distance of pictures nearer to the eye's than squared error: what `mlicv2-small-visual` is trained for.

Structure is compared as in SSIM (Wang et al. 2004) and edges by their strength, at five scales, in the opponent colours
XYB of JPEG XL, both as means over the picture and as the fourth-power means that weigh its worst places: the parts of
SSIMULACRA2 (Sneyers 2022), without its 108 fitted weights. A third is squared error, which keeps colours and grain in
their place.

    linear RGB --mean of 2 x 2, four times--> five scales --cube roots of cones--> X, Y, B --blur--> maps --> one number
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = 5
COLOURS = (0.15, 0.7, 0.15)  # weights of X, Y and B - Y
SQUARED = 1 / 3  # share of squared error in the distance
# Six held-out training pictures, decoded by mlicv2-small at five qualities, differ by 0.0136 to 0.0228 times as much in
# squared error as in structure and edges; this brings both to one size in the middle of the rates.
AS_SQUARED_ERROR = 0.0165
EDGES = 0.5  # weight of the edges' strength beside structure
_STABLE = 0.0009  # C2 of SSIM for signals of range 1
_SIGMA, _REACH = 1.5, 5
_SIDE = 2 * _REACH + 1  # of what the blur looks at
_SMALL = 1e-16  # under a root, whose slope at 0 is infinite
# Opsin absorbance of JPEG XL: cones L, M, S from linear R, G, B.
_CONES = ((0.3, 0.622, 0.078), (0.23, 0.692, 0.078), (0.24342269, 0.20476744, 0.55180987))
_BIAS = 0.0037930733


def visual_distance(x_hat: Tensor, x: Tensor) -> Tensor:
    """Distance of pictures (B, 3, H, W) in [0, 1], (B,), in units of squared error; gradient to both.

    A picture of less than 176 pixels along a side is compared at fewer scales; the borders of one of less than 11 are
    repeated until it has as many.
    """
    squared = (x_hat - x).square().flatten(1).mean(1)
    parts = []
    first, second = (_linear(_extended(v)) for v in (x_hat, x))
    for _ in range(SCALES):
        parts.append(_structure(_xyb(first), _xyb(second)))
        if min(first.shape[-2:]) < 2 * _SIDE:
            break
        first, second = (F.avg_pool2d(v, 2) for v in (first, second))
    return SQUARED * squared + (1 - SQUARED) * AS_SQUARED_ERROR * torch.stack(parts).mean(0)


def _extended(x: Tensor) -> Tensor:
    """(B, 3, H, W) with rows and columns like the last until there are `_SIDE` of each."""
    bottom, right = (max(0, _SIDE - extent) for extent in x.shape[-2:])
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


def _linear(rgb: Tensor) -> Tensor:
    """Linear light of sRGB values; what is outside [0, 1] has the gradient of its nearest value inside."""
    rgb = rgb + (rgb.clamp(0, 1) - rgb).detach()
    return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def _xyb(linear: Tensor) -> Tensor:
    """X, Y and B - Y, each about in [0, 1], of linear light (B, 3, H, W)."""
    red, green, blue = linear.unbind(1)
    cones = [(r * red + g * green + b * blue + _BIAS) ** (1 / 3) - _BIAS ** (1 / 3) for r, g, b in _CONES]
    long, middle, short = cones
    x, y = (long - middle) / 2, (long + middle) / 2
    return torch.stack((14 * x + 0.42, y + 0.01, short - y + 0.55), 1)


def _structure(first: Tensor, second: Tensor) -> Tensor:
    """How far structure and edges differ at one scale, (B,); 0 for equal pictures."""
    blurred = _blur(torch.cat((first, second, first * first, second * second, first * second), 1))
    mean1, mean2, square1, square2, product = blurred.chunk(5, 1)
    likeness = (1 - (mean1 - mean2) ** 2) * (2 * (product - mean1 * mean2) + _STABLE)
    unlike = 1 - likeness / ((square1 - mean1 * mean1) + (square2 - mean2 * mean2) + _STABLE)
    centre = slice(_REACH, -_REACH)
    edge1, edge2 = ((picture[..., centre, centre] - mean).abs() for picture, mean in ((first, mean1), (second, mean2)))
    edges = ((1 + edge1) / (1 + edge2) - 1).abs()
    x, y, b = (_pooled(unlike) + EDGES * _pooled(edges)).unbind(1)
    return COLOURS[0] * x + COLOURS[1] * y + COLOURS[2] * b


def _pooled(values: Tensor) -> Tensor:
    """Half the mean and half the fourth-power mean of maps (B, C, H, W), (B, C)."""
    values = values.clamp_min(0)
    return (values.mean((2, 3)) + ((values.pow(4).mean((2, 3)) + _SMALL) ** 0.25 - _SMALL**0.25)) / 2


def _blur(x: Tensor) -> Tensor:
    """Gaussian of (B, C, H, W), without the border where it would look outside."""
    places = torch.arange(-_REACH, _REACH + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-(places**2) / (2 * _SIGMA**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    x = F.conv2d(x, kernel[:, :, None, :], groups=x.shape[1])
    return F.conv2d(x, kernel[:, :, :, None], groups=x.shape[1])

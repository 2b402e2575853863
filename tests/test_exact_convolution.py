"""Exact convolutions: torch's own on every shape, equal bits in every order and setting."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from exact_settings import assert_same_in_every_setting
from torch import Tensor

from bitfloor.entropy_models.exact.convolution import (
    ExactConv2d,
    ExactSubPixel,
    checkerboard_window,
    shuffle,
    square_window,
    unshuffle,
)
from bitfloor.entropy_models.exact.grid import ACTIVATION, Grid, float32_path, snap
from bitfloor.entropy_models.exact.layers import ExactDepthwise


def grid(*shape: int, seed: int = 0) -> Tensor:
    return snap(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 5)


def first(x: Tensor) -> Tensor:
    """(B, H, W, C) to (B, C, H, W)."""
    return x.permute(0, 3, 1, 2)


SHAPES = [
    {"kernel": 1},
    {"kernel": 3},
    {"kernel": 5},
    {"kernel": 3, "stride": 2},
    {"kernel": 5, "stride": 2},
    {"kernel": 5, "stride": 3, "padding": 0},
    {"kernel": 3, "padding": 0},
    {"kernel": 4, "stride": 2, "padding": 1},
    {"kernel": 2, "stride": 2, "padding": 0},
    {"kernel": 5, "window": checkerboard_window(5)},
    {"kernel": 5, "window": checkerboard_window(5, 0), "stride": 2},
    {"kernel": 3, "window": ((1, -1), (-1, 0))},
]


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_a_convolution_is_torchs_own(options: dict) -> None:
    torch.manual_seed(0)
    layer = ExactConv2d(7, 5, **options)
    x = grid(2, 9, 12, 7)
    stride, padding = options.get("stride", 1), layer.padding
    trained = layer(x.float())
    # The kernel as torch has it, put together tap by tap.
    kernel = torch.zeros(5, 7, layer.kernel, layer.kernel)
    for tap, (row, column) in enumerate(layer.window):
        kernel[:, :, row + padding, column + padding] = layer.weight.detach()[:, tap * 7 : tap * 7 + 7]
    expected = F.conv2d(first(x.float()), kernel, layer.bias, stride, padding).permute(0, 2, 3, 1)
    assert torch.equal(trained, expected) or (trained - expected).abs().max() < 1e-5
    layer.freeze()
    exact_kernel = torch.round(kernel.double() * 2**14) / 2**14
    exact = F.conv2d(first(x), exact_kernel, layer.bias.double(), stride, padding).permute(0, 2, 3, 1)
    # The library's float64 sums of grid numbers are exact, too, in whatever order it takes them.
    assert torch.equal(assert_same_in_every_setting(layer, x, modules=(layer,)), exact)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_channels_and_taps_does_not_matter(seed: int) -> None:
    torch.manual_seed(seed)
    channels, taps = torch.randperm(40), torch.randperm(9)
    layer = ExactConv2d(40, 6, 3)
    window = square_window(3)
    other = ExactConv2d(40, 6, 3, window=tuple(window[i] for i in taps))
    by_tap = layer.weight.data.view(6, 9, 40)
    other.weight.data = by_tap[:, taps][:, :, channels].reshape(6, 360).contiguous()
    other.bias.data = layer.bias.data.clone()
    layer.freeze()
    other.freeze()
    x = grid(1, 6, 8, 40)
    assert torch.equal(layer(x), other(x[..., channels]))


def test_eight_bit_convolutions_run_in_float32() -> None:
    torch.manual_seed(0)
    layers = [ExactConv2d(32, 48, 3), ExactSubPixel(32, 8), ExactDepthwise(32, 5), ExactConv2d(32, 48, 3, stride=2)]
    for layer in layers:
        layer.set_grid(Grid(5, 2), 10)
        layer.freeze()
        assert layer.dtype == torch.float32
        x = grid(2, 6, 8, 32)

        def run(x: Tensor, layer: torch.nn.Module = layer) -> Tensor:
            with float32_path():
                return layer(x)

        single = assert_same_in_every_setting(run, x.float(), modules=(layer,))
        assert single.dtype == torch.float32 and torch.equal(single.double(), layer(x))


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_depthwise_is_a_convolution(kernel: int) -> None:
    torch.manual_seed(1)
    layer = ExactDepthwise(6, kernel)
    layer.bias.data.normal_()
    x = grid(2, 8, 10, 6)
    single = F.conv2d(first(x.float()), layer.weight, layer.bias, padding=kernel // 2, groups=6).permute(0, 2, 3, 1)
    assert (layer(x.float()) - single).abs().max() < 1e-5
    layer.freeze()
    exact = F.conv2d(first(x), layer.weight, layer.bias, padding=kernel // 2, groups=6).permute(0, 2, 3, 1)
    assert torch.equal(assert_same_in_every_setting(layer, x, modules=(layer,)), exact)


def test_sub_pixel_is_a_convolution_and_pixel_shuffle() -> None:
    torch.manual_seed(2)
    layer = ExactSubPixel(5, 3, factor=2)
    x = grid(2, 4, 6, 5)
    layer.freeze()
    result = assert_same_in_every_setting(layer, x, modules=(layer,))
    kernel = layer.weight.view(12, 9, 5).transpose(1, 2).reshape(12, 5, 3, 3)
    # torch orders the outputs (channel, row, column).
    order = torch.arange(12).view(2, 2, 3).permute(2, 0, 1).flatten()
    expected = F.pixel_shuffle(F.conv2d(first(x), kernel[order], layer.bias[order], padding=1), 2)
    assert torch.equal(result, expected.permute(0, 2, 3, 1))


def test_shuffling_back_gives_the_grid() -> None:
    x = grid(2, 6, 9, 4)
    assert torch.equal(shuffle(unshuffle(x, 3), 3), x)


def test_a_window_outside_its_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        ExactConv2d(3, 3, 3, window=((0, 2),))
    with pytest.raises(ValueError, match="no centre"):
        ExactDepthwise(3, 4)
    assert ACTIVATION.limit == 64.0


def test_gradients_reach_every_tap() -> None:
    layer = ExactConv2d(2, 3, 5, window=checkerboard_window(5))
    layer(torch.randn(1, 8, 8, 2)).square().sum().backward()
    assert (layer.weight.grad != 0).all() and (layer.bias.grad != 0).all()

"""Rounding by what layers read: against brute force, closed forms and plain rounding."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from bitfloor.entropy_models.exact.convolution import ExactConv2d, checkerboard_window
from bitfloor.entropy_models.exact.grid import ACTIVATION, SINGLE_UNITS
from bitfloor.entropy_models.exact.layers import ExactDepthwise, ExactLayer, ExactLinear
from bitfloor.entropy_models.exact.quantise import quantise, settle
from bitfloor.tools.training.calibrate import Seen, choose_grid, input_rows, round_weight, watch

STEPS = torch.full((6,), 0.125)


def correlated(rows: int, size: int) -> Tensor:
    """Inputs that move together, as neighbouring pixels do."""
    torch.manual_seed(1)
    common = torch.randn(rows, 1)
    return (common + 0.3 * torch.randn(rows, size)).double()


def squared_error(x: Tensor, weight: Tensor, bias: Tensor, rounded: Tensor, new_bias: Tensor) -> Tensor:
    """Of every result, (out,)."""
    return (x @ (weight.double() - rounded).t() + bias.double() - new_bias).square().sum(0)


def moments(x: Tensor) -> Tensor:
    seen = Seen()
    seen.add(x, x)
    assert seen.moments is not None
    return seen.moments


def test_rounding_by_moments_is_near_the_best_of_all_roundings() -> None:
    x = correlated(500, 6)
    weight, bias = torch.randn(6, 6) * 0.4, torch.randn(6)
    rounded, new_bias = round_weight(weight, bias, STEPS, 127, moments(x))
    plain, _ = round_weight(weight, bias, STEPS, 127, None)
    assert new_bias is not None
    for row in range(6):
        low = torch.floor(weight[row].double() / 0.125) * 0.125
        best = torch.inf
        for up in product((0.0, 0.125), repeat=6):
            change = x @ (weight[row].double() - low - torch.tensor(up, dtype=torch.float64))
            best = min(best, float((change - change.mean()).square().sum()))  # with the best bias
        ours = squared_error(x, weight[row : row + 1], bias[row], rounded[row : row + 1], new_bias[row])
        assert ours <= 3 * best + 1e-9
    errors = [float(squared_error(x, weight, bias, w, b).sum()) for w, b in ((rounded, new_bias), (plain, bias))]
    assert errors[0] < 0.3 * errors[1]
    assert torch.equal(rounded / 0.125, torch.round(rounded / 0.125))


def test_inputs_that_have_nothing_in_common_leave_plain_rounding() -> None:
    x = torch.cat((torch.eye(6), -torch.eye(6))).double()
    weight, bias = torch.randn(6, 6), torch.randn(6)
    rounded, new_bias = round_weight(weight, bias, STEPS, 127, moments(x))
    assert torch.equal(rounded, torch.round(weight.double() / 0.125) * 0.125)
    assert torch.allclose(new_bias, bias.double())  # type: ignore[arg-type]


def test_the_bias_makes_good_for_inputs_that_never_change() -> None:
    x = torch.tensor([[0.7, -0.2, 1.1, 0.4]]).double().expand(9, 4)
    weight, bias = torch.randn(6, 4), torch.randn(6)
    rounded, new_bias = round_weight(weight, bias, STEPS, 127, moments(x))
    assert new_bias is not None
    assert torch.allclose(x @ rounded.t() + new_bias, x @ weight.double().t() + bias.double(), atol=1e-3)


def test_no_weight_leaves_its_bits() -> None:
    rounded, _ = round_weight(torch.randn(6, 6) * 50, None, STEPS, 127, moments(correlated(50, 6)))
    assert rounded.abs().max() == 127 * 0.125


@pytest.mark.parametrize(
    "layer",
    [
        ExactLinear(5, 3),
        nn.Linear(5, 3),
        ExactConv2d(5, 3),
        ExactConv2d(5, 3, kernel=5, stride=2),
        ExactConv2d(5, 3, kernel=2, stride=2, padding=0),
        ExactConv2d(5, 3, kernel=5, window=checkerboard_window(5)),
    ],
)
def test_input_rows_are_what_a_layer_sums(layer: ExactLinear | nn.Linear) -> None:
    x = torch.randn(2, 8, 6, 5)
    rows = input_rows(layer, x)
    assert rows is not None
    assert torch.allclose(rows @ layer.weight.t() + layer.bias, layer(x).reshape(-1, 3), atol=1e-5)


def worst(layer: ExactLayer) -> float:
    """The largest sum of magnitudes that an input within the layer's range can give, in units of the row."""
    weight, unit = layer.weight.double().flatten(1), layer.weight_steps() * layer.activation.unit
    x = torch.sign(weight) * layer.activation.limit
    return float((((weight * x).sum(1) + layer.bias.double().abs()) / unit).max())


@pytest.mark.parametrize("size", [8, 1200])
def test_the_grid_has_the_most_bits_that_float32_has_room_for(size: int) -> None:
    torch.manual_seed(0)
    layer = ExactLinear(size, 5)
    layer.weight.data[0] = 1.0  # every number of the row has all its bits
    layer.weight.data[1], layer.bias.data[1] = 1e-9, 0.5  # and this row is nothing but its bias
    seen = watch({"layer": layer}, lambda: layer(torch.randn(300, size)))["layer"]
    assert choose_grid(layer, seen)
    assert 3 < seen.reach <= layer.activation.limit < 2 * seen.reach
    layer.freeze()
    assert layer.dtype == torch.float32
    assert worst(layer) < SINGLE_UNITS
    precision = layer.activation.bits + layer.activation.reach + 1
    assert precision == (12 if size == 8 else 8)
    assert layer.bias[1] == 0.5


def test_a_layer_that_float32_cannot_hold_says_so() -> None:
    layer = ExactLinear(3000, 2)
    layer.weight.data.fill_(1.0)
    seen = watch({"layer": layer}, lambda: layer(torch.randn(10, 3000)))["layer"]
    assert not choose_grid(layer, seen)
    layer.freeze()
    assert layer.dtype == torch.float64


def test_a_layer_that_has_hardly_seen_anything_can_still_read_something() -> None:
    layer = ExactLinear(6, 3)
    plain = layer.weight.detach().clone()
    seen = watch({"layer": layer}, lambda: layer(torch.full((20, 6), 1e-7)))["layer"]
    assert choose_grid(layer, seen)
    assert layer.activation.limit == 0.125 and layer.activation.unit <= ACTIVATION.unit
    assert (layer.weight - plain).abs().max() <= float(layer.weight_steps().max()) / 2 < 0.003


def test_depthwise_layers_are_rounded_to_the_nearest() -> None:
    layer = ExactDepthwise(4)
    before = layer.weight.detach().clone()
    seen = watch({"layer": layer}, lambda: layer(torch.randn(1, 6, 6, 4)))["layer"]
    assert seen.moments is None and choose_grid(layer, seen)
    steps = layer.weight_steps().view(-1, 1, 1, 1)
    assert ((layer.weight.double() - before.double()).abs() <= steps / 2).all()


@pytest.mark.parametrize("bias", [0.0, 1e-30, 0.3])
def test_a_bias_takes_nothing_from_ordinary_weights(bias: float) -> None:
    layer = ExactLinear(6, 3)
    layer.bias.data.fill_(bias)
    layer.weight.data[:, 0] = 0.9
    seen = watch({"layer": layer}, lambda: layer(torch.randn(100, 6)))["layer"]
    assert choose_grid(layer, seen)
    assert layer.weight_bits.tolist() == [7, 7, 7]  # 0.9 * 2^7 = 115 of 127
    quantise(layer)
    layer(torch.randn(100, 6))
    settle(layer)
    assert layer.weight_bits.tolist() == [7, 7, 7]


def test_a_row_of_bias_alone_stays_in_float32_after_training_with_grids() -> None:
    layer = ExactLinear(4, 2)
    layer.weight.data[0] = 1e-9
    layer.bias.data[0] = 3.0
    quantise(layer)
    layer(torch.randn(50, 4))
    settle(layer)
    layer.freeze()
    assert layer.dtype == torch.float32 and layer.bias[0] == 3.0

"""Layers with grids of their own: proofs, float32, training with the grid in the loop, storage as integers."""

from __future__ import annotations

import copy

import pytest
import torch
from exact_settings import assert_same_in_every_setting
from safetensors.torch import load, save
from torch import Tensor, nn

from bitfloor.entropy_models.exact.functions import gelu
from bitfloor.entropy_models.exact.grid import ACTIVATION, Grid, float32_path, snap
from bitfloor.entropy_models.exact.layers import ExactDepthwise, ExactLinear, FreezeError, freeze
from bitfloor.entropy_models.exact.quantise import quantise, range_exponent, settle
from bitfloor.entropy_models.exact.storage import integers, load_integers


class Small(nn.Module):
    """Two layers as the entropy path has them, a depthwise one, and a lone parameter."""

    def __init__(self, inputs: int = 480, width: int = 96) -> None:
        super().__init__()
        self.first, self.second = ExactLinear(inputs, width), ExactLinear(width, 24)
        self.spatial = ExactDepthwise(width)
        self.shift = nn.Parameter(torch.randn(24))

    def forward(self, x: Tensor) -> Tensor:
        return snap(self.second(self.spatial(gelu(self.first(x)))) + snap(self.shift))


@pytest.fixture
def settled() -> Small:
    torch.manual_seed(0)
    module = Small()
    quantise(module)
    for _ in range(5):
        module(torch.randn(2, 4, 6, 480) * 3)
    settle(module)
    return module


X = torch.randn(2, 4, 6, 480, generator=torch.Generator().manual_seed(1)) * 3


def test_eight_bits_run_in_float32_and_agree_with_float64(settled: Small) -> None:
    double = copy.deepcopy(settled)
    freeze(settled, torch.float32)
    freeze(double)
    assert [layer.dtype for layer in (settled.first, settled.second, settled.spatial)] == [torch.float32] * 3

    def run(x: Tensor) -> Tensor:
        with float32_path():
            return settled(x)

    single = assert_same_in_every_setting(run, X, modules=(settled,))
    assert single.dtype == torch.float32
    # The same sums in float64: nothing between these layers needs more than 24 bits.
    assert torch.equal(double(X.double()), single.double())


@pytest.mark.parametrize("seed", range(3))
def test_float32_sums_do_not_depend_on_their_order(settled: Small, seed: int) -> None:
    torch.manual_seed(seed)
    order = torch.randperm(480)
    shuffled = copy.deepcopy(settled.first)
    shuffled.weight.data = shuffled.weight.data[:, order]
    settled.first.freeze()
    shuffled.freeze()
    with float32_path():
        assert torch.equal(settled.first(X), shuffled(X[..., order]))


def test_a_sum_that_float32_does_not_hold_takes_float64() -> None:
    """2^24 units in a row: one unit more or less decides."""
    layer = ExactLinear(2**9, 1)
    layer.set_grid(Grid(7, 0), 7)  # inputs up to 2^7 units
    layer.weight.data.fill_(1.0)  # 2^7 units: the row sums to 2^9 * 2^7 * 2^7 = 2^23
    layer.bias.data.fill_(0.0)
    layer.freeze()
    assert layer.dtype == torch.float32
    layer.bias.data.fill_(2.0**23 / 2**14)
    layer.freeze()
    assert layer.dtype == torch.float64
    layer.bias.data.fill_((2.0**23 - 1) / 2**14)
    layer.freeze()
    assert layer.dtype == torch.float32
    with float32_path():
        assert layer(torch.ones(1, 2**9)).item() * 2**14 == 2**24 - 1


def test_every_row_has_its_own_grid() -> None:
    layer = ExactLinear(40, 3)
    layer.weight.data *= torch.tensor([[1.0], [64.0], [1 / 64]])
    layer.set_grid(Grid(5, 2), [7, 1, 13])
    exact = layer.weight.detach().double().clone()
    layer.freeze()
    for row, bits in enumerate((7, 1, 13)):
        units = layer.weight[row].double() * 2.0**bits
        assert torch.equal(units, torch.round(exact[row] * 2.0**bits))
    with pytest.raises(ValueError, match="rows"):
        layer.set_grid(ACTIVATION, [1, 2])


def test_the_grid_is_stored_only_where_it_is_not_the_default(settled: Small) -> None:
    assert not any(name.endswith("grid") for name in Small().state_dict())
    state = settled.state_dict()
    assert {name for name in state if name.endswith("grid")} == {"first.grid", "second.grid", "spatial.grid"}
    assert state["first.grid"].dtype == torch.int8
    loaded = Small()
    loaded.load_state_dict(load(save(state)))
    assert loaded.first.activation == settled.first.activation
    assert torch.equal(loaded.first.weight_bits, settled.first.weight_bits)
    loaded.load_state_dict(Small().state_dict())
    assert loaded.first.activation == ACTIVATION


def test_half_precision_files_keep_the_grid(settled: Small) -> None:
    loaded = Small()
    loaded.load_state_dict({name: value.half() for name, value in settled.state_dict().items()})
    assert torch.equal(loaded.spatial.weight_bits, settled.spatial.weight_bits)


def test_storage_gives_the_same_bits_and_one_byte_a_weight(settled: Small) -> None:
    tensors = integers(settled)
    assert not any(value.dtype.is_floating_point for value in tensors.values())
    assert tensors["first.weight"].dtype == tensors["spatial.weight"].dtype == torch.int8
    loaded = Small()
    load_integers(loaded, load(save(tensors)))
    freeze(settled)
    freeze(loaded)
    assert torch.equal(loaded(X.double()), settled(X.double()))
    assert all(torch.equal(value, tensors[name]) for name, value in integers(loaded).items())


def test_storage_of_the_default_grid() -> None:
    torch.manual_seed(3)
    module = Small()
    tensors = integers(module)
    assert tensors["first.weight"].dtype == torch.int16  # 14 bits
    loaded = Small()
    load_integers(loaded, tensors)
    freeze(module)
    freeze(loaded)
    assert torch.equal(loaded(X.double()), module(X.double()))
    module.shift.data.fill_(float("nan"))
    with pytest.raises(FreezeError, match="shift"):
        integers(module)


def test_training_rounds_as_the_frozen_layer_does(settled: Small) -> None:
    """What the loop computes in float32 is what the frozen layers compute, up to float32's own rounding."""
    torch.manual_seed(0)
    module = Small()
    quantise(module)
    for _ in range(5):
        module(torch.randn(2, 4, 6, 480) * 3)
    module.eval()
    rounded = module.first(X).detach()
    settle(module)
    freeze(module)
    assert (module.first(X.double()) - rounded).abs().max() < 1e-4
    plain = X @ settled.first.weight.t() + settled.first.bias
    assert 1e-3 < (rounded - plain).abs().max() < 0.3  # so something was rounded


def test_gradients_pass_through_rounding_but_not_through_clipping() -> None:
    layer = ExactLinear(100, 1)
    quantise(layer, percentile=0.5)
    x = torch.linspace(-1, 1, 100).requires_grad_()
    layer(x).backward()
    outside = x.detach().abs() > 1 / 2
    assert torch.equal(x.grad[~outside], layer.weight[0].detach()[~outside].mul(1.0)) or torch.allclose(
        x.grad[~outside], layer.weight[0].detach()[~outside], atol=1e-3
    )
    assert torch.equal(x.grad[outside], torch.zeros_like(x.grad[outside]))
    assert (layer.weight.grad != 0).sum() >= 98


def test_ranges_follow_the_percentile() -> None:
    layer = ExactLinear(1000, 1)
    quantise(layer)
    x = torch.full((100, 1000), 0.9)
    x[0, :5] = 500.0  # 5 of 100,000 values: beyond the 99.99th percentile
    layer(x)
    settle(layer)
    assert layer.activation == Grid(7, 0)
    fresh = ExactLinear(3, 1)
    quantise(fresh)
    with pytest.raises(ValueError, match="no input"):
        settle(fresh)
    with pytest.raises(FreezeError, match="settle"):
        fresh.freeze()
    with pytest.raises(FreezeError, match="settle"):
        integers(fresh)


def test_range_exponent_is_the_least_power_of_two_that_covers() -> None:
    values = torch.tensor([1.0, 1.0001, 0.5, 0.4999, 3.0, 64.0, 0.0])
    assert range_exponent(values).tolist() == [0, 1, -1, -1, 2, 6, 0]


def test_training_with_the_grid_recovers_what_rounding_loses() -> None:
    """Inputs are correlated, so the error of one rounded weight can be made good by another."""
    torch.manual_seed(0)
    x = torch.randn(512, 4) @ torch.randn(4, 32)
    y = x @ torch.randn(32, 4) * 0.1

    def train(layer: ExactLinear, steps: int) -> None:
        optimiser = torch.optim.Adam(layer.parameters(), 0.01)
        schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
        for _ in range(steps):
            optimiser.zero_grad()
            (layer(x) - y).square().mean().backward()
            optimiser.step()
            schedule.step()

    def rounded_error(layer: ExactLinear) -> float:
        layer = copy.deepcopy(layer)
        settle(layer)
        layer.freeze()
        return float((layer(x.double()) - y).square().mean())

    layer = ExactLinear(32, 4)
    train(layer, 400)
    quantise(layer, activation_precision=12, weight_precision=4)
    layer(x)
    before = rounded_error(layer)
    train(layer, 400)
    assert rounded_error(layer) < 0.5 * before

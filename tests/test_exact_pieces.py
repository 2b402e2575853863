"""Norms, pooling, folded batch norms, rotary positions, deformable sampling: exact, and close to torch's own."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from exact_settings import assert_same_in_every_setting
from safetensors.torch import load, save
from torch import Tensor, nn

from bitfloor.entropy_models.exact.convolution import ExactConv2d
from bitfloor.entropy_models.exact.grid import float32_path, snap
from bitfloor.entropy_models.exact.layers import ExactLinear, freeze
from bitfloor.entropy_models.exact.pooling import ExactLayerNorm, average, average_pool
from bitfloor.entropy_models.exact.rotary import Rotary
from bitfloor.entropy_models.exact.sampling import cells, sample
from bitfloor.entropy_models.exact.storage import integers, load_integers
from bitfloor.entropy_models.exact.tabulate import Normed, tabulate


def grid(*shape: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    return snap(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale)


def in_float32(run):  # type: ignore[no-untyped-def]
    def single(*inputs: Tensor) -> Tensor:
        with float32_path():
            return run(*inputs)

    return single


def test_averages() -> None:
    x = grid(2, 6, 9, 5)
    whole = assert_same_in_every_setting(average, x)
    # Python's integers and fractions, rounded half to even.
    units = (x * 1024).long().sum((1, 2)).double().numpy()
    assert np.array_equal(whole[:, 0, 0].numpy(), np.rint(units / 54) / 1024)
    assert torch.equal(in_float32(average)(x.float()).double(), whole)
    assert (average(x.float()) - x.float().mean((1, 2), keepdim=True)).abs().max() < 1e-6
    order = torch.randperm(6)
    assert torch.equal(average(x[:, order]), whole)
    pooled = assert_same_in_every_setting(lambda x: average_pool(x, 3), x)
    expected = F.avg_pool2d(x.permute(0, 3, 1, 2), 3).permute(0, 2, 3, 1)
    assert (pooled - expected).abs().max() <= 2.0**-11
    assert (average_pool(x.float(), 3) - expected).abs().max() < 1e-6
    with pytest.raises(ValueError, match="whole squares"):
        average_pool(x, 4)


def test_layer_norm_as_a_module() -> None:
    layer = ExactLayerNorm(40)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    plain = nn.LayerNorm(40, 2.0**-16)
    plain.load_state_dict(layer.state_dict())
    x = grid(3, 7, 40)
    assert torch.equal(layer(x.float()), plain(x.float()))
    freeze(layer)
    result = assert_same_in_every_setting(layer, x)
    assert (result - plain.double()(x)).abs().max() < 5e-3
    order = torch.randperm(40)
    other = ExactLayerNorm(40)
    other.load_state_dict({name: value[order].float() for name, value in layer.state_dict().items()})
    freeze(other)
    assert torch.equal(other(x[..., order]), result[..., order])


@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_a_batch_norm_folds_into_its_layer(kind: str) -> None:
    torch.manual_seed(0)
    build = {"linear": lambda: ExactLinear(6, 5), "conv": lambda: ExactConv2d(6, 5)}[kind]
    module = Normed(build(), 5)
    assert isinstance(module.norm, nn.BatchNorm1d)
    nn.init.normal_(module.norm.weight)
    nn.init.normal_(module.norm.bias)
    for seed in range(20):
        module(grid(2, 4, 6, 6, seed=seed).float())
    module.eval()
    x = grid(2, 4, 6, 6)
    expected = module(x.float())
    trained = copy.deepcopy(module)
    tabulate(module)
    assert module.norm is None and (module(x.float()) - expected).abs().max() < 1e-4
    loaded = Normed(build(), 5)
    load_integers(loaded, load(save(integers(module))))
    assert loaded.norm is None
    freeze(loaded)
    freeze(module)
    assert torch.equal(loaded(x), assert_same_in_every_setting(module, x))
    assert (loaded(x) - expected).abs().max() < 2e-2  # weights of 14 bits times values up to 15
    unfolded = Normed(build(), 5)
    unfolded.load_state_dict(trained.state_dict())
    assert unfolded.norm is not None


def complex_turn(x: Tensor, rows: int, columns: int, bases: tuple[float, float]) -> Tensor:
    """The definition, by complex numbers: (rows, columns, C)."""
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)).contiguous())
    speeds = [base ** (-torch.arange(0, x.shape[-1], 2, dtype=torch.float64) / x.shape[-1]) for base in bases]
    angle = torch.arange(rows)[:, None, None] * speeds[0] + torch.arange(columns)[None, :, None] * speeds[1]
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


def test_rotary_positions_are_turns_of_the_complex_plane() -> None:
    rotary = Rotary(16, tile=64)
    with torch.no_grad():
        rotary.log_bases.copy_(torch.tensor([100.0, 37.0]).log())
    x = grid(64, 50, 16)
    expected = complex_turn(x, 64, 50, (100.0, 37.0))
    assert (rotary(x.float(), *rotary.turns(64, 50, x.float())) - expected).abs().max() < 1e-3
    with pytest.raises(ValueError, match="tabulated"):
        rotary.turns(4, 4, x)
    tabulate(rotary)

    def run(x: Tensor) -> Tensor:
        return rotary(x, *rotary.turns(64, 50, x))

    result = assert_same_in_every_setting(run, x)
    assert (result - expected).abs().max() < 64 * 2.0**-13 and torch.equal(result, snap(result))
    single = assert_same_in_every_setting(in_float32(run), x.float())
    assert single.dtype == torch.float32 and (single.double() - result).abs().max() <= 2.0**-10
    with pytest.raises(ValueError, match="64 positions"):
        rotary.turns(65, 4, x)


def test_rotary_products_know_distances_only() -> None:
    rotary = Rotary(8)
    tabulate(rotary)
    query, key = (grid(8, seed=seed).expand(20, 20, 8) for seed in (1, 2))
    turns = rotary.turns(20, 20, query)
    products = (rotary(query, *turns)[:-3, :-5] * rotary(key, *turns)[3:, 5:]).sum(-1)
    assert (products - products[0, 0]).abs().max() < 0.2  # of products of vectors with squares of some 70
    assert rotary.turns(4, 4, query.float())[0].requires_grad  # the bases learn


def test_rotary_tables_travel_with_the_model() -> None:
    rotary = Rotary(8)
    assert set(rotary.state_dict()) == {"log_bases"}
    tabulate(rotary)
    tensors = integers(rotary)
    assert tensors["row_table"].dtype == torch.int16 and tensors["row_table"].shape == (128, 4, 2)
    loaded = Rotary(8)
    load_integers(loaded, load(save(tensors)))
    freeze(loaded)
    x = grid(5, 6, 8)
    assert torch.equal(loaded(x, *loaded.turns(5, 6, x)), rotary(x, *rotary.turns(5, 6, x)))
    loaded.load_state_dict(Rotary(8).state_dict())
    assert loaded.row_table is None


def torch_sample(x: Tensor, positions: Tensor) -> Tensor:
    """`grid_sample` in cells."""
    scale = torch.tensor([2 / (x.shape[1] - 1), 2 / (x.shape[2] - 1)], dtype=x.dtype)
    where = (positions * scale - 1).flip(-1)
    options = {"align_corners": True, "padding_mode": "border"}
    return F.grid_sample(x.permute(0, 3, 1, 2), where, **options).permute(0, 2, 3, 1)


def test_sampling_is_grid_sample() -> None:
    x = grid(3, 9, 12, 5)
    positions = cells(9, 12, x)[None] + grid(3, 9, 12, 2, seed=1)
    assert (positions < 0).any() and (positions[..., 0] > 8).any()
    exact = assert_same_in_every_setting(sample, x, positions)
    assert (exact - torch_sample(x, positions)).abs().max() <= 2.0**-11 + 1e-9  # the last rounding alone
    assert (sample(x.float(), positions.float()) - torch_sample(x, positions)).abs().max() < 1e-5
    assert torch.equal(in_float32(sample)(x.float(), positions.float()).double(), exact)


def test_sampling_at_cells_and_at_the_border() -> None:
    x = grid(1, 4, 5, 3)
    assert torch.equal(sample(x, cells(4, 5, x)[None]), x)
    far = torch.tensor([[[-100.0, -3.0], [1e6, 1e6], [0.5, 4.0]]], dtype=torch.float64)
    expected = torch.stack((x[0, 0, 0], x[0, 3, 4], snap((x[0, 0, 4] + x[0, 1, 4]) / 2)))
    assert torch.equal(sample(x, far)[0], expected)
    tiny = grid(1, 1, 1, 3)
    assert torch.equal(sample(tiny, far), tiny[:, 0].expand(1, 3, 3))


def test_positions_are_snapped_before_they_decide() -> None:
    x = grid(1, 4, 5, 3)
    positions = cells(4, 5, x)[None] * 0.9
    assert torch.equal(sample(x, positions + 2.0**-30), sample(x, positions))


def test_sampling_has_gradients() -> None:
    x = grid(1, 4, 5, 2, scale=1.0).float().requires_grad_()
    positions = (cells(4, 5, x)[None] * 0.8 + 0.1).detach().requires_grad_()
    sample(x, positions).square().sum().backward()
    expected_x, expected_positions = (t.detach().clone().requires_grad_() for t in (x, positions))
    torch_sample(expected_x, expected_positions).square().sum().backward()
    assert torch.allclose(x.grad, expected_x.grad, atol=1e-4)
    assert torch.allclose(positions.grad, expected_positions.grad, atol=1e-4)

"""The exact layers and functions: same bits in every order of summation, close to the real functions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special

from bitfloor.entropy_models.exact import backend, functions
from bitfloor.entropy_models.exact.backend import single_precision_is_exact
from bitfloor.entropy_models.exact.grid import Grid, divide, float32_path, is_exact, snap, snap_
from bitfloor.entropy_models.exact.layers import ExactDepthwise, ExactLinear, FreezeError, freeze


def frozen_linear(inputs: int, outputs: int, seed: int = 0) -> ExactLinear:
    torch.manual_seed(seed)
    layer = ExactLinear(inputs, outputs)
    torch.nn.init.normal_(layer.weight, std=1.0)
    torch.nn.init.normal_(layer.bias, std=1.0)
    layer.double().freeze()
    return layer


def test_snap_rounds_half_to_even_and_holds_the_range() -> None:
    units = torch.arange(-5000, 5000, dtype=torch.float64) / 2
    assert torch.equal(snap(units * 2.0**-10) * 2**10, torch.round(units))
    noise = torch.randn(10_000, dtype=torch.float64) * 30
    assert torch.equal(snap(noise), (torch.round(noise * 1024) / 1024).clamp(-64, 64))
    assert snap(torch.tensor([1e9, -1e9], dtype=torch.float64)).tolist() == [64.0, -64.0]


def test_snapping_leaves_its_input_alone() -> None:
    x = torch.full((3,), 0.3, dtype=torch.float64)
    snap(x)
    assert torch.equal(x, torch.full((3,), 0.3, dtype=torch.float64))


@pytest.mark.parametrize("seed", range(5))
def test_linear_gives_equal_bits_in_every_order_of_summation(seed: int) -> None:
    layer = frozen_linear(1000, 17, seed)
    x = torch.randn(50, 1000, dtype=torch.float64) * 20
    reference = layer(x)
    for _ in range(4):
        order = torch.randperm(1000)
        shuffled = ExactLinear(1000, 17).double()
        shuffled.weight.data, shuffled.bias.data = layer.weight.data[:, order], layer.bias.data.clone()
        shuffled.freeze()
        assert torch.equal(shuffled(x[:, order]), reference)
    # One product after the other, in Python integers.
    units = [int(v) for v in (snap(x)[0] * 2**10).tolist()]
    weights = [int(v) for v in (layer.weight[0] * 2**14).tolist()]
    total = sum(a * b for a, b in zip(units, weights, strict=True)) + int(layer.bias[0].item() * 2**24)
    assert reference[0, 0].item() == total / 2**24


def test_plain_double_would_depend_on_the_order() -> None:
    """The property above is not for nothing: without the grid it fails."""
    x, w = torch.randn(200, 1000, dtype=torch.float64), torch.randn(1000, dtype=torch.float64)
    order = torch.randperm(1000)
    assert not torch.equal(x @ w, x[:, order] @ w[order])


def test_depthwise_is_a_convolution() -> None:
    torch.manual_seed(1)
    layer = ExactDepthwise(6)
    layer.bias.data.normal_()
    layer.double().freeze()
    x = snap(torch.randn(2, 8, 10, 6, dtype=torch.float64) * 5)
    expected = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), layer.weight, layer.bias, padding=1, groups=6).permute(
        0, 2, 3, 1
    )
    assert torch.equal(layer(x), expected)


def test_a_layer_outside_its_bound_refuses_to_freeze() -> None:
    layer = ExactLinear(1000, 2).double()
    layer.weight.data.fill_(2.0**20)
    with pytest.raises(FreezeError, match="bits"):
        layer.freeze()
    layer.weight.data.fill_(float("nan"))
    with pytest.raises(FreezeError, match="finite"):
        layer.freeze()


def test_the_module_that_cannot_be_frozen_is_named() -> None:
    module = torch.nn.ModuleDict({"a": ExactLinear(3, 2), "b": ExactLinear(3, 2)})
    module["b"].weight.data.fill_(1e12)
    with pytest.raises(FreezeError, match=r"^b: partial sums"):
        freeze(module)
    lone = torch.nn.Module()
    lone.shift = torch.nn.Parameter(torch.tensor([float("inf")]))
    with pytest.raises(FreezeError, match=r"^shift: .*finite"):
        freeze(lone)


def test_exact_numbers_before_freezing_are_refused() -> None:
    with pytest.raises(FreezeError, match="not been frozen"):
        ExactLinear(3, 2).double()(torch.zeros(1, 3, dtype=torch.float64))


def test_loading_weights_asks_for_a_new_proof() -> None:
    layer = frozen_linear(4, 2)
    layer.load_state_dict(ExactLinear(4, 2).state_dict())
    with pytest.raises(FreezeError, match="not been frozen"):
        layer(torch.zeros(1, 4, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("bits", "limit"), [(10, 64.0), (10, 4096.0), (12, 4096.0), (14, 1.0), (-2, 512.0)])
def test_snapping_rounds_correctly_in_both_types(dtype: torch.dtype, bits: int, limit: float) -> None:
    torch.manual_seed(0)
    x = torch.cat((torch.randn(5000) * limit / 3, torch.tensor([limit, -limit, 2 * limit, 0.5, 1.5, 2.5, -0.5])))
    x = torch.cat((x, (torch.arange(-300, 300) + 0.5) * 2.0**-bits)).to(dtype)
    expected = np.clip(np.rint(np.clip(x.double().numpy(), -limit, limit) * 2.0**bits) / 2.0**bits, -limit, limit)
    with float32_path():
        assert np.array_equal(snap(x, bits, limit).double().numpy(), expected)
        y = x.clone()
        assert snap_(y, bits, limit).data_ptr() == y.data_ptr()
        assert np.array_equal(y.double().numpy(), expected)


def test_float32_is_exact_only_inside_its_path() -> None:
    x = torch.full((2,), 0.3)
    with float32_path():
        assert is_exact(x) and snap(x).tolist() == [307 / 1024] * 2
    assert not is_exact(x) and torch.equal(snap_(x), torch.full((2,), 0.3))


def test_division_is_correctly_rounded() -> None:
    x = torch.randint(-(2**30), 2**30, (1000,), dtype=torch.float64)
    assert divide(x, 7).tolist() == [v / 7 for v in x.tolist()]


@pytest.mark.parametrize("number", [1, 2, 3, 7, 8, 12, 16, 24, 32, 48, 64, 16384, 1536])
def test_roots_are_correctly_rounded(number: int) -> None:
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 60
        assert functions.root(number) == float(Decimal(number).sqrt())
        assert functions.inverse_root(number) == float((Decimal(1.0 / number)).sqrt())


def test_a_layer_with_small_sums_runs_in_single_precision_with_the_same_result() -> None:
    torch.manual_seed(2)
    layer = ExactLinear(30, 8)
    layer.set_grid(Grid(6, 2), 8)
    layer.double()
    double = ExactLinear(30, 8).double()
    double.load_state_dict(layer.state_dict())
    layer.freeze()
    assert layer.dtype == torch.float32
    x = torch.randn(100, 30, dtype=torch.float64)
    weight = torch.round(double.weight * 2**8) / 2**8
    bias = torch.round(double.bias * 2**14) / 2**14
    expected = snap(x, 6, 4.0) @ weight.t() + bias
    assert torch.equal(layer(x), expected)


def test_the_self_test_knows_full_single_precision_from_less(monkeypatch: pytest.MonkeyPatch) -> None:
    assert single_precision_is_exact(torch.device("cpu"))
    plain = torch.Tensor.__matmul__

    def rounded(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if a.dtype == torch.float32:
            return plain(a.bfloat16(), b.bfloat16()).float()
        return plain(a, b)

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    backend._passes.cache_clear()
    monkeypatch.setattr(backend, "_passes", backend._passes.__wrapped__)
    assert not single_precision_is_exact(torch.device("cpu"))


def test_freeze_snaps_lone_parameters_too() -> None:
    module = torch.nn.Module()
    module.layer = ExactLinear(3, 2)
    module.bias = torch.nn.Parameter(torch.full((4,), 0.3))
    freeze(module.double())
    assert module.bias.tolist() == [307 / 1024] * 4
    assert not any(p.requires_grad for p in module.parameters())


GRID = torch.arange(-20 * 1024, 20 * 1024 + 1, dtype=torch.float64) / 1024


@pytest.mark.parametrize(
    ("ours", "real", "unit"),
    [
        (functions.gelu, lambda x: x * special.ndtr(x), 2.0**-10),
        (functions.tanh, np.tanh, 2.0**-14),
        (functions.softplus, lambda x: np.logaddexp(0, x), 2.0**-14),
        (functions.sigmoid, special.expit, 2.0**-11 + 2.0**-15),  # x / 2 is rounded before it is looked up
    ],
)
def test_tables_are_correctly_rounded_everywhere(ours, real, unit) -> None:  # type: ignore[no-untyped-def]
    error = (ours(GRID) - torch.from_numpy(real(GRID.numpy()))).abs().max().item()
    assert error <= unit / 2 * (1 + 1e-6)


def test_exp_is_correctly_rounded_in_its_range() -> None:
    inside = GRID[(GRID >= -8) & (GRID <= 4)]
    assert (functions.exp(inside) - inside.exp()).abs().max() <= 2.0**-15 * (1 + 1e-6)
    assert torch.equal(functions.exp(GRID[GRID < -8]).unique(), functions.exp(torch.tensor([-8.0]).double()))


def test_softmax_and_layer_norm_come_close_and_stay_on_the_grid() -> None:
    torch.manual_seed(3)
    x = snap(torch.randn(100, 40, dtype=torch.float64) * 4)
    soft = functions.softmax(x)
    # Every table value is off by at most 2^-15, and so is their sum for each of its 40 terms.
    assert (soft - torch.softmax(x, -1)).abs().max() < 42 * 2.0**-15
    assert torch.equal(soft, snap(soft, 14))
    weight, bias = snap(torch.randn(40, dtype=torch.float64)), snap(torch.randn(40, dtype=torch.float64))
    norm = functions.layer_norm(x, weight, bias)
    assert (norm - torch.nn.functional.layer_norm(x, (40,), weight, bias, 2.0**-16)).abs().max() < 5e-3
    assert torch.equal(norm, snap(norm))


def test_softmax_and_layer_norm_do_not_depend_on_the_order() -> None:
    torch.manual_seed(4)
    x = torch.randn(100, 40, dtype=torch.float64) * 4
    order = torch.randperm(40)
    assert torch.equal(functions.softmax(x)[:, order], functions.softmax(x[:, order]))
    one, zero = torch.ones(40, dtype=torch.float64), torch.zeros(40, dtype=torch.float64)
    assert torch.equal(functions.layer_norm(x, one, zero)[:, order], functions.layer_norm(x[:, order], one, zero))


@pytest.mark.parametrize("name", ["gelu", "tanh", "sigmoid", "softplus", "exp", "exp_below"])
def test_functions_give_the_same_in_float32(name: str) -> None:
    x = GRID if name != "exp_below" else GRID.clamp_max(0)
    expected = getattr(functions, name)(x)
    with float32_path():
        result = getattr(functions, name)(x.float())
    assert result.dtype == torch.float32 and torch.equal(result.double(), expected)


def test_functions_leave_their_input_alone() -> None:
    for name in ("gelu", "tanh", "sigmoid", "softplus", "exp", "exp_below", "softmax"):
        x = GRID.clamp_max(0).clone()
        getattr(functions, name)(x)
        assert torch.equal(x, GRID.clamp_max(0)), name


def test_layer_norm_gives_the_same_in_float32() -> None:
    torch.manual_seed(5)
    x = snap(torch.randn(50, 300, dtype=torch.float64) * 9)
    weight, bias = snap(torch.randn(2, 300, dtype=torch.float64))
    with float32_path():
        single = functions.layer_norm(x.float(), weight.float(), bias.float())
    assert single.dtype == torch.float32
    assert torch.equal(single.double(), functions.layer_norm(x, weight, bias))


def test_float_inputs_use_the_ordinary_functions() -> None:
    x = torch.randn(50)
    assert torch.equal(functions.gelu(x), torch.nn.functional.gelu(x))
    assert torch.equal(functions.softmax(x), torch.softmax(x, -1))


def test_make_tables_gives_the_shipped_tables() -> None:
    from bitfloor.entropy_models.exact import make_tables

    some = make_tables.tabulate(make_tables.mpmath.tanh, 0, 1, functions.VALUE_BITS)
    assert torch.equal(some.double() * 2.0**-14, functions.table("tanh")[: len(some)])

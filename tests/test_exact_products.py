"""Sums over positions: proved from shapes, equal in every order; the attentions made of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from exact_settings import assert_same_in_every_setting
from torch import Tensor

from bitfloor.entropy_models.exact.attention import channel_attention, linear_attention, softmax_attention
from bitfloor.entropy_models.exact.grid import ACTIVATION, Grid, float32_path, snap
from bitfloor.entropy_models.exact.products import BoundError, matmul, total


def tokens(*shape: int, scale: float = 1.0, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def test_the_bound_is_terms_times_limits() -> None:
    wide = Grid(26, 0)  # 2^26 units; two such numbers multiply to 2^52
    one = torch.ones(1, 1, dtype=torch.float64)
    assert matmul(one, one, wide, wide).item() == 1.0
    two = torch.ones(1, 2, dtype=torch.float64)
    with pytest.raises(BoundError, match=r"sum of 2 terms may need 53\.0 bits"):
        matmul(two, two.t(), wide, wide)
    with pytest.raises(BoundError, match="sum of 8 terms"):
        total(torch.ones(2, 4, dtype=torch.float64), (0, 1), Grid(50, 0))
    assert torch.equal(matmul(two.float(), two.t().float(), wide, wide), torch.full((1, 1), 2.0))  # training


def test_float32_is_left_where_a_sum_needs_more() -> None:
    """Integers up to 2^12 - 1: two products fit into 24 bits, 1,000 do not."""
    grid = Grid(0, 12)
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randint(-4095, 4096, s, generator=generator).double() for s in ((30, 1000), (1000, 20)))
    with float32_path():
        product = matmul(left.float(), right.float(), grid, grid)
        added = total(left.float().square(), -1, Grid(0, 24))
    assert product.dtype == torch.float32
    assert torch.equal(product, (left @ right).float())  # the exact sum, rounded once
    assert torch.equal(added, left.square().sum(-1, keepdim=True).float())


ATTENTIONS = {
    "linear": (linear_attention, -2),
    "softmax": (softmax_attention, -2),
    "channel": (channel_attention, -2),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_is_equal_in_every_setting_and_order(name: str) -> None:
    attention, positions = ATTENTIONS[name]
    shape = (2, 500, 16) if name == "channel" else (2, 3, 500, 16)
    q, k, v = (tokens(*shape, scale=2.0, seed=seed) for seed in range(3))
    reference = assert_same_in_every_setting(attention, q, k, v)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(9))
    moved = (x.index_select(positions, order) for x in (k, v))
    if name == "channel":
        moved_q = q.index_select(positions, order)
        assert torch.equal(attention(moved_q, *moved), reference.index_select(positions, order))
    else:
        assert torch.equal(attention(q, *moved), reference)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_is_the_real_one_up_to_its_grid(name: str) -> None:
    attention, _ = ATTENTIONS[name]
    shape = (2, 300, 8) if name == "channel" else (2, 3, 300, 8)
    q, k, v = (tokens(*shape, seed=seed) for seed in range(3))
    if name == "softmax":
        expected = F.scaled_dot_product_attention(q, k, v)
    elif name == "linear":
        expected = torch.softmax(q, -1) @ (torch.softmax(k, -2).transpose(-1, -2) @ v)
    else:
        shares = torch.softmax(q.transpose(1, 2) @ k / 300**0.5, -1)
        expected = torch.einsum("bcd,bnd->bnc", shares, v)
    # 300 table values, each off by 2^-15 of a sum of some 50, and logits off by half a unit of the grid.
    assert (attention(q, k, v) - expected).abs().max() < 5e-3
    assert (attention(q.float(), k.float(), v.float()) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_stays_close_on_the_float32_path(name: str) -> None:
    attention, _ = ATTENTIONS[name]
    shape = (1, 400, 16) if name == "channel" else (1, 2, 400, 16)
    q, k, v = (tokens(*shape, seed=seed) for seed in range(3))

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with float32_path():
            return attention(q, k, v)

    single = assert_same_in_every_setting(run, q.float(), k.float(), v.float())
    assert single.dtype == torch.float32
    assert (single.double() - attention(q, k, v)).abs().max() <= 2.0**-9


def test_chunks_bias_and_mask_of_quadratic_attention() -> None:
    q, k, v = (tokens(1, 2, 50, 8, seed=seed) for seed in range(3))
    bias = tokens(2, 50, 50, seed=4)
    visible = torch.rand(50, 50, generator=torch.Generator().manual_seed(5)) > 0.5
    visible[7] = False
    whole = softmax_attention(q, k, v, bias, visible)
    assert torch.equal(softmax_attention(q, k, v, bias, visible, chunk=7), whole)
    seeing = visible.any(-1)
    expected = F.scaled_dot_product_attention(q, k, v, bias.masked_fill(~visible, -float("inf")))
    assert (whole - expected)[:, :, seeing].abs().max() < 5e-3
    assert torch.equal(whole[:, :, 7], torch.zeros_like(whole[:, :, 7]))
    single = softmax_attention(q.float(), k.float(), v.float(), bias.float(), visible)
    assert (single - expected)[:, :, seeing].abs().max() < 1e-5 and torch.isfinite(single).all()
    # What a query does not see cannot reach it.
    changed = v.clone()
    changed[:, :, ~visible[3]] += 5
    assert torch.equal(softmax_attention(q, k, changed, bias, visible)[:, :, 3], whole[:, :, 3])


def test_positions_beyond_the_bound_are_refused_before_the_sum() -> None:
    q = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    many = q.expand(1, 1, 2**19, 1)
    with pytest.raises(BoundError, match="524288 terms"):
        linear_attention(q, many, many)
    assert snap(linear_attention(q, many[:, :, 1:], many[:, :, 1:])).item() == 0.0
    assert ACTIVATION.units == 2.0**16

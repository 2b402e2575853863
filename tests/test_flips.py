"""Changes of single symbols at the encoder, against sums over all of them and against scipy's normal distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm
from tiny_model import CONFIG, S2LIC, smooth_picture, tiny_network
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bitfloor.codecs.image.flips import _best_change, flip
from bitfloor.codecs.image.objective import Objective
from bitfloor.entropy_models.latent.symbol_coders import Coded

ROWS, COLUMNS = 8, 12


def objective(config=CONFIG) -> tuple[Objective, Tensor]:  # type: ignore[no-untyped-def]
    network = tiny_network(config=config).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    rgb = torch.from_numpy(smooth_picture(16 * ROWS, 16 * COLUMNS))[None].float() / 255
    q_index = torch.tensor([350])
    y = network.analysis(rgb, network.q_scale.of_analysis(q_index))
    z = torch.round(network.hyper_analysis(y, network.gains.state(q_index).embedding[:, 0]))
    found = Objective(network, rgb, network.hyper_synthesis(z, network.gains.state(q_index).embedding[:, 0]), q_index)
    return found, y * found.gain


@pytest.mark.parametrize("config", [CONFIG, S2LIC], ids=["mlicv2", "s2lic"])
def test_flips_lower_the_cost_where_symbols_are_free_and_nowhere_else(config) -> None:  # type: ignore[no-untyped-def]
    search, y = objective(config)
    free = torch.zeros(1, ROWS, COLUMNS, 1)
    free[:, :, :6] = 1
    found = flip(search, y, free, first=1, steps=8)
    assert float(search.cost(found)) < float(search.cost(y))
    moved = found != y
    assert moved.any() and not moved[:, :, 6:].any() and not moved[..., : CONFIG.slices.channels[0]].any()
    assert torch.equal(flip(search, y, free, first=1, steps=8), found)


def test_a_latent_in_the_middle_has_the_same_symbols_and_cost() -> None:
    search, y = objective()
    middle = search.centred(y)
    assert float(search.cost(middle)) == pytest.approx(float(search.cost(y)), rel=1e-6)
    _, _, coder = search.changes(middle, ())
    means, _, symbols, _ = coder.coded()
    assert (middle - means - symbols).abs().max() < 1e-4


def test_cells_add_up_and_a_later_start_leaves_out_only_the_bits_before() -> None:
    search, y = objective()
    whole = search.changes(y, ())[0]
    assert float(whole.sum()) == pytest.approx(float(search.cost(y)), rel=1e-5)
    first, rest = CONFIG.slices.channels[0], search.decoded(y)[:1]
    later, _, coder = search.changes(y, rest)
    likelihoods = search.changes(y, ())[2].likelihoods().detach()
    bits = -torch.log2(likelihoods[:, : first * ROWS * COLUMNS]).sum() / search.pixels
    assert float(whole.sum() - later.sum()) == pytest.approx(float(bits), rel=1e-4)
    assert coder.coded().symbols.shape[-1] == CONFIG.slices.latent - first


def test_the_slope_is_that_of_the_squared_error_where_nothing_is_coded_after_it() -> None:
    search, y = objective()
    *before, last = CONFIG.slices.channels
    known = search.decoded(y)[: len(before)]
    _, slope, _ = search.changes(y, known)
    y_hat = torch.cat(search.decoded(y), -1)
    picture = search.network.synthesis(y_hat, search._scales)
    direction = torch.zeros_like(y_hat)
    place = (0, 2, 4, sum(before) + last // 2)  # an even cell: among the others, coded last
    direction[place] = search.inverse_gain.flatten()[place[-1]]
    _, moved = torch.func.jvp(lambda v: search.network.synthesis(v, search._scales), (y_hat,), (direction,))
    inside = (picture > 0) & (picture < 1)
    expected = 2 * search._weight * float(((picture.clamp(0, 1) - search.rgb) * moved * inside).mean())
    # the residual prediction reads the symbol, too
    assert float(slope[place]) == pytest.approx(expected, rel=0.3) and expected != 0


def test_curvature_is_the_diagonal_of_the_gauss_newton_matrix() -> None:
    search, y = objective()
    y_hat = torch.cat(search.decoded(y), -1)
    generator = torch.Generator().manual_seed(0)
    found = torch.stack([search.curvature(y_hat, generator) for _ in range(30)]).mean(0).flatten()
    for channel in (0, 7):
        cells = []
        for row, column in ((2, 2), (3, 6), (5, 9), (4, 3), (2, 8)):
            direction = torch.zeros_like(y_hat)
            direction[0, row, column, channel] = search.inverse_gain.flatten()[channel]
            _, moved = torch.func.jvp(lambda v: search.network.synthesis(v, search._scales), (y_hat,), (direction,))
            cells.append(2 * search._weight * float(moved.square().mean()))
        assert float(found[channel]) == pytest.approx(np.mean(cells), rel=0.35)  # cells at the border see less


def test_the_best_change_is_the_best_of_one_up_and_one_down() -> None:
    rng = np.random.default_rng(0)
    symbols, scales = rng.integers(-2, 3, 200).astype(float), np.exp(rng.uniform(-0.3, 1.5, 200))
    slope, bend, pixels = rng.normal(0, 3e-4, 200), np.full(200, 2e-4), 4096

    def bits(value: np.ndarray) -> np.ndarray:
        return -np.log2(norm.cdf(value + 0.5, 0, scales) - norm.cdf(value - 0.5, 0, scales)) / pixels

    losses = {s: s * slope + bend / 2 + bits(symbols + s) - bits(symbols) for s in (1, -1)}
    choose = np.where(losses[1] < losses[-1], 1, -1)
    coded = np.ones(200, bool)
    coded[::3] = False
    tensors = (torch.tensor(v, dtype=torch.float64) for v in (np.full(200, 0.25), np.log(scales), symbols))
    gain, to = _best_change(torch.tensor(slope), torch.tensor(bend), Coded(*tensors, torch.tensor(coded)), pixels)
    assert np.allclose(gain, -np.minimum(losses[1], losses[-1]) * coded, atol=1e-6)
    assert np.allclose(to, 0.25 + symbols + choose)


def test_multiplications_of_a_search_can_be_counted() -> None:
    """As the bench does; torch's counter refuses gradients by what goes into a module itself."""
    search, y = objective()
    with FlopCounterMode(display=False) as counter:
        flip(search, y, torch.ones(1, ROWS, COLUMNS, 1), first=2, steps=1)
    assert counter.get_total_flops() > 0

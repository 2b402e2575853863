"""Training-time likelihoods against CompressAI's and against scipy.

`data/compressai_likelihoods.json` holds what CompressAI 1.2.8 computed: `EntropyBottleneck(3)._likelihood` with its
parameters drawn at random, and `GaussianConditional._likelihood`. Where CompressAI itself can be imported
(it needs a torchvision that fits torch), its module is asked directly, too.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from bitfloor.entropy_models.latent.factorized import LIKELIHOOD_FLOOR, FactorizedPrior
from bitfloor.entropy_models.latent.gaussian import (
    LOG_SCALE_HIGH,
    LOG_SCALE_LOW,
    SCALE_COUNT,
    bounded_scales,
    coded_scales,
    gaussian_likelihood,
    scale_index,
)

STORED = json.loads((Path(__file__).parent / "data" / "compressai_likelihoods.json").read_text())


def stored_prior() -> FactorizedPrior:
    prior = FactorizedPrior(3)
    prior.load_state_dict({k: torch.tensor(v) for k, v in STORED["parameters"].items()})
    return prior


@torch.no_grad()
def test_factorized_likelihoods_are_those_of_compressai() -> None:
    ours = stored_prior().likelihood(torch.tensor(STORED["z"]))
    expected = torch.tensor(STORED["likelihood"]).clamp_min(LIKELIHOOD_FLOOR)
    assert torch.allclose(ours, expected, rtol=2e-4, atol=1e-7)


@torch.no_grad()
def test_factorized_likelihoods_beside_a_living_compressai() -> None:
    try:
        from compressai.entropy_models import EntropyBottleneck
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"CompressAI cannot be imported: {error}")
    theirs = EntropyBottleneck(5)
    ours = FactorizedPrior(5)
    parameters = {k: v for k, v in theirs.state_dict().items() if k in ours.state_dict()}
    ours.load_state_dict(parameters)
    z = torch.linspace(-20, 20, 81).repeat(5, 1)
    expected = theirs._likelihood(z[:, None])[:, 0]
    assert torch.allclose(ours.likelihood(z), expected.clamp_min(LIKELIHOOD_FLOOR), rtol=2e-4, atol=1e-7)


@torch.no_grad()
def test_a_stretched_prior_sums_to_one_and_spreads() -> None:
    prior = stored_prior().double()
    z = torch.arange(-2000, 2001, dtype=torch.float64).repeat(3, 1)
    for scale in (0.2, 1.0, 5.0):
        likelihood = prior.likelihood(z, torch.tensor(scale), floor=0.0)
        assert torch.allclose(likelihood.sum(1), torch.ones(3, dtype=torch.float64), atol=1e-6)
    narrow, wide = (prior.likelihood(z, torch.tensor(s), floor=0.0) for s in (0.5, 2.0))
    spread = [((z - (p * z).sum(1, True)) ** 2 * p).sum(1) for p in (narrow, wide)]
    assert bool((spread[1] > spread[0]).all())


def test_gaussian_likelihoods_are_those_of_compressai_and_scipy() -> None:
    y, scales, means = (np.array(STORED[k]) for k in ("y", "scales", "means"))
    ours = gaussian_likelihood(torch.tensor(y - means), torch.tensor(scales)).numpy()
    exact = stats.norm.cdf((y - means + 0.5) / scales) - stats.norm.cdf((y - means - 0.5) / scales)
    assert np.allclose(ours, np.maximum(exact, LIKELIHOOD_FLOOR), rtol=1e-6, atol=1e-12)
    assert np.allclose(ours, STORED["gaussian"], rtol=1e-4, atol=1e-7)


def test_scale_index_is_the_nearest_in_ratio() -> None:
    scales = np.array(coded_scales())
    assert len(scales) == SCALE_COUNT
    assert scales[0] == pytest.approx(0.11, rel=1e-3)
    assert scales[-1] == pytest.approx(128, rel=1e-3)
    log_scales = torch.linspace(-4, 7, 20_001, dtype=torch.float64)
    index = scale_index(log_scales).numpy()
    distance = np.abs(log_scales.numpy()[:, None] - np.log(scales)[None])
    assert np.all(distance[np.arange(len(index)), index] <= distance.min(1) + 1e-9)


def test_gradient_leads_back_into_the_coded_range() -> None:
    raw = torch.tensor([LOG_SCALE_LOW - 1, 0.0, LOG_SCALE_HIGH + 1], requires_grad=True)
    scales = bounded_scales(raw)
    assert scales.tolist() == pytest.approx([coded_scales()[0], 1.0, coded_scales()[-1]])
    scales.sum().backward()  # asks for smaller scales: only what is too small already stays
    assert raw.grad is not None
    assert (raw.grad != 0).tolist() == [False, True, True]
    raw.grad = None
    (-bounded_scales(raw)).sum().backward()
    assert (raw.grad != 0).tolist() == [True, True, False]

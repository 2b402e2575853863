"""The four symbol coders: what they share, what is skipped, and what annealing is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bitfloor.entropy_models.coding.range_coder import RangeDecoder, RangeEncoder
from bitfloor.entropy_models.coding.tables import gaussian_tables
from bitfloor.entropy_models.latent.checkerboard import ANCHOR, pack
from bitfloor.entropy_models.latent.gaussian import coded_scales
from bitfloor.entropy_models.latent.rounding import annealed
from bitfloor.entropy_models.latent.symbol_coders import (
    AnnealingCoder,
    DecodingCoder,
    EncodingCoder,
    Pass,
    TrainingCoder,
)

CHANNELS = (3, 5)
PLACE = Pass(1, ANCHOR)


@pytest.fixture
def pass_data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A latent, and means, log scales and a mask for the anchors of its second slice."""
    torch.manual_seed(0)
    latent = torch.randn(1, 4, 6, 8, dtype=torch.float64) * 3
    shape = (1, 2, 2, 3, 5)
    return latent, torch.randn(shape).double(), torch.rand(shape).double(), torch.rand(shape) < 0.4


def test_all_coders_take_the_same_symbols_and_skip_the_same(pass_data) -> None:  # type: ignore[no-untyped-def]
    latent, means, log_scales, coded = pass_data
    tables = gaussian_tables(coded_scales())
    rounded = torch.round(pack(latent[..., 3:], ANCHOR) - means)
    sizes = []
    for mask in (None, coded):
        expected = rounded if mask is None else torch.where(mask, rounded, 0.0)
        encoder = RangeEncoder()
        writing = EncodingCoder(latent, CHANNELS, encoder, tables)
        assert torch.equal(writing.code(PLACE, means, log_scales, mask), expected)
        reading = DecodingCoder(RangeDecoder(encoder.finish()), tables)
        assert torch.equal(reading.code(PLACE, means, log_scales, mask), expected)
        assert np.array_equal(writing.symbols[0], reading.symbols[0])
        estimating = TrainingCoder(latent, CHANNELS, training=False)
        assert torch.equal(estimating.code(PLACE, means, log_scales, mask), expected)
        bits = -torch.log2(estimating.likelihoods())
        if mask is not None:
            assert torch.equal(bits == 0, ~mask.flatten(1))
        sizes.append(len(encoder.finish()))
    assert sizes[1] < sizes[0]


def test_the_gradient_of_training_passes_through_rounding(pass_data) -> None:  # type: ignore[no-untyped-def]
    latent, means, log_scales, coded = pass_data
    latent = latent.clone().requires_grad_()
    TrainingCoder(latent, CHANNELS, training=True).code(PLACE, means, log_scales, coded).sum().backward()
    assert torch.equal(pack(latent.grad[..., 3:], ANCHOR), coded.double())
    assert not latent.grad[..., :3].any()


def test_annealing_chooses_between_two_integers_by_their_distance() -> None:
    """Cold, a sample is one of them with the odds exp(-atanh(d) / T) of either distance, as in the paper."""
    torch.manual_seed(0)
    temperature, value = 0.5, 2.3
    samples = annealed(torch.full((200_000,), value), temperature)
    assert samples.min() >= 2 and samples.max() <= 3
    low, high = (math.exp(-math.atanh(d) / temperature) for d in (0.3, 0.7))
    assert (samples > 2.5).float().mean().item() == pytest.approx(high / (low + high), abs=0.005)
    cold = annealed(torch.tensor([2.3, -1.2, 5.0, 0.9]), 0.01)
    assert torch.allclose(cold, torch.tensor([2.0, -1.0, 5.0, 1.0]), atol=1e-3)


def test_annealing_has_a_gradient_and_counts_what_it_gives(pass_data) -> None:  # type: ignore[no-untyped-def]
    latent, means, log_scales, _ = pass_data
    latent = latent.clone().requires_grad_()
    coder = AnnealingCoder(latent, CHANNELS, temperature=0.3)
    symbols = coder.code(PLACE, means, log_scales)
    assert (symbols - (pack(latent[..., 3:], ANCHOR) - means)).abs().max() <= 1
    (-torch.log2(coder.likelihoods()).sum()).backward()
    assert torch.isfinite(latent.grad).all() and pack(latent.grad[..., 3:], ANCHOR).abs().min() > 0

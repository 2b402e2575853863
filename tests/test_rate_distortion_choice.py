"""Codes chosen by distance and bits: against the definition, frame by frame, and against the nearest codes."""

import itertools

import numpy as np
import pytest
import torch

from bitfloor.codecs.secodec.rate_distortion import choose_batch, choose_codes, costs, search
from bitfloor.codecs.secodec.residual_vq import Extraction, ResidualQuantiser
from bitfloor.entropy_models.exact.layers import freeze
from bitfloor.entropy_models.tokens.token_coding import BLOCK_STEPS, encode_tokens
from bitfloor.entropy_models.tokens.token_model import TokenModel, TokenModelConfig, delay

DIM, LAYERS, FRAMES = 6, 3, 2 * BLOCK_STEPS + 9


@pytest.fixture(scope="module")
def latents():
    torch.manual_seed(3)
    return torch.randn(1000, DIM).cumsum(0).sin() + 0.3 * torch.randn(1000, DIM)


@pytest.fixture(scope="module")
def quantiser(latents):
    made = ResidualQuantiser(DIM, LAYERS, capacity=40, structural_layers=0)
    made.extract(latents, [Extraction(codes) for codes in (40, 33, 20)])
    return made.eval()


@pytest.fixture(scope="module")
def model(quantiser):
    torch.manual_seed(0)
    made = TokenModel(TokenModelConfig(LAYERS, 40, 8, 16, (1, 2)), quantiser.sizes)
    torch.nn.init.normal_(made.prior, std=1.5)
    torch.nn.init.normal_(made.heads.weight, std=0.3)
    return made


def nearest_codes(quantiser, latents):
    return quantiser(latents[None], torch.tensor([LAYERS])).codes[0]


def bits_by_definition(model, quantiser, codes):
    """(T, L, K) with the codes (T, L) as the past, all steps at once, infinite for codes that do not exist."""
    context, _ = model.context(model.before(delay(codes[None])), torch.tensor([LAYERS]), model.start(1))
    log2 = model.log2_frequencies(context, LAYERS)[0].detach().double().numpy()
    bits = np.full((len(codes), LAYERS, 40), np.inf)
    for layer, size in enumerate(quantiser.sizes):
        rows = log2[layer : layer + len(codes), layer, :size]
        bits[:, layer, :size] = np.log2((2.0**rows).sum(1, keepdims=True)) - rows
    return bits


def codebooks_of(quantiser):
    return [layer.centroids[: layer.size] for layer in quantiser.layers]


def test_what_codes_cost_does_not_hang_on_the_blocks(quantiser, model, latents):
    codes = nearest_codes(quantiser, latents[:FRAMES])
    expected = bits_by_definition(model, quantiser, codes)
    found = torch.cat([block[0].detach() for block in costs(model, codes[None])]).numpy()
    exists = np.isfinite(expected)
    np.testing.assert_allclose(found[exists], expected[exists], atol=1e-3)
    assert (found[~exists] > 50).all()


def test_each_code_is_the_cheapest_by_definition(quantiser, model, latents):
    part = latents[:20]
    nearest = nearest_codes(quantiser, part)
    chosen = choose_codes(model, quantiser, part, nearest, width=1)
    bits = bits_by_definition(model, quantiser, nearest)
    residual = part.double().numpy().copy()
    for layer, size in enumerate(quantiser.sizes):
        centroids = quantiser.layers[layer].centroids[:size].double().numpy()
        price = 2 * np.log(2) * quantiser.errors()[layer] / DIM
        spent = np.zeros(20)
        for before in range(layer):
            spent += bits[np.arange(20), before, chosen[:, before]]
        for frame in range(20):
            cost = ((residual[frame] - centroids) ** 2).sum(1) + price * (spent[frame] + bits[frame, layer, :size])
            assert cost[chosen[frame, layer]] == pytest.approx(cost.min(), rel=1e-5)
            residual[frame] -= centroids[chosen[frame, layer]]


def test_sounds_of_a_batch_get_the_codes_that_they_get_alone(quantiser, model, latents):
    lengths = (90, 20, 1, 131)
    parts = [latents[100 * number :][:length] for number, length in enumerate(lengths)]
    nearest = [nearest_codes(quantiser, part) for part in parts]
    stacked = torch.nn.utils.rnn.pad_sequence(nearest, batch_first=True, padding_value=-1)
    found = choose_batch(model, quantiser, torch.nn.utils.rnn.pad_sequence(parts, batch_first=True), stacked)
    for codes, part, near in zip(found, parts, nearest, strict=True):
        np.testing.assert_array_equal(codes[: len(part)], choose_codes(model, quantiser, part, near))
        assert (codes[len(part) :] == -1).all()


def test_a_search_as_wide_as_all_rows_finds_the_best_of_all(quantiser, latents):
    books = [book[:size] for book, size in zip(codebooks_of(quantiser), (6, 5, 4), strict=True)]
    part = latents[:30]
    bits = 6 * torch.rand(30, LAYERS, 6, generator=torch.Generator().manual_seed(1))
    found = search(part, books, bits, [0.3, 0.2, 0.1], width=6 * 5 * 4)
    rows = list(itertools.product(range(6), range(5), range(4)))
    for frame in range(30):
        costs = [
            float((part[frame] - sum(books[n][c] for n, c in enumerate(row))).square().sum())
            + 0.1 * sum(float(bits[frame, n, c]) for n, c in enumerate(row))
            for row in rows
        ]
        assert costs[rows.index(tuple(found[frame].tolist()))] == pytest.approx(min(costs), abs=1e-4)


def test_rows_that_are_followed_come_nearer_than_the_nearest_codes(quantiser, latents):
    books, nothing = codebooks_of(quantiser), torch.zeros(len(latents), LAYERS, 40)
    errors = []
    for width in (1, 4, 16):
        codes = search(latents, books, nothing, [0.0] * LAYERS, width)
        errors.append(float((latents - quantiser.decode(codes[None])[0]).square().mean()))
    assert torch.equal(search(latents, books, nothing, [0.0] * LAYERS, 1), nearest_codes(quantiser, latents))
    assert errors[0] > 1.03 * errors[1] > 1.03 * errors[2]


def test_the_frozen_model_chooses_alike_and_saves_more_than_it_loses(quantiser, model, latents):
    part = latents[:FRAMES]
    nearest = nearest_codes(quantiser, part)
    trained = choose_codes(model, quantiser, part, nearest)
    frozen = TokenModel(model.config, quantiser.sizes)
    frozen.load_state_dict(model.state_dict())
    freeze(frozen.double())
    chosen = choose_codes(frozen, quantiser, part, nearest)
    assert (chosen == trained).mean() > 0.97  # weights on the grid
    plain = nearest if isinstance(nearest, np.ndarray) else nearest.numpy()
    alone = choose_codes(frozen, quantiser, part, nearest, 1)  # one row, as a choice without search
    assert (alone != plain).mean() > 0.05
    saved = 8 * (len(encode_tokens(frozen, plain)) - len(encode_tokens(frozen, alone)))
    lost = [(part - quantiser.decode(torch.from_numpy(c)[None])[0]).square().sum(1).mean() for c in (plain, alone)]
    # At the slope of the theory, bits for the same error: what the larger error would have saved by itself.
    assert saved > 1.2 * FRAMES * DIM / 2 * np.log2(float(lost[1] / lost[0])) > 0
    bits, worth = [], []
    for width in (1, 4):
        codes = choose_codes(frozen, quantiser, part, nearest, width)
        bits.append(8 * len(encode_tokens(frozen, codes)))
        error = (part - quantiser.decode(torch.from_numpy(codes)[None])[0]).square().sum(1).mean()
        worth.append(FRAMES * DIM / 2 * np.log2(float(error)))  # bits, at the slope of the theory
    bits.insert(0, 8 * len(encode_tokens(frozen, nearest.numpy())))
    error = (part - quantiser.decode(nearest[None])[0]).square().sum(1).mean()
    worth.insert(0, FRAMES * DIM / 2 * np.log2(float(error)))
    totals = np.array(bits) + worth
    assert bits[0] > bits[1] and totals[0] > totals[1] > totals[2]

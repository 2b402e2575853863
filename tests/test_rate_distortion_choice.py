"""Codes chosen by distance and bits: against the definition, frame by frame, and against the nearest codes."""

import numpy as np
import pytest
import torch

from bitfloor.codecs.secodec.rate_distortion import PricedChoice, choose_codes, choose_in_training
from bitfloor.codecs.secodec.residual_vq import Extraction, ResidualQuantiser
from bitfloor.entropy_models.exact.layers import freeze
from bitfloor.entropy_models.tokens.token_coding import BLOCK_STEPS, encode_tokens
from bitfloor.entropy_models.tokens.token_model import TokenModel, TokenModelConfig

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


def test_each_code_is_the_cheapest_by_definition(quantiser, model, latents):
    part = latents[:20]
    nearest = nearest_codes(quantiser, part)
    chosen = choose_in_training(model, quantiser, part, nearest)
    context, _ = model.context(model.before(steps_of(nearest)), torch.tensor([LAYERS]), model.start(1))
    log2 = model.log2_frequencies(context, LAYERS)[0].detach().double().numpy()
    residual = part.double().numpy().copy()
    for layer, size in enumerate(quantiser.sizes):
        centroids = quantiser.layers[layer].centroids[:size].double().numpy()
        price = 2 * np.log(2) * quantiser.errors()[layer] / DIM
        for frame in range(20):
            row = log2[frame + layer, layer, :size]
            bits = np.log2((2.0**row).sum()) - row
            cost = ((residual[frame] - centroids) ** 2).sum(1) + price * bits
            assert cost[chosen[frame, layer]] == pytest.approx(cost.min(), rel=1e-5)
            residual[frame] -= centroids[chosen[frame, layer]]


def steps_of(codes):
    steps = torch.full((1, len(codes) + LAYERS - 1, LAYERS), -1)
    for layer in range(LAYERS):
        steps[0, layer : layer + len(codes), layer] = codes[:, layer]
    return steps


def test_the_frozen_model_chooses_alike_and_saves_more_than_it_loses(quantiser, model, latents):
    part = latents[:FRAMES]
    nearest = nearest_codes(quantiser, part)
    trained = choose_in_training(model, quantiser, part, nearest).numpy()
    frozen = TokenModel(model.config, quantiser.sizes)
    frozen.load_state_dict(model.state_dict())
    freeze(frozen.double())
    chosen = choose_codes(frozen, quantiser, part, nearest)
    assert (chosen == trained).mean() > 0.97  # weights on the grid, and blocks
    assert (chosen != nearest.numpy()).mean() > 0.05
    bits = [8 * len(encode_tokens(frozen, codes)) for codes in (nearest.numpy(), chosen)]
    errors = [(part - quantiser.decode(c[None])[0]).square().sum(1).mean() for c in (nearest, torch.from_numpy(chosen))]
    # At the slope of the theory, bits for the same error: what the larger error would have saved by itself.
    worth = FRAMES * DIM / 2 * np.log2(float(errors[1] / errors[0]))
    assert bits[0] - bits[1] > 1.2 * worth > 0


def test_without_a_price_the_nearest_are_chosen(quantiser, latents):
    nearest = nearest_codes(quantiser, latents)
    choice = PricedChoice(quantiser, latents)
    choice.prices = [0.0] * LAYERS
    frames = torch.arange(len(latents))
    for layer, size in enumerate(quantiser.sizes):
        assert torch.equal(choice.choose(layer, frames, torch.rand(len(latents), size)), nearest[:, layer])

"""The token model: exact, causal, and the coder around it lossless at the cost that the model states."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitfloor.entropy_models.exact.frequencies import frequencies, halvings
from bitfloor.entropy_models.exact.layers import freeze
from bitfloor.entropy_models.tokens.token_coding import (
    BLOCK_STEPS,
    decode_tokens,
    encode_tokens,
    sample_tokens,
)
from bitfloor.entropy_models.tokens.token_model import TokenModel, TokenModelConfig, delay, undelay
from bitfloor.entropy_models.tokens.token_steps import StepByStep
from bitfloor.errors import CorruptStreamError, UsageError

CONFIG = TokenModelConfig(layers=3, codes=40, embedding=8, width=16, dilations=(1, 2))
SIZES = (40, 33, 2)


def random_model(seed=0):
    torch.manual_seed(seed)
    model = TokenModel(CONFIG, SIZES)
    for name, parameter in model.named_parameters():
        if name.endswith("out.weight") or name == "rate":
            torch.nn.init.normal_(parameter, std=0.3)
    torch.nn.init.normal_(model.prior, std=1.5)  # something to gain from
    return model


def random_codes(frames, layers=3, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, frames) for size in SIZES[:layers]], axis=1)


@pytest.fixture(scope="module")
def frozen():
    model = random_model().double()
    freeze(model)
    return model


def test_halvings_are_correctly_rounded():
    with localcontext() as context:
        context.prec = 40
        expected = [int((Decimal(2) ** (18 - Decimal(i) / 1024)).to_integral_value()) for i in range(1024)]
    assert halvings().tolist() == expected


@given(st.lists(st.integers(-(2**15), 2**15), min_size=2, max_size=30))
def test_frequencies_are_powers_of_two_rounded_down(units):
    row = frequencies(torch.tensor(units).double() / 1024)
    exact = 2.0 ** (18 + (np.array(units) - max(units)) / 1024)
    assert row.max() == 2**18
    assert (np.abs(row.numpy() - exact) <= 1.5).all()
    np.testing.assert_array_equal(row == 0, max(units) - np.array(units) > 18 * 1024)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("frames", [0, 1, 5, BLOCK_STEPS, BLOCK_STEPS + 1, 2 * BLOCK_STEPS + 7])
def test_tokens_come_back(frozen, frames, layers):
    codes = random_codes(frames, layers)
    np.testing.assert_array_equal(decode_tokens(frozen, frames, layers, encode_tokens(frozen, codes)), codes)


def test_the_stream_costs_what_training_minimises(frozen):
    # Tokens that the model itself draws, so that it has something to predict.
    codes = sample_tokens(frozen, random_codes(1), 400)
    stream = encode_tokens(frozen, codes)
    stated = random_model()(torch.from_numpy(codes)[None], torch.tensor([3])).sum().item()
    assert 8 * len(stream) == pytest.approx(stated, rel=0.005, abs=16)
    assert stated < 0.95 * 400 * np.log2(SIZES).sum()


def test_delay_puts_layer_l_l_steps_later():
    codes = torch.tensor([[[0, 10, 20], [1, 11, 21], [2, 12, 22]]])
    expected = [[0, -1, -1], [1, 10, -1], [2, 11, 20], [-1, 12, 21], [-1, -1, 22]]
    assert delay(codes)[0].tolist() == expected
    assert torch.equal(undelay(delay(codes)), codes)


def test_training_bits_by_definition():
    # Step by step, each token from softmax(2^log2) of the context that the steps before it made.
    model = random_model()
    codes = torch.from_numpy(random_codes(6))[None]
    bits = model(codes, torch.tensor([3]))[0].detach().numpy()
    past, previous = model.start(1), model.enter(torch.full((1, 1, 3), -1))
    for step in range(6 + 2):
        context, past = model.context(previous, torch.tensor([3]), past)
        log2 = model.log2_frequencies(context, 3)[0, 0].detach().numpy().astype(np.float64)
        probability = 2.0**log2 / (2.0**log2).sum(axis=1, keepdims=True)
        tokens = torch.full((1, 1, 3), -1)
        for layer in range(3):
            assert (probability[layer, SIZES[layer] :] < 1e-20).all()
            if 0 <= step - layer < 6:
                token = int(codes[0, step - layer, layer])
                cost = -np.log2(probability[layer, token])
                assert bits[step - layer, layer] == pytest.approx(cost, rel=1e-4, abs=1e-5)
                tokens[0, 0, layer] = token
        # Side by side, zeros where a layer has no token, through the entry's weights.
        parts = [model.embedding[i, t] * (t >= 0) for i, t in enumerate(tokens[0, 0])]
        previous = (model.entry.weight @ torch.cat(parts))[None, None]


def test_a_token_costs_what_earlier_steps_say_and_nothing_else():
    model = random_model()
    codes = torch.from_numpy(random_codes(12))[None]
    active = torch.tensor([3])
    before = model(codes, active)
    step = np.arange(12)[:, None] + np.arange(3)
    for frame, layer in ((4, 0), (4, 2), (11, 1)):
        changed = codes.clone()
        changed[0, frame, layer] = (changed[0, frame, layer] + 1) % SIZES[layer]
        differs = ((model(changed, active) - before).abs()[0] > 1e-6).numpy()
        assert differs[frame, layer]
        differs[frame, layer] = False
        assert not differs[step <= frame + layer].any()
        assert differs[step == frame + layer + 1].any()


def test_unused_layers_cost_nothing_and_say_nothing():
    model = random_model()
    codes = torch.from_numpy(random_codes(9))[None].repeat(2, 1, 1)
    codes[1, :, 1:] = -1
    bits = model(codes, torch.tensor([3, 1]))
    assert (bits[1, :, 1:] == 0).all() and (bits[0] > 0).all()
    torch.testing.assert_close(bits[1, :, :1], model(codes[1:, :, :1], torch.tensor([1]))[0])


def test_the_frozen_model_is_the_same_in_every_setting(frozen):
    codes = torch.from_numpy(random_codes(40))[None]

    def rows():
        context, _ = frozen.context(frozen.before(delay(codes)), torch.tensor([3]), frozen.start(1))
        return frequencies(frozen.log2_frequencies(context, 3))

    threads, reference = torch.get_num_threads(), rows()
    try:
        for count in (1, 2):
            for onednn in (True, False):
                torch.set_num_threads(count)
                with torch.backends.mkldnn.flags(enabled=onednn):
                    assert torch.equal(rows(), reference)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_step_by_step_gives_the_frequencies_of_the_whole(layers, scale):
    model = random_model(1).double()
    with torch.no_grad():
        model.blocks[0].mix.weight.mul_(scale)  # far into the limits of the grid
        model.heads.bias.mul_(scale)
    freeze(model)
    steps = delay(torch.from_numpy(random_codes(30, layers))[None])
    context, _ = model.context(model.before(steps), torch.tensor([layers]), model.start(1))
    whole = frequencies(model.log2_frequencies(context, layers))[0].numpy()
    stepper, before = StepByStep(model, layers), np.full(layers, -1)
    for tokens, rows in zip(steps[0].numpy(), whole, strict=True):
        np.testing.assert_array_equal(stepper.after(before), rows)
        before = tokens


def test_sampling_keeps_the_prompt_and_follows_the_seed(frozen):
    prompt = random_codes(5, 2)
    first, second, other = (sample_tokens(frozen, prompt, 30, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first[:5], prompt)
    np.testing.assert_array_equal(first, second)
    assert (first != other).any() and first.shape == (30, 2)
    assert (first < SIZES[:2]).all()
    # Nearly at zero temperature the likeliest token comes whatever the seed.
    np.testing.assert_array_equal(*(sample_tokens(frozen, prompt, 30, temperature=1e-4, seed=s) for s in (1, 2)))


def test_noise_decodes_to_an_error_or_to_tokens_that_exist(frozen):
    rng = np.random.default_rng(0)
    for _ in range(20):
        try:
            codes = decode_tokens(frozen, 20, 3, rng.bytes(40))
        except CorruptStreamError:
            continue
        assert (codes < SIZES).all()


def test_a_stream_is_not_read_far_past_its_end(frozen):
    stream = encode_tokens(frozen, random_codes(50))
    with pytest.raises(CorruptStreamError, match="ends before"):
        decode_tokens(frozen, 10**6, 3, stream)
    # What does end with the bytes is read to its end, whatever its tokens cost.
    likely = sample_tokens(frozen, random_codes(1), 300, temperature=0.05)
    np.testing.assert_array_equal(decode_tokens(frozen, 300, 3, encode_tokens(frozen, likely)), likely)


def test_requests_that_are_refused(frozen):
    with pytest.raises(UsageError, match="layers"):
        decode_tokens(frozen, 1, 4, b"")
    with pytest.raises(UsageError, match="below"):
        encode_tokens(frozen, np.array([[40, 0, 0]]))
    with pytest.raises(UsageError, match="below"):
        encode_tokens(frozen, np.array([[0, -1, 0]]))
    with pytest.raises(UsageError, match="temperature"):
        sample_tokens(frozen, random_codes(1), 2, temperature=0)
    with pytest.raises(UsageError, match="sizes"):
        TokenModel(CONFIG, (41, 1, 1))

"""The speech codec's transform, networks and residual quantiser: shapes, exactness, reach."""

import copy

import numpy as np
import pytest
import torch
from scipy.signal import get_window
from scipy.spatial.distance import cdist

from bitfloor.codecs.secodec.frames import FrameTransform, pad_to_frames
from bitfloor.codecs.secodec.model import PRESETS, SECodecNetwork
from bitfloor.codecs.secodec.networks import Trunk
from bitfloor.codecs.secodec.residual_vq import Extraction, ResidualQuantiser
from bitfloor.codecs.secodec.spectrum import log_mel, magnitude_spectrum, mel_filters
from bitfloor.entropy_models.structural import quantise
from bitfloor.errors import ModelError, UsageError

CONFIG = PRESETS["tiny"]
PLAN = [Extraction(k=8), Extraction(codes=12), Extraction(codes=32)]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = SECodecNetwork(CONFIG).eval()
    with torch.no_grad():
        latents = network.encode(torch.randn(4, 50 * CONFIG.hop)).flatten(0, 1)
    network.quantiser.extract(latents, PLAN)
    return network


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_the_transform_is_undone_exactly(frames):
    transform = FrameTransform(1024, 320)
    waveform = torch.randn(2, frames * 320)
    spectrum = transform.analyse(waveform)
    assert spectrum.shape == (2, frames, 513)
    torch.testing.assert_close(transform.synthesise(spectrum), waveform, atol=1e-5, rtol=1e-5)


def test_a_frame_is_the_fourier_transform_around_its_hop():
    transform = FrameTransform(64, 20)
    waveform = np.random.default_rng(0).standard_normal(100)
    spectrum = transform.analyse(torch.from_numpy(waveform)[None])[0, 2].numpy()
    expected = np.fft.rfft(waveform[40 - 22 : 40 + 42] * get_window("hann", 64))
    np.testing.assert_allclose(spectrum, expected, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 4000])
def test_the_length_is_kept(network, samples):
    waveform = torch.randn(2, samples)
    out = network(waveform)
    frames = -(-samples // CONFIG.hop)
    assert out.waveform.shape == waveform.shape
    assert out.quantised.codes.shape == (2, frames, CONFIG.layers)
    assert pad_to_frames(waveform, CONFIG.hop).shape[1] == frames * CONFIG.hop
    decoded = network.decode(out.quantised.codes, samples)
    torch.testing.assert_close(decoded, out.waveform)


def test_shipped_size_has_fifty_frames_a_second_and_few_weights():
    config = PRESETS["small"]
    assert config.frame_rate == 50
    network = SECodecNetwork(config)
    assert sum(p.numel() for p in network.parameters()) < 13e6


def test_a_trunk_sees_as_far_as_it_says():
    trunk = Trunk(3, 8, 2, 4).double().eval()
    x = torch.randn(1, 41, 3, dtype=torch.double, requires_grad=True)
    trunk(x)[0, 20].sum().backward()
    seen = x.grad[0].abs().sum(dim=1).nonzero().flatten()
    assert trunk.reach == 6
    assert (int(seen.min()), int(seen.max())) == (14, 26)


def test_silence_and_extremes_stay_finite(network):
    for waveform in (torch.zeros(1, 700), torch.full((1, 700), 1e4), torch.full((1, 700), 1e-30)):
        assert network(waveform).waveform.isfinite().all()


def test_gradients_reach_both_networks(network):
    waveform = torch.randn(2, 1600)
    out = network(waveform, torch.tensor([1, 3]))
    ((out.waveform - waveform).square().mean() + out.quantised.commitment).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert any(p.grad.abs().sum() > 0 for p in network.encoder.parameters())
    network.zero_grad()


def test_layers_quantise_what_is_left_over(network):
    latents = network.encode(torch.randn(1, 3200))
    out = network.quantiser(latents, torch.tensor([3]))
    residual = latents[0].detach().numpy().astype(np.float64)
    squared = 0.0
    for number, layer in enumerate(network.quantiser.layers):
        centroids = layer.centroids[: layer.size].numpy().astype(np.float64)
        expected = cdist(residual, centroids).argmin(axis=1)
        np.testing.assert_array_equal(out.codes[0, :, number], expected)
        residual = residual - centroids[expected]
        squared += np.square(residual).mean()
    np.testing.assert_allclose(out.latents[0].detach(), latents[0].detach().numpy() - residual, atol=1e-5)
    assert out.commitment.item() == pytest.approx(squared, rel=1e-4)
    torch.testing.assert_close(network.quantiser.decode(out.codes), out.latents.detach())


def test_quantiser_dropout_leaves_layers_out(network):
    latents = network.encode(torch.randn(2, 3200)).detach()
    both = network.quantiser(latents, torch.tensor([1, 3]))
    assert (both.codes[0, :, 1:] == -1).all() and (both.codes[0, :, 0] >= 0).all()
    assert (both.codes[1] >= 0).all()
    for item, layers in enumerate((1, 3)):
        alone = network.quantiser.decode(both.codes[item : item + 1, :, :layers])
        torch.testing.assert_close(both.latents[item : item + 1], alone)
    outs = [network.quantiser(latents, torch.tensor([n, n])) for n in (1, 2, 3)]
    errors = [(out.latents - latents).square().mean() for out in outs]
    assert errors[0] > errors[1] > errors[2]


def test_the_structural_rule_is_one_switch_away(network):
    waveform = torch.randn(1, 16_000)
    latents = network.encode(waveform).detach()
    out = network(waveform, rule="structural").quantised
    expected = quantise(network.quantiser.layers[0].codebook(), latents[0].numpy())
    np.testing.assert_array_equal(out.codes[0, :, 0], expected)


def test_codebooks_travel_with_the_weights(network):
    other = SECodecNetwork(CONFIG).eval()
    with pytest.raises(ModelError, match="not been extracted"):
        other.quantiser.layers[0].codebook()
    other.load_state_dict(network.state_dict())
    waveform = torch.randn(1, 1600)
    torch.testing.assert_close(other(waveform).waveform, network(waveform).waveform, atol=0, rtol=0)
    for ours, theirs in list(zip(network.quantiser.layers, other.quantiser.layers, strict=True))[:2]:
        for name, array in ours.codebook().to_arrays().items():
            np.testing.assert_array_equal(theirs.codebook().to_arrays()[name], array)


def test_requests_that_are_refused(network):
    with pytest.raises(ModelError, match="not been extracted"):
        SECodecNetwork(CONFIG)(torch.randn(1, 640))
    with pytest.raises(UsageError, match="outside"):
        network.quantiser.decode(torch.full((1, 2, 1), CONFIG.capacity))
    with pytest.raises(UsageError, match="outside"):
        network.quantiser.decode(torch.full((1, 2, 1), -1))
    with pytest.raises(UsageError, match="layers"):
        network.quantiser.decode(torch.zeros(1, 2, 4, dtype=torch.int64))
    with pytest.raises(UsageError, match="extractions"):
        network.quantiser.extract(torch.randn(200, CONFIG.dim), PLAN[:1])
    with pytest.raises(ModelError, match="stores no frames"):
        network.quantiser.layers[2].codebook()
    small = ResidualQuantiser(4, 1, capacity=5, n_nodes=50)
    with pytest.raises(ModelError, match="room for 5"):
        small.extract(torch.randn(50, 4), [Extraction(codes=6)])
    with pytest.raises(ModelError, match="do not fit"):
        small.extract(torch.randn(51, 4), [Extraction(codes=5)])


def test_centroids_follow_their_frames_in_training_only(network):
    layer = copy.deepcopy(network.quantiser.layers[2])
    before = layer.centroids.clone()
    share = layer.share.clone()
    frames = torch.randn(50, CONFIG.dim)
    codes = torch.tensor([3] * 40 + [7] * 10)
    layer.follow(frames, codes)
    # Exponential averages of counts and sums, written out.
    for code, part in ((3, frames[:40]), (7, frames[40:])):
        weight = 0.99 * share[code] + 0.01 * len(part) / 50
        total = 0.99 * share[code] * before[code] + 0.01 * part.sum(dim=0) / 50
        torch.testing.assert_close(layer.centroids[code], total / weight)
    untouched = [c for c in range(CONFIG.capacity) if c not in (3, 7)]
    assert torch.equal(layer.centroids[untouched], before[untouched])
    quantiser = copy.deepcopy(network.quantiser)
    latents = torch.randn(2, 9, CONFIG.dim)
    for training, moves in ((False, False), (True, True)):
        start = quantiser.layers[0].centroids.clone()
        quantiser.train(training)(latents, torch.tensor([3, 1]))
        assert (not torch.equal(quantiser.layers[0].centroids, start)) == moves


def test_mel_filters_by_definition():
    filters = mel_filters(513, 80).numpy()
    hertz = np.linspace(0, 8000, 513)
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 82) / 2595) - 1)
    to_mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    for band in (0, 40, 79):
        low, centre, high = to_mel(corners[band : band + 3])
        expected = np.interp(to_mel(hertz), [low, centre, high], [0, 1, 0])
        np.testing.assert_allclose(filters[band], expected, atol=1e-5)
    with pytest.raises(UsageError, match="too coarse"):
        mel_filters(33, 80)


def test_log_mel_of_a_tone_is_loudest_in_its_band():
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(16_000) / 16_000)[None]
    spectrum = log_mel(tone)
    assert spectrum.shape == (1, 80, 51)
    band = mel_filters(513, 80)[:, 64].argmax()  # 1000 Hz is bin 64
    assert (spectrum[0, :, 5:-5].argmax(dim=0) == band).all()
    assert magnitude_spectrum(tone[:, :10], 1024, 320).shape == (1, 513, 1)


def test_without_layers_an_item_passes_unquantised(network):
    latents = network.encode(torch.randn(2, 3200)).detach()
    out = network.quantiser(latents, torch.tensor([0, 2]))
    torch.testing.assert_close(out.latents[0], latents[0])
    assert (out.codes[0] == -1).all()
    torch.testing.assert_close(out.latents[1:], network.quantiser.decode(out.codes[1:, :, :2]))
    fresh = SECodecNetwork(CONFIG)
    assert fresh(torch.randn(1, 640), torch.tensor([0])).waveform.shape == (1, 640)

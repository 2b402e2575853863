"""The speech codec as a whole, with a tiny untrained network: files, lengths, chunks, damage."""

import dataclasses

import numpy as np
import pytest
import soundfile
import torch
from secodec_toy import CONFIG, toy_networks, write_toy

from bitfloor.codecs.container import pack, unpack
from bitfloor.codecs.media.sound import Sound
from bitfloor.codecs.media.sound.highpass import high_pass
from bitfloor.codecs.secodec.analysis import frame_count
from bitfloor.codecs.secodec.chunks import (
    decode_chunks,
    decoder_reach,
    encode_chunks,
    encoder_reach,
)
from bitfloor.codecs.secodec.codec import SECodecCodec
from bitfloor.codecs.secodec.frozen import FrozenSECodec, new_token_model, save_frozen
from bitfloor.codecs.secodec.level import active_level, factor, gain_of
from bitfloor.codecs.secodec.model import SECodecNetwork
from bitfloor.errors import CorruptStreamError, ModelError, UsageError
from bitfloor.tools.exactness import SETTINGS, disagreements, matrix


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "toy.safetensors"
    save_frozen(path, *toy_networks())
    return path


@pytest.fixture(scope="module")
def codec(path):
    return SECodecCodec.from_path(path)


def noise(samples, seed=0):
    return (0.3 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("samples", [1, 160, 5000])
def test_length_and_rate_come_back(codec, rate, samples):
    decoded, decoded_rate = codec.decode(codec.encode((noise(samples), rate)))
    assert decoded.shape == (samples,) and decoded.dtype == np.float32 and decoded_rate == rate
    assert np.isfinite(decoded).all()


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_the_file_holds_the_tokens(codec, quality):
    sound = Sound(noise(9000), 16_000)
    data = codec.encode(sound, quality=quality)
    layers = {1: 1, 50: 2, 100: 3}[quality]
    assert codec.layers_of(quality) == layers
    found = codec.analyse(sound, layers)
    assert found.codes.shape == (29, layers)
    np.testing.assert_array_equal(codec.decode_tokens(data), found.codes)
    np.testing.assert_array_equal(codec.tokens(sound, layers), found.codes)
    np.testing.assert_array_equal(codec.decode(data)[0], codec.synthesise(found.codes, found.gain).samples[:9000])


def test_the_file_is_what_the_network_makes(codec):
    samples = noise(3200)
    layers = torch.tensor([3])
    with torch.no_grad():
        filtered = np.concatenate(list(high_pass([samples], 16_000)))
        powers = np.square(filtered, dtype=np.float64).reshape(-1, 320).mean(axis=1)
        loudness = np.float32(factor(gain_of(active_level(powers))))
        whole = codec.network(torch.from_numpy(filtered / loudness)[None], layers)
    decoded, _ = codec.decode(codec.encode((samples, 16_000), quality=100, rule="nearest"))
    # What the network has lost of the level is added.
    made = np.float32(factor(codec.analyse((samples, 16_000), rule="nearest").gain)) * whole.waveform[0].numpy()
    np.testing.assert_allclose(decoded, np.concatenate(list(high_pass([made], 16_000))), atol=1e-5)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(4000, np.float32),
        np.full(4000, 0.7, np.float32),
        np.sign(noise(4000)).astype(np.float32),
        np.float32([1e4, -1e4] * 2000),
        np.stack([noise(4000), noise(4000, 1)], axis=1),
        (noise(4000) * 32767).clip(-32768, 32767).astype(np.int16),
        noise(4000).astype(np.float64),
    ],
    ids=["silence", "offset", "clipping", "far too loud", "stereo", "int16", "float64"],
)
def test_odd_sounds(codec, samples):
    decoded, _ = codec.decode(codec.encode((samples, 16_000)))
    assert decoded.shape == (4000,) and np.isfinite(decoded).all()


def test_the_structural_rule_is_one_switch_away(codec):
    sound = Sound(noise(16_000), 16_000)
    nearest, structural = (codec.encode(sound, quality=1, rule=r) for r in ("nearest", "structural"))
    np.testing.assert_array_equal(codec.decode_tokens(structural), codec.tokens(sound, 1, "structural"))
    assert nearest != structural
    with pytest.raises(UsageError, match="rule"):
        codec.encode(sound, rule="best")


@pytest.mark.parametrize("chunk", [1, 3, 17, 100])
def test_chunks_are_the_whole(codec, chunk):
    network = codec.network
    waveform = torch.from_numpy(noise(40 * CONFIG.hop))
    with torch.inference_mode():
        latents = network.encoder(waveform[None])[0]
        decoded = network.decoder(latents[None])[0]
    for part in (1, 7, 40):
        parts = waveform.view(-1, CONFIG.hop).split(part)
        found = torch.cat(list(encode_chunks(network, parts, chunk)))
        torch.testing.assert_close(found, latents, atol=1e-5, rtol=1e-4)
        found = torch.cat(list(decode_chunks(network, latents.split(part), chunk))).flatten()
        torch.testing.assert_close(found, decoded, atol=1e-5, rtol=1e-4)


def test_reach_is_what_a_frame_depends_on(codec):
    network, hop = SECodecNetwork(CONFIG), CONFIG.hop
    waveform = torch.randn(1, 21 * hop, requires_grad=True)
    network.encoder(waveform)[0, 10].sum().backward()
    touched = waveform.grad[0].nonzero().flatten() // hop
    assert 10 - int(touched.min()) <= encoder_reach(network) and int(touched.max()) - 10 <= encoder_reach(network)
    latents = torch.randn(1, 21, CONFIG.dim, requires_grad=True)
    network.decoder(latents)[0, 10 * hop : 11 * hop].sum().backward()
    frames = latents.grad[0].abs().sum(dim=1).nonzero().flatten()
    assert 10 - int(frames.min()) <= decoder_reach(network) and int(frames.max()) - 10 <= decoder_reach(network)


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.uint16, torch.int64, torch.int32, "list", "batch"])
def test_tokens_of_every_kind_are_spoken_alike(codec, kind):
    tokens = codec.tokens((noise(4000), 16_000))
    given = {"list": tokens.tolist(), "batch": tokens[None]}.get(kind) if isinstance(kind, str) else None
    if given is None:
        given = torch.from_numpy(tokens).to(kind) if isinstance(kind, torch.dtype) else tokens.astype(kind)
    np.testing.assert_array_equal(codec.synthesise(given).samples, codec.synthesise(tokens).samples)


@pytest.mark.parametrize(
    "tokens",
    [np.zeros((2, 3)), np.zeros((2, 3), bool), np.zeros(3, int), np.zeros((2, 2, 3), int), np.zeros((0, 3), int),
     np.zeros((2, 0), int), np.zeros((2, 4), int), [[0, 1], [0]], [["a"]], None, np.full((2, 3), 99),
     -np.ones((2, 3), int), torch.zeros(2, 3)],
)  # fmt: skip
def test_tokens_that_are_none_are_refused_in_one_line(codec, tokens):
    with pytest.raises(UsageError, match="tokens") as caught:
        codec.synthesise(tokens)
    assert "\n" not in str(caught.value)


class Blocks:
    """A sound in blocks of one length."""

    def __init__(self, samples, rate, size):
        self.samples, self.rate, self.size, self.length = samples, rate, size, samples.size

    def blocks(self):
        return (self.samples[start : start + self.size] for start in range(0, self.length, self.size))


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_file_does_not_depend_on_the_blocks(codec, rate):
    samples = noise(2 * rate + 17)
    whole = codec.encode((samples, rate))
    for size in (999, 5000, samples.size):
        assert codec.encode(Blocks(samples, rate, size)) == whole


def test_decoded_blocks_are_the_sound(codec):
    data = codec.encode((noise(600_000), 44_100))
    stream = codec.decode_stream(data)
    blocks = list(stream.blocks())
    assert len(blocks) > 1 and stream.length == 600_000 and stream.rate == 44_100
    np.testing.assert_array_equal(np.concatenate(blocks), codec.decode(data)[0])


def test_damage_is_noticed(codec):
    data = codec.encode((noise(6000), 16_000), quality=100)
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(data)
        broken[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        with pytest.raises(CorruptStreamError):
            codec.decode(bytes(broken))
    for length in range(0, len(data), 7):
        with pytest.raises(CorruptStreamError):
            codec.decode(data[:length])


@pytest.mark.parametrize(
    "fields",
    [
        (16_000, 0, 1, 0),
        (16_000, 2**32 - 1, 1, 0),
        (0, 9, 1, 0),
        (16_000, 9, 4, 0),
        (16_000, 9, 0, 0),
        (9,),
        (16_000, 9, 1),
        (16_000, 9, 1, 1000),
    ],
)
def test_headers_that_cannot_be(codec, fields):
    container = unpack(codec.encode((noise(900), 16_000)))
    header = dataclasses.replace(container.header, fields=fields)
    with pytest.raises(CorruptStreamError):
        codec.decode(pack(header, container.payload, container.latents_check))


def test_the_wrong_model_is_named(codec, tmp_path):
    other = SECodecCodec(save_frozen(tmp_path / "other.safetensors", *toy_networks(1)))
    assert other.frozen.fingerprint != codec.frozen.fingerprint
    with pytest.raises(ModelError, match=codec.frozen.fingerprint.hex()):
        other.decode(codec.encode((noise(900), 16_000)))


def test_models_are_the_same_after_loading(path, tmp_path):
    saved = save_frozen(tmp_path / "again.safetensors", *toy_networks())
    loaded = FrozenSECodec.load(path)
    assert saved.fingerprint == loaded.fingerprint
    sound = Sound(noise(8000), 16_000)
    assert SECodecCodec(saved).encode(sound) == SECodecCodec(loaded).encode(sound)


def test_models_that_are_refused(tmp_path, path):
    (tmp_path / "broken.safetensors").write_bytes(path.read_bytes()[:1000])
    for name in ("missing.safetensors", "broken.safetensors"):
        with pytest.raises(ModelError, match="cannot read"):
            FrozenSECodec.load(tmp_path / name)
    network, tokens = toy_networks()
    network.quantiser.layers[1].figures[0] = 11
    with pytest.raises(ModelError, match="codes"):
        save_frozen(tmp_path / "unlike.safetensors", network, tokens)
    with pytest.raises(ModelError, match="extracted"):
        new_token_model(SECodecNetwork(CONFIG))


def test_frame_count_is_exact():
    for rate in (8000, 11_025, 16_000, 44_100, 48_000):
        for length in (1, rate // 50, rate // 50 + 1, 12_345):
            frames = frame_count(length, rate, 320)
            assert frames * 320 * rate >= length * 16_000 > (frames - 1) * 320 * rate


@pytest.mark.slow
def test_tokens_are_the_same_in_every_setting(tmp_path, monkeypatch):
    """All settings of the exactness matrix, each in processes of its own: about two minutes."""
    models = tmp_path / "models"
    models.mkdir()
    write_toy(models)
    monkeypatch.setenv("BITFLOOR_MODELS", str(models))  # the model in the box goes before it, where there is one
    soundfile.write(tmp_path / "clip.wav", noise(24_000), 16_000)
    hashes = matrix([tmp_path / "clip.wav"], 100.0, SETTINGS, tmp_path)
    assert disagreements(hashes) == []
    assert all(len(row) == len(SETTINGS) for row in hashes.values())

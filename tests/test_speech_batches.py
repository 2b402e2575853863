"""Batches of sounds as tensors, and streams of tokens: against the same sounds one by one."""

import numpy as np
import pytest
import soundfile
import torch
from secodec_toy import toy_networks

from bitfloor.codecs.media.sound import Sound
from bitfloor.codecs.secodec import batch as batches
from bitfloor.codecs.secodec.analysis import RULES
from bitfloor.codecs.secodec.codec import SECodecCodec
from bitfloor.codecs.secodec.frozen import save_frozen
from bitfloor.errors import UsageError

LENGTHS = (5000, 1, 16_000, 320, 321, 9999, 640)


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "toy.safetensors"
    save_frozen(path, *toy_networks())
    return SECodecCodec.from_path(path)


def clips(lengths=LENGTHS):
    rng = np.random.default_rng(4)
    return [(10 ** rng.uniform(-3, 0) * 0.3 * rng.standard_normal(n)).astype(np.float32) for n in lengths]


def padded(parts):
    return torch.nn.utils.rnn.pad_sequence([torch.from_numpy(part) for part in parts], batch_first=True)


def test_the_words_of_encodec_and_moshi(codec):
    assert (codec.sample_rate, codec.frame_rate, codec.num_codebooks) == (16_000, 50.0, 3)
    assert codec.codebook_sizes == codec.network.quantiser.sizes and codec.hop == 320


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("layers", [None, 1, 2])
def test_a_batch_is_the_sounds_one_by_one(codec, rule, layers):
    parts = clips()
    batch = codec.encode_batch(padded(parts), LENGTHS, layers=layers, rule=rule)
    alone = [codec.analyse((part, 16_000), layers, rule) for part in parts]
    assert batch.tokens.shape == (len(parts), layers or 3, 50) and batch.tokens.dtype == torch.int64
    assert batch.mask.sum(1).tolist() == [len(one.codes) for one in alone]
    for tokens, mask, gain, one in zip(batch.tokens, batch.mask, batch.gain_db, alone, strict=True):
        np.testing.assert_array_equal(tokens[:, mask].T, one.codes)
        assert (tokens[:, ~mask] == -1).all() and gain == one.gain * 0.5
    assert batch.lengths.tolist() == list(LENGTHS)


@pytest.mark.parametrize("frames", [1, 60, 10**6])
def test_how_sounds_are_grouped_changes_nothing(codec, monkeypatch, frames):
    expected = codec.encode_batch(clips())
    heard = codec.decode_batch(expected)
    monkeypatch.setattr(batches, "GROUP_FRAMES", frames)
    found = codec.encode_batch(clips())
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    torch.testing.assert_close(codec.decode_batch(found), heard, atol=1e-5, rtol=1e-4)


def test_groups_hold_every_sound_once_and_little_padding():
    counts = np.random.default_rng(0).integers(1, 3000, 500).tolist()
    found = list(batches.groups(counts))
    assert sorted(number for group in found for number in group) == list(range(500))
    for group in found:
        longest = max(counts[number] for number in group)
        assert len(group) == 1 or (longest <= batches.LONGEST and longest * len(group) <= batches.GROUP_FRAMES)
    assert sum(len(g) * max(counts[n] for n in g) for g in found) < 1.05 * sum(counts)


def test_back_again(codec):
    parts = clips()
    batch = codec.encode_batch(parts)
    heard = codec.decode_batch(batch)
    assert heard.shape == (len(parts), 16_000) and heard.dtype == torch.float32
    for row, part in zip(heard, parts, strict=True):
        one = codec.analyse((part, 16_000))
        expected = codec.synthesise(one.codes, one.gain).samples[: len(part)]
        np.testing.assert_allclose(row[: len(part)], expected, atol=1e-5)
        assert not row[len(part) :].any()


def test_tokens_alone_end_where_the_mask_or_their_minus_ones_say(codec):
    batch = codec.encode_batch(clips())
    whole = codec.decode_batch(batch, lengths=batch.mask.sum(1) * 320)
    filled = batch.tokens.clamp(min=0)
    for tokens, mask in ((batch.tokens, None), (filled, batch.mask), (filled.numpy(), batch.mask.numpy()),
                         ([t[:, m] for t, m in zip(batch.tokens, batch.mask, strict=True)], None),
                         (batch.tokens.to(torch.int16), None), (batch.tokens.tolist(), None)):  # fmt: skip
        assert torch.equal(codec.decode_batch(tokens, mask, gain_db=batch.gain_db), whole)
    quiet = codec.decode_batch(batch.tokens, gain_db=-20)
    torch.testing.assert_close(10 * quiet, codec.decode_batch(batch.tokens), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_other_rates_are_resampled_and_channels_mixed(codec, rate):
    left, right = np.stack(clips((7000, 7000))), np.stack(clips((7000, 7000))[::-1])
    batch = codec.encode_batch(np.stack([left, right], axis=1), sample_rate=rate)
    for row, one, other in zip(batch.tokens, left, right, strict=True):
        np.testing.assert_array_equal(row.T, codec.tokens((np.stack([one, other]), rate)))
    assert batch.lengths.tolist() == [-(-7000 * 16_000 // rate)] * 2
    assert codec.decode_batch(batch).shape == (2, batch.lengths[0])


def test_all_that_holds_sounds(codec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part = np.round(clips((4000,))[0].clip(-0.9, 0.9) * 32768) / 32768
    soundfile.write("a.wav", part, 16_000)
    expected = codec.tokens((part, 16_000)).T
    same = [part, torch.from_numpy(part), part.tolist(), (part * 32768).astype(np.int16)]
    same.append(Sound(part.astype(np.float32), 16_000))
    for tokens in codec.encode_batch([*same, "a.wav", tmp_path / "a.wav"]).tokens:
        np.testing.assert_array_equal(tokens, expected)
    trained = torch.from_numpy(part).float()[None, None].requires_grad_()
    np.testing.assert_array_equal(codec.encode_batch(trained).tokens[0], expected)
    np.testing.assert_array_equal(codec.encode_batch(part[None]).tokens[0], expected)


def test_long_sounds_among_short_ones(codec, monkeypatch):
    monkeypatch.setattr(batches, "LONGEST", 20)
    parts = clips((900, 320 * 530, 6000, 320 * 25))
    batch = codec.encode_batch(parts, layers=1)
    for tokens, mask, part in zip(batch.tokens, batch.mask, parts, strict=True):
        np.testing.assert_array_equal(tokens[:, mask].T, codec.tokens((part, 16_000), 1))


def test_the_tensors_can_be_trained_with(codec):
    """Tensors of inference mode could not."""
    batch = codec.encode_batch(clips())
    table = torch.nn.Embedding(40, 4)
    table(batch.tokens.clamp_(min=0))[batch.mask[:, None].expand_as(batch.tokens)].sum().backward()
    assert table.weight.grad.abs().sum() > 0
    heard = codec.decode_batch(batch.tokens, batch.mask)
    (heard * torch.ones(1, requires_grad=True)).sum().backward()
    heard.requires_grad_()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda c: c.encode_batch([]), "waveforms are"),
        (lambda c: c.encode_batch(np.zeros(900)), r"shape \(900,\)"),
        (lambda c: c.encode_batch(np.zeros((2, 0))), r"shape \(2, 0\)"),
        (lambda c: c.encode_batch(None), "NoneType"),
        (lambda c: c.encode_batch("a.wav"), "list of them"),
        (lambda c: c.encode_batch([np.zeros(900), []]), "waveform 1: .*empty"),
        (lambda c: c.encode_batch([np.zeros(900), np.full(9, np.nan)]), "waveform 1: .*NaN"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), [900]), "lengths are 2"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), [900, 901]), "length 901 of sound 1"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), [0, 900]), "length 0 of sound 0"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), [0.5, 1.0]), "float64"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), sample_rate=0), "rate"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), layers=4), "1 to 3"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), layers=0), "1 to 3"),
        (lambda c: c.tokens((np.zeros(900), 16_000), 9), "1 to 3"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), rule="best"), "rule"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), device="meta"), "'meta' cannot be used"),
        (lambda c: c.encode_batch(np.zeros((2, 900)), device="gpu"), "'gpu' cannot be used"),
        (lambda c: c.decode_batch(torch.zeros(2, 3)), "sounds, layers, frames"),
        (lambda c: c.decode_batch(torch.zeros(1, 4, 5).long()), "at most 3"),
        (lambda c: c.decode_batch(torch.full((1, 3, 5), 99)), "below"),
        (lambda c: c.decode_batch(torch.tensor([[[0, 1], [0, -1]]])), "below"),
        (lambda c: c.decode_batch(torch.full((1, 3, 5), -1)), "at least one frame"),
        (lambda c: c.decode_batch(torch.tensor([[[0, -1, 0]]])), "no gap"),
        (lambda c: c.decode_batch(torch.zeros(1, 1, 3).long(), torch.ones(1, 3)), "booleans"),
        (lambda c: c.decode_batch([torch.zeros(1, 3).long(), torch.zeros(2, 3).long()]), "as many layers"),
        (lambda c: c.decode_batch(torch.zeros(2, 1, 3).long(), gain_db=[0, 1, 2]), "gain_db"),
        (lambda c: c.decode_batch(torch.zeros(1, 1, 3).long(), gain_db=float("nan")), "gain_db"),
        (lambda c: c.decode_batch(torch.zeros(1, 1, 3).long(), lengths=[961]), "length 961"),
        (lambda c: list(c.decode_frames([torch.zeros(1, 1, 1).long()])), "of a stream"),
        (lambda c: list(c.decode_frames([[0, 99, 0]])), "below"),
        (lambda c: c.decode_frames([], chunk=0), "chunk"),
    ],
)
def test_what_is_refused_in_one_sentence(codec, wrong, words):
    with pytest.raises(UsageError, match=words) as caught:
        wrong(codec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("chunk", "size"), [(1, 1), (7, 1), (25, 4), (500, 60)])
def test_a_stream_of_tokens_is_the_whole_sound(codec, chunk, size):
    batch = codec.encode_batch(clips((320 * 60,)))
    frames = batch.tokens[0]
    parts = [part[:, 0] if size == 1 else part for part in frames.split(size, dim=1)]
    heard = torch.cat(list(codec.decode_frames(parts, gain_db=float(batch.gain_db[0]), chunk=chunk)))
    torch.testing.assert_close(heard, codec.decode_batch(batch)[0], atol=1e-5, rtol=1e-4)


def test_a_stream_sounds_before_its_end_and_leaves_the_caller_alone(codec):
    arrived, seen = [], []

    def model():
        for frame in codec.encode_batch(clips((320 * 200,))).tokens[0].T:
            seen.append((torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_device().type))
            arrived.append(frame)
            yield frame

    with torch.device("meta"):
        blocks = codec.decode_frames(model(), chunk=10)
        assert not arrived
        first = next(blocks)
        # Two chunks for the high-pass, one in work, and what they depend on.
        assert 10 + codec.reach <= len(arrived) <= 30 + codec.reach + 1
        assert first.device.type == "cpu" and len(first) == 3200
        next(blocks)
    assert set(seen) == {(True, False, "meta")}
    with torch.no_grad():
        assert sum(len(block) for block in blocks) == 320 * 180
    assert seen[-1] == (False, False, "cpu")


def test_blocks_of_a_file_are_an_iterator(codec):
    data = codec.encode((clips((30_000,))[0], 44_100))
    np.testing.assert_array_equal(np.concatenate(list(codec.decode_stream(data))), codec.decode(data)[0])


def test_a_copy_for_another_device_has_all_of_it_there(codec):
    """What no `to` moves would meet tensors of the other device there."""
    placed = codec.frozen.on("meta")
    assert placed is codec.frozen.on(torch.device("meta")) and codec.frozen.on("cpu") is codec.frozen
    for model in (placed.network, placed.tokens):
        tensors = [*model.parameters(), *model.buffers()]
        kept = [vars(module) for module in model.modules()]
        assert {name for own in kept for name in own if torch.is_tensor(own[name])} <= {"weight_bits"}  # for freezing
        assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert {tensor.device.type for tensor in codec.network.parameters()} == {"cpu"}

"""Sounds in and out: channels, rates, lengths, and what is refused."""

import io

import numpy as np
import pytest
import soundfile
import torch

from bitfloor.codecs.media.sound import RATES, WRITABLE, Sound, as_sound, read_sound, write_sound
from bitfloor.errors import UnreadableInputError, UsageError


def file_bytes(samples, rate, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, **options)
    return buffer.getvalue()


def test_channels_are_averaged_and_integers_scaled():
    stereo = np.tile([[0.5, -0.5], [1.0, 0.5]], (20, 1))
    np.testing.assert_array_equal(as_sound((stereo, 8000)).samples, np.float32([0, 0.75] * 20))
    integers = np.array([-32768, 0, 16384], dtype=np.int16)
    np.testing.assert_array_equal(as_sound((integers, 8000)).samples, np.float32([-1, 0, 0.5]))
    sound = Sound(np.zeros(3, np.float32), 8000)
    assert as_sound(sound).rate == 8000


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 48_000])
def test_a_tone_survives_resampling_at_its_length(rate):
    time = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    there = Sound(tone, rate).at(16_000, 16_000)
    back = there.at(rate, rate)
    middle = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(back.samples[middle], tone[middle], atol=5e-3)
    assert there.samples.size == 16_000 and back.samples.size == rate


def test_length_is_cut_or_padded():
    sound = Sound(np.ones(5, np.float32), 16_000)
    np.testing.assert_array_equal(sound.at(16_000, 3).samples, [1, 1, 1])
    np.testing.assert_array_equal(sound.at(16_000, 7).samples, [1, 1, 1, 1, 1, 0, 0])


@pytest.mark.parametrize("options", [{"format": "WAV", "subtype": "FLOAT"}, {"format": "FLAC"}, {"format": "OGG"}])
def test_files_are_read(options):
    tone = 0.5 * np.sin(np.arange(4000) / 20)
    sound = read_sound(file_bytes(np.stack([tone, tone], axis=1), 32_000, **options))
    assert (sound.samples.shape, sound.rate) == ((4000,), 32_000)
    np.testing.assert_allclose(sound.samples[500:-500], tone[500:-500], atol=0.05)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_written_files_hold_the_samples_and_clip(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    write_sound(Sound(np.float32([0, 0.25, 3, -3]), 22_050), path)
    sound = read_sound(path.read_bytes())
    np.testing.assert_allclose(sound.samples, [0, 0.25, 1, -1], atol=1e-4)
    assert sound.rate == 22_050
    with pytest.raises(UsageError, match="there already"):
        write_sound(sound, path)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("suffix", WRITABLE)
def test_every_rate_can_be_written(tmp_path, rate, suffix):
    write_sound(Sound(np.zeros(3000, np.float32), rate), tmp_path / f"out{suffix}")
    assert read_sound((tmp_path / f"out{suffix}").read_bytes()).rate == rate


def test_suffixes_that_cannot_be_written(tmp_path):
    with pytest.raises(UsageError, match=r"not \.png"):
        write_sound(Sound(np.zeros(3, np.float32), 8000), tmp_path / "out.png")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((np.zeros(0), 8000), "empty"),
        ((np.array([0.0, np.nan]), 8000), "NaN"),
        ((np.array([0.0, np.inf]), 8000), "infinite"),
        ((np.zeros(3), 10), "Hz"),
        ((np.zeros(3), 8000.5), "Hz"),
        ((np.zeros((2, 2, 2)), 8000), "shape"),
        ((np.zeros(3, np.int64), 8000), "int16"),
        (np.zeros(3), "pair"),
    ],
)
def test_sounds_that_are_refused(source, message):
    with pytest.raises(UsageError, match=message):
        as_sound(source)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"no sound at all", file_bytes(np.zeros(9), 8000, format="FLAC")[:40]])
def test_files_that_are_refused(data):
    with pytest.raises(UnreadableInputError, match=r"clip\.wav"):
        read_sound(data, "clip.wav")


def test_a_file_with_nan_is_refused():
    data = file_bytes(np.array([0.0, np.nan]), 8000, format="WAV", subtype="FLOAT")
    with pytest.raises(UnreadableInputError, match="NaN"):
        read_sound(data)


def test_an_empty_file_of_sound_is_refused():
    with pytest.raises(UnreadableInputError, match="empty"):
        read_sound(file_bytes(np.zeros(0), 8000, format="WAV"))


NOISE = (0.2 * np.random.default_rng(0).standard_normal((4000, 2))).astype(np.float32)


@pytest.mark.parametrize(
    "samples",
    [
        NOISE[:, 0], NOISE[:, :1], NOISE[None, :, 0], NOISE[None, None, :, 0], NOISE[:, 0].astype(np.float64),
        torch.from_numpy(NOISE[:, 0]), torch.from_numpy(NOISE[:, 0])[None], torch.from_numpy(NOISE[:, 0])[None, None],
        torch.from_numpy(NOISE[:, 0]).requires_grad_(), NOISE[:, 0].tolist(), [NOISE[:, 0].tolist()],
        torch.from_numpy(np.ascontiguousarray(NOISE[::-1, 0])).flip(0),
    ],
)  # fmt: skip
def test_one_channel_in_every_layout_is_the_same_sound(samples):
    np.testing.assert_array_equal(as_sound((samples, 16_000)).samples, NOISE[:, 0])


@pytest.mark.parametrize(
    "samples", [NOISE, NOISE.T, NOISE[None], NOISE.T[None], torch.from_numpy(NOISE.T), NOISE.tolist()]
)
def test_two_channels_in_every_layout_are_the_same_sound(samples):
    np.testing.assert_array_equal(as_sound((samples, 16_000)).samples, NOISE.mean(axis=1))


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint8, np.float16, np.float64, torch.bfloat16, torch.float16])
def test_kinds_of_numbers_have_their_full_scale(kind):
    wanted = NOISE[:, 0].clip(-0.9, 0.9)
    if isinstance(kind, torch.dtype):
        given = torch.from_numpy(wanted).to(kind)
    elif kind is np.uint8:
        given = np.round(wanted * 128 + 128).astype(kind)
    else:
        scale = {np.int16: 2**15, np.int32: 2**31}.get(kind, 1)
        given = (wanted.astype(np.float64) * scale).astype(kind)
    np.testing.assert_allclose(as_sound((given, 16_000)).samples, wanted, atol=5e-3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((np.zeros((40, 50)), 8000), "which of the two are channels"),
        ((np.zeros((3, 4)), 8000), "which of the two are channels"),
        ((np.zeros((2, 3, 4000)), 8000), "shape"),
        ((np.zeros(()), 8000), "shape"),
        ((np.zeros(9, bool), 8000), "full scale"),
        ((np.zeros(9, complex), 8000), "full scale"),
        (([1, 2, 3], 8000), "full scale"),
        (([[1.0, 2.0], [3.0]], 8000), "no array"),
        ((["a", "b"], 8000), "full scale"),
        ((np.full(9, 40_000.0), 8000), "reach 40000"),
        ((np.zeros(9), "8000"), "Hz"),
        ((np.zeros(9), True), "Hz"),
        ((np.zeros(9), None), "Hz"),
        ((np.zeros(9), float("nan")), "Hz"),
        ((np.zeros(9), -8000), "Hz"),
        ((8000, np.zeros(9)), "Hz|rate"),
        ((8000, np.random.default_rng(0).random(5000)), "Hz|rate"),  # an array whose text has several lines
        ((torch.zeros(9).to_sparse(), 8000), "sparse"),
        ((torch.zeros(9, device="meta"), 8000), "meta"),
        ((np.ma.masked_less(np.zeros(9), 1), 8000), "masked"),
        (None, "pair"),
        (torch.zeros(9), "pair"),
    ],
)
def test_what_is_no_clear_sound_is_refused_in_one_line(source, message):
    with pytest.raises(UsageError, match=message) as caught:
        as_sound(source)
    assert "\n" not in str(caught.value)


def test_integers_in_floats_are_scaled_with_a_warning(caplog):
    np.testing.assert_allclose(as_sound((32767 * NOISE[:, 0], 16_000)).samples, NOISE[:, 0], rtol=1e-3)
    assert "taken as 16-bit values" in caplog.text
    caplog.clear()
    assert np.abs(as_sound((4 * NOISE[:, 0], 16_000)).samples).max() > 1 and not caplog.text  # loud, but floats


def test_whole_rates_of_any_kind_are_taken():
    for rate in (16_000, 16_000.0, np.int64(16_000), np.float32(16_000), torch.tensor(16_000)):
        assert as_sound((NOISE, rate)).rate == 16_000 and isinstance(as_sound((NOISE, rate)).rate, int)

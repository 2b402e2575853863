"""Loudness: speech of every level is coded alike, comes back as loud as it was, and silence stays silence."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bitfloor import weights
from bitfloor.codecs import api
from bitfloor.codecs.container import Header, pack, unpack
from bitfloor.codecs.media.sound import Sound, read_sound
from bitfloor.codecs.media.sound.highpass import high_pass
from bitfloor.codecs.secodec.level import (
    LEVELS,
    NOMINAL,
    STEP,
    active_level,
    factor,
    from_field,
    gain_of,
    missing,
    to_field,
    within,
)
from bitfloor.errors import CorruptStreamError
from bitfloor.tools.bench.sound_metrics import measure_sound

RATE = 16_000
LEVELS_TRIED = (-5, -15, -25, -35, -45, -55)  # dBFS
rng = np.random.default_rng(5)


@pytest.fixture(scope="module")
def codec():
    return api.load("secodec")


@pytest.fixture(scope="module")
def clip():
    return read_sound((Path(weights.__file__).parent / "demo.flac").read_bytes()).at(RATE).samples[: 3 * RATE]


def level(samples):
    frames = samples[: samples.size // 320 * 320].reshape(-1, 320)
    return active_level(np.square(frames, dtype=np.float64).mean(axis=1))


def at(samples, decibels):
    return samples * np.float32(10 ** ((decibels - level(samples)) / 20))


def test_speech_of_every_level_is_coded_alike_and_keeps_its_level(codec, clip):
    metrics = ("log_mel", *(name for name in ("pesq", "stoi") if find_spec({"stoi": "pystoi"}.get(name, name))))
    found = []
    for decibels in LEVELS_TRIED:
        sound = Sound(at(clip, decibels), RATE)
        decoded = Sound(*codec.decode(codec.encode(sound, quality=71)))
        assert level(decoded.samples) == pytest.approx(decibels, abs=0.5)
        # PESQ and STOI level what they compare, the log-mel distance has a floor.
        alike = np.float32(10 ** ((-25 - decibels) / 20))
        found.append(measure_sound(*(Sound(alike * s.samples, RATE) for s in (sound, decoded)), metrics))
    for name, most in (("log_mel", 0.2), ("pesq", 0.05), ("stoi", 0.01)):
        if name in metrics:
            figures = [figure[name] for figure in found]
            assert max(figures) - min(figures) <= most, (name, figures)


@pytest.mark.parametrize("quality", [1, 14, 43, 71, 100])
@pytest.mark.parametrize("decibels", [-10, -50])
def test_few_bits_are_as_loud_as_many(codec, clip, quality, decibels):
    sound = at(clip, decibels)
    decoded, _ = codec.decode(codec.encode((sound, RATE), quality=quality))
    assert level(decoded) == pytest.approx(decibels, abs=0.5)
    heard = np.concatenate(list(high_pass([sound], RATE)))
    assert 10 * np.log10(np.mean(decoded**2) / np.mean(heard**2)) == pytest.approx(0, abs=0.75)


def test_a_long_sound_is_as_loud_as_it_was(codec, clip):
    parts = [at(clip, -30), np.zeros(40 * RATE, np.float32)] * 3
    decoded, _ = codec.decode(codec.encode((np.concatenate(parts), RATE), quality=1))
    assert level(decoded) == pytest.approx(-30, abs=0.5)


def test_what_is_missing_of_a_level():
    powers = rng.uniform(0.5, 1, 300) ** 4
    for decibels in (-8, -0.2, 0, 0.4, 3, 11):
        assert missing(powers, powers * 10 ** (-decibels / 10)) == round(decibels / STEP)
    assert missing(powers, powers / 100) == missing(powers, 0 * powers) == missing(0 * powers, powers) == 0
    assert [within(gain) for gain in (-1000, 7, 1000)] == [gain_of(LEVELS[0]), 7, gain_of(LEVELS[1])]


def test_the_tokens_do_not_know_the_level(codec, clip):
    tokens = [codec.tokens(Sound(at(clip, decibels), RATE), 3) for decibels in LEVELS_TRIED]
    for other in tokens[1:]:
        assert (other == tokens[0]).mean() > 0.98


def test_silence_stays_silence(codec):
    decoded, _ = codec.decode(codec.encode((np.zeros(2 * RATE, np.float32), RATE)))
    assert np.abs(decoded).max() < 2**-16
    dither = rng.integers(-1, 2, 2 * RATE).astype(np.int16)
    decoded, _ = codec.decode(codec.encode((dither, RATE)))
    assert np.sqrt(np.mean(decoded**2)) < 2 / 32768


def frames(decibels, count=100):
    """Mean squares of frames about a level, as uneven as speech."""
    return 10 ** (decibels / 10) * rng.exponential(1, count)


def test_active_level_is_that_of_a_tone():
    assert active_level(np.full(50, 0.5 * 0.1**2)) == pytest.approx(-23.01, abs=0.01)
    assert active_level(np.zeros(50)) == active_level(np.zeros(0)) == LEVELS[0]
    assert active_level(np.full(3, 1e30)) == LEVELS[1]


def test_active_level_pays_no_heed_to_what_is_not_speech():
    speech = np.repeat(frames(-40, 60), 5)
    alone = active_level(speech)
    assert alone == pytest.approx(-40, abs=1.5)
    for pause in (np.zeros(10_000), frames(-70, 10_000), frames(-62, 500)):
        assert active_level(np.concatenate([speech, pause])) == alone
        assert active_level(np.concatenate([pause, speech])) == pytest.approx(alone, abs=0.2)
    clicked = speech.copy()
    clicked[[20, 120]] = 0.1  # 30 dB above
    assert active_level(clicked) == pytest.approx(alone, abs=0.3)


def test_active_level_of_two_speakers_lies_between_them():
    louder, softer = np.repeat(frames(-20, 60), 5), np.repeat(frames(-30, 60), 5)
    found = active_level(np.concatenate([louder, softer]))
    assert active_level(softer) + 3 < found < active_level(louder)


def test_gain_and_field_are_inverse():
    for decibels in np.arange(LEVELS[0], LEVELS[1] + 0.1, 0.5):
        gain = gain_of(decibels)
        assert from_field(to_field(gain)) == gain and to_field(gain) >= 0
        assert factor(gain) == pytest.approx(10 ** ((decibels - NOMINAL) / 20), rel=0.03)
    assert factor(round(20 / STEP)) == pytest.approx(10)
    assert to_field(gain_of(-45)) < 128 and to_field(gain_of(-5)) < 128  # one byte in the file
    with pytest.raises(CorruptStreamError, match="gain"):
        from_field(10_000)


def test_the_gain_stands_in_the_file(codec, clip):
    data = codec.encode(Sound(clip, RATE), quality=1)
    container = unpack(data)
    header = container.header
    louder = Header(header.codec_id, header.fingerprint, (*header.fields[:3], header.fields[3] + 2 * round(6 / STEP)))
    decoded, _ = codec.decode(data)
    six, _ = codec.decode(pack(louder, container.payload, container.latents_check))
    if header.fields[3] % 2 == 0:
        np.testing.assert_allclose(six, decoded * 10 ** (6 / 20), rtol=1e-4, atol=1e-6)
    else:
        np.testing.assert_allclose(six, decoded / 10 ** (6 / 20), rtol=1e-4, atol=1e-6)


def filtered(samples, rate=RATE, block=None):
    parts = [samples] if block is None else np.split(samples, range(block, samples.size, block))
    return np.concatenate(list(high_pass(parts, rate)))


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 192_000])
def test_the_high_pass_is_what_it_says(rate):
    count = 2 * rate
    assert np.abs(filtered(np.full(count, 0.7, np.float32), rate)).max() < 1e-6
    time = np.arange(count) / rate
    middle = slice(rate // 2, -rate // 2)
    for frequency, low, high in ((2, 0, 0.03), (20, 0.6, 0.8), (35, 0.97, 1.02), (300, 0.99, 1.01), (3000, 0.99, 1.01)):
        tone = np.sin(2 * np.pi * frequency * time)
        made = filtered(tone.astype(np.float32), rate)
        ratio = made[middle].astype(float) @ tone[middle] / (tone[middle] @ tone[middle])
        assert low <= ratio <= high, frequency  # with the sign: there is no delay and no phase


@pytest.mark.parametrize("count", [1, 2, 100, 16_000, 16_001, 40_000])
def test_the_high_pass_does_not_depend_on_blocks(count):
    samples = rng.standard_normal(count).astype(np.float32)
    whole = filtered(samples)
    assert whole.size == count
    for block in (1000, 7777, 16_000):
        np.testing.assert_array_equal(filtered(samples, block=block), whole)


def test_an_offset_changes_neither_tokens_nor_sound(codec, clip):
    plain = Sound(at(clip, -30), RATE)
    for offset in (0.03, -0.3):
        moved = codec.analyse(Sound(plain.samples + np.float32(offset), RATE), 4)
        alone = codec.analyse(plain, 4)
        assert moved.gain == alone.gain and (moved.codes == alone.codes).mean() > 0.98
    decoded, _ = codec.decode(codec.encode(Sound(plain.samples + np.float32(0.3), RATE)))
    assert abs(decoded.mean()) < 1e-4

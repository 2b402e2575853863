"""The speech training data: index, folders, held-out speakers, balance."""

import json

import numpy as np
import pytest
import soundfile
import torch

from bitfloor.codecs.secodec.level import NOMINAL
from bitfloor.errors import UnreadableInputError
from bitfloor.tools.training.augment import Augmentation
from bitfloor.tools.training.speech import (
    RandomClips,
    describe,
    find_speech,
    level_of,
    levelled,
    limited,
    load_waveform,
    split_speakers,
    to_float,
)

PLAIN = Augmentation(gain=0, noisy=0, banded=0)


@pytest.fixture
def collection(tmp_path):
    """Source "many": 60 speakers, 0.1 s each, constant 0.1; source "one": one speaker, 24 s, constant -0.5."""
    entries = []
    for speaker in range(60):
        entries.append({"file": f"many-{speaker}.flac", "source": "many", "speaker": f"m{speaker}"})
        soundfile.write(tmp_path / entries[-1]["file"], np.full(1600, 0.1), 16_000)
    entries.append({"file": "one.flac", "source": "one", "speaker": "alone"})
    soundfile.write(tmp_path / "one.flac", np.full(384_000, -0.5), 16_000)
    (tmp_path / "index.json").write_text(json.dumps(entries))
    return tmp_path


def test_index_and_folder_find_the_same_files(collection):
    indexed, listed = find_speech([collection / "index.json"]), find_speech([collection])
    assert [u.path for u in indexed] == [u.path for u in listed]
    assert describe(indexed) == {"many": 60, "one": 1}
    assert len({u.speaker for u in listed}) == 61


def test_held_out_speakers_are_in_no_training_clip(collection):
    utterances = find_speech([collection / "index.json"])
    training, held_out = split_speakers(utterances)
    assert len(training) + len(held_out) == 61
    assert 0 < len(held_out) < 15
    assert not {u.speaker for u in training} & {u.speaker for u in held_out}
    assert all(u.source == "many" for u in held_out)
    # The choice hangs on the name alone, not on what else is there.
    assert split_speakers(utterances[::2])[1] == [u for u in utterances[::2] if u in held_out]


@pytest.mark.parametrize(("balance", "share"), [(0.0, 1 / 2), (0.5, 1 / 3), (1.0, 1 / 5)])
def test_balance(collection, balance, share):
    # Durations 6 s and 24 s: shares 1:1, 1:2 and 1:4.
    clips = RandomClips(find_speech([collection / "index.json"]), balance=balance, one_voice=1, augmentation=PLAIN)
    assert clips.shares["many"] == pytest.approx(share)
    batch = clips.draw(np.random.default_rng(0), 2000, 8)
    assert batch.shape == (2000, 8)
    assert (batch[:, 0] > 0).float().mean().item() == pytest.approx(share, abs=0.05)


def test_one_voice_does_not_dominate(collection):
    clips = RandomClips(find_speech([collection / "index.json"]), balance=1)
    assert clips.shares == {"many": pytest.approx(0.85), "one": pytest.approx(0.15)}


def test_shares_above_a_limit_are_cut_and_the_rest_keeps_its_proportions():
    shares = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    lone = np.array([True, False, False, True, False])
    found = limited(shares, lone, 0.15)  # cutting the first lifts the fourth above 0.14, the rest in proportion
    assert found.sum() == pytest.approx(1) and found[0] == pytest.approx(0.15) and found[3] <= 0.15
    np.testing.assert_allclose(found[[1, 2, 4]] / found[1], [1, 0.5, 1 / 6])
    np.testing.assert_array_equal(limited(shares, np.ones(5, dtype=bool), 0.01), shares)


def test_clips_are_at_one_level(collection):
    clips = RandomClips(find_speech([collection / "index.json"]), augmentation=PLAIN)
    batch = clips.draw(np.random.default_rng(0), 100, 800)
    np.testing.assert_allclose(batch.abs(), 10 ** (NOMINAL / 20), rtol=2e-3)


def test_utterances_come_to_the_level_of_their_speech():
    rng = np.random.default_rng(0)
    speech, pause = 0.1 * rng.standard_normal(16_000), 1e-4 * rng.standard_normal(64_000)
    assert level_of(np.concatenate([speech, pause])) == pytest.approx(-20, abs=0.2)
    samples = np.round(32768 * np.concatenate([pause, speech / 20])).astype(np.int16)
    assert level_of(levelled(samples)) == pytest.approx(NOMINAL, abs=0.01)
    assert np.isfinite(levelled(np.zeros(5, dtype=np.int16))).all()


def test_noise_and_bands_are_what_they_claim():
    rng = np.random.default_rng(0)
    clips = torch.from_numpy((0.1 * rng.standard_normal((4, 16_000))).astype(np.float32))
    there = torch.ones_like(clips, dtype=torch.bool)
    there[3, 8000:] = False  # a clip of half a second
    clips *= there

    def changed(*settings):
        return Augmentation(*settings).apply(rng, clips, there).numpy()

    noise = changed(0, 1, (20, 20), 0) - clips.numpy()
    for sound, added, length in zip(clips.numpy(), noise, (16_000, 16_000, 16_000, 8000), strict=True):
        ratio = np.mean(sound[:length] ** 2) / np.mean(added[:length] ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(20, abs=0.1 if length == 16_000 else 1.5)
        assert not added[length:].any()
    for _ in range(10):
        spectra = np.abs(np.fft.rfft(changed(0, 0, (20, 20), 1)[:3])) / np.abs(np.fft.rfft(clips.numpy()[:3]))
        for spectrum in spectra:
            assert min(spectrum[10:30].mean(), spectrum[7900:].mean()) < 0.7
            np.testing.assert_allclose(spectrum[600:2000], 1, atol=0.02)
    gains = np.concatenate([changed(3, 0, (20, 20), 0)[:, 0] / clips[:, 0].numpy() for _ in range(500)])
    assert 20 * np.std(np.log10(gains)) == pytest.approx(3, rel=0.1)
    assert len(np.unique(gains.round(6))) > 1900


def test_short_utterances_end_in_silence(collection):
    clips = RandomClips(find_speech([collection / "index.json"]), augmentation=PLAIN)
    short = next(c for c in clips.draw(np.random.default_rng(1), 50, 2000) if c[0] > 0)
    np.testing.assert_allclose(short[:1600], 10 ** (NOMINAL / 20), rtol=2e-3)
    assert (short[1600:] == 0).all()


def test_waveforms_are_mono_at_16_khz(tmp_path):
    time = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "stereo.wav", np.stack([tone, 0 * tone], axis=1), 48_000, subtype="FLOAT")
    samples = load_waveform(tmp_path / "stereo.wav")
    assert samples.dtype == np.int16 and samples.shape == (16_000,)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(to_float(samples)[200:-200], expected[200:-200], atol=2e-3)


def test_samples_of_16_bit_files_are_kept_exactly(tmp_path):
    samples = np.array([-32768, -32767, -1, 0, 1, 12_345, 32_767], dtype=np.int16)
    soundfile.write(tmp_path / "exact.flac", samples, 16_000)
    np.testing.assert_array_equal(load_waveform(tmp_path / "exact.flac"), samples)


def test_what_is_refused(tmp_path):
    with pytest.raises(UnreadableInputError, match="no speech"):
        find_speech([tmp_path])
    (tmp_path / "index.json").write_text('[{"file": "a.flac"}]')
    with pytest.raises(UnreadableInputError, match="no index"):
        find_speech([tmp_path / "index.json"])
    (tmp_path / "broken.flac").write_bytes(b"fLaC nothing")
    with pytest.raises(UnreadableInputError, match="cannot read"):
        load_waveform(tmp_path / "broken.flac")

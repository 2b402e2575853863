"""The speech training data: index, folders, held-out speakers, balance."""

import json

import numpy as np
import pytest
import soundfile

from bitfloor.errors import UnreadableInputError
from bitfloor.tools.training.speech import (
    RandomClips,
    describe,
    find_speech,
    load_waveform,
    split_speakers,
    to_float,
)


@pytest.fixture
def collection(tmp_path):
    """Source "many": 60 speakers, 0.1 s each, constant 0.1; source "one": one speaker, 24 s, constant 0.5."""
    entries = []
    for speaker in range(60):
        entries.append({"file": f"many-{speaker}.flac", "source": "many", "speaker": f"m{speaker}"})
        soundfile.write(tmp_path / entries[-1]["file"], np.full(1600, 0.1), 16_000)
    entries.append({"file": "one.flac", "source": "one", "speaker": "alone"})
    soundfile.write(tmp_path / "one.flac", np.full(384_000, 0.5), 16_000)
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
    clips = RandomClips(find_speech([collection / "index.json"]), balance=balance)
    assert clips.shares["many"] == pytest.approx(share)
    batch = clips.draw(np.random.default_rng(0), 2000, 8)
    assert batch.shape == (2000, 8)
    assert (batch[:, 0] < 0.3).float().mean().item() == pytest.approx(share, abs=0.05)


def test_short_utterances_end_in_silence(collection):
    clips = RandomClips(find_speech([collection / "index.json"]))
    short = next(c for c in clips.draw(np.random.default_rng(1), 50, 2000) if c[0] < 0.3)
    assert short[:1600] == pytest.approx(np.full(1600, 0.1), abs=1e-4)
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

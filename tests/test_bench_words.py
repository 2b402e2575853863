"""Word error rates by brute force, texts beside sounds, speaker similarity, and both of them through a run."""

import math
import random
from functools import lru_cache

import numpy as np
import pytest
import soundfile

from bitfloor.errors import UsageError
from bitfloor.tools.bench import voices, words
from bitfloor.tools.bench.measure import Job, measure
from bitfloor.tools.bench.run import Plan, _measured
from bitfloor.tools.bench.sound_metrics import choose_sound_metrics
from bitfloor.tools.bench.sources import open_all
from bitfloor.tools.bench.summary import summarise
from bitfloor.tools.bench.words import Listening, official_text, spoken_number, word_errors, words_of


def errors_by_recursion(a, b):
    @lru_cache(None)
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return distance(len(a), len(b))


def test_word_errors_against_recursion():
    rng = random.Random(0)
    for _ in range(200):
        a, b = ([rng.choice("abcd") for _ in range(rng.randrange(9))] for _ in range(2))
        assert word_errors(a, b) == errors_by_recursion(a, b)


@pytest.mark.parametrize(
    ("digits", "spoken"),
    [
        ("0", "zero"), ("7", "seven"), ("13", "thirteen"), ("40", "forty"), ("21", "twenty one"),
        ("105", "one hundred five"), ("1999", "one thousand nine hundred ninety nine"),
        ("30000", "thirty thousand"), ("007", "zero zero seven"), ("1000001", "one zero zero zero zero zero one"),
    ],
)  # fmt: skip
def test_numbers_are_spelled_out(digits, spoken):
    assert " ".join(spoken_number(digits)) == spoken


def test_the_words_that_count():
    text = "Mr. O\N{RIGHT SINGLE QUOTATION MARK}Neil — (laughs) paid $1,250 for a well-kept Café & [noise] 'twas ok."
    expected = "mister o'neil paid one thousand two hundred fifty for a well kept cafe and twas okay"
    assert " ".join(words_of(text)) == expected
    assert words_of(" ... ") == []


def test_texts_beside_a_sound(tmp_path):
    folder = tmp_path / "chapter"
    folder.mkdir()
    sounds = [folder / f"1-2-{n}.flac" for n in range(4)]
    (folder / "1-2.trans.txt").write_text("1-2-0 FIRST TEXT\n1-2-9 ANOTHER\n")
    (tmp_path / "all.tsv").write_text('file\tspeaker\ttext\nchapter/1-2-1.flac\ts\tsecond "text\n')
    (tmp_path / "other.tsv").write_text("name\tvalue\n1-2-3\tnone\n")
    sounds[2].with_suffix(".txt").write_text("third text\n")
    assert [official_text(sound) for sound in sounds] == ["FIRST TEXT", 'second "text', "third text", None]


class FakeRecogniser:
    """Hears 'a' for every whole second and 'b' for the rest."""

    def words(self, samples):
        return ["a"] * (len(samples) // words.RATE) + ["b"] * bool(len(samples) % words.RATE)


@pytest.fixture
def recogniser(monkeypatch, tmp_path):
    monkeypatch.setattr(words, "_recogniser", lambda folder: FakeRecogniser())
    words._heard.cache_clear()
    (tmp_path / "model.bin").write_bytes(b"weights")
    yield str(tmp_path)
    words._heard.cache_clear()


def test_errors_against_the_text_or_against_the_original(recogniser):
    original, decoded = np.zeros(40_000, np.float32), np.zeros(32_000, np.float32)
    with_text = words.measure_words(original, decoded, Listening(recogniser, "A! a c d"))
    assert with_text == {"wer": 50, "wer_original": 50, "words": 4}
    without = words.measure_words(original, decoded, Listening(recogniser, None))
    assert without == {"wer": pytest.approx(100 / 3), "wer_original": 0, "words": 3}


def test_a_result_is_of_one_recogniser_and_one_text(recogniser, tmp_path):
    soundfile.write(tmp_path / "clip.wav", 0.1 * np.ones(16_000), 16_000)
    sources, _ = open_all([tmp_path / "clip.wav"], "sound")
    plan = Plan("sound", sources, [], {}, ("stoi", "wer"), whisper=tmp_path)
    without = _measured(plan, sources[0])
    (tmp_path / "clip.txt").write_text("a")
    with_text = _measured(plan, sources[0])
    assert without[0] == with_text[0] == "stoi" and without[1] != with_text[1]
    job = Job("opus", 12, str(tmp_path / "clip.wav"), "sound", ("wer",), listening=plan.listening(sources[0]))
    assert measure(job).record["metrics"] == {"wer": 0, "wer_original": 0, "words": 1}


def test_a_mean_of_word_error_rates_counts_words():
    records = [
        {"codec": "c", "version": "1", "quality": 1, "source": name, "status": "ok", "rate": 1.0,
         "metrics": {"wer": wer, "words": count}}
        for name, wer, count in (("a", 50.0, 2), ("b", 10.0, 30))
    ]  # fmt: skip
    curve = summarise("sound", records).curves[0]
    assert curve.metrics["wer"] == [pytest.approx(100 * (1 + 3) / 32)]


def test_a_recogniser_must_be_named(tmp_path, monkeypatch):
    monkeypatch.delenv(words.MODEL_VARIABLE, raising=False)
    assert words.model_folder() is None
    with pytest.raises(UsageError, match=r"no model\.bin"):
        words.model_folder(tmp_path)
    (tmp_path / "model.bin").touch()
    monkeypatch.setenv(words.MODEL_VARIABLE, str(tmp_path))
    assert words.model_folder() == tmp_path
    pytest.importorskip("faster_whisper")
    with pytest.raises(UsageError, match="--whisper"):
        choose_sound_metrics(("wer",))
    assert choose_sound_metrics(("wer",), tmp_path) == ("wer",)
    assert "wer" not in choose_sound_metrics(None)


def test_a_voice_is_its_own():
    pytest.importorskip("resemblyzer")
    pytest.importorskip("webrtcvad")
    time = np.arange(32_000) / 16_000
    pulses = sum(np.sin(2 * math.pi * 120 * k * time) / k for k in range(1, 30))
    voice = (0.1 * pulses * (1 + np.sin(2 * math.pi * 3 * time))).astype(np.float32)
    assert voices.speaker_similarity(voice, voice) == pytest.approx(1, abs=1e-5)
    assert voices.speaker_similarity(voice, np.zeros(32_000, np.float32)) is None
    high = np.interp(np.arange(0, 32_000, 2.0), np.arange(32_000), voice).astype(np.float32)
    assert voices.speaker_similarity(voice, high) < 0.9

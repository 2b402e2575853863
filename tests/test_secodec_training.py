"""Losses against their definitions, and the training task over its whole schedule on a toy collection."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import stft

from bitfloor.codecs.media.sound import Sound
from bitfloor.codecs.secodec.codec import SECodecCodec
from bitfloor.codecs.secodec.frozen import save_frozen
from bitfloor.codecs.secodec.model import PRESETS, SECodecNetwork
from bitfloor.codecs.secodec.residual_vq import Extraction
from bitfloor.entropy_models.tokens.token_model import TokenModelConfig
from bitfloor.errors import ModelError, UsageError
from bitfloor.tools.training import tokens as tokens_module
from bitfloor.tools.training.export_secodec import STAGES, export_secodec, load_network
from bitfloor.tools.training.loop import Budget, Trainer
from bitfloor.tools.training.secodec import EXTRACTIONS, SECodecTask
from bitfloor.tools.training.spectral_loss import MelDistance, compressed_distance
from bitfloor.tools.training.speech import find_speech, levelled, load_waveform, split_speakers
from bitfloor.tools.training.tasks import SpeechOptions, make_task
from bitfloor.tools.training.tokens import CHOICES, TokenTask

CONFIG = PRESETS["tiny"]
PLAN = [Extraction(k=8), Extraction(codes=8), Extraction(codes=8)]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    rng, entries = np.random.default_rng(0), []
    for speaker in range(24):
        time = np.arange(52_000) / 16_000
        tone = 0.2 * np.sin(2 * np.pi * (150 + 20 * speaker) * time * (1 + 0.1 * time))
        soundfile.write(folder / f"{speaker}.flac", tone + 0.01 * rng.standard_normal(time.size), 16_000)
        entries.append({"file": f"{speaker}.flac", "source": "tones", "speaker": f"s{speaker}"})
    (folder / "index.json").write_text(json.dumps(entries))
    return folder / "index.json"


@pytest.fixture
def task(collection):
    torch.manual_seed(0)
    return SECodecTask(CONFIG, [collection], batch=4, seconds=0.4, plan=PLAN)


def test_mel_distance_of_a_gain_is_its_logarithm():
    waveform = 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    distance = MelDistance(soft_floor=0)
    assert distance(waveform, waveform).item() == 0
    assert MelDistance()(2 * waveform, waveform).item() == pytest.approx(np.log(2.02 / 1.02), rel=0.02)
    assert distance(2 * waveform, waveform).item() == pytest.approx(np.log(2), rel=1e-4)


def test_compressed_distance_by_scipy():
    rng = np.random.default_rng(1)
    ours, reference = 0.1 * rng.standard_normal((2, 4096))

    def compressed(samples):
        # scipy divides by the window's sum and pads the end to a whole frame, which 4096 samples do not need.
        spectrum = stft(samples, window="hann", nperseg=512, noverlap=384)[2] * 256
        return spectrum * (np.abs(spectrum) ** 2 + 1e-6) ** (-0.7 / 2)

    difference = compressed(ours) - compressed(reference)  # (257, frames), 31.25 Hz a bin
    for below, bins in ((1000, 33), (8000, 257)):
        expected = (np.abs(difference.real) + np.abs(difference.imag))[:bins].mean() / 2
        found = compressed_distance(*(torch.from_numpy(x)[None] for x in (ours, reference)), below=below)
        assert found.item() == pytest.approx(expected, rel=1e-4)


def test_losses_have_finite_slopes_at_silence():
    for reference in (torch.zeros(1, 4000), torch.randn(1, 4000)):
        waveform = torch.zeros(1, 4000, requires_grad=True)
        (MelDistance()(waveform, reference) + compressed_distance(waveform, reference)).backward()
        assert waveform.grad.isfinite().all()


def test_the_schedule_finds_codebooks_anew(task):
    rng = np.random.default_rng(0)
    centroids = task.network.quantiser.layers[0].centroids
    _, layers = task.batch(rng, 0.0)
    assert (layers == 0).all() and not task.network.quantiser.extracted
    seen = []
    for progress in np.arange(0.0, 1.0, 0.01):
        before = centroids.clone()
        clips, layers = task.batch(rng, float(progress))
        if not torch.equal(before, centroids):
            seen.append(progress)
    np.testing.assert_allclose(seen, EXTRACTIONS, atol=0.0101)
    assert clips.shape == (4, 6400)
    assert (layers[:2] == CONFIG.layers).all() and set(layers.tolist()) <= {1, 2, 3}


def test_a_resumed_run_keeps_its_codebooks(task, collection):
    rng = np.random.default_rng(0)
    task.batch(rng, 0.5)  # late, but without codebooks: they are found
    resumed = SECodecTask(CONFIG, [collection], batch=4, seconds=0.4, plan=PLAN)
    resumed.model.load_state_dict(task.model.state_dict())
    resumed.batch(rng, 0.51)
    ours, theirs = (t.network.quantiser.layers[0].centroids for t in (resumed, task))
    assert torch.equal(ours, theirs)


def test_a_short_run_learns_and_its_average_decodes(task, tmp_path):
    trainer = Trainer(task, Budget(steps=40, lr=3e-3, warmup=5), tmp_path)
    clips, _ = task.batch(np.random.default_rng(5), 0.0)
    unquantised = torch.zeros(4, dtype=torch.int64)
    before = task.loss(task.model, (clips, unquantised))[1]["mel"]
    trainer.run()
    assert task.loss(task.model, (clips, unquantised))[1]["mel"] < 0.8 * before
    figures = trainer.validate()
    assert figures["mel2"] > 0 and 0 < figures["bps1"] < figures["bps2"] <= 50 * 2 * 5
    # Codebooks are replaced in a run; the averaged weights must hold the last ones, not a mean of them.
    for name, value in task.model.state_dict().items():
        if name.endswith(("figures", "labels")):
            assert torch.equal(trainer.average[name], value)


def test_the_token_model_learns_what_follows_what(task, collection, tmp_path):
    task.batch(np.random.default_rng(0), 0.5)  # finds the codebooks
    config = TokenModelConfig(CONFIG.layers, CONFIG.capacity, CONFIG.dim, 32, (1, 2))
    # Under the structural rule codes stay as they are in a run.
    tokens = TokenTask(task.network, [collection], config=config, batch=8, frames=60, shifts=2, rule="structural")
    codes, active = tokens.batch(np.random.default_rng(1), 0.0)
    assert codes.shape == (8, 60, CONFIG.layers)
    for item, layers in zip(codes, active, strict=True):
        assert (item[:, layers:] == -1).all() and (item[:, :layers] >= 0).all()
    # Put in the place of speech: codes that count upwards from anywhere, which a model of the past must see.
    sizes = torch.tensor(task.network.quantiser.sizes)
    counting = [(torch.arange(90)[:, None] + start) % sizes for start in range(24)]
    tokens.training, tokens.held_out = counting[:20], counting[20:]
    tokens._places = np.arange(1, 21) / 20
    before = tokens.validate(tokens.model, 60.0)
    assert before["bits"] > 0.9 * sizes.log2().mean().item()
    trainer = Trainer(tokens, Budget(steps=80, lr=1e-2, warmup=5), tmp_path)
    trainer.run()
    after = trainer.validate()
    assert after["bits"] < 0.3 * before["bits"]
    assert after["share"] == pytest.approx(
        after["bits"] * CONFIG.layers / np.log2(task.network.quantiser.sizes).sum(), rel=1e-6
    )


def test_codes_are_chosen_anew_by_what_they_cost(task, collection):
    task.batch(np.random.default_rng(0), 0.5)
    config = TokenModelConfig(CONFIG.layers, CONFIG.capacity, CONFIG.dim, 8, (1,))
    tokens = TokenTask(task.network, [collection], config=config, shifts=1)
    torch.nn.init.normal_(tokens.tokens.prior)  # a model that finds some codes likelier than others
    rng = np.random.default_rng(0)
    seen = []
    for progress in np.arange(0.0, 1.0, 0.05):
        before = tokens.training
        tokens.batch(rng, float(progress))
        if tokens.training is not before:
            seen.append(progress)
            assert any((new != old).any() for new, old in zip(tokens.training, tokens.nearest, strict=True))
    np.testing.assert_allclose(seen, CHOICES, atol=0.0501)
    figures = tokens.validate(tokens.model, 60.0)
    assert figures["share_chosen"] < figures["share"]


def test_codes_chosen_together_are_those_chosen_one_by_one(task, collection, monkeypatch):
    task.batch(np.random.default_rng(0), 0.5)
    config = TokenModelConfig(CONFIG.layers, CONFIG.capacity, CONFIG.dim, 8, (1,))
    tokens = TokenTask(task.network, [collection], config=config, shifts=2)
    torch.nn.init.normal_(tokens.tokens.prior)
    alone = tokens._choose(tokens.latents, tokens.nearest)
    monkeypatch.setattr(tokens_module, "_TOGETHER", {"cpu": 5})
    together = tokens._choose(tokens.latents, tokens.nearest)
    assert len({len(codes) for codes in alone}) > 1  # so that some are padded
    assert [codes.shape for codes in together] == [codes.shape for codes in alone]
    assert torch.cat([(a == b).flatten() for a, b in zip(alone, together, strict=True)]).float().mean() > 0.999


def test_codes_are_those_of_the_codec(task, collection):
    task.batch(np.random.default_rng(0), 0.5)
    config = TokenModelConfig(CONFIG.layers, CONFIG.capacity, CONFIG.dim, 8, (1,))
    tokens = TokenTask(task.network, [collection], config=config, shifts=1)
    utterance = split_speakers(find_speech([collection]))[1][0]
    codec = SECodecCodec(save_frozen(collection.parent / "toy.safetensors", task.network, tokens.tokens))
    heard = Sound(levelled(load_waveform(utterance.path)), 16_000)
    # Half-precision weights, the steps of the gain and the high-pass move a code here and there.
    assert (codec.tokens(heard, rule="nearest") == tokens.held_out[0].numpy()).mean() > 0.95


def test_codebooks_are_kept_where_that_is_asked(task, collection):
    task.batch(np.random.default_rng(0), 0.5)
    after = SECodecTask(CONFIG, [collection], batch=4, seconds=0.4, plan=PLAN, keep_codebooks=True)
    after.begin_with(task.network)
    centroids = after.network.quantiser.layers[0].centroids.clone()
    for progress in np.arange(0.0, 1.0, 0.05):
        _, layers = after.batch(np.random.default_rng(1), float(progress))
        assert (layers > 0).all()
    assert torch.equal(after.network.quantiser.layers[0].centroids, centroids)
    anew = SECodecTask(CONFIG, [collection], batch=4, seconds=0.4, plan=PLAN, keep_codebooks=True)
    anew.batch(np.random.default_rng(1), 0.5)  # there is nothing to keep
    assert anew.network.quantiser.extracted


def test_a_run_begins_with_a_trained_network(task, collection):
    task.batch(np.random.default_rng(0), 0.5)
    after = SECodecTask(CONFIG, [collection], batch=4, seconds=0.4, plan=PLAN)
    after.begin_with(task.network)
    for name, value in task.network.state_dict().items():
        assert torch.equal(after.network.state_dict()[name], value)
    with pytest.raises(UsageError, match="other sizes"):
        after.begin_with(SECodecNetwork(replace(CONFIG, encoder_width=40)))


def test_the_ablation_is_a_matter_of_options(collection, tmp_path):
    for codes, sizes in ((None, None), (9, 9)):
        options = SpeechOptions("structural", codes, 6)
        made = make_task("secodec", "tiny", [collection], batch=4, crop=0, folder=tmp_path, speech=options)
        made.batch(np.random.default_rng(0), 0.5)
        first, second, third = made.network.quantiser.sizes
        assert made.rule == "structural" and (first == second == sizes if sizes else first != 9)
        assert third == CONFIG.capacity
        assert made.network.quantiser.layers[0].codebook().k == 6
    with pytest.raises(UsageError, match="unknown rule"):
        make_task("secodec", "tiny", [collection], batch=4, crop=0, folder=tmp_path, speech=SpeechOptions("best"))


def test_two_runs_make_a_model_that_codes(collection, tmp_path):
    torch.manual_seed(0)
    network = SECodecTask(CONFIG, [collection], batch=4, seconds=0.4)
    Trainer(network, Budget(steps=12), tmp_path).run()
    tokens = make_task("secodec-tokens", "tiny", [collection], batch=4, crop=0, folder=tmp_path)
    Trainer(tokens, Budget(steps=3), tmp_path / STAGES["secodec-tokens"]).run()
    path = export_secodec(tmp_path, "tiny", "toy")
    codec = SECodecCodec.from_path(path)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["fingerprint"] == codec.frozen.fingerprint.hex()
    assert card["codes"] == network.network.quantiser.sizes
    heard = Sound(np.float32(0.1 * np.random.default_rng(0).standard_normal(5000)), 16_000)
    data = codec.encode(heard, quality=100)
    np.testing.assert_array_equal(codec.decode_tokens(data), codec.tokens(heard))
    with pytest.raises(ModelError, match="holds another network"):
        load_network(tmp_path, "small")
    with pytest.raises(UsageError, match="no preset"):
        load_network(tmp_path, "huge")

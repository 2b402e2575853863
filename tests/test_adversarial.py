"""The second stage: who learns from which loss, and that tokens stay what they are."""

import json

import numpy as np
import pytest
import soundfile
import torch

from bitfloor.codecs.media.sound import Sound
from bitfloor.codecs.secodec.codec import SECodecCodec
from bitfloor.codecs.secodec.model import PRESETS, SECodecNetwork
from bitfloor.tools.training.adversarial import Opponents
from bitfloor.tools.training.discriminators import (
    MultiScaleDiscriminator,
    deception_loss,
    discriminator_loss,
    feature_distance,
)
from bitfloor.tools.training.export_secodec import STAGES, export_secodec
from bitfloor.tools.training.loop import Budget, Trainer
from bitfloor.tools.training.secodec import SECodecTask
from bitfloor.tools.training.tasks import make_task

CONFIG = PRESETS["tiny"]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    rng, entries = np.random.default_rng(0), []
    for speaker in range(24):
        noise = 0.1 * rng.standard_normal(52_000)
        soundfile.write(folder / f"{speaker}.flac", noise, 16_000)
        entries.append({"file": f"{speaker}.flac", "source": "noise", "speaker": f"s{speaker}"})
    (folder / "index.json").write_text(json.dumps(entries))
    return folder / "index.json"


def learned(module):
    return {name for name, p in module.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def test_each_side_learns_from_its_own_losses_only():
    torch.manual_seed(0)
    opponents = Opponents(SECodecNetwork(CONFIG).decoder)
    latents, clips = torch.randn(2, 12, CONFIG.dim), 0.1 * torch.randn(2, 12 * CONFIG.hop)
    for names, side in ((("discriminator",), "discriminator."), (("deception", "features"), "decoder.")):
        opponents.zero_grad(set_to_none=True)
        _, losses = opponents(latents, clips)
        sum(losses[name] for name in names).backward()
        assert learned(opponents) and all(name.startswith(side) for name in learned(opponents))


def test_losses_by_hand():
    found = [[torch.tensor([2.0, -2.0]), torch.tensor([0.5, 3.0])]]
    other = [[torch.tensor([1.0, 0.0]), torch.tensor([-0.5, -2.0])]]
    assert discriminator_loss(found, other).item() == pytest.approx(0.25 + 0.25)
    assert deception_loss(other).item() == pytest.approx((1.5 + 3.0) / 2)
    assert feature_distance(found, other).item() == pytest.approx(1.5 / 2.0)


def test_judges_learn_to_tell_tones_from_noise():
    torch.manual_seed(0)
    judges = MultiScaleDiscriminator(channels=4)
    optimizer = torch.optim.Adam(judges.parameters(), lr=3e-3)
    time = torch.arange(4000) / 16_000
    for _ in range(25):
        tones = 0.1 * torch.sin(6283 * (0.2 + torch.rand(8, 1)) * time)
        loss = discriminator_loss(judges(tones), judges(0.1 * torch.randn(8, 4000)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1.0  # 2 is a judge without a clue


def test_the_second_stage_changes_the_sound_and_not_the_tokens(index, tmp_path):
    torch.manual_seed(0)
    Trainer(SECodecTask(CONFIG, [index], batch=4, seconds=0.4), Budget(steps=12), tmp_path).run()
    tokens = make_task("secodec-tokens", "tiny", [index], batch=4, crop=0, folder=tmp_path)
    Trainer(tokens, Budget(steps=2), tmp_path / STAGES["secodec-tokens"]).run()
    first = SECodecCodec.from_path(export_secodec(tmp_path, "tiny", "first"))
    stage = make_task("secodec-adversarial", "tiny", [index], batch=4, crop=0, folder=tmp_path)
    trainer = Trainer(stage, Budget(steps=6, warmup=1), tmp_path / STAGES["secodec-adversarial"])
    trainer.run()
    assert set(trainer.validate()) == {"mel1", "bps1", "mel2", "bps2"}
    second = SECodecCodec.from_path(export_secodec(tmp_path, "tiny", "second"))
    card = json.loads((tmp_path / "second.json").read_text())
    assert card["training"]["adversarial"]["steps"] == 6
    heard = Sound(np.float32(0.1 * np.random.default_rng(0).standard_normal(5000)), 16_000)
    np.testing.assert_array_equal(first.tokens(heard), second.tokens(heard))
    data = second.encode(heard, quality=100)
    assert (first.decode_tokens(first.encode(heard, quality=100)) == second.decode_tokens(data)).all()
    sounds = [codec.decode(codec.encode(heard))[0] for codec in (first, second)]
    assert np.abs(sounds[0] - sounds[1]).max() > 0

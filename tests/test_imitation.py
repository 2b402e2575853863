"""A network with new transforms that first imitates a trained one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from PIL import Image
from tiny_model import CONFIG, S2LIC, smooth_picture, tiny_codec, tiny_network

from bitfloor import weights
from bitfloor.codecs.image.model import ImageNetwork
from bitfloor.errors import ModelError, UsageError
from bitfloor.tools.training.image import IMITATION, ImageTask
from bitfloor.tools.training.loop import Budget, Trainer
from bitfloor.tools.training.start import picture_model, start_from


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        Image.fromarray(smooth_picture(130, 150, number)).save(path / f"{number}.png")
    return path


def test_the_latents_of_g_a_come_near_the_teachers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = tiny_network()
    task = ImageTask(S2LIC, [folder], batch=2, crop=64, late_crop=128, teacher=teacher)
    start_from(teacher, task.network)
    x, q_index, latents = task.batch(np.random.default_rng(1), 0.0)
    assert torch.equal(latents, teacher.analyse(x, q_index)) and not latents.requires_grad

    def distance() -> float:
        return float((task.network.analyse(x, q_index) - latents).square().mean().detach())

    before = distance()
    monkeypatch.setattr("bitfloor.tools.training.image.IMITATION", 1.0)
    Trainer(task, Budget(steps=60, lr=1e-2, warmup=5, precision="float32"), tmp_path).run()
    assert distance() < 0.7 * before
    monkeypatch.undo()
    assert len(task.batch(np.random.default_rng(1), IMITATION)) == 2  # later it learns from pictures alone


def test_the_teacher_is_where_the_crops_are(folder: Path) -> None:
    """On torch's device without storage, as there is no other everywhere: operations of two devices fail there, too."""
    task = ImageTask(S2LIC, [folder], batch=2, crop=64, teacher=tiny_network(), device="meta")
    crops, q_index, latents = task.batch(np.random.default_rng(1), 0.0)
    assert crops.device.type == latents.device.type == "meta" and q_index.device.type == "cpu"


def test_given_latents_are_what_contexts_and_g_s_learn_from() -> None:
    network = tiny_network(config=S2LIC).eval()
    x = torch.from_numpy(smooth_picture(64, 64)).permute(2, 0, 1)[None].float() / 255
    q_index = torch.tensor([200])
    own = network(x, q_index)
    same = network(torch.zeros_like(x), q_index, network.analyse(x, q_index))
    assert torch.equal(own["x_hat"], same["x_hat"])
    other = network(x, q_index, network.analyse(x, q_index) + 1)
    assert not torch.equal(own["x_hat"], other["x_hat"])


def test_a_teacher_of_another_shape_or_in_several_processes_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ImageNetwork(replace(CONFIG, slices=replace(CONFIG.slices, channels=(4, 4, 4))))
    with pytest.raises(UsageError, match="12 channels with one of 16"):
        ImageTask(S2LIC, [folder], batch=1, crop=64, teacher=other)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="one process"):
        ImageTask(S2LIC, [folder], batch=1, crop=64, teacher=tiny_network())


def test_a_model_of_another_codec_of_pictures_is_found(tmp_path: Path) -> None:
    assert picture_model("mlicv2-small", "s2lic") == weights.find("mlicv2")
    tiny_codec(tmp_path)
    path = tmp_path / "tiny-0.safetensors"
    assert picture_model(str(path), "s2lic") == path
    with pytest.raises(ModelError, match="s2lic"):
        picture_model("nowhere", "s2lic")

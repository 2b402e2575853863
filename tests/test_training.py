"""The training loop on a tiny network and generated pictures."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from PIL import Image
from tiny_model import CONFIG, S2LIC, smooth_picture

from bitfloor.codecs.image.config import ImageConfig
from bitfloor.codecs.image.frozen import load_network
from bitfloor.codecs.image.loss import rate_and_distortion
from bitfloor.codecs.image.model import ImageNetwork
from bitfloor.codecs.image.presets.mlicv2 import MLICv2Codec
from bitfloor.entropy_models.exact.tabulate import tabulate
from bitfloor.entropy_models.parts import to_json
from bitfloor.errors import ModelError, UnreadableInputError, UsageError
from bitfloor.tools.training.export_image import export_image
from bitfloor.tools.training.image import ImageTask
from bitfloor.tools.training.loop import Budget, Trainer
from bitfloor.tools.training.pictures import RandomCrops, find_pictures, is_held_out
from bitfloor.tools.training.start import start_from
from bitfloor.tools.training.tasks import image_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    held_out = next(f"h{n}.png" for n in range(1000) if is_held_out(Path(f"h{n}.png")))
    for number, name in enumerate(("a.png", "b.png", "c.png", held_out)):
        Image.fromarray(smooth_picture(130, 150, number)).save(path / name)
    (path / "broken.png").write_bytes(b"no picture")
    return path


def trainer(folder: Path, out: Path, steps: int, **budget: float) -> Trainer:
    torch.manual_seed(0)
    task = ImageTask(CONFIG, [folder], batch=2, crop=64, late_crop=128)
    return Trainer(task, Budget(steps=steps, warmup=5, **budget), out)  # type: ignore[arg-type]


def test_training_lowers_the_loss_and_its_model_codes_pictures(folder: Path, tmp_path: Path) -> None:
    run = trainer(folder, tmp_path, 60, lr=2e-2)
    inputs = run.task.batch(np.random.default_rng(1), 0.0)
    before = run.task.loss(run.model, inputs)[1]["loss"]
    run.run()
    assert run.task.loss(run.model, inputs)[1]["loss"] < 0.7 * before
    assert set(run.validate()) == {"pictures", *(f"{kind}{n}" for kind in ("bpp", "psnr") for n in range(5))}
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert rows[0]["step"] == "1"
    path = export_image(tmp_path, "mlicv2", [folder], "tiny")
    card = json.loads(path.with_suffix(".json").read_text())
    codec = MLICv2Codec.from_path(path)
    assert card["training"]["steps"] == 60
    assert card["fingerprint"] == codec.frozen.fingerprint.hex()
    assert codec.decode(codec.encode(smooth_picture(70, 90), quality=60)).size == (90, 70)
    again = trainer(folder, tmp_path / "again", 1)
    assert str(start_from(load_network(path), again.task.network)) == "every weight was taken over"
    assert run.task.loss(again.model, inputs)[1]["loss"] < 0.7 * before


def without(config: ImageConfig, tag: str) -> ImageConfig:
    left = tuple(c for c in config.slices.contexts if c.__struct_config__.tag != tag)
    return replace(config, slices=replace(config.slices, contexts=left))


@pytest.mark.parametrize("tag", ["channel", "inter", "local", "intra"])
def test_a_new_context_changes_nothing_until_it_is_trained(tag: str) -> None:
    torch.manual_seed(0)
    small, whole = ImageNetwork(without(CONFIG, tag)).eval(), ImageNetwork(CONFIG).eval()
    start = start_from(small, whole)
    assert start.new and not start.dropped and all(tag in name for name in start.new)
    picture = torch.from_numpy(smooth_picture(128, 64)).permute(2, 0, 1)[None].float() / 255
    outs = [network(picture, torch.tensor([300])) for network in (small, whole)]
    for kind in ("y", "z"):
        bits = [out["likelihoods"][kind].log2() for out in outs]
        assert torch.allclose(*bits, atol=1e-3)
    assert torch.allclose(outs[0]["x_hat"], outs[1]["x_hat"], atol=1e-4)
    outs[1]["likelihoods"]["y"].log2().sum().backward()
    read = whole.context.slices[1].other_head.first.parts[tag].weight
    assert read.grad is not None and read.grad.abs().max() > 0  # it does not stay at zero
    back = start_from(whole, ImageNetwork(without(CONFIG, tag)))
    assert back.dropped == start.new and not back.new


def test_a_network_with_folded_norms_begins_as_it_ended() -> None:
    trained, network = (ImageNetwork(S2LIC) for _ in range(2))
    picture = torch.from_numpy(smooth_picture(128, 64)).permute(2, 0, 1)[None].float() / 255
    trained(picture, torch.tensor([300]))  # moves the running statistics
    tabulate(trained.eval())
    assert str(start_from(trained, network)) == "every weight was taken over"
    trained.train(), network.train()
    outs = []
    for each in (trained, network):
        torch.manual_seed(1)
        outs.append(each(picture, torch.tensor([300])))
    assert torch.equal(*(out["likelihoods"]["y"] for out in outs))


def test_another_network_is_a_clear_error_to_start_from() -> None:
    other = ImageNetwork(replace(CONFIG, embedding=8))
    with pytest.raises(ModelError, match=r"cannot start.*\(.*\) and \("):
        start_from(other, ImageNetwork(CONFIG))


def test_a_run_is_of_the_network_that_its_checkpoint_names(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "network.json"
    file.write_text(to_json(CONFIG))
    assert image_config("mlicv2", "small", file, tmp_path) == CONFIG
    assert image_config("mlicv2", "small", None, tmp_path) == image_config("mlicv2", "mlicv2-small", None, tmp_path)
    with pytest.raises(UsageError, match=r"no preset 'huge' of mlicv2.*mlicv2-small"):
        image_config("mlicv2", "huge", None, tmp_path)
    trainer(folder, tmp_path, 1).run()
    assert image_config("mlicv2", "small", None, tmp_path) == CONFIG
    file.write_text(to_json(without(CONFIG, "inter")))
    with pytest.raises(UsageError, match="another network"):
        image_config("mlicv2", "small", file, tmp_path)


def test_a_resumed_run_goes_on_where_it_stopped(folder: Path, tmp_path: Path) -> None:
    whole = trainer(folder, tmp_path / "whole", 8)
    whole.run()
    first = trainer(folder, tmp_path / "parts", 8)
    plain = first._progress
    first._progress = lambda clock: 1.0 if first.step == 4 else plain(clock)  # type: ignore[method-assign]
    first.run()
    second = trainer(folder, tmp_path / "parts", 8)
    second.resume(second.path)
    assert (second.step, second.total_steps) == (4, 4)
    second.run()
    assert (second.step, second.total_steps) == (8, 8)
    # Optimiser, averages and schedule came along: the learning rate ends where the whole run's does.
    names = [n for n, _ in whole.optimizer.tensors()]
    assert sorted(names) == sorted(n for n, _ in second.optimizer.tensors())
    assert not any(torch.equal(a, b) for a, b in zip(first.average.values(), second.average.values(), strict=True))


def test_a_restart_begins_a_new_schedule_from_the_averages(folder: Path, tmp_path: Path) -> None:
    first = trainer(folder, tmp_path, 4)
    first.run()
    second = trainer(folder, tmp_path, 3)
    second.resume(second.path, new_budget=True)
    assert second.step == 0
    for name, value in second.model.state_dict().items():
        assert torch.equal(value, first.average[name])
    second.run()
    assert (second.step, second.total_steps) == (3, 7)


def test_a_step_with_a_gradient_that_is_not_finite_is_skipped(folder: Path, tmp_path: Path) -> None:
    run = trainer(folder, tmp_path, 2)
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    plain = run.task.loss
    run.task.loss = lambda model, inputs: (plain(model, inputs)[0] * float("inf"), {})  # type: ignore[method-assign]
    run.run()
    assert run.skipped == 2
    assert all(torch.equal(v, before[k]) for k, v in run.model.state_dict().items())


def test_held_out_pictures_are_never_trained_on(folder: Path) -> None:
    task = ImageTask(CONFIG, [folder], batch=2, crop=64)
    assert (len(task.crops.pictures), len(task.held_out)) == (3, 1)
    inside = {p.tobytes() for p in task.crops.pictures}
    assert task.held_out[0].tobytes() not in inside


def test_crops_come_from_the_pictures() -> None:
    picture = np.arange(100 * 120 * 3, dtype=np.int64).reshape(100, 120, 3) % 251
    crops = RandomCrops([picture.astype(np.uint8)])
    drawn = crops.draw(np.random.default_rng(0), 6, 32)
    assert drawn.shape == (6, 3, 32, 32)
    values = {tuple(v) for v in picture.reshape(-1, 3).tolist()}
    pixels = (drawn * 255).round().long().permute(0, 2, 3, 1).reshape(-1, 3).tolist()
    assert {tuple(p) for p in pixels} <= values


def test_rate_and_distortion_are_per_picture() -> None:
    x = torch.zeros(2, 3, 8, 8)
    out = {"x_hat": torch.stack((x[0], x[1] + 0.5)), "likelihoods": {"y": torch.full((2, 10), 0.5)}}
    bpp, mse = rate_and_distortion(out, x)
    assert bpp.tolist() == pytest.approx([10 / 64] * 2)
    assert mse.tolist() == pytest.approx([0, 0.25])


def test_bad_places_and_checkpoints_are_clear_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="no pictures"):
        find_pictures([tmp_path])
    (tmp_path / "last.safetensors").write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match="no training checkpoint"):
        trainer(folder, tmp_path, 1).resume(tmp_path / "last.safetensors")
    other = Trainer(ImageTask(without(CONFIG, "inter"), [folder], batch=2, crop=64), Budget(steps=1), tmp_path / "x")
    other.run()
    with pytest.raises(ModelError, match="holds another network"):
        trainer(folder, tmp_path, 1).resume(other.path)


@pytest.mark.slow
def test_two_processes_train_together(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29531", "-m"]
    command += ["bitfloor.tools.commands.train", str(folder), "--steps", "2", "--batch", "1", "-o", str(tmp_path)]
    subprocess.run(command, check=True, timeout=900, capture_output=True)
    assert len(list(tmp_path.glob("mlicv2-*.safetensors"))) == 1

"""The training loop on a tiny network and generated pictures."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_model import CONFIG, smooth_picture

from bitfloor.codecs.mlicv2 import model as model_module
from bitfloor.codecs.mlicv2.adopt import adopt, shrink
from bitfloor.codecs.mlicv2.codec import MLICv2Codec
from bitfloor.codecs.mlicv2.model import MLICv2, MLICv2Config
from bitfloor.codecs.mlicv2.quality import lagrangian
from bitfloor.codecs.mlicv2.thaw import thaw, training_path
from bitfloor.errors import ModelError, UnreadableInputError
from bitfloor.tools.training.export import export_mlicv2
from bitfloor.tools.training.loop import Budget, Trainer
from bitfloor.tools.training.mlicv2 import MLICv2Task, rate_and_distortion
from bitfloor.tools.training.pictures import RandomCrops, find_pictures, is_held_out


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
    task = MLICv2Task(CONFIG, [folder], batch=2, crop=64, late_crop=128)
    return Trainer(task, Budget(steps=steps, warmup=5, **budget), out)  # type: ignore[arg-type]


def test_training_lowers_the_loss_and_its_model_codes_pictures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(folder, tmp_path, 60, lr=2e-2)
    inputs = run.task.batch(np.random.default_rng(1), 0.0)
    before = run.task.loss(run.model, inputs)[1]["loss"]
    run.run()
    assert run.task.loss(run.model, inputs)[1]["loss"] < 0.7 * before
    assert set(run.validate()) == {"pictures", *(f"{kind}{n}" for kind in ("bpp", "psnr") for n in range(5))}
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert rows[0]["step"] == "1"
    monkeypatch.setitem(model_module.PRESETS, "tiny", CONFIG)
    path = export_mlicv2(tmp_path, "tiny", "tiny")
    card = json.loads(path.with_suffix(".json").read_text())
    codec = MLICv2Codec.from_path(path)
    assert card["training"]["steps"] == 60
    assert card["fingerprint"] == codec.frozen.fingerprint.hex()
    assert codec.decode(codec.encode(smooth_picture(70, 90), quality=60)).size == (90, 70)
    thawed = thaw(path)
    for name, value in run.average.items():
        assert torch.allclose(thawed.state_dict()[name], value, rtol=2e-3, atol=1e-6), name
    again = trainer(folder, tmp_path / "again", 1)
    adopt(thawed, again.task.network, inputs[0])
    again.restart_average()
    assert run.task.loss(again.model, inputs)[1]["loss"] < 0.7 * before
    training_path(path).unlink()
    with pytest.raises(ModelError, match="cannot train tiny further"):
        thaw(path)


def wider_than(config: MLICv2Config, times: int, linear_path: bool) -> MLICv2:
    groups = (*config.groups[:-1], times * config.groups[-1])
    return MLICv2(replace(config, groups=groups, linear_path=linear_path))


def test_a_wider_network_begins_where_the_narrow_one_ended() -> None:
    torch.manual_seed(0)
    narrow, wider = MLICv2(CONFIG).eval(), wider_than(CONFIG, 3, linear_path=False).eval()
    picture = torch.from_numpy(smooth_picture(128, 64)).permute(2, 0, 1)[None].float() / 255
    adopt(narrow, wider, picture)
    for position in (0, 448):
        x_hat = [model(picture, torch.tensor([position]))["x_hat"] for model in (narrow, wider)]
        assert torch.allclose(*x_hat, atol=1e-6)
    with pytest.raises(ModelError, match="cannot start"):
        adopt(narrow, MLICv2(replace(CONFIG, hyper=2 * CONFIG.hyper)), picture)


def test_a_narrower_network_keeps_the_channels_that_are_used() -> None:
    torch.manual_seed(0)
    wide = wider_than(replace(CONFIG, direct_channels=8), 4, linear_path=True).eval()
    group = wide.config.groups[-1]
    crops = torch.rand(2, 3, 128, 128)
    silent = torch.arange(8, group, 3)
    with torch.no_grad():  # channels that are always zero, and give nothing
        for layer in (wide.analysis.latent, wide.analysis.linear):
            layer.weight[-group:][silent] = 0
        wide.analysis.latent.bias[-group:][silent] = 0
        wide.synthesis.latent.weight[:, -group:][:, silent] = 0
        wide.synthesis.linear.weight[:, -group:][:, silent] = 0
        model = wide.context.group_model(len(wide.config.groups) - 1)
        for layer in (model.local.key, model.local.value, model.intra.value):
            layer.weight[:, silent] = 0
        for head in (model.anchor_head, model.other_head):
            head.residual_first.weight[:, -group:][:, silent] = 0
        wide.hyper_analysis.enter.weight[:, -group:][:, silent] = 0
    narrow = shrink(wide, group - len(silent), crops).eval()
    assert narrow.config.latent == wide.config.latent - len(silent)
    x_hats = [m(crops, torch.tensor([448.0, 100.0]))["x_hat"] for m in (wide, narrow)]
    assert torch.allclose(*x_hats, atol=1e-6)
    adopted = MLICv2(narrow.config)
    adopt(wide, adopted, crops)
    for name, value in narrow.state_dict().items():
        assert torch.equal(adopted.state_dict()[name], value), name


def test_new_channels_begin_as_the_best_linear_prediction_of_what_is_lost() -> None:
    torch.manual_seed(0)
    narrow, wider = MLICv2(CONFIG).eval(), wider_than(CONFIG, 3, linear_path=True).eval()
    crops = torch.from_numpy(np.random.default_rng(0).random((96, 3, 128, 128), dtype=np.float32)).cumsum(-1) / 128
    adopt(narrow, wider, crops)

    def blocks(grid: torch.Tensor) -> np.ndarray:
        """Inner 16x16 blocks of (B, 3, H, W) as rows."""
        inner = grid[:, :, 32:-32, 32:-32].unfold(2, 16, 16).unfold(3, 16, 16)
        return inner.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).flatten(1).double().numpy()

    def unrounded(model: MLICv2) -> torch.Tensor:
        position = torch.tensor([448])
        state = model.quality.state(position)
        y = model.analysis(crops.permute(0, 2, 3, 1), model.modulation(model.quality.analysis, position))
        y = y * (state.gain * state.inverse_gain)[:, 0]
        return model.synthesis(y, model.modulation(model.quality.synthesis, position)).permute(0, 3, 1, 2)

    with torch.no_grad():
        lost, left = (blocks(crops - unrounded(model)) for model in (narrow, wider))
    x = blocks(crops)
    x -= x.mean(0)
    # The r best directions of a regression explain the r largest eigenvalues of E'X (X'X)^-1 X'E.
    cross = x.T @ lost
    new = wider.config.latent - narrow.config.latent
    explained = np.linalg.eigvalsh(cross.T @ np.linalg.solve(x.T @ x, cross))[-new:].sum()
    assert explained > 0.05 * (lost**2).sum()
    assert (left**2).sum() == pytest.approx((lost**2).sum() - explained, rel=0.01)
    # Their step is the one that the loss asks for at the highest quality: orthonormal directions, D = step^2 / 12 of
    # each of a block's samples, one bit a block less for twice the step.
    norms = wider.synthesis.linear.weight[:, -new:].norm(dim=0) / wider.quality.log_gain[-1, -new:].exp()
    steps = norms[0].item() * np.array([0.99, 1.0, 1.01])
    losses = -np.log2(steps) / 256 + lagrangian(torch.tensor(448.0)).item() * 255**2 * steps**2 / 12 / 768
    assert losses.argmin() == 1 and torch.allclose(norms, norms[0].expand(new), rtol=1e-4)


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
    task = MLICv2Task(CONFIG, [folder], batch=2, crop=64)
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
    trainer(folder, tmp_path, 1).run()
    with pytest.raises(ModelError, match="holds another network"):
        export_mlicv2(tmp_path, "small", "tiny")


@pytest.mark.slow
def test_two_processes_train_together(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29531", "-m"]
    command += ["bitfloor.tools.commands.train", str(folder), "--steps", "2", "--batch", "1", "-o", str(tmp_path)]
    subprocess.run(command, check=True, timeout=900, capture_output=True)
    assert (tmp_path / "mlicv2-small.safetensors").exists()

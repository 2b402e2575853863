"""Several networks trained together: the optimiser that can be recorded, and the command on a processor."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

from bitfloor.codecs.image.config import ImageConfig
from bitfloor.codecs.image.model import ImageNetwork
from bitfloor.codecs.image.presets import find
from bitfloor.entropy_models.parts import from_json
from bitfloor.tools.train_together import main
from bitfloor.tools.training import checkpoint
from bitfloor.tools.training.captured import CapturedOptimizer
from bitfloor.tools.training.optimizers import MatrixOptimizer


def _model() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(24, 40), nn.GELU(), nn.Linear(40, 24), nn.GELU(), nn.LayerNorm(24), nn.Linear(24, 3))


def _train(model: nn.Module, step, steps: int = 6) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    for number in range(steps):
        for p in model.parameters():
            p.grad = None
        x = torch.randn(16, 24, generator=generator)
        (model(x) - x[:, :3].sin()).square().mean().backward()
        step(0.01 / (number + 1))
    return [p.detach().clone() for p in model.parameters()]


def test_updates_are_those_of_the_usual_optimiser():
    first, second = _model(), _model()
    usual = MatrixOptimizer(first, 0.01)
    captured = CapturedOptimizer(second, torch.float32)
    before = [p.detach().clone() for p in first.parameters()]
    expected = _train(first, usual.step)
    found = _train(second, lambda lr: captured.step(torch.tensor(lr)))
    for old, a, b in zip(before, expected, found, strict=True):
        assert torch.allclose(a, b, atol=2e-6)
        assert (a - old).abs().max() > 1e-3


def test_the_usual_optimiser_goes_on_from_its_state():
    first = _model()
    captured = CapturedOptimizer(first, torch.float32)
    _train(first, lambda lr: captured.step(torch.tensor(lr)))
    second = deepcopy(first)
    usual = MatrixOptimizer(second, 0.01)
    usual.load({name: value.clone() for name, value in captured.tensors()})
    expected = _train(first, lambda lr: captured.step(torch.tensor(lr)), 2)
    for a, b in zip(expected, _train(second, usual.step, 2), strict=True):
        assert torch.allclose(a, b, atol=2e-6)


def test_a_step_without_finite_gradients_changes_nothing_but_what_moves_anyway():
    model = _model()
    captured = CapturedOptimizer(model, torch.float32)
    for p in model.parameters():
        p.grad = torch.full_like(p, float("nan"))
    before = [p.detach().clone() for p in model.parameters()]
    captured.step(torch.tensor(0.1))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder with three pictures of 80 x 96."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for number in range(3):
        smooth = np.kron(rng.integers(0, 256, (10, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(smooth).save(folder / f"{number}.png")
    return folder


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("mlicv3", "no preset 'mlicv3'"),
        ("mlicv2-small,cut=3", "no option cut"),
        ("mlicv2-small,crop=x", "crop=x is no whole number"),
        ("mlicv2-small,crop=100", "no multiple of 64"),
        ("mlicv2-small,crop=128", "no picture has 128 pixels"),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_line(photographs, tmp_path, network, said):
    done = run(photographs, "--network", network, "--minutes", 1, "--device", "cpu", "-o", tmp_path / "out")
    assert done.exit_code and said in done.output


def test_two_networks_leave_checkpoints_that_training_goes_on_from(photographs, tmp_path):
    done = run(
        photographs, "--network", "mlicv2-small,batch=1,crop=64,from=mlicv2-small", "--beside",
        "s2lic-small,batch=1,crop=64,imitate=mlicv2-small", "--minutes", 0.3, "--device", "cpu", "--drawings", 0,
        "--precision", "float32", "-o", tmp_path,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for name, codec in (("mlicv2-small", "mlicv2"), ("s2lic-small", "s2lic")):
        path = tmp_path / name / "last.safetensors"
        parts, progress = checkpoint.load(path)
        config = from_json(checkpoint.config_of(path), ImageConfig)
        assert config == find("small", codec)
        network = ImageNetwork(config)
        checkpoint.fill(network, parts["average"], path)
        MatrixOptimizer(network, 1e-3).load(parts["optimizer"])
        assert int(str(progress["total_steps"])) >= 1
        changed = [k for k, v in parts["model"].items() if not torch.equal(v, parts["average"][k])]
        assert changed

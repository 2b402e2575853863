"""Muon against torch's own, its sharing among processes, and the state in a checkpoint."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bitfloor.tools.training.optimizers import MatrixOptimizer, Muon, orthogonal


def matrices() -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(24, 40), (40, 24), (24, 40), (32, 32), (16, 80)]
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def test_a_step_is_that_of_torch() -> None:
    ours, theirs = matrices(), matrices()
    muon = Muon(ours, dtype=torch.bfloat16)
    torch_muon = torch.optim.Muon(theirs, lr=0.1, momentum=0.95, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(mine.shape, generator=generator)
            other.grad = mine.grad.clone()
        muon.step(0.1)
        torch_muon.step()
    for mine, other, start in zip(ours, theirs, matrices(), strict=True):
        difference = (mine - other).norm() / (other - start).norm()
        assert difference < 0.02, (mine.shape, float(difference))  # bfloat16, another order of products


def test_the_update_is_near_orthogonal() -> None:
    x = torch.randn(3, 20, 50, generator=torch.Generator().manual_seed(2))
    values = torch.linalg.svdvals(orthogonal(x, torch.float32))
    assert values.min() > 0.6 and values.max() < 1.3


def test_parameters_without_gradient_stay() -> None:
    parameters = matrices()
    before = [p.detach().clone() for p in parameters]
    parameters[0].grad = torch.ones_like(parameters[0])
    Muon(parameters).step(0.1)
    assert not torch.equal(parameters[0], before[0])
    assert all(torch.equal(p, b) for p, b in zip(parameters[1:], before[1:], strict=True))


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(20, 24), nn.GELU(), nn.Linear(24, 4))


def step(model: nn.Module, optimizer: MatrixOptimizer, number: int) -> None:
    x = torch.randn(8, 20, generator=torch.Generator().manual_seed(number))
    optimizer.zero_grad()
    model(x).square().mean().backward()
    optimizer.step(1e-2)


def test_the_state_goes_through_a_checkpoint_and_belongs_to_names() -> None:
    whole, stopped = network(), network()
    optimizer, first = MatrixOptimizer(whole, 1e-2), MatrixOptimizer(stopped, 1e-2)
    for number in range(4):
        step(whole, optimizer, number)
    for number in range(2):
        step(stopped, first, number)
    state = {name: value.clone() for name, value in first.tensors()}
    assert {"momentum/0.weight", "adamw/exp_avg/0.bias"} <= set(state)
    second = MatrixOptimizer(stopped, 1e-2)
    second.load(state | {"momentum/gone": torch.zeros(1), "adamw/exp_avg/gone": torch.zeros(1)})
    for number in range(2, 4):
        step(stopped, second, number)
    for ours, theirs in zip(whole.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("world", [2, 3])
def test_stacks_are_shared_out_evenly(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import distributed

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: world)
    muon = Muon([nn.Parameter(torch.zeros(16 + n, 64)) for n in range(12)])
    owners = muon._owners()
    load = [sum(muon._cost(i) for i, owner in enumerate(owners) if owner == rank) for rank in range(world)]
    assert max(load) < 1.3 * min(load)

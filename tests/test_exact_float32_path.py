"""A whole entropy model with eight-bit grids: ranges found, stored as integers, walked in float32, equal everywhere."""

from __future__ import annotations

import copy

import torch
from exact_settings import assert_same_in_every_setting
from safetensors.torch import load, save
from tiny_model import CONFIG, tiny_network
from torch import Tensor, nn

from bitfloor.entropy_models.exact.check import inexact
from bitfloor.entropy_models.exact.grid import float32_path
from bitfloor.entropy_models.exact.layers import ExactLayer, freeze
from bitfloor.entropy_models.exact.quantise import quantise, settle
from bitfloor.entropy_models.exact.storage import integers, load_integers
from bitfloor.entropy_models.latent.gains import GainState
from bitfloor.entropy_models.latent.gaussian import scale_index
from bitfloor.entropy_models.latent.symbol_coders import Pass

SLICES = CONFIG.slices


class Walk(nn.Module):
    """h_s, contexts and heads, with symbols drawn from the means; gives y_hat and all scale indices in one row."""

    def __init__(self) -> None:
        super().__init__()
        network = tiny_network()
        self.hyper_synthesis, self.context = network.hyper_synthesis, network.context
        self.indexes: list[Tensor] = []

    def forward(self, z_hat: Tensor) -> Tensor:
        self.indexes = []
        one = torch.ones(1, 1, 1, 1, SLICES.latent, dtype=z_hat.dtype)
        embedding = torch.full((1, 1, 1, 1, CONFIG.embedding), 0.25, dtype=z_hat.dtype)
        state = GainState(embedding, one * 1.5, one * 0.75, one * 0.25)
        y_hat = self.context(self.hyper_synthesis(z_hat, embedding[:, 0]), state, self)
        return torch.cat((y_hat.flatten(), *self.indexes))

    def code(self, place: Pass, means: Tensor, log_scales: Tensor, coded: Tensor | None = None) -> Tensor:
        self.indexes.append(scale_index(log_scales).flatten().to(means.dtype))
        return torch.round(means * 5 + (place.slice - 1))


def z_hat(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-6, 7, (1, 4, 6, CONFIG.hyper.channels), generator=generator).float()


def stored() -> dict[str, Tensor]:
    walk = Walk()
    quantise(walk)
    for seed in range(3):
        walk(z_hat(seed))
    settle(walk)
    return load(save(integers(walk)))


def test_eight_bits_walk_in_float32() -> None:
    tensors = stored()
    weights = [tensor for name, tensor in tensors.items() if name.endswith("weight")]
    assert all(tensor.dtype == torch.int8 for tensor in weights)
    walk = Walk()
    load_integers(walk, tensors)
    double = copy.deepcopy(walk)
    freeze(walk, torch.float32)
    freeze(double)
    layers = [part for part in walk.modules() if isinstance(part, ExactLayer)]
    assert {layer.dtype for layer in layers} == {torch.float32}

    def run(z: Tensor) -> Tensor:
        with float32_path(), torch.no_grad():
            return walk(z)

    single = assert_same_in_every_setting(run, z_hat(9), modules=(walk,))
    assert single.dtype == torch.float32 and len(single.unique()) > 100
    with float32_path():
        assert inexact(walk, z_hat(9)) == []
    # In float64 sums of two layers are not rounded, so here and there a number differs by a unit, and what follows.
    assert (single == double(z_hat(9).double())).double().mean() > 0.9


def test_a_backend_that_rounds_operands_gets_float64_and_the_same_bits() -> None:
    walk = Walk()
    load_integers(walk, stored())
    freeze(walk, torch.float32)

    def run() -> Tensor:
        with float32_path(), torch.no_grad():
            return walk(z_hat(9))

    expected = run()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")  # bfloat16 where the processor has it
    try:
        assert torch.equal(run(), expected)
    finally:
        torch.set_float32_matmul_precision(before)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(run(), expected)

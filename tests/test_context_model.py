"""The walk over a latent: attention against its definition, and who may see whom."""

from __future__ import annotations

import pytest
import torch

from bitfloor.entropy_models.exact.check import inexact
from bitfloor.entropy_models.exact.grid import snap
from bitfloor.entropy_models.exact.layers import freeze
from bitfloor.entropy_models.exact.tabulate import tabulate
from bitfloor.entropy_models.latent.attention import LinearAttention
from bitfloor.entropy_models.latent.checkerboard import ANCHOR, pack
from bitfloor.entropy_models.latent.context_model import ContextModel
from bitfloor.entropy_models.latent.contexts.adaptive_channel import AdaptiveChannel
from bitfloor.entropy_models.latent.contexts.channel import Channel
from bitfloor.entropy_models.latent.contexts.deep_channel import DeepChannel
from bitfloor.entropy_models.latent.contexts.deformable_inter import DeformableInter
from bitfloor.entropy_models.latent.contexts.hyper_global import HyperGlobal
from bitfloor.entropy_models.latent.contexts.inter import InterGlobal
from bitfloor.entropy_models.latent.contexts.inter_attention import InterAttention
from bitfloor.entropy_models.latent.contexts.intra import IntraGlobal
from bitfloor.entropy_models.latent.contexts.intra_attention import IntraAttention
from bitfloor.entropy_models.latent.contexts.local import Local
from bitfloor.entropy_models.latent.contexts.masked import Masked
from bitfloor.entropy_models.latent.contexts.window import Window
from bitfloor.entropy_models.latent.gains import GainState
from bitfloor.entropy_models.latent.heads.separate import Separate
from bitfloor.entropy_models.latent.skip import Skip
from bitfloor.entropy_models.latent.slice_model import Slices
from bitfloor.entropy_models.latent.symbol_coders import Pass

CHANNELS, HYPER, EMBEDDING = (4, 4, 8), 12, 6
SLICES = {
    "small": Slices(CHANNELS, (Channel(), InterGlobal(), Local(), IntraGlobal())),
    "convolutions": Slices(CHANNELS, (DeepChannel((8, 8)), Masked()), Separate((8, 8, 8), (8, 8))),
    "softmax": Slices(
        CHANNELS,
        (DeepChannel((8, 8)), InterAttention("softmax", head=2), Window(), IntraAttention("softmax")),
        Separate((8, 8, 8), (8, 8)),
    ),
    "acgc": Slices(
        CHANNELS,
        (AdaptiveChannel(inner=16), DeformableInter(head=4)),
        Separate((8, 8, 8), (8, 8)),
    ),
    "acgc from the first slice on": Slices(
        CHANNELS,
        (AdaptiveChannel(inner=16, width=6, first=True), DeformableInter(inner=8, head=4, width=5, first=True)),
    ),
    "all": Slices(
        CHANNELS,
        (
            HyperGlobal(),
            DeepChannel((8, 8)),
            InterAttention(rope=True, reweight=True, head=2, mixer=8, width=6),
            Window(rope=True),
            IntraAttention(rope=True, reweight=True),
        ),
        Separate((8, 8, 8), (8, 8)),
        Skip(700, width=6),
    ),
}


class Recorder:
    """Rounds a given latent, or takes given symbols; keeps them, and means and log scales of every pass."""

    def __init__(self, latent: torch.Tensor, symbols: list[torch.Tensor] | None = None) -> None:
        self.parts = latent.split(CHANNELS, -1)
        self.given = symbols
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.symbols: list[torch.Tensor] = []

    def code(
        self, place: Pass, means: torch.Tensor, log_scales: torch.Tensor, coded: torch.Tensor | None = None
    ) -> torch.Tensor:
        self.seen.append((means, log_scales))
        if self.given is not None:
            symbols = self.given[len(self.symbols)].to(means)
        else:
            symbols = torch.round(pack(self.parts[place.slice], place.parity) - means)
        self.symbols.append(symbols)
        return symbols


def setup_model(kind: str) -> tuple[ContextModel, GainState]:
    torch.manual_seed(0)
    model = ContextModel(SLICES[kind], HYPER, EMBEDDING).eval()
    for name, parameter in model.named_parameters():
        if not parameter.any():  # what training starts at zero
            torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(len(name)))
    one = torch.ones(1, 1, 1, 1, sum(CHANNELS))
    return model, GainState(torch.randn(1, 1, 1, 1, EMBEDDING), one * 2, one / 2, one * 0.7)


@torch.no_grad()
def test_linear_attention_is_softmax_over_positions_and_channels() -> None:
    torch.manual_seed(1)
    layer = LinearAttention(5, 6, 7, 32, 9)
    query, key, value = torch.randn(2, 11, 5), torch.randn(2, 13, 6), torch.randn(2, 13, 7)
    q, k, v = layer.query(query), layer.key(key), layer.value(value)
    heads = []
    for start in (0, 16):
        part = slice(start, start + 16)
        weights = torch.softmax(k[..., part], 1)  # over the 13 positions
        context = weights.transpose(1, 2) @ v[..., part]
        heads.append(torch.softmax(q[..., part], -1) @ context)
    expected = layer.out(torch.cat(heads, -1))
    assert torch.allclose(layer(query, key, value), expected, atol=1e-5)


@pytest.mark.parametrize("kind", SLICES)
@torch.no_grad()
def test_a_pass_sees_only_what_was_coded_before_it(kind: str) -> None:
    """Change one symbol of every pass in turn: earlier passes and its own parameters must not move."""
    model, state = setup_model(kind)
    hyper = torch.randn(1, 8, 12, HYPER)
    latent = torch.randn(1, 8, 12, sum(CHANNELS)) * 3
    reference = Recorder(latent)
    model(hyper, state, reference)
    order = [(group, parity) for group in range(len(CHANNELS)) for parity in (1, 0)]
    for number, (group, parity) in enumerate(order):
        changed = latent.clone()
        row, column = 4, 5 if parity == ANCHOR else 6  # (row + column) % 2 == parity
        changed[0, row, column, sum(CHANNELS[:group])] += 7.0
        other = Recorder(changed)
        model(hyper, state, other)
        for index, (before, after) in enumerate(zip(reference.seen, other.seen, strict=True)):
            same = torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
            blind = kind == "acgc" and (number, index) == (0, 1)  # the paper has no context in the first slice
            assert same == (index <= number or blind), f"pass {index} after a change in pass {number}"


@pytest.mark.parametrize("kind", SLICES)
@torch.no_grad()
def test_the_walk_gives_back_the_latent_within_half_a_step_and_the_residual(kind: str) -> None:
    model, state = setup_model(kind)
    latent = torch.randn(1, 8, 12, sum(CHANNELS)) * 3
    y_hat = model(torch.randn(1, 8, 12, HYPER), state, Recorder(latent * 2))
    assert (y_hat - latent).abs().max() <= (0.5 + 0.5) / 2 + 1e-5


@pytest.mark.parametrize("kind", SLICES)
@torch.no_grad()
def test_a_frozen_walk_is_exact_and_near_the_trained_one(kind: str) -> None:
    model, state = setup_model(kind)
    hyper, latent = torch.randn(1, 8, 12, HYPER), torch.randn(1, 8, 12, sum(CHANNELS)) * 3
    plain = Recorder(latent)
    model(hyper, state, plain)
    tabulate(model)
    freeze(model.double())
    exact_state = GainState(*(snap(part.double()) for part in vars(state).values()))
    frozen = Recorder(latent.double(), plain.symbols)
    model(snap(hyper.double()), exact_state, frozen)
    for before, after in zip(plain.seen, frozen.seen, strict=True):
        assert all((a - b).abs().max() < 0.05 for a, b in zip(before, after, strict=True))
    inputs = (snap(hyper.double()), exact_state, Recorder(latent.double()))
    assert inexact(Bound(model, *inputs), inputs[0]) == []


class Bound(torch.nn.Module):
    """The walk as a function of the hyper features alone."""

    def __init__(self, model: ContextModel, hyper: torch.Tensor, state: GainState, coder: Recorder) -> None:
        super().__init__()
        self.model, self.state, self.coder = model, state, coder

    def forward(self, hyper: torch.Tensor) -> torch.Tensor:
        return self.model(hyper, self.state, self.coder)

"""The walk over a latent: attention against its definition, and who may see whom."""

from __future__ import annotations

import torch

from bitfloor.entropy_models.latent.attention import LinearAttention
from bitfloor.entropy_models.latent.checkerboard import ANCHOR, pack
from bitfloor.entropy_models.latent.context_model import ContextModel
from bitfloor.entropy_models.latent.contexts.channel import Channel
from bitfloor.entropy_models.latent.contexts.inter import InterGlobal
from bitfloor.entropy_models.latent.contexts.intra import IntraGlobal
from bitfloor.entropy_models.latent.contexts.local import Local
from bitfloor.entropy_models.latent.gains import GainState
from bitfloor.entropy_models.latent.slice_model import Slices
from bitfloor.entropy_models.latent.symbol_coders import Pass

CHANNELS, HYPER, EMBEDDING = (4, 4, 8), 12, 6
SLICES = Slices(CHANNELS, (Channel(), InterGlobal(), Local(), IntraGlobal()))


class Recorder:
    """Rounds a given latent and keeps means and log scales of every pass."""

    def __init__(self, latent: torch.Tensor) -> None:
        self.parts = latent.split(CHANNELS, -1)
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def code(
        self, place: Pass, means: torch.Tensor, log_scales: torch.Tensor, coded: torch.Tensor | None = None
    ) -> torch.Tensor:
        self.seen.append((means, log_scales))
        return torch.round(pack(self.parts[place.slice], place.parity) - means)


def setup_model() -> tuple[ContextModel, GainState]:
    torch.manual_seed(0)
    model = ContextModel(SLICES, HYPER, EMBEDDING)
    for module in model.modules():
        if hasattr(module, "residual_second"):
            torch.nn.init.normal_(module.residual_second.weight, std=0.3)
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


@torch.no_grad()
def test_a_pass_sees_only_what_was_coded_before_it() -> None:
    """Change one symbol of every pass in turn: earlier passes and its own parameters must not move."""
    model, state = setup_model()
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
            assert same == (index <= number), f"pass {index} after a change in pass {number}"


@torch.no_grad()
def test_the_walk_gives_back_the_latent_within_half_a_step_and_the_residual() -> None:
    model, state = setup_model()
    latent = torch.randn(1, 8, 12, sum(CHANNELS)) * 3
    y_hat = model(torch.randn(1, 8, 12, HYPER), state, Recorder(latent * 2))
    assert (y_hat - latent).abs().max() <= (0.5 + 0.5) / 2 + 1e-5

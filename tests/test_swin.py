"""The Swin transforms: blocks against torchvision's with the same weights, tiles against the whole, the start."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny_model import S2LIC, smooth_picture, tiny_codec
from torch import Tensor, nn

from bitfloor.codecs.image.tiles import map_tiles
from bitfloor.codecs.image.transforms.base import TransformConfig
from bitfloor.codecs.image.transforms.enhance import Enhance, Enhancement
from bitfloor.codecs.image.transforms.swin import Swin
from bitfloor.codecs.image.transforms.swin_blocks import ResidualSwin, SwinBlock, WindowAttention, reach
from bitfloor.codecs.image.transforms.swin_patch import SwinPatch
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.entropy_models.latent.q_index import q_index_of


def _of_torchvision():
    """torchvision's Swin transformer, which is Python alone: a build for another torch will do. None without one."""
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):  # what such a build asks for when it is imported
        if not hasattr(torch.ops.torchvision, name):
            operators.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
    try:
        from torchvision.models import swin_transformer
    except (ImportError, RuntimeError):
        return None
    return swin_transformer


swin = _of_torchvision()
with_torchvision = pytest.mark.skipif(swin is None, reason="needs torchvision (pip install --no-deps torchvision)")

CHANNELS, HEADS, WINDOW = 24, 4, 4
SIZES = [(8, 12), (4, 4), (4, 8), (7, 10), (3, 5)]


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2, generator=generator)
    return module.eval()


def attention_weights(ours: WindowAttention, prefix: str = "") -> dict[str, Tensor]:
    zeros = torch.zeros_like(ours.query_bias)
    named = {
        "qkv.weight": ours.qkv.weight,
        "qkv.bias": torch.cat((ours.query_bias, zeros, ours.value_bias)),
        "proj.weight": ours.leave.weight,
        "proj.bias": ours.leave.bias,
        "logit_scale": ours.log_scale,
        "cpb_mlp.0.weight": ours.bias[0].weight,
        "cpb_mlp.0.bias": ours.bias[0].bias,
        "cpb_mlp.2.weight": ours.bias[2].weight,
    }
    return {prefix + name: value.detach() for name, value in named.items()}


def bias_by_definition(ours: WindowAttention, rows: int, columns: int) -> Tensor:
    """Swin V2, equations 2 to 4: 16 sigmoid(MLP(log-spaced offset)) for one pair of places, (heads,)."""
    spaced = [math.copysign(math.log2(1 + abs(d) * 8 / (WINDOW - 1)) / 3, d) for d in (rows, columns)]
    return 16 * torch.sigmoid(ours.bias(torch.tensor(spaced)))


@pytest.mark.parametrize("size", [(8, 12), (4, 8), (4, 4)])
@pytest.mark.parametrize("shift", [0, WINDOW // 2])
@torch.no_grad()
def test_window_attention_is_its_definition_place_by_place(size: tuple[int, int], shift: int) -> None:
    ours = randomised(WindowAttention(CHANNELS, HEADS, WINDOW, shift))
    x = torch.randn(1, *size, CHANNELS, generator=torch.Generator().manual_seed(1))
    shifts = [shift if extent > WINDOW else 0 for extent in size]
    weight = ours.qkv.weight.view(3, HEADS, -1, CHANNELS)
    query_bias, value_bias = (b.view(HEADS, -1) for b in (ours.query_bias, ours.value_bias))
    window = {place: tuple((p - s) // WINDOW for p, s in zip(place, shifts, strict=True)) for place in places(size)}
    result = ours(x)
    for place in list(places(size))[::5]:
        others = [other for other in places(size) if window[other] == window[place]]
        q = F.normalize(weight[0] @ x[0][place] + query_bias, dim=-1)
        k = [F.normalize(weight[1] @ x[0][other], dim=-1) for other in others]
        v = torch.stack([weight[2] @ x[0][other] + value_bias for other in others])
        logits = torch.stack(
            [
                (q * key).sum(-1) * ours.log_scale.flatten().exp().clamp_max(100)
                + bias_by_definition(ours, place[0] - other[0], place[1] - other[1])
                for key, other in zip(k, others, strict=True)
            ]
        )
        read = (torch.softmax(logits, 0)[..., None] * v).sum(0).flatten()
        assert (ours.leave(read) - result[0][place]).abs().max() < 1e-5


def places(size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    return product(*(range(extent) for extent in size))


@with_torchvision
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shift", [0, WINDOW // 2])
@torch.no_grad()
def test_window_attention_is_torchvisions(size: tuple[int, int], shift: int) -> None:
    ours = randomised(WindowAttention(CHANNELS, HEADS, WINDOW, shift))
    ours.log_scale[0] = 9.0  # beyond the largest temperature
    theirs = swin.ShiftedWindowAttentionV2(CHANNELS, [WINDOW, WINDOW], [shift, shift], HEADS).eval()
    theirs.load_state_dict({**theirs.state_dict(), **attention_weights(ours)})
    x = torch.randn(2, *size, CHANNELS, generator=torch.Generator().manual_seed(1))
    assert (ours(x) - theirs(x)).abs().max() < 1e-5


@with_torchvision
@torch.no_grad()
def test_a_block_is_torchvisions() -> None:
    ours = randomised(SwinBlock(CHANNELS, HEADS, WINDOW, WINDOW // 2, 2.0))
    theirs = swin.SwinTransformerBlockV2(CHANNELS, HEADS, [WINDOW] * 2, [WINDOW // 2] * 2, mlp_ratio=2.0).eval()
    weights = attention_weights(ours.attention, "attn.")
    for name, module in (
        ("norm1", ours.attention_norm),
        ("norm2", ours.mixer_norm),
        ("mlp.0", ours.enter),
        ("mlp.3", ours.leave),
    ):
        weights |= {f"{name}.weight": module.weight.detach(), f"{name}.bias": module.bias.detach()}
    theirs.load_state_dict({**theirs.state_dict(), **weights})
    x = torch.randn(2, 8, 12, CHANNELS, generator=torch.Generator().manual_seed(1))
    assert (ours(x) - theirs(x)).abs().max() < 1e-5


@pytest.mark.parametrize("local", [False, True])
@torch.no_grad()
def test_blocks_begin_near_the_identity_and_reach_no_further_than_they_say(local: bool) -> None:
    blocks = ResidualSwin(CHANNELS, 3, HEADS, WINDOW, 1.0, local)
    x = torch.randn(1, 28, 28, CHANNELS)
    assert (blocks(x) - x).abs().mean() < 0.2
    farthest = 0
    for row in range(8, 20):
        changed = x.clone()
        changed[0, row, row] += 5
        moved = (randomised(blocks)(changed) != blocks(x))[0].any(-1).nonzero()
        farthest = max(farthest, int((moved - row).abs().max()))
    assert farthest == reach(3, WINDOW, local) == 7 + local


@torch.no_grad()
def test_a_local_convolution_begins_at_zero_and_is_one_of_the_hidden_features() -> None:
    block, plain = SwinBlock(CHANNELS, HEADS, WINDOW, 0, 1.0, local=True), SwinBlock(CHANNELS, HEADS, WINDOW, 0, 1.0)
    plain.load_state_dict(block.state_dict(), strict=False)
    x = torch.randn(1, 8, 8, CHANNELS)
    assert torch.equal(block(x), plain(x))
    assert block.around is not None
    block.around.weight[:, 0, 1, 1] = 1.0  # its middle: every feature once more
    plain.leave.weight.mul_(2)
    assert (block(x) - plain(x)).abs().max() < 1e-5


SMALL = {
    "patch": SwinPatch((16, 24), (2, 1), (3, 2), heads=(2, 4), enhance=Enhance(width=8, growth=4, patch=4)),
    "local": SwinPatch((16, 24), (2, 1), (3, 2), heads=(2, 4), local=True, enhance=Enhance(8, 4, patch=4)),
    "pyramid": Swin(8, (1, 2, 1), (2, 2, 2), enhance=Enhance(width=8, growth=4)),
}


@pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
@torch.no_grad()
def test_tiles_are_parts_of_the_whole(config: TransformConfig) -> None:
    """With the margin and the alignment that the transform declares, a tile gives what the whole gives."""
    analysis, synthesis = (randomised(part) for part in config.build(6))
    ones = torch.ones(1, 1, 1, config.analysis_features)
    margin = -(-config.reach // config.alignment) * config.alignment
    x = torch.rand(1, 3 * 64 * 16 // 4, 64, 3)
    cells = (x.shape[1] // 16, x.shape[2] // 16)
    for module, grid, source, result in ((analysis, x, 16, 1), (synthesis, torch.randn(1, *cells, 6), 1, 16)):
        whole = module(grid, ones)

        def parts(part: Tensor, module: nn.Module = module) -> Tensor:
            return module(part, ones)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bitfloor.codecs.image.tiles.TILE", 4)
            tiled = map_tiles(parts, grid, cells, source=source, result=result, margin=margin)
            short = map_tiles(parts, grid, cells, source=source, result=result, margin=0)
        assert (tiled - whole).abs().max() < 1e-3 * whole.abs().max()
        assert (short - whole).abs().max() > 1e-2 * whole.abs().max()


def test_enhancement_begins_as_the_identity_and_learns() -> None:
    module = Enhancement(Enhance(width=8, growth=4, patch=4))
    x = torch.rand(1, 16, 24, 3)
    assert torch.equal(module(x), x)
    module(x).square().sum().backward()
    assert module.leave.layers[-1].weight.grad.abs().max() > 0


def test_a_refined_file_is_no_worse(tmp_path: Path) -> None:
    codec = tiny_codec(tmp_path, config=S2LIC)
    picture = Picture(smooth_picture(64, 96))
    plain, refined = (codec.encode_picture(picture, 70, effort) for effort in (0, 2))
    position = torch.tensor([q_index_of(70)])
    assert codec._lagrangian(refined, picture, position) < codec._lagrangian(plain, picture, position)

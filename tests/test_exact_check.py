"""The checker finds what is inexact in a module, and nothing in one that is exact."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitfloor.codecs import api
from bitfloor.codecs.image.codec import ImageCodec
from bitfloor.codecs.secodec.codec import SECodecCodec
from bitfloor.entropy_models.exact.attention import channel_attention, linear_attention, softmax_attention
from bitfloor.entropy_models.exact.check import inexact
from bitfloor.entropy_models.exact.convolution import ExactConv2d, ExactSubPixel
from bitfloor.entropy_models.exact.frequencies import frequencies
from bitfloor.entropy_models.exact.functions import exp, gelu, sigmoid, softmax, softplus, tanh
from bitfloor.entropy_models.exact.grid import Grid, divide, float32_path, snap, snap_
from bitfloor.entropy_models.exact.layers import ExactDepthwise, ExactLinear, freeze
from bitfloor.entropy_models.exact.pooling import ExactLayerNorm, average, average_pool
from bitfloor.entropy_models.exact.rotary import Rotary
from bitfloor.entropy_models.exact.sampling import cells, sample
from bitfloor.entropy_models.exact.tabulate import tabulate
from bitfloor.entropy_models.latent.gaussian import scale_index


class Everything(nn.Module):
    """One of each exact layer and function."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.conv, self.strided = ExactConv2d(channels, channels), ExactConv2d(channels, channels, stride=2)
        self.up, self.spatial = ExactSubPixel(channels, channels), ExactDepthwise(channels, 5)
        self.norm, self.linear = ExactLayerNorm(channels), ExactLinear(channels, channels)
        self.rotary = Rotary(channels)
        self.shift = nn.Parameter(torch.randn(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = gelu(self.norm(self.conv(x))) + snap(self.shift)
        x = tanh(self.up(self.strided(x))) + sigmoid(self.spatial(x))
        turned = self.rotary(snap(self.linear(x)), *self.rotary.turns(*x.shape[1:3], x))
        tokens = turned.flatten(1, 2)
        heads = tokens[:, None]
        read = softmax_attention(heads, heads, heads)[:, 0] + channel_attention(tokens, tokens, tokens)
        read = read + snap(linear_attention(heads, heads, heads))[:, 0]
        x = snap(read).unflatten(1, x.shape[1:3]) * average(x)
        x = sample(x, cells(*x.shape[1:3], x)[None] + softplus(snap(x))[..., :2])
        return softmax(average_pool(snap(x), 2)) * divide(exp(snap(x))[:, ::2, ::2], 3)


def everything(path: torch.dtype = torch.float64) -> Everything:
    torch.manual_seed(0)
    module = Everything()
    tabulate(module)
    freeze(module, path)
    return module


X = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_nothing_is_found_in_exact_layers() -> None:
    assert inexact(everything(), X) == []


def test_nothing_is_found_on_the_float32_path() -> None:
    with float32_path():
        module = everything(torch.float32)
        for layer in (module.conv, module.strided, module.up, module.spatial, module.linear):
            layer.set_grid(Grid(4, 2), 7)
            layer.freeze()
            assert layer.dtype == torch.float32
        assert inexact(module, X.float()) == []


class Wrong(nn.Module):
    """A module whose forward is one line that somebody might write."""

    def __init__(self, forward, layer: nn.Module | None = None) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.line, self.layer = forward, layer

    def forward(self, x: Tensor) -> Tensor:
        return self.line(self, x)


WRONG = {
    "aten.exp": lambda m, x: torch.exp(x),
    "aten.pow": lambda m, x: x**0.5,
    "aten.mean": lambda m, x: x.mean(-1),
    "aten._softmax": lambda m, x: torch.softmax(x, -1),
    "aten.native_layer_norm": lambda m, x: F.layer_norm(x, x.shape[-1:]),
    "aten.gelu": lambda m, x: F.gelu(x),
    "aten.sigmoid": lambda m, x: torch.sigmoid(x),
    "aten.div": lambda m, x: x / 3,
    "aten.add": lambda m, x: torch.add(x, x, alpha=0.3),
    "aten.lerp": lambda m, x: torch.lerp(x, 2 * x, 0.3),
    "aten.sum": lambda m, x: x.sum(-1),
    "aten.cumsum": lambda m, x: x.cumsum(-1),
    "aten.bmm": lambda m, x: x[0] @ x[0].mT,
    "aten.addmm": lambda m, x: F.linear(snap(x), torch.full((2, 8), 0.3, dtype=x.dtype), x[0, 0, 0, :2]),
    "aten.addcmul": lambda m, x: torch.addcmul(x, x, x),
}


def test_every_wrong_line_is_found_where_it_stands() -> None:
    for operation, line in WRONG.items():
        (found, *more) = inexact(Wrong(line), X / 3)
        assert not more and f" {operation}: " in found, (operation, found, more)
        assert found.startswith("tests/test_exact_check.py:" + str(line.__code__.co_firstlineno)), found


def test_sums_of_snapped_numbers_are_no_fault() -> None:
    assert inexact(Wrong(lambda m, x: snap(x).sum(-1)), X) == []
    assert inexact(Wrong(lambda m, x: snap(x)[0] @ snap(x)[0].mT), X) == []
    assert inexact(Wrong(lambda m, x: x / 4), X) == []


def test_a_sum_beyond_its_type_is_found() -> None:
    (found,) = inexact(Wrong(lambda m, x: (snap(x) * 2.0**40 + 2.0**-10).sum(-1)), X)
    assert "bits; torch.float64 holds 53" in found


def test_parts_are_named() -> None:
    module = nn.ModuleDict({"a": nn.Linear(8, 8), "b": ExactLinear(8, 8), "c": nn.Sequential(nn.GELU(), nn.ReLU())})
    assert inexact(module) == [
        "a: torch.nn.Linear is not exact",
        "b: has not been frozen",
        "c.0: torch.nn.GELU is not exact",
        "a.weight: a parameter that is not on the grid of activations; freeze the module",
        "a.bias: a parameter that is not on the grid of activations; freeze the module",
    ]
    (line, run) = inexact(ExactLinear(8, 8).double(), X)
    assert line == "ExactLinear: has not been frozen" and "FreezeError" in run


def test_the_examples_of_the_page() -> None:
    """`docs/exact-layers.md`: its layer is exact, and the wrong one gives the lines that stand there."""
    page = (Path(__file__).parents[1] / "docs" / "exact-layers.md").read_text(encoding="utf-8")
    layer, wrong = (part.split("```")[0] for part in page.split("```python\n")[1:])
    names = {"nn": nn, "torch": torch, "Tensor": Tensor, "gelu": gelu, "sigmoid": sigmoid, "average": average}
    names |= {"ExactConv2d": ExactConv2d, "ExactLinear": ExactLinear, "snap_": snap_, "freeze": freeze}
    lines: list[str] = []
    names |= {"inexact": inexact, "snap": snap, "print": lines.append, "__name__": "mine"}
    for code in (layer, wrong):
        exec(compile(code, "mine.py", "exec"), names)
    shown = page.split("```text\n")[1].split("```")[0].splitlines()
    assert lines == shown


class Walk(nn.Module):
    """The exact half of the shipped picture codec, with symbols drawn from the means: what a decoder runs."""

    def __init__(self) -> None:
        super().__init__()
        codec = api.load("mlicv2")
        assert isinstance(codec, ImageCodec)
        self.path = codec.frozen.exact

    def forward(self, z_hat: Tensor) -> Tensor:
        return self.path.walk(z_hat.numpy(), torch.tensor([200]), self)

    def code(self, place: object, means: Tensor, log_scales: Tensor, coded: Tensor | None = None) -> Tensor:
        assert scale_index(log_scales).dtype == torch.int32
        symbols = torch.round(means * 3)
        return symbols if coded is None else symbols * coded


class Frequencies(nn.Module):
    """The token model of the shipped speech codec, up to the integers that the range coder reads."""

    def __init__(self) -> None:
        super().__init__()
        codec = api.load("secodec")
        assert isinstance(codec, SECodecCodec)
        self.tokens = codec.frozen.tokens

    def forward(self, codes: Tensor) -> Tensor:
        layers = codes.shape[2]
        context, _ = self.tokens.context(self.tokens.before(codes), torch.tensor([layers]), self.tokens.start(1))
        return frequencies(self.tokens.log2_frequencies(context, layers))


def test_nothing_is_found_in_what_the_shipped_codecs_decode_with() -> None:
    walk = Walk()
    z_hat = torch.arange(6 * walk.path.hyper_channels).remainder(7).sub(3).reshape(1, 2, 3, -1).int()
    assert inexact(walk, z_hat) == []
    assert inexact(Frequencies(), torch.arange(48).reshape(1, 6, 8)) == []

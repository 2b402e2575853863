"""What the layers of a trained network read: the ranges and the second moments by which its numbers are rounded.

watched = watch(layers, run)        run the network over pictures of the held-out part, look at every layer's input
choose_grid(layer, seen)            an exact layer: the grid with which float32 holds its sums
round_weight(weight, bias, ...)     any layer: integers that change its results least on such inputs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...entropy_models.exact.convolution import ExactConv2d
from ...entropy_models.exact.grid import ACTIVATION_BITS, SINGLE_UNITS, Grid
from ...entropy_models.exact.layers import ExactDepthwise, ExactLayer
from ...entropy_models.exact.quantise import PERCENTILE, PRECISION, range_exponent, row_exponents

FINEST = 12  # bits of an activation with its sign; more of them were never seen to save anything
# At this range 8 bits are as fine as the default grid; what was hardly ever more than zero may be in another picture.
LEAST_REACH = PRECISION - 1 - ACTIVATION_BITS
SAMPLE = 2**16  # numbers of one input that are looked at for its range
ROWS = 2**12  # positions of one input that enter the moments
DAMPING = 1e-4  # of the moments' mean, so that inputs which are never seen do not take everything


@dataclass
class Seen:
    """The inputs of one layer.

    Attributes:
        reaches: the percentile of magnitudes in every run, see `quantise.PERCENTILE`.
        moments: (K + 1, K + 1) float64, sums of products of the K numbers that a result is made of, and of a one for
            the bias; None for layers that are no matrix over their inputs.
    """

    reaches: list[float] = field(default_factory=list)
    moments: Tensor | None = None

    def add(self, x: Tensor, rows: Tensor | None) -> None:
        """One more input x, and the rows (N, K) that are multiplied with the weights."""
        values = x.flatten().abs().float()
        values = values[:: max(1, values.numel() // SAMPLE)]
        self.reaches.append(float(values.kthvalue(max(1, round(PERCENTILE * values.numel()))).values))
        if rows is not None:
            rows = rows[:: max(1, len(rows) // ROWS)].double()
            rows = torch.cat((rows, rows.new_ones(len(rows), 1)), 1)
            products = rows.t() @ rows
            self.moments = products if self.moments is None else self.moments + products

    @property
    def reach(self) -> float:
        """The range of the input."""
        return fmean(self.reaches)


@torch.no_grad()
def watch(layers: Mapping[str, nn.Module], run: Callable[[], None]) -> dict[str, Seen]:
    """What every one of `layers` reads while `run` runs their network; none for one that never ran."""
    found: dict[str, Seen] = {}

    def look(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found.setdefault(name, Seen()).add(inputs[0], input_rows(layer, inputs[0]))

        return hook

    handles = [layer.register_forward_pre_hook(look(name)) for name, layer in layers.items()]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return found


def input_rows(layer: nn.Module, x: Tensor) -> Tensor | None:
    """The rows (N, K) of which a layer's results are `rows @ weight.t() + bias`; None for depthwise layers."""
    if isinstance(layer, (nn.Conv2d, ExactDepthwise)):
        return None
    if not isinstance(layer, ExactConv2d):
        return x.reshape(-1, x.shape[-1])
    p, s = layer.padding, layer.stride
    padded = F.pad(x, (0, 0, p, p, p, p))
    height, width = ((size - layer.kernel) // s + 1 for size in padded.shape[1:3])
    taps = [padded[:, row + p :: s, column + p :: s][:, :height, :width].flatten(0, 2) for row, column in layer.window]
    return torch.cat(taps, 1)


@torch.no_grad()
def choose_grid(layer: ExactLayer, seen: Seen, weight_precision: int = PRECISION) -> bool:
    """Give a layer its grid and round its weights onto it; returns whether float32 is proved to hold its sums.

    Rows of weights get the finest power of two that holds their largest number, the input the range that was seen and
    as many bits as leave the sums exact in float32, from 12 down to 8.
    """
    reach = max(int(range_exponent(torch.tensor(seen.reach))), LEAST_REACH)
    finest = Grid(FINEST - 1 - reach, reach)
    exponents = row_exponents(layer, finest, weight_precision)
    steps = torch.exp2(exponents.double())
    weight, bias = round_weight(layer.weight, layer.bias, steps, 2 ** (weight_precision - 1) - 1, seen.moments)
    layer.weight.copy_(weight)
    if bias is not None:
        layer.bias.copy_(bias)
    for precision in range(FINEST, PRECISION - 1, -1):
        grid = Grid(precision - 1 - reach, reach)
        layer.set_grid(grid, -exponents)
        if fits_single(layer):
            return True
    layer.set_grid(finest, -exponents)
    return False


def fits_single(layer: ExactLayer) -> bool:
    """Whether float32 is proved to hold the layer's sums on its grid."""
    return layer.largest_sum() < SINGLE_UNITS


def round_weight(
    weight: Tensor, bias: Tensor | None, steps: Tensor, largest: int, moments: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """A weight (out, ...) on multiples of steps (out,), at most `largest` of them, and the bias that goes with it.

    Rounding one number of a row is an error that the numbers after it, and at last the bias, can make good for as far
    as their inputs move together (Frantar et al., "GPTQ", arXiv 2210.17323, after Hassibi and Stork's optimal brain
    surgeon). Without moments every number goes to the nearest multiple.

    Returns float64.
    """
    values, steps = weight.detach().double().flatten(1), steps.double()
    if moments is None:
        rounded = _on_steps(values, steps[:, None], largest)
        return rounded.view(weight.shape), None if bias is None else bias.detach().double()
    if bias is None:
        moments = moments[:-1, :-1]
    else:
        values = torch.cat((values, bias.detach().double()[:, None]), 1)
    inputs = weight[0].numel()
    order = torch.argsort(moments.diagonal()[:inputs], descending=True)
    order = torch.cat((order, torch.arange(inputs, values.shape[1])))  # the bias comes last and is not rounded
    rounded = torch.empty_like(values)
    rounded[:, order] = _one_by_one(values[:, order], steps, largest, _shares(moments[order][:, order]), inputs)
    return rounded[:, :inputs].view(weight.shape), None if bias is None else rounded[:, -1]


def _on_steps(values: Tensor, steps: Tensor, largest: int) -> Tensor:
    return torch.round(values / steps).clamp(-largest, largest) * steps


def _shares(moments: Tensor) -> Tensor:
    """Upper triangle (K, K): row k over its diagonal says what an error of number k is to the numbers after it."""
    size = len(moments)
    damped = moments + torch.eye(size, dtype=moments.dtype) * (DAMPING * moments.diagonal().mean()).clamp_min(1e-12)
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)


def _one_by_one(values: Tensor, steps: Tensor, largest: int, shares: Tensor, rounded: int, block: int = 64) -> Tensor:
    """The first `rounded` columns of values (out, K) on the steps, each one's error handed on to those after it."""
    values = values.clone()
    for start in range(0, values.shape[1], block):
        stop = min(start + block, values.shape[1])
        errors = values.new_zeros(len(values), stop - start)
        for column in range(start, min(stop, rounded)):
            kept = _on_steps(values[:, column], steps, largest)
            error = (values[:, column] - kept) / shares[column, column]
            values[:, column] = kept
            values[:, column + 1 : stop] -= error[:, None] * shares[column, column + 1 : stop]
            errors[:, column - start] = error
        values[:, stop:] -= errors @ shares[start:stop, stop:]
    return values

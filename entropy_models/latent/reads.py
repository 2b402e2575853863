"""A linear layer over several sources: one matrix for each, summed."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ..exact.layers import ExactLinear


class Reads(nn.Module):
    """Sum of one linear layer for each source, by name; the same as one layer over their concatenation.

    A source can so be added to a trained network, or taken from it, and every other weight keeps its meaning;
    and nothing is copied together on the way. Inputs are expected on the grid of activations.
    """

    def __init__(self, widths: Mapping[str, int], out: int) -> None:
        super().__init__()
        total = sum(widths.values())
        self.sources = tuple(widths)
        layers = {name: ExactLinear(width, out) for name, width in widths.items()}
        for number, (name, layer) in enumerate(layers.items()):
            share = (widths[name] / total) ** 0.5  # as spread as the weights of one layer over all of them
            layer.weight.data.mul_(share)
            layer.bias.data.mul_(share if number == 0 else 0)
        self.parts = nn.ModuleDict(layers)

    def forward(self, told: Mapping[str, Tensor]) -> Tensor:
        """Sources (..., width) by name, all of one shape but for the width, to (..., out)."""
        first, *rest = self.sources
        total: Tensor = self.parts[first](told[first], on_grid=True)
        for name in rest:
            total += self.parts[name](told[name], on_grid=True)
        return total

"""What a hyperprior is."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from ...parts import Part


class HyperConfig(Part):
    """The family of hyperpriors.

    Attributes:
        factor: cells of y along one side of a cell of z.
        channels: of z.
    """

    package: ClassVar[str] = __package__
    entry_points: ClassVar[str] = "bitfloor.hyperpriors"
    factor: ClassVar[int] = 4
    channels: int

    @property
    def features(self) -> int:
        """Width of the features that h_s gives for every cell of y."""
        raise NotImplementedError

    def build_analysis(self, latent: int, embedding: int) -> nn.Module:
        """h_a, in ordinary floats: y (B, H, W, M) and quality embedding (B, 1, 1, E) to z (B, H / 4, W / 4, Z)."""
        raise NotImplementedError

    def build_synthesis(self, embedding: int) -> nn.Module:
        """h_s, exact: integer z_hat (B, H / 4, W / 4, Z) and quality embedding to features (B, H, W, features)."""
        raise NotImplementedError

"""What a transform is: a pair of networks between pictures and latents."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from ....entropy_models.parts import Part


class Transform(nn.Module):
    """One direction; `scales` (B, 1, 1, sum of the features) multiply its features, one vector for each quality."""

    def forward(self, x: Tensor, scales: Tensor) -> Tensor:
        """g_a: picture (B, H, W, 3) in [0, 1] to y (B, H / 16, W / 16, M); g_s: the other way, not clamped."""
        raise NotImplementedError


class TransformConfig(Part):
    """The family of transforms.

    Attributes:
        stride: pixels along one side of a cell of the latent.
        alignment: a tile begins at a multiple of so many cells, for transforms that work in windows.
    """

    package: ClassVar[str] = __package__
    entry_points: ClassVar[str] = "bitfloor.transforms"
    stride: ClassVar[int] = 16
    alignment: ClassVar[int] = 1

    @property
    def reach(self) -> int:
        """Cells around its own that a cell of the result depends on, in the further-reaching direction."""
        raise NotImplementedError

    @property
    def analysis_features(self) -> int:
        """How many features of g_a a quality scales."""
        raise NotImplementedError

    @property
    def synthesis_features(self) -> int:
        """How many features of g_s a quality scales."""
        raise NotImplementedError

    def build(self, latent: int) -> tuple[Transform, Transform]:
        """g_a and g_s for `latent` channels of y. They may share modules."""
        raise NotImplementedError

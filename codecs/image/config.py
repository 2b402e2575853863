"""A picture network as a value."""

from __future__ import annotations

from typing import Literal

import msgspec

from ...entropy_models.latent.hyperpriors.base import HyperConfig
from ...entropy_models.latent.slice_model import Slices
from .transforms.base import TransformConfig


class ImageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a network is made of; `presets` names those that are trained, `msgspec.structs.replace` crosses them.

    Attributes:
        transform: g_a and g_s.
        hyper: h_a and h_s.
        slices: coding order, contexts and entropy parameters of the latent.
        embedding: width of the vector that tells the entropy networks the quality.
        lambdas: weight of the distortion at the lowest and at the highest quality, see `loss.lagrangian`.
        distortion: "mse", or "visual" for `visual.visual_distance`.
    """

    transform: TransformConfig
    hyper: HyperConfig
    slices: Slices
    embedding: int = 32
    lambdas: tuple[float, float] = (0.0007, 0.1)
    distortion: Literal["mse", "visual"] = "mse"

    @property
    def block(self) -> int:
        """Pixels along one side of a cell of z: pictures are padded to a multiple of this."""
        return self.transform.stride * self.hyper.factor

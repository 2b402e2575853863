"""What a refinement of a picture's latent makes smaller, and how it bends."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ...entropy_models.latent.symbol_coders import ChangingCoder, TrainingCoder
from .loss import lagrangian
from .model import ImageNetwork
from .visual import visual_distance


class Objective:
    """J = bits per pixel + lambda 255^2 D of a part of a picture, of its latent y (1, H, W, M) in the gained domain.

    D is what the network is trained for; `changes` and `curvature` are for squared error. Everything is rounded, so J
    is what it is. The bits of z are not in it.
    """

    def __init__(self, network: ImageNetwork, rgb: Tensor, hyper: Tensor, q_index: Tensor) -> None:
        """Pixels (1, 16 H, 16 W, 3) in [0, 1], features of h_s (1, H, W, features), quality index (1,)."""
        self.network, self.rgb, self.hyper = network, rgb, hyper
        self.state, self._scales = network.gains.state(q_index), network.q_scale.of_synthesis(q_index)
        self.gain, self.inverse_gain = self.state.gain[:, 0], self.state.inverse_gain[:, 0]
        self.channels = network.config.slices.channels
        self.pixels = rgb.shape[1] * rgb.shape[2]
        self._weight = float(lagrangian(q_index.float(), network.config.lambdas)) * 255**2

    def cost(self, y: Tensor) -> Tensor:
        """J, with a gradient that passes straight through the rounding."""
        coder = TrainingCoder(y, self.channels, training=False)
        if self.network.config.distortion == "mse":
            return self._by_cell(coder, ()).sum()
        picture, rgb = (x.permute(0, 3, 1, 2) for x in (self._picture(coder, ()), self.rgb))
        return coder.bits().sum() / self.pixels + self._weight * visual_distance(picture, rgb).sum()

    def changes(self, y: Tensor, before: Sequence[Tensor]) -> tuple[Tensor, Tensor, ChangingCoder]:
        """J of every cell (1, H, W, 1), what a change of a symbol adds to it to first order, and the symbols' coder.

        The slices `before` are not coded again, and their bits not counted.
        """
        change = torch.zeros_like(y).requires_grad_()
        with torch.enable_grad():
            coder = ChangingCoder(y, self.channels, change)
            by_cell = self._by_cell(coder, before)
            (slope,) = torch.autograd.grad(by_cell.sum(), change)
        return by_cell.detach(), slope, coder

    def centred(self, y: Tensor) -> Tensor:
        """The latent in the middle of what is rounded to the same symbols, so that they stay where means move a little.

        The exact path's means do: its activations are rounded, and one symbol that fell otherwise would move others.
        """
        means, _, symbols, coded = self.changes(y, ())[2].coded()
        return torch.where(coded, means + symbols, y)

    def decoded(self, y: Tensor) -> tuple[Tensor, ...]:
        """The slices of y_hat / gain, as `changes` takes them."""
        coder = TrainingCoder(y, self.channels, training=False)
        return self.network.context(self.hyper, self.state, coder).split(list(self.channels), -1)

    def curvature(self, y_hat: Tensor, generator: torch.Generator) -> Tensor:
        """Second derivative of J by a symbol of each channel (1, 1, 1, M), as the squared error bends it.

        With signs s of the pixels drawn at random, the mean of (s' J)^2 is the diagonal of J'J (Hutchinson).
        """
        change = torch.zeros_like(y_hat).requires_grad_()
        with torch.enable_grad():
            picture = self.network.synthesis(y_hat + change * self.inverse_gain, self._scales)
            signs = torch.randint(0, 2, picture.shape, generator=generator).to(picture) * 2 - 1
            (projected,) = torch.autograd.grad((picture * signs).sum(), change)
        bends = projected.square().mean((0, 1, 2), keepdim=True)
        return 2 * self._weight * bends / self.rgb.numel()

    def _by_cell(self, coder: TrainingCoder | ChangingCoder, before: Sequence[Tensor]) -> Tensor:
        error = (self._picture(coder, before) - self.rgb).square().mean(-1)
        stride = self.network.config.transform.stride
        of_cells = F.avg_pool2d(error[:, None], stride)[:, 0, :, :, None] * stride**2
        return (coder.bits() + self._weight * of_cells) / self.pixels

    def _picture(self, coder: TrainingCoder | ChangingCoder, before: Sequence[Tensor]) -> Tensor:
        """The reconstruction (1, 16 H, 16 W, 3) in [0, 1]; codes the latent on the way."""
        y_hat = self.network.context(self.hyper, self.state, coder, before)
        picture: Tensor = self.network.synthesis(y_hat, self._scales)
        return picture.clamp(0, 1)

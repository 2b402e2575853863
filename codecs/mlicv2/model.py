"""The MLICv2 network: transforms, hyperprior and multi-reference entropy model under one quality control."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ...entropy_models.latent.checkerboard import pack
from ...entropy_models.latent.context_model import MultiReferenceModel
from ...entropy_models.latent.factorized import FactorizedPrior
from ...entropy_models.latent.gaussian import bounded_scales, gaussian_likelihood
from .hyper import HyperAnalysis, HyperSynthesis
from .quality import QualityNodes, interpolate
from .transforms import Analysis, Synthesis

STRIDE = 64  # pictures are padded to a multiple of this


@dataclass(frozen=True)
class MLICv2Config:
    """Widths of one network; `PRESETS` names those that are trained.

    `direct_channels`: of a neighbour, how many the local context convolves; attention reads them all.
    `linear_path`: whether a linear transform runs beside the others, see `Analysis`.
    """

    widths: tuple[int, int] = (256, 368)
    analysis_depths: tuple[int, int] = (3, 2)
    synthesis_depths: tuple[int, int] = (4, 2)
    groups: tuple[int, ...] = (16, 16, 32, 64, 64)
    hyper: int = 192
    hyper_latent: int = 96
    embedding: int = 32
    direct_channels: int = 64
    linear_path: bool = False

    @property
    def latent(self) -> int:
        """Channels of y."""
        return sum(self.groups)

    def to_dict(self) -> dict[str, object]:
        """Plain values for a manifest."""
        return asdict(self)


PRESETS = {
    "small": MLICv2Config(
        groups=(16, 16, 32, 64, 168), hyper=128, hyper_latent=48, direct_channels=32, linear_path=True
    )
}


class MLICv2(nn.Module):
    """Picture (B, 3, H, W) in [0, 1], H and W multiples of 64, to its reconstruction and its likelihoods."""

    def __init__(self, config: MLICv2Config) -> None:
        super().__init__()
        self.config = config
        c = config
        self.analysis = Analysis(c.widths, c.analysis_depths, c.latent, c.linear_path)
        self.synthesis = Synthesis(c.widths, c.synthesis_depths, c.latent, c.linear_path)
        self.hyper_analysis = HyperAnalysis(c.latent, c.hyper, c.hyper_latent, c.embedding)
        self.hyper_synthesis = HyperSynthesis(c.hyper_latent, c.hyper, c.embedding)
        self.prior = FactorizedPrior(c.hyper_latent)
        self.context = MultiReferenceModel(c.groups, c.hyper, c.embedding, c.direct_channels)
        self.quality = QualityNodes(c.latent, c.hyper_latent, c.embedding, sum(c.widths))

    def forward(self, x: Tensor, position: Tensor) -> dict[str, Tensor | dict[str, Tensor]]:
        """CompressAI's protocol, with the quality indices `position` (B,) beside the picture.

        In training noise stands for rounding in the likelihoods, and rounding with a straight-through gradient
        everywhere else. In evaluation everything is rounded: noise would charge a silent channel 0.15 bits a symbol.
        """
        state = self.quality.state(position)
        latent = self.analysis(x.permute(0, 2, 3, 1), self.modulation(self.quality.analysis, position))
        latent = latent.float()
        # Autocast reaches into the entropy model, too: of its matrix products only the inputs are rounded, which
        # changes the bits of held-out pictures by 0.2 % at most; likelihoods and gains stay in float32.
        embedding = state.embedding[:, 0]
        z = self.hyper_analysis(latent, embedding).float()
        scale = self.quality.z_scale(position)
        z_likelihood = self._z_likelihood(perturbed(z, self.training), scale)
        hyper = self.hyper_synthesis(round_straight_through(z), embedding)
        gained = latent * state.gain[:, 0]
        coder = TrainingCoder(gained, self.config.groups, self.training)
        y_hat = self.context(hyper, state, coder)
        x_hat = self.synthesis(y_hat, self.modulation(self.quality.synthesis, position))
        likelihoods = {"y": coder.likelihoods(), "z": z_likelihood}
        return {"x_hat": x_hat.permute(0, 3, 1, 2), "likelihoods": likelihoods}

    def modulation(self, nodes: Tensor, position: Tensor) -> Tensor:
        """Feature scales (B, 1, 1, N1 + N2) of either transform."""
        return interpolate(nodes, position)[:, None, None]

    def _z_likelihood(self, z: Tensor, scale: Tensor) -> Tensor:
        b, h, w, c = z.shape
        rows = z.permute(3, 0, 1, 2).flatten(1)
        stretched = scale.t()[:, :, None].expand(c, b, h * w).flatten(1)
        return self.prior.likelihood(rows, stretched).unflatten(1, (b, h * w)).transpose(0, 1)


class TrainingCoder:
    """Symbols by rounding the true latent, and the likelihoods of that latent under uniform noise."""

    def __init__(self, latent: Tensor, groups: tuple[int, ...], training: bool) -> None:
        self.parts, self.training = latent.split(groups, -1), training
        self.taken: list[Tensor] = []

    def code(self, group: int, parity: int, means: Tensor, log_scales: Tensor) -> Tensor:
        """See `SymbolCoder`."""
        residual = pack(self.parts[group], parity) - means
        noisy = perturbed(residual, self.training)
        self.taken.append(gaussian_likelihood(noisy, bounded_scales(log_scales)).flatten(1))
        return round_straight_through(residual)

    def likelihoods(self) -> Tensor:
        """(B, number of symbols) in coding order."""
        return torch.cat(self.taken, 1)


def perturbed(x: Tensor, training: bool) -> Tensor:
    """x with uniform noise in training, rounded in evaluation."""
    return x + torch.rand_like(x) - 0.5 if training else torch.round(x)


def round_straight_through(x: Tensor) -> Tensor:
    """Rounded x, with the gradient of x."""
    return x + (torch.round(x) - x).detach()

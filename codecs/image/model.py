"""A picture network: transform, hyperprior and context model under one quality control."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...entropy_models.latent.context_model import ContextModel
from ...entropy_models.latent.factorized import FactorizedPrior
from ...entropy_models.latent.gains import Gains, interpolate
from ...entropy_models.latent.q_index import NODES
from ...entropy_models.latent.rounding import perturbed, round_straight_through
from ...entropy_models.latent.symbol_coders import TrainingCoder
from .config import ImageConfig


class QScale(nn.Module):
    """Scales of the features of both transforms at the quality nodes."""

    def __init__(self, analysis: int, synthesis: int) -> None:
        super().__init__()
        self.analysis = nn.Parameter(torch.ones(NODES, analysis))
        self.synthesis = nn.Parameter(torch.ones(NODES, synthesis))

    def of_analysis(self, q_index: Tensor) -> Tensor:
        """(B, 1, 1, features of g_a) at quality indices (B,)."""
        return interpolate(self.analysis, q_index)[:, None, None]

    def of_synthesis(self, q_index: Tensor) -> Tensor:
        """(B, 1, 1, features of g_s) at quality indices (B,)."""
        return interpolate(self.synthesis, q_index)[:, None, None]


class ImageNetwork(nn.Module):
    """Picture (B, 3, H, W) in [0, 1], H and W multiples of `config.block`, to reconstruction and likelihoods.

        x ── g_a ── y ──────────────────────────── gain ── symbols ── y_hat ── g_s ── x_hat
                    └ h_a ── z ── z_hat ── h_s ── hyper ────┘ context model

    analysis and synthesis are g_a and g_s, hyper_analysis and hyper_synthesis h_a and h_s.
    """

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config = config
        latent, hyper, embedding = config.slices.latent, config.hyper, config.embedding
        self.analysis, self.synthesis = config.transform.build(latent)
        self.hyper_analysis = hyper.build_analysis(latent, embedding)
        self.hyper_synthesis = hyper.build_synthesis(embedding)
        self.prior = FactorizedPrior(hyper.channels)
        self.context = ContextModel(config.slices, hyper.features, embedding)
        self.gains = Gains(latent, hyper.channels, embedding)
        self.q_scale = QScale(config.transform.analysis_features, config.transform.synthesis_features)

    def analyse(self, x: Tensor, q_index: Tensor) -> Tensor:
        """y (B, H / 16, W / 16, M) of a picture (B, 3, H, W), before its gain."""
        y: Tensor = self.analysis(x.permute(0, 2, 3, 1), self.q_scale.of_analysis(q_index))
        return y.float()

    def forward(self, x: Tensor, q_index: Tensor, y: Tensor | None = None) -> dict[str, Tensor | dict[str, Tensor]]:
        """CompressAI's protocol, with the quality indices (B,) beside the picture.

        In training noise stands for rounding in the likelihoods, and rounding with a straight-through gradient
        everywhere else. In evaluation everything is rounded. Where the latent `y` (B, H / 16, W / 16, M) is
        given, nobody looks at the picture.
        """
        state = self.gains.state(q_index)
        y = self.analyse(x, q_index) if y is None else y
        # Autocast reaches into the entropy model, too: of its matrix products only the inputs are rounded, which
        # changes the bits of held-out pictures by 0.2 % at most; likelihoods and gains stay in float32.
        embedding = state.embedding[:, 0]
        z = self.hyper_analysis(y, embedding).float()
        z_noisy = perturbed(z, self.training)
        z_likelihoods = self.prior.grid_likelihood(z_noisy, self.gains.z_scale(q_index))
        hyper = self.hyper_synthesis(round_straight_through(z), embedding)
        coder = TrainingCoder(y * state.gain[:, 0], self.config.slices.channels, self.training)
        y_hat = self.context(hyper, state, coder)
        x_hat = self.synthesis(y_hat, self.q_scale.of_synthesis(q_index))
        likelihoods = {"y": coder.likelihoods(), "z": z_likelihoods}
        return {"x_hat": x_hat.permute(0, 3, 1, 2), "likelihoods": likelihoods}

"""Residual vector quantisation with codebooks found by structural entropy or by k-means.

    latent ── layer 1 ──► code 1        first residual = latent - centroid 1
                 └─ residual ── layer 2 ──► code 2 ...        sum of centroids ──► decoder
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...entropy_models.structural import Codebook, Rule, kmeans, neighbour_graph, quantise
from ...entropy_models.structural.neighbours import lifted, rms_length
from ...errors import ModelError, UsageError


@dataclass(frozen=True)
class Extraction:
    """How a layer's codebook is found.

    Attributes:
        codes: number of codes of a k-means codebook; None for structural entropy, which finds it.
        k: neighbours in the graph of frames, from which the structural rule's statistics come.
        lift: see `Codebook.extract`.
    """

    codes: int | None = None
    k: int = 10
    lift: float = 1.0


@dataclass(frozen=True)
class Quantised:
    """What the quantiser makes of latents (B, F, D).

    Attributes:
        latents: (B, F, D), sum of the centroids; gradients pass straight through to the input.
        codes: (B, F, L) int64, -1 in layers that an item does not use.
        commitment: mean squared distance of the residuals from their centroids, which keeps the encoder
        near them.
    """

    latents: Tensor
    codes: Tensor
    commitment: Tensor


class QuantiserLayer(nn.Module):
    """One codebook in buffers of fixed size, so that a checkpoint of another extraction fits.

    Codes beyond `size` do not exist. Node labels are stored as float32, which holds them exactly.
    """

    centroids: Tensor
    volumes: Tensor
    inner: Tensor
    nodes: Tensor
    labels: Tensor
    figures: Tensor

    def __init__(self, dim: int, capacity: int, n_nodes: int) -> None:
        super().__init__()
        self.capacity, self.n_nodes = capacity, n_nodes
        self.register_buffer("centroids", torch.zeros(capacity, dim))
        self.register_buffer("volumes", torch.zeros(capacity, dtype=torch.float64))
        self.register_buffer("inner", torch.zeros(capacity, dtype=torch.float64))
        self.register_buffer("nodes", torch.zeros(n_nodes, dim))
        self.register_buffer("labels", torch.zeros(n_nodes))
        self.register_buffer("figures", torch.zeros(3, dtype=torch.float64))  # codes, k, lift

    @property
    def size(self) -> int:
        """K, the number of codes; 0 before the first extraction."""
        return int(self.figures[0])

    def codebook(self) -> Codebook:
        """The codebook in the buffers.

        Raises:
            ModelError: before the first extraction.
        """
        self._check_extracted()
        arrays = {n: getattr(self, n)[: self.size].cpu().numpy() for n in ("centroids", "volumes", "inner")}
        labels = self.labels.cpu().numpy().astype(np.int32)
        k, lift = int(self.figures[1]), float(self.figures[2])
        return Codebook(**arrays, nodes=self.nodes.cpu().numpy(), labels=labels, k=k, lift=lift)

    def set_codebook(self, codebook: Codebook) -> None:
        """Takes over a codebook.

        Raises:
            ModelError: when it has more codes than fit, or another number of stored frames.
        """
        if codebook.size > self.capacity or codebook.labels.size != self.n_nodes:
            raise ModelError(
                f"a codebook of {codebook.size} codes over {codebook.labels.size} frames does not fit into "
                f"{self.capacity} codes over {self.n_nodes} frames"
            )
        for name in ("centroids", "volumes", "inner"):
            buffer = getattr(self, name).zero_()
            buffer[: codebook.size] = torch.from_numpy(getattr(codebook, name))
        self.nodes.copy_(torch.from_numpy(codebook.nodes))
        self.labels.copy_(torch.from_numpy(codebook.labels))
        self.figures.copy_(torch.tensor([codebook.size, codebook.k, codebook.lift]))

    @torch.no_grad()
    def choose(self, frames: Tensor, rule: Rule) -> Tensor:
        """Codes (M,) int64 of `frames` (M, D).

        Raises:
            ModelError: before the first extraction.
        """
        self._check_extracted()
        if rule == "nearest":
            centroids = self.centroids[: self.size]
            return (centroids.square().sum(dim=1) / 2 - frames @ centroids.T).argmin(dim=1)
        codes = quantise(self.codebook(), frames.cpu().numpy(), rule)
        return torch.from_numpy(codes).to(frames.device)

    def _check_extracted(self) -> None:
        if self.size == 0:
            raise ModelError("the speech codec's codebooks have not been extracted yet")


class ResidualQuantiser(nn.Module):
    """`layers` codebooks in a row, each for what those before it left over."""

    def __init__(self, dim: int, layers: int, capacity: int = 1024, n_nodes: int = 10_000) -> None:
        super().__init__()
        self.dim = dim
        self.layers = nn.ModuleList(QuantiserLayer(dim, capacity, n_nodes) for _ in range(layers))

    def forward(self, latents: Tensor, active: Tensor, rule: Rule = "nearest") -> Quantised:
        """Quantises latents (B, F, D), item b with its first `active[b]` layers (quantiser dropout).

        Raises:
            ModelError: before the codebooks have been extracted.
        """
        latents = latents.float()  # bfloat16 would move codes
        residual, total = latents.detach(), torch.zeros_like(latents)
        commitment = latents.new_zeros(())
        codes = []
        for number, layer in enumerate(self._layers()):
            chosen = layer.choose(residual.flatten(0, 1), rule)
            used = (active > number)[:, None, None]
            centroid = layer.centroids[chosen].view_as(latents) * used
            commitment = commitment + ((latents - total - centroid).square() * used).mean()
            total, residual = total + centroid, residual - centroid
            codes.append(chosen.view(latents.shape[:2]).masked_fill(~used[:, :, 0], -1))
        straight = latents + (total - latents).detach()
        return Quantised(straight, torch.stack(codes, dim=-1), commitment)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, F, L), L at most the number of layers -> latents (B, F, D).

        Raises:
            UsageError: for a code that a layer does not have, or too many layers.
        """
        if codes.shape[-1] > len(self.layers):
            raise UsageError(f"codes of {codes.shape[-1]} layers, but the codec has {len(self.layers)}")
        total = torch.zeros(*codes.shape[:2], self.dim, device=codes.device)
        for layer, chosen in zip(self._layers(), codes.unbind(-1), strict=False):
            if chosen.numel() and (int(chosen.min()) < 0 or int(chosen.max()) >= layer.size):
                raise UsageError(f"a code lies outside 0..{layer.size - 1}")
            total = total + layer.centroids[chosen]
        return total

    @torch.no_grad()
    def extract(
        self, latents: Tensor, plan: Sequence[Extraction], *, rule: Rule = "nearest", seed: int = 0
    ) -> None:
        """Finds all codebooks anew from latents (`n_nodes`, D), layer after layer on what is left over.

        Raises:
            UsageError: when the plan does not have one entry per layer.
            ModelError: when structural entropy finds more codes than there is room for.
        """
        if len(plan) != len(self.layers):
            raise UsageError(f"{len(self.layers)} layers need as many extractions, not {len(plan)}")
        residual = latents.detach().float()
        for layer, how in zip(self._layers(), plan, strict=True):
            layer.set_codebook(_extract(residual.cpu().numpy(), how, seed))
            residual = residual - layer.centroids[layer.choose(residual, rule)]

    def _layers(self) -> list[QuantiserLayer]:
        return [layer for layer in self.layers if isinstance(layer, QuantiserLayer)]


def _extract(frames: np.ndarray, how: Extraction, seed: int) -> Codebook:
    if how.codes is None:
        return Codebook.extract(frames, how.k, lift=how.lift, seed=seed)
    constant = how.lift * rms_length(frames)
    graph, k = neighbour_graph(lifted(frames, constant), how.k)
    return Codebook.from_partition(frames, graph, kmeans(frames, how.codes, seed=seed), k, constant)

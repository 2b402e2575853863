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
from ...entropy_models.structural.kmeans import means
from ...entropy_models.structural.neighbours import lifted, rms_length
from ...errors import ModelError, UsageError

_FOLLOW = 0.99  # how slowly centroids follow their frames in training
_SLOWEST = 0.95  # most that a last layer is believed to leave over of the error before it


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

    def codebook(self, frames: np.ndarray, seed: int = 0) -> Codebook:
        """The codebook of `frames` (N, D)."""
        if self.codes is None:
            return Codebook.extract(frames, self.k, lift=self.lift, seed=seed)
        constant = self.lift * rms_length(frames)
        graph, k = neighbour_graph(lifted(frames, constant), self.k)
        return Codebook.from_partition(frames, graph, kmeans(frames, self.codes, seed=seed), k, constant)

    def centroids(self, frames: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Its centroids (K, D) and labels (N,) alone; k-means needs no graph for them."""
        if self.codes is None:
            codebook = self.codebook(frames, seed)
            return codebook.centroids, codebook.labels
        labels = kmeans(frames, self.codes, seed=seed)
        return means(frames, labels, self.codes), labels


@dataclass(frozen=True)
class Quantised:
    """What the quantiser makes of latents (B, F, D).

    Attributes:
        latents: (B, F, D), sum of the centroids; gradients pass straight through to the input.
        codes: (B, F, L) int64, -1 in layers that an item does not use.
        commitment: mean squared distance of the residuals from their centroids, summed over layers; it keeps
            the encoder near them.
    """

    latents: Tensor
    codes: Tensor
    commitment: Tensor


class QuantiserLayer(nn.Module):
    """One codebook in buffers of fixed size, so that a checkpoint of another extraction fits.

    Codes beyond `size` do not exist. A layer made with `n_nodes` > 0 stores as many frames and can use the
    structural rule; one without always takes the nearest centroid. Node labels are float32, which holds them
    exactly.
    """

    centroids: Tensor
    share: Tensor
    volumes: Tensor
    inner: Tensor
    nodes: Tensor
    labels: Tensor
    figures: Tensor

    def __init__(self, dim: int, capacity: int, n_nodes: int = 0) -> None:
        super().__init__()
        self.capacity, self.n_nodes = capacity, n_nodes
        statistics = capacity if n_nodes else 0
        self.register_buffer("centroids", torch.zeros(capacity, dim))
        self.register_buffer("share", torch.zeros(capacity))
        self.register_buffer("volumes", torch.zeros(statistics, dtype=torch.float64))
        self.register_buffer("inner", torch.zeros(statistics, dtype=torch.float64))
        self.register_buffer("nodes", torch.zeros(n_nodes, dim))
        self.register_buffer("labels", torch.zeros(n_nodes))
        self.register_buffer("figures", torch.zeros(3, dtype=torch.float64))  # codes, k, lift

    @property
    def size(self) -> int:
        """K, the number of codes; 0 before the first extraction."""
        # Asked in every step of training: on another device the answer would wait for all work that is under way there.
        if self.figures.is_inference():
            return int(self.figures[0])  # such a tensor does not count its changes
        known = self.__dict__.get("_size")
        if known is None or known[0] is not self.figures or known[1] != self.figures._version:
            known = self.__dict__["_size"] = (self.figures, self.figures._version, int(self.figures[0]))
        return known[2]

    def codebook(self) -> Codebook:
        """The codebook in the buffers, with its centroids where training has moved them.

        Raises:
            ModelError: before the first extraction, or in a layer without stored frames.
        """
        self._check_extracted()
        if not self.n_nodes:
            raise ModelError("this layer of the speech codec stores no frames for the structural rule")
        arrays = {n: getattr(self, n)[: self.size].cpu().numpy() for n in ("centroids", "volumes", "inner")}
        labels = self.labels.cpu().numpy().astype(np.int32)
        k, lift = int(self.figures[1]), float(self.figures[2])
        return Codebook(**arrays, nodes=self.nodes.cpu().numpy(), labels=labels, k=k, lift=lift)

    @torch.no_grad()
    def extract(self, frames: Tensor, how: Extraction, seed: int = 0) -> None:
        """Finds the codebook anew from `frames` (N, D); N is `n_nodes` in a layer that stores frames.

        Raises:
            ModelError: when there are more codes than `capacity`, or another number of frames than `n_nodes`.
        """
        array = frames.float().cpu().numpy()
        if not self.n_nodes:
            self._set_centroids(*how.centroids(array, seed))
            return
        if array.shape[0] != self.n_nodes:
            raise ModelError(f"{array.shape[0]} frames do not fit where {self.n_nodes} are stored")
        codebook = how.codebook(array, seed)
        self._set_centroids(codebook.centroids, codebook.labels)
        for name in ("volumes", "inner"):
            getattr(self, name).zero_()[: codebook.size] = torch.from_numpy(getattr(codebook, name))
        self.nodes.copy_(torch.from_numpy(codebook.nodes))
        self.labels.copy_(torch.from_numpy(codebook.labels))
        self.figures.copy_(torch.tensor([codebook.size, codebook.k, codebook.lift], dtype=torch.float64))

    def _set_centroids(self, centroids: np.ndarray, labels: np.ndarray) -> None:
        size = centroids.shape[0]
        if size > self.capacity:
            raise ModelError(f"{size} codes were found, but a layer has room for {self.capacity}: raise k")
        self.centroids.zero_()[:size] = torch.from_numpy(centroids)
        members = np.bincount(labels, minlength=size)
        self.share.zero_()[:size] = torch.from_numpy(members / labels.size)
        self.figures[0] = size

    @torch.no_grad()
    def choose(self, frames: Tensor, rule: Rule) -> Tensor:
        """Codes (M,) int64 of `frames` (M, D).

        Raises:
            ModelError: before the first extraction.
        """
        self._check_extracted()
        if rule == "nearest" or not self.n_nodes:
            centroids = self.centroids[: self.size]
            return (centroids.square().sum(dim=1) / 2 - frames @ centroids.T).argmin(dim=1)
        codes = quantise(self.codebook(), frames.cpu().numpy(), rule)
        return torch.from_numpy(codes).to(frames.device)

    @torch.no_grad()
    def follow(self, frames: Tensor, codes: Tensor, counted: Tensor | None = None) -> None:
        """Moves centroids towards the `frames` (M, D) that chose `codes` (M,), by an exponential average.

        Only frames that are `counted` (M,) bool matter, all when None.
        """
        weights = torch.ones_like(frames[:, 0]) if counted is None else counted.to(frames.dtype)
        counts = torch.zeros_like(self.share).index_add_(0, codes, weights)
        sums = torch.zeros_like(self.centroids).index_add_(0, codes, frames * weights[:, None])
        gain = (1 - _FOLLOW) / weights.sum().clamp(min=1)
        self.share.mul_(_FOLLOW).add_(gain * counts)
        step = gain * (sums - counts[:, None] * self.centroids)
        self.centroids += step / self.share.clamp(min=1e-12)[:, None]

    def _check_extracted(self) -> None:
        if self.size == 0:
            raise ModelError("the speech codec's codebooks have not been extracted yet")


class ResidualQuantiser(nn.Module):
    """`layers` codebooks in a row, each for what those before it left over.

    The first `structural_layers` store `n_nodes` frames each, for the structural rule.
    """

    def __init__(
        self,
        dim: int,
        layers: int,
        *,
        capacity: int = 1024,
        structural_layers: int = 1,
        n_nodes: int = 10_000,
    ) -> None:
        super().__init__()
        self.dim = dim
        stored = [n_nodes if number < structural_layers else 0 for number in range(layers)]
        self.layers = nn.ModuleList(QuantiserLayer(dim, capacity, count) for count in stored)

    def forward(self, latents: Tensor, active: Tensor, rule: Rule = "nearest") -> Quantised:
        """Quantises latents (B, F, D), item b with its first `active[b]` layers (quantiser dropout).

        An item without layers passes unquantised. In training mode the centroids follow their frames.

        Raises:
            ModelError: for layers whose codebooks have not been extracted.
        """
        with torch.autocast(latents.device.type, enabled=False):  # bfloat16 would move codes
            return self._quantised(latents.float(), active, rule)

    def _quantised(self, latents: Tensor, active: Tensor, rule: Rule) -> Quantised:
        total, commitment = torch.zeros_like(latents), latents.new_zeros(())
        shape = (*latents.shape[:2], len(self.layers))
        codes = torch.full(shape, -1, dtype=torch.int64, device=latents.device)
        for number, layer in enumerate(self._layers()[: self._most(active)]):
            residual = latents.detach() - total
            used = active > number
            chosen = layer.choose(residual.flatten(0, 1), rule).view(shape[:2])
            centroid = layer.centroids[chosen] * used[:, None, None]
            commitment = commitment + ((latents - total - centroid).square() * used[:, None, None]).mean()
            total = total + centroid
            codes[..., number] = torch.where(used[:, None], chosen, -1)
            if self.training:
                layer.follow(residual.flatten(0, 1), chosen.flatten(), used[:, None].expand(shape[:2]).flatten())
        total = torch.where(active[:, None, None] > 0, total, latents.detach())
        return Quantised(latents + (total - latents).detach(), codes, commitment)

    def _most(self, active: Tensor) -> int:
        """How many layers have anything to do; elsewhere than on the processor all, for asking would wait for it."""
        return int(active.max()) if active.device.type == "cpu" or not self.extracted else len(self.layers)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, F, L), L at most the number of layers -> latents (B, F, D).

        Raises:
            UsageError: for a code that a layer does not have, or too many layers.
        """
        if codes.shape[-1] > len(self.layers):
            raise UsageError(f"codes of {codes.shape[-1]} layers, but the codec has {len(self.layers)}")
        total = torch.zeros(*codes.shape[:2], self.dim, dtype=torch.float32, device=codes.device)
        for layer, chosen in zip(self._layers(), codes.unbind(-1), strict=False):
            if chosen.numel() and (int(chosen.min()) < 0 or int(chosen.max()) >= layer.size):
                raise UsageError(f"a code lies outside 0..{layer.size - 1}")
            total = total + layer.centroids[chosen]
        return total

    @torch.no_grad()
    def extract(self, latents: Tensor, plan: Sequence[Extraction], *, rule: Rule = "nearest", seed: int = 0) -> None:
        """Finds all codebooks anew from latents (`n_nodes`, D), layer after layer on what is left over.

        Raises:
            UsageError: when the plan does not have one entry per layer.
            ModelError: when there are more codes than room, or too many or too few frames to store.
        """
        if len(plan) != len(self.layers):
            raise UsageError(f"{len(self.layers)} layers need as many extractions, not {len(plan)}")
        residual = latents.detach().float()
        for layer, how in zip(self._layers(), plan, strict=True):
            layer.extract(residual, how, seed)
            residual = residual - layer.centroids[layer.choose(residual, rule)]

    @property
    def sizes(self) -> list[int]:
        """Numbers of codes of the layers; 0 before they have been extracted."""
        return [layer.size for layer in self._layers()]

    def shares(self, layer: int) -> np.ndarray:
        """(K,) float64: how often the codes of a layer were chosen in training, lately; sums to 1."""
        chosen = self._layers()[layer]
        share = chosen.share[: chosen.size].double().cpu().numpy()
        return share / share.sum()

    def errors(self) -> list[float]:
        """Mean squared error after each layer, as the codebooks themselves tell it, of the frames of training.

        What a layer leaves over has the energy that the later layers' codes have on average, since a centroid is the
        mean of its frames. What the last one leaves is taken to be in proportion to it as with the layer before.
        """
        energies = [
            float(self.shares(number) @ layer.centroids[: layer.size].double().square().sum(1).cpu().numpy())
            for number, layer in enumerate(self._layers())
        ]
        ratio = min(energies[-1] / energies[-2], _SLOWEST) if len(energies) > 1 and energies[-2] > 0 else 0.5
        left = energies[-1] * ratio / (1 - ratio)
        return [left + sum(energies[number + 1 :]) for number in range(len(energies))]

    def centroids(self) -> Tensor:
        """(L, capacity, D), zeros beyond a layer's size."""
        return torch.stack([layer.centroids for layer in self._layers()])

    @property
    def extracted(self) -> bool:
        """Whether the codebooks have been found."""
        return all(layer.size > 0 for layer in self._layers())

    def _layers(self) -> list[QuantiserLayer]:
        return [layer for layer in self.layers if isinstance(layer, QuantiserLayer)]

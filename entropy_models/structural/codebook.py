"""A codebook: communities of stored frames, their means, and the statistics that quantising needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ...errors import ModelError, UsageError
from .edges import neighbour_graph
from .entropy import community_statistics, compact
from .graph import Graph
from .kmeans import means, nearest_centroid
from .minimise import Method, minimise
from .neighbours import check_features, lifted, rms_length


@dataclass(frozen=True)
class Codebook:
    """K codes over N stored frames of D features.

    Attributes:
        centroids: (K, D) float32, mean feature of each code's frames: what a code decodes to.
        volumes: (K,) float64, V_i: summed weighted degree of the code's frames in the stored graph.
        inner: (K,) float64, I_i: twice the weight of the edges inside the code.
        nodes: (N, D) float32, the stored frames, to which a new frame is attached.
        labels: (N,) int32, the code of every stored frame.
        k: how many stored frames a new frame is attached to.
        lift: constant coordinate that frames get before cosines are taken; 0 for the plain cosine.
    """

    centroids: np.ndarray
    volumes: np.ndarray
    inner: np.ndarray
    nodes: np.ndarray
    labels: np.ndarray
    k: int
    lift: float

    @classmethod
    def extract(
        cls,
        features: np.ndarray,
        k: int | None = None,
        *,
        method: Method = "moves",
        lift: float = 1.0,
        max_k: int = 50,
        seed: int = 0,
    ) -> Codebook:
        """Finds the codes of `features` (N, D) by minimising structural entropy; their number is a result.

        `k` is the number of nearest neighbours in the graph (None: by the stable-point rule of
        `neighbour_graph`), and the number of codes depends on it and on N far more than on the sound:
        README.md has the measured tables. `lift`, in units of the frames' root mean square length, is how
        much of their length the graph sees (see `lifted`); 0 is the paper's plain cosine.

        Raises:
            UsageError: for features that are no finite matrix of two rows or more, `k` out of range,
                unknown `method`.
        """
        constant = lift * rms_length(features)
        graph, k = neighbour_graph(lifted(features, constant), k, max_k=max_k)
        labels = minimise(graph, method, features=features, seed=seed)
        return cls.from_partition(features, graph, labels, k, constant)

    @classmethod
    def from_partition(cls, features: np.ndarray, graph: Graph, labels: np.ndarray, k: int, lift: float) -> Codebook:
        """The codebook of any partition `labels` (N,) of the frames, for instance one of k-means.

        `graph` is that of the frames `lifted` by `lift` (here the constant itself), with `k` neighbours.
        A frame without an edge belongs to no community: it joins the code with the nearest mean and makes
        no code itself, unless there is no edge at all.
        """
        features = check_features(features)
        connected = graph.degrees > 0
        if connected.any():
            linked = compact(labels[connected])
            found = means(features[connected], linked, int(linked.max()) + 1)
            labels = np.empty(features.shape[0], dtype=np.int64)
            labels[connected] = linked
            if not connected.all():
                labels[~connected] = nearest_centroid(features[~connected], found)[0]
        else:
            labels = compact(labels)
        volumes, inner = community_statistics(graph, labels)
        centroids = means(features, labels, volumes.size)
        return cls(centroids, volumes, inner, features, labels.astype(np.int32), k, lift)

    @property
    def size(self) -> int:
        """K, the number of codes."""
        return self.centroids.shape[0]

    def dequantise(self, codes: np.ndarray) -> np.ndarray:
        """Centroids (..., D) of `codes` (...).

        Raises:
            UsageError: for a code that the codebook does not have.
        """
        if codes.size and (codes.min() < 0 or codes.max() >= self.size):
            raise UsageError(f"codes must lie in 0..{self.size - 1}")
        return self.centroids[codes]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays, ready to stand beside a network's weights in one safetensors file."""
        return {
            "centroids": self.centroids,
            "volumes": self.volumes,
            "inner": self.inner,
            "nodes": self.nodes,
            "labels": self.labels,
            "k": np.array([self.k], dtype=np.int64),
            "lift": np.array([self.lift], dtype=np.float64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Codebook:
        """The codebook that `to_arrays` took apart.

        Raises:
            ModelError: when arrays are missing or do not fit each other.
        """
        missing = sorted({"centroids", "volumes", "inner", "nodes", "labels", "k", "lift"} - set(arrays))
        if missing:
            raise ModelError(f"a structural-entropy codebook lacks {', '.join(missing)}")
        centroids, nodes, labels = arrays["centroids"], arrays["nodes"], arrays["labels"]
        fits = (
            centroids.ndim == 2
            and nodes.ndim == 2
            and centroids.shape[1] == nodes.shape[1]
            and arrays["volumes"].shape == arrays["inner"].shape == centroids.shape[:1]
            and labels.shape == nodes.shape[:1]
            and arrays["k"].shape == arrays["lift"].shape == (1,)
        )
        if not fits or not 1 <= int(arrays["k"][0]) <= nodes.shape[0]:
            raise ModelError("the arrays of a structural-entropy codebook do not fit each other")
        if labels.min() < 0 or labels.max() >= centroids.shape[0]:
            raise ModelError("a structural-entropy codebook has frames of a code that does not exist")
        k, lift = int(arrays["k"][0]), float(arrays["lift"][0])
        return cls(centroids, arrays["volumes"], arrays["inner"], nodes, labels, k, lift)

    def save(self, path: str | Path) -> None:
        """Writes a safetensors file."""
        save_file(self.to_arrays(), path)

    @classmethod
    def load(cls, path: str | Path) -> Codebook:
        """Reads a file of `save`.

        Raises:
            ModelError: when it is missing or no such file.
        """
        try:
            return cls.from_arrays(load_file(path))
        except (OSError, SafetensorError) as error:
            raise ModelError(f"cannot read the codebook {path}: {error}") from error

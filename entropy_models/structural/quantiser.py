"""Quantisation of frames: by the change of structural entropy (SECodec), or by the nearest centroid.

The encoder alone quantises; a decoder only looks centroids up. So nothing here needs the exact arithmetic
of the entropy path: on another machine a tie may fall the other way and give another, equally valid stream.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from ...errors import UsageError
from .codebook import Codebook
from .entropy import select_delta
from .kmeans import nearest_centroid
from .neighbours import lifted, nearest

Rule = Literal["structural", "nearest"]


def check_rule(name: str) -> Rule:
    """`name` as a rule.

    Raises:
        UsageError: when it is none.
    """
    for rule in get_args(Rule):
        if name == rule:
            return rule
    raise UsageError(f"unknown rule {name!r}; known are {', '.join(get_args(Rule))}")


def quantise(codebook: Codebook, features: np.ndarray, rule: Rule = "structural") -> np.ndarray:
    """Codes (M,) int64 of `features` (M, D).

    Rules:
        structural: the frame is attached to its `codebook.k` nearest stored frames (cosine > 0) and takes,
            among the codes of those frames, the one that lowers the two-dimensional structural entropy most
            (argmin of Delta_select). A frame without a positive cosine takes the nearest centroid.
        nearest: the centroid at the smallest Euclidean distance.

    Raises:
        UsageError: for an unknown rule, or features that do not fit the codebook.
    """
    if check_rule(rule) == "nearest":
        return nearest_centroid(features, codebook.centroids)[0]
    lift = codebook.lift
    index, cosine = nearest(lifted(features, lift), lifted(codebook.nodes, lift), codebook.k)
    weights = np.maximum(cosine.astype(np.float64), 0.0)
    codes = select(codebook, codebook.labels[index].astype(np.int64), weights)
    unattached = codes < 0
    if unattached.any():
        codes[unattached] = nearest_centroid(features[unattached], codebook.centroids)[0]
    return codes


def select(codebook: Codebook, reached: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """argmin of Delta_select for frames with edges to stored frames of the codes `reached`.

    Args:
        codebook: K codes.
        reached: (M, k) int64, the code of the stored frame at the other end of each edge.
        weights: (M, k) float64, the edge's weight; 0 means that there is no edge.

    Returns:
        Codes (M,) int64; the lowest number among equals; -1 for a frame without edges.
    """
    degree = weights.sum(axis=1, keepdims=True)
    same = reached[:, :, None] == reached[:, None, :]
    w_i = (same * weights[:, None, :]).sum(axis=2)
    used = w_i > 0
    delta = select_delta(
        float(codebook.volumes.sum()),
        codebook.volumes[reached],
        codebook.inner[reached],
        np.where(used, w_i, 1.0),
        np.where(degree > 0, degree, 1.0),
    )
    delta = np.where(used, delta, np.inf)
    least = delta.min(axis=1, keepdims=True)
    best = np.where(used & (delta == least), reached, codebook.size)
    return np.where(degree[:, 0] > 0, best.min(axis=1), -1)

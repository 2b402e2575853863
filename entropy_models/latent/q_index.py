"""The quality index of a file, and the user's quality. Imports no torch."""

from __future__ import annotations

NODES = 8  # qualities that have learned vectors of their own
STEPS = 64  # quality indices from one node to the next
Q_INDEX_MAX = (NODES - 1) * STEPS  # the quality index of a file is 0..Q_INDEX_MAX


def q_index_of(quality: float) -> int:
    """Quality index 0..Q_INDEX_MAX of the user's quality 1..100; what lies outside counts as the nearest of them."""
    return round((min(max(quality, 1.0), 100.0) - 1) / 99 * Q_INDEX_MAX)


def quality_of(q_index: int) -> float:
    """The user's quality 1..100 of a quality index."""
    return 1 + q_index / Q_INDEX_MAX * 99

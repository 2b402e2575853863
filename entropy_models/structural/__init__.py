"""Codebooks found by structural entropy minimisation, and their quantiser (see README.md)."""

from __future__ import annotations

from .codebook import Codebook
from .edges import neighbour_graph
from .entropy import one_dimensional, two_dimensional
from .graph import Graph
from .kmeans import kmeans
from .minimise import Method, minimise
from .quantiser import Rule, quantise

__all__ = [
    "Codebook",
    "Graph",
    "Method",
    "Rule",
    "kmeans",
    "minimise",
    "neighbour_graph",
    "one_dimensional",
    "quantise",
    "two_dimensional",
]

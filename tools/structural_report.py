"""Measures structural entropy on speech: `python -m bitfloor.tools.structural_report COMMAND SPEECH...`.

Features are log-mel spectra (80 bands, 20 ms hop), every band scaled to mean 0 and variance 1; no network.
SPEECH are folders of sound files or JSON indices (see `training.speech.find_speech`). Tables are Markdown,
on standard output.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import get_args

import click
import numpy as np
import torch

from ..codecs.secodec.spectrum import log_mel
from ..entropy_models.structural import (
    Codebook,
    Method,
    Rule,
    kmeans,
    minimise,
    neighbour_graph,
    quantise,
    two_dimensional,
)
from ..entropy_models.structural.edges import RankedEdges, entropy_by_neighbours, first_stable_point
from ..entropy_models.structural.neighbours import lifted, nearest, rms_length
from .options import PathName
from .training.speech import Utterance, find_speech, load_waveform, split_speakers, to_float

DECIBELS = 20 / np.log(10)  # of a natural logarithm of a magnitude
CODEBOOKS = ("structural entropy", "k-means")
speech = click.argument("places", nargs=-1, required=True, type=PathName(exists=True))


@click.group()
def cli() -> None:
    """Tables for entropy_models/structural/README.md."""


class Frames:
    """Scaled log-mel frames: the training speakers' in random order, and all of the held-out speakers'."""

    def __init__(self, places: Sequence[Path], seed: int = 0) -> None:
        training, held_out = split_speakers(find_speech(places))
        train, self.test = _spectra(training), _spectra(held_out)
        self.deviation = train.std(axis=0)
        mean = train.mean(axis=0)
        train = (train - mean) / self.deviation
        self.test = (self.test - mean) / self.deviation
        self._train = train
        self._order = np.random.default_rng(seed).permutation(len(train))

    def sample(self, count: int) -> np.ndarray:
        """`count` random training frames in the order of the recordings; larger samples hold smaller ones."""
        if count > len(self._train):
            raise click.UsageError(f"there are only {len(self._train)} training frames")
        return self._train[np.sort(self._order[:count])]


def _spectra(utterances: Sequence[Utterance]) -> np.ndarray:
    waveforms = (torch.from_numpy(to_float(load_waveform(u.path)))[None] for u in utterances)
    return np.concatenate([log_mel(w)[0].T.numpy() for w in waveforms])


def _row(*cells: object) -> None:
    click.echo("| " + " | ".join(str(c) for c in cells) + " |")


def _head(*cells: str) -> None:
    _row(*cells)
    _row(*["---"] * len(cells))


def _peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@cli.command()
@speech
@click.option("--nodes", "counts", multiple=True, type=int, default=(2_000, 5_000, 10_000, 20_000))
@click.option("--max-k", default=100)
def stable(places: tuple[Path, ...], counts: tuple[int, ...], max_k: int) -> None:
    """The k that the first stable point of H1 would choose."""
    frames = Frames(places)
    _head("N", "first stable k", "H1 at k = 1", "5", "20", str(max_k), "log2 N")
    for count in counts:
        features = frames.sample(count)
        edges = RankedEdges.from_neighbours(*nearest(features, features, max_k, same=True))
        h1 = entropy_by_neighbours(edges, edges.cosines(features), max_k)
        found = first_stable_point(h1) or f"none below {max_k}"
        _row(count, found, *(f"{h1[k - 1]:.3f}" for k in (1, 5, 20, max_k)), f"{np.log2(count):.3f}")


@cli.command()
@speech
@click.option("--nodes", default=10_000)
@click.option("--k", "ks", multiple=True, type=int, default=(5, 10, 20))
def methods(places: tuple[Path, ...], nodes: int, ks: tuple[int, ...]) -> None:
    """Codes, H2 and processor seconds of every minimisation method, alone and refined."""
    features = Frames(places).sample(nodes)
    _head("k", "method", "K", "H2 (bits)", "s", "K refined", "H2 refined (bits)", "s")
    for k in ks:
        graph, _ = neighbour_graph(features, k)
        for method in get_args(Method):
            cells: list[object] = []
            for refine in (False, True):
                start = time.process_time()
                labels = minimise(graph, method, features=features, refine=refine)
                seconds = time.process_time() - start
                h2 = two_dimensional(graph, labels)
                cells += [labels.max() + 1, f"{h2:.3f}", f"{seconds:.1f}"]
            _row(k, method, *cells)


@cli.command()
@speech
@click.option("--nodes", "counts", multiple=True, type=int, default=(2_000, 10_000, 50_000, 200_000))
@click.option("--k", "ks", multiple=True, type=int, default=(5, 10))
def scaling(places: tuple[Path, ...], counts: tuple[int, ...], ks: tuple[int, ...]) -> None:
    """Number of codes, time and memory of a codebook (method "moves") against the number of frames."""
    frames = Frames(places)
    _head("N", "k", "K", "H2 (bits)", "graph, s", "minimise, s", "wall, s", "peak memory so far, GB")
    for count in counts:
        features = frames.sample(count)
        for k in ks:
            wall, start = time.monotonic(), time.process_time()
            graph, _ = neighbour_graph(features, k)
            middle = time.process_time()
            labels = minimise(graph)
            end = time.process_time()
            times = (middle - start, end - middle, time.monotonic() - wall)
            seconds = [f"{s:.1f}" for s in times]
            h2 = f"{two_dimensional(graph, labels):.3f}"
            _row(count, k, labels.max() + 1, h2, *seconds, f"{_peak_gigabytes():.2f}")


@cli.command()
@speech
@click.option("--nodes", default=20_000)
@click.option("--k", "ks", multiple=True, type=int, default=(3, 4, 5, 7, 10, 14, 20, 28, 40))
@click.option("--lift", "lifts", multiple=True, type=float, default=(0.0, 1.0), help="0 is the plain cosine.")
@click.option("--bits", multiple=True, type=float, default=(6.5, 7.5, 8.5))
def ablation(
    places: tuple[Path, ...],
    nodes: int,
    ks: tuple[int, ...],
    lifts: tuple[float, ...],
    bits: tuple[float, ...],
) -> None:
    """{structural entropy, k-means} codebook x {structural, nearest} rule, on speakers that made no codebook.

    At every k the k-means codebook gets as many codes as structural entropy found on the same frames, and its
    graph statistics from the same graph. The second table reads all of them at equal entropy of the codes.
    """
    frames = Frames(places)
    features = frames.sample(nodes)
    curves: dict[tuple[float, str, str], list[tuple[float, float, float]]] = {}
    click.echo(f"{len(frames.test)} held-out frames, codebooks of {nodes} training frames\n")
    _head("lift", "k", "codebook", "K", "rule", "codes used", "entropy, bits", "MSE", "log-mel distance, dB")
    for lift, k in product(lifts, ks):
        for name, codebook in _codebooks(features, k, lift * rms_length(features)):
            for rule in get_args(Rule):
                codes = quantise(codebook, frames.test, rule)
                point = (_entropy(codes), *_distortion(frames, codebook.dequantise(codes)))
                curves.setdefault((lift, name, rule), []).append(point)
                cells = (f"{v:.3f}" for v in point)
                _row(f"{lift:g}", k, name, codebook.size, rule, len(set(codes.tolist())), *cells)
    click.echo()
    _head("lift", "codebook", "rule", *(f"{b:g} bits: MSE (dB)" for b in bits))
    for (lift, name, rule), curve in curves.items():
        _row(f"{lift:g}", name, rule, *(_at(curve, b) for b in bits))


def _codebooks(features: np.ndarray, k: int, lift: float) -> list[tuple[str, Codebook]]:
    graph, _ = neighbour_graph(lifted(features, lift), k)
    found = Codebook.from_partition(features, graph, minimise(graph), k, lift)
    given = Codebook.from_partition(features, graph, kmeans(features, found.size), k, lift)
    return list(zip(CODEBOOKS, (found, given), strict=True))


def _entropy(codes: np.ndarray) -> float:
    share = np.bincount(codes) / codes.size
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())


def _distortion(frames: Frames, decoded: np.ndarray) -> tuple[float, float]:
    """Mean squared error of the scaled features; root mean square error of the log-mel spectra in dB."""
    error = frames.test - decoded
    decibels = DECIBELS * np.sqrt(np.square(error * frames.deviation).mean())
    return float(np.square(error).mean()), float(decibels)


def _at(curve: list[tuple[float, float, float]], bits: float) -> str:
    """A curve read at `bits` of entropy by straight lines between its points; a dash outside them."""
    entropy, mse, decibels = np.array(sorted(curve)).T
    if not entropy[0] <= bits <= entropy[-1]:
        return "-"
    return f"{np.interp(bits, entropy, mse):.3f} ({np.interp(bits, entropy, decibels):.2f})"


if __name__ == "__main__":
    cli()

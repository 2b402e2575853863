"""What `bitfloor couple` says of laws: the coupling, its entropy, the bounds, the bottleneck's figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...entropy_models.coupling import (
    BottleneckCoupling,
    Coupling,
    budget_gap_bound,
    entropy,
    greedy_coupling,
    majorisation_bound,
    profile_bound,
)
from ...entropy_models.coupling.checks import check_integer
from ...entropy_models.coupling.laws import Floats

LINES = 40
TABLE_1_SIZE = 20


def coupling_report(laws: Sequence[Floats], coupling: Coupling) -> dict[str, Any]:
    """Entropy, both lower bounds and the distances to them in bits, and the cells; JSON-ready."""
    majorisation, profile = majorisation_bound(*laws), profile_bound(*laws)
    return {
        "entropy": coupling.entropy,
        "majorisation_bound": majorisation,
        "profile_bound": profile,
        "above_majorisation": coupling.entropy - majorisation,
        "above_profile": coupling.entropy - profile,
        "marginal_entropies": [entropy(law) for law in laws],
        "mutual_information": coupling.mutual_information,
        "cells": _cells(coupling),
    }


def bottleneck_report(laws: Sequence[Floats], rate: float, found: BottleneckCoupling) -> dict[str, Any]:
    """The figures of a coupling through a bottleneck, in bits, and the cells of encoder and decoder.

    `entropy` and the two bounds are those of the coupling of T and Y, which the decoder is.
    """
    label_law = found.encoder.label_law / found.encoder.label_law.sum()
    report = coupling_report([label_law, laws[1]], found.decoder)
    encoder = np.stack([found.encoder.x, found.encoder.t], axis=1)
    cells = _cells(Coupling(encoder, found.encoder.mass, (found.encoder.size, len(label_law))))
    return {
        "rate_limit": rate,
        "function": found.encoder.is_function,
        "rate": found.rate,
        "information": found.information,
        "encoder_information": found.encoder.information,
        "conditional_entropy": found.conditional_entropy,
        "source_entropy": entropy(laws[0]),
        "output_entropy": entropy(laws[1]),
        "theorem_2_gap": budget_gap_bound(laws[0]),
        **report,
        "encoder_cells": cells,
    }


def _cells(coupling: Coupling) -> list[list[float]]:
    """[symbol, symbol, ..., mass] of every cell, the largest first."""
    order = np.argsort(-coupling.mass, kind="stable")
    return [
        [*map(int, cell), float(mass)] for cell, mass in zip(coupling.index[order], coupling.mass[order], strict=True)
    ]


def coupling_text(report: dict[str, Any], names: Sequence[str], every: bool) -> str:
    """The report of a coupling as lines for a person."""
    lines = _cell_lines(report["cells"], names, every)
    above = report["above_majorisation"], report["above_profile"]
    lines += [
        f"entropy             {report['entropy']:.6f} bits",
        f"majorisation bound  {report['majorisation_bound']:.6f} bits, {above[0]:.6f} lower",
        f"profile bound       {report['profile_bound']:.6f} bits, {above[1]:.6f} lower",
        "marginal entropies  " + " ".join(f"{value:.6f}" for value in report["marginal_entropies"]),
        f"mutual information  {report['mutual_information']:.6f} bits",
    ]
    return "\n".join(lines)


def bottleneck_text(report: dict[str, Any], names: Sequence[str], every: bool) -> str:
    """The report of a bottleneck as lines for a person."""
    lines = _cell_lines(report["encoder_cells"], (names[0], "T"), every)
    gap = f" (Theorem 2: at most {report['theorem_2_gap']:.4f} below what can be had)"
    theorem = gap if report["function"] else ""
    lines += [
        f"H(T)    {report['rate']:.6f} bits of {report['rate_limit']:g}{theorem}",
        f"I(X;T)  {report['encoder_information']:.6f} bits of H(X) = {report['source_entropy']:.6f}",
        f"I(X;Y)  {report['information']:.6f} bits",
        f"H(Y|T)  {report['conditional_entropy']:.6f} bits of H(Y) = {report['output_entropy']:.6f}",
        "",
        coupling_text(report, ("T", names[1]), every),
    ]
    return "\n".join(lines)


def _cell_lines(cells: Sequence[Sequence[float]], names: Sequence[str], every: bool) -> list[str]:
    widths = [max(len(name), 6) for name in names]
    lines = ["  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True)) + "  mass"]
    shown = cells if every else cells[:LINES]
    for *symbols, mass in shown:
        columns = [f"{symbol:>{width}}" for symbol, width in zip(symbols, widths, strict=True)]
        lines.append("  ".join(columns) + f"  {mass:.6g}")
    if len(shown) < len(cells):
        lines.append(f"... and {len(cells) - len(shown):,} smaller cells; --all shows them")
    return [*lines, ""]


def table_1(simulations: int, size: int, seed: int) -> dict[str, Any]:
    """The paper's Table 1: mean and standard deviation of joint entropies over random pairs, in nats.

    The paper says neither how it draws its marginals nor their size nor the unit. Normalised |N(0,1)|
    masses on 20 symbols, in nats, put both of its rows that we have where it has them.
    """
    simulations = check_integer(simulations, "the number of simulations", 1, 1 << 32)
    size = check_integer(size, "the number of symbols", 1, 1 << 16)
    rng = np.random.default_rng(check_integer(seed, "the seed", 0, (1 << 64) - 1))
    rows: dict[str, list[float]] = {
        "independent": [],
        "greedy": [],
        "majorisation bound": [],
        "profile bound": [],
    }
    for _ in range(simulations):
        p, q = (np.abs(rng.normal(size=size)) for _ in range(2))
        p, q = p / p.sum(), q / q.sum()
        values = (
            entropy(p) + entropy(q),
            greedy_coupling(p, q).entropy,
            majorisation_bound(p, q),
            profile_bound(p, q),
        )
        for row, value in zip(rows.values(), values, strict=True):
            row.append(value * math.log(2))
    return {name: {"mean": float(np.mean(row)), "deviation": float(np.std(row))} for name, row in rows.items()}


TABLE_1_PAPER = {"independent": (5.443, 0.101), "greedy": (2.946, 0.064)}

"""Bjontegaard deltas by the package `bjontegaard`, with the checks that make the number mean something.

BD-rate is the mean difference in rate at equal quality, integrated over log rate along the quality axis;
BD-quality (BD-PSNR) the mean difference in quality at equal rate (Bjontegaard, VCEG-M33, 2001). Piecewise
cubic (pchip) and Akima interpolation are given side by side: where they differ, the points are too few for
either (Herglotz et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ...errors import BitfloorError, UsageError

LEAST_POINTS = 4
LEAST_OVERLAP = 0.5  # of the shorter curve's range, on both axes


class BjontegaardError(BitfloorError):
    """Two curves between which no Bjontegaard delta means anything."""


@dataclass(frozen=True)
class Points:
    """A rate-quality curve: rates (bpp or kbps) and qualities (dB or a score), equally many."""

    name: str
    rate: Sequence[float]
    quality: Sequence[float]


@dataclass(frozen=True)
class Delta:
    """What a test curve gains on an anchor. BD-rates in percent (negative is better), BD-qualities in the
    measure's unit.

    `low` and `high` bound the qualities that both curves reach, over which the BD-rate is taken; `overlap` is
    that range as a share of the shorter curve's.
    """

    anchor: str
    test: str
    rate_pchip: float
    rate_akima: float
    quality_pchip: float
    quality_akima: float
    low: float
    high: float
    overlap: float


def _package() -> Any:
    try:
        import bjontegaard
    except ImportError:
        raise UsageError("BD-rates need the package bjontegaard: pip install 'bitfloor[report]'") from None
    return bjontegaard


def ordered(curve: Points) -> tuple[list[float], list[float]]:
    """Rates and qualities by rising rate, points of infinite quality left out.

    Raises BjontegaardError for under four points, or a quality that does not rise with the rate.
    """
    pairs = sorted((r, q) for r, q in zip(curve.rate, curve.quality, strict=True) if math.isfinite(q))
    if len(pairs) < LEAST_POINTS:
        raise BjontegaardError(f"{curve.name} has {len(pairs)} points: a BD-rate needs at least {LEAST_POINTS}")
    for (rate, quality), (next_rate, next_quality) in pairwise(pairs):
        if next_rate <= rate or next_quality <= quality:
            raise BjontegaardError(
                f"{curve.name}: quality does not rise with rate between {rate:.4g} and {next_rate:.4g}, "
                "so no BD-rate is defined"
            )
    return [rate for rate, _ in pairs], [quality for _, quality in pairs]


def _shared(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """(low, high, share): what two rising ranges have in common, and its share of the shorter one."""
    low, high = max(a[0], b[0]), min(a[-1], b[-1])
    return low, high, max(0.0, high - low) / min(a[-1] - a[0], b[-1] - b[0])


def delta(anchor: Points, test: Points, least_overlap: float = LEAST_OVERLAP) -> Delta:
    """Bjontegaard deltas of `test` against `anchor`.

    Raises BjontegaardError where the curves share less than `least_overlap` of the shorter one's range, or
    either is no rising curve of four points; UsageError where the package is missing.
    """
    package = _package()
    anchor_rate, anchor_quality = ordered(anchor)
    test_rate, test_quality = ordered(test)
    low, high, share = _shared(anchor_quality, test_quality)
    log_share = _shared([math.log(r) for r in anchor_rate], [math.log(r) for r in test_rate])[2]
    for axis, value in (("quality", share), ("rate", log_share)):
        if value < least_overlap:
            raise BjontegaardError(
                f"{test.name} and {anchor.name} share {value:.0%} of the shorter curve's range of {axis}, "
                f"under the {least_overlap:.0%} that a Bjontegaard delta needs"
            )
    curves = (anchor_rate, anchor_quality, test_rate, test_quality)
    # the package warns of overlap by another measure, the union of both ranges; ours has just been checked
    settings: dict[str, Any] = {"require_matching_points": False, "min_overlap": 0}
    rates = [float(package.bd_rate(*curves, method=method, **settings)) for method in ("pchip", "akima")]
    qualities = [float(package.bd_psnr(*curves, method=method, **settings)) for method in ("pchip", "akima")]
    return Delta(anchor.name, test.name, rates[0], rates[1], qualities[0], qualities[1], low, high, share)

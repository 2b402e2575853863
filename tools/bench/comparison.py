"""Which curves are compared with which, and the tables that come of it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .bd import BjontegaardError, Delta, delta
from .sound_metrics import LOWER_IS_BETTER
from .summary import Curve


@dataclass(frozen=True)
class Row:
    """A curve against the anchor in one metric: a delta, or the reason why there is none."""

    test: str
    published: bool
    delta: Delta | None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compared(metrics: Sequence[str]) -> list[str]:
    """The metrics of a run that make a Bjontegaard delta: those that rise with quality.

    MS-SSIM is compared in dB, since it presses all good codecs together just under 1.
    """
    return [metric for metric in metrics if metric not in ("mse", "ms_ssim", "words", *LOWER_IS_BETTER)]


def against(anchor: Curve, curves: Sequence[Curve], metric: str) -> list[Row]:
    """Every other curve against `anchor`, best BD-rate first, those without a number last; none without the metric."""
    base = anchor.points(metric)
    if base is None:  # as most published curves, in all but PSNR
        return []
    rows = []
    for curve in curves:
        points = curve.points(metric)
        if curve is anchor or curve.name == anchor.name or points is None:
            continue
        published = curve.version == "published"
        try:
            rows.append(Row(curve.name, published, delta(base, points)))
        except BjontegaardError as error:
            rows.append(Row(curve.name, published, None, str(error)))
    return sorted(rows, key=lambda row: (row.delta is None, row.delta.rate_pchip if row.delta else 0.0))


def markdown_table(anchor: str, metric: str, curves: Sequence[Curve], rows: Sequence[Row]) -> list[str]:
    """The measured codecs as a Markdown table, the best BD-rate first: deltas, and medians of times over all points."""
    lines = [
        f"| codec | BD-rate ({metric}, against {anchor}) | BD-{metric} | encode, s | decode, s |",
        "|---|---:|---:|---:|---:|",
    ]
    by_name = {curve.name: curve for curve in curves}
    for row in rows:
        if row.published:
            continue
        curve = by_name[row.test]
        times = [_median(curve.costs[cost]) for cost in ("encode_s", "decode_s")]
        gains = ["none", "none"]
        if row.delta is not None:
            gains = [f"{row.delta.rate_pchip:+.1f} %", f"{row.delta.quality_pchip:+.2f}"]
        lines.append(f"| {' | '.join([row.test, *gains, *times])} |")
    return lines


def _median(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.3f}" if known else "none"


def text_table(anchor: str, metric: str, unit: str, rows: Sequence[Row]) -> list[str]:
    """The lines of a table for a terminal."""
    width = max([len(row.test) for row in rows] + [5])
    lines = [
        f"Bjontegaard deltas against {anchor}, {metric} (negative BD-rate: fewer bits at equal quality)",
        f"{'codec':<{width}}  {'BD-rate':>9} {'(akima)':>9}  {'BD-' + metric:>9} {'(akima)':>9}  shared",
    ]
    for row in rows:
        if row.delta is None:
            lines.append(f"{row.test:<{width}}  none: {row.reason}")
            continue
        d = row.delta
        lines.append(
            f"{row.test:<{width}}  {d.rate_pchip:>+8.2f}% {d.rate_akima:>+8.2f}%  {d.quality_pchip:>+9.3f} "
            f"{d.quality_akima:>+9.3f}  {d.low:.2f}-{d.high:.2f} {unit} ({d.overlap:.0%})".rstrip()
        )
    return lines

"""From records to curves. The convention of the field: mean PSNR at mean bpp, over the pictures of the run.

A curve's point is the arithmetic mean of the rates and of the qualities over one and the same set of
pictures: those that every codec measured at every quality. A picture that failed somewhere is left out
everywhere and named; a quality at which a codec failed on every picture is no point.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .bd import Points
from .measure import Record
from .store import number

SUMMARY_NAME = "summary.json"
AVERAGING = (
    "each point is the mean quality at the mean rate, over the same pictures or sounds for every codec; word error "
    "rates are the errors in all sounds over the words of all"
)
WEIGHTS = {"wer": "words", "wer_original": "words"}  # a metric whose mean is weighted, by another one
TIMES = ("encode_s", "decode_s", "encode_peak_mib", "decode_peak_mib")


@dataclass
class Curve:
    """One codec's points by rising rate (bpp or kbps), with metrics and costs: equally long lists."""

    name: str
    version: str = ""
    quality: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    metrics: dict[str, list[float | None]] = field(default_factory=dict)
    costs: dict[str, list[float | None]] = field(default_factory=dict)
    network: dict[str, float] = field(default_factory=dict)
    source: str = ""  # where a published curve comes from

    def points(self, metric: str) -> Points | None:
        """The curve of one metric; None where no point has it."""
        pairs = [(r, q) for r, q in zip(self.rate, self.metrics.get(metric, []), strict=False) if q is not None]
        return Points(self.name, [r for r, _ in pairs], [q for _, q in pairs]) if pairs else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass
class Summary:
    """The averages of a run, with what was left out of them."""

    kind: str
    curves: list[Curve]
    sources: list[str]
    excluded: dict[str, str]  # source -> why it is in no average
    dropped: list[str]  # codec and quality that failed everywhere


def _mean(values: Iterable[Any], of: Any = statistics.fmean) -> float | None:
    """The mean, or None if any value is missing: a mean over fewer pictures would be of another set."""
    numbers = [number(value) for value in values]
    if not numbers or any(value is None for value in numbers):
        return None
    return float(of([value for value in numbers if value is not None]))


def _weighted(metric: str, records: Sequence[Mapping[str, Any]]) -> float | None:
    mean = _mean(record.get(metric) for record in records)
    if mean is None or metric not in WEIGHTS:
        return mean
    weights = [number(record[WEIGHTS[metric]]) or 0.0 for record in records]
    values = [number(record[metric]) or 0.0 for record in records]
    return statistics.fmean(values, weights)


def summarise(kind: str, records: Sequence[Record], bad: Mapping[str, str] | None = None) -> Summary:
    """Average the records; `bad` names inputs that could not even be read, with the reason."""
    excluded = dict(bad or {})
    alive = {(r["codec"], r["quality"]) for r in records if r["status"] == "ok"}
    dropped = sorted({f"{r['codec']} q={r['quality']:g}" for r in records if (r["codec"], r["quality"]) not in alive})
    live = [record for record in records if (record["codec"], record["quality"]) in alive]
    for record in live:
        if record["status"] != "ok":
            reason = f"{record['codec']} q={record['quality']:g}: {record['error']}"
            excluded.setdefault(record["source"], reason)
    groups: dict[str, dict[float, list[Record]]] = {}
    for record in live:
        points = groups.setdefault(record["codec"], {})
        if record["source"] not in excluded:
            points.setdefault(record["quality"], []).append(record)
    sources = sorted({r["source"] for r in live} - set(excluded))
    curves = [_curve(name, points) for name, points in groups.items() if points]
    return Summary(kind, curves, sources, excluded, dropped)


def _curve(name: str, points: Mapping[float, list[Record]]) -> Curve:
    curve = Curve(name)
    for quality in sorted(points, key=lambda q: statistics.fmean(r["rate"] for r in points[q])):
        records = points[quality]
        curve.version = records[0]["version"]
        curve.quality.append(quality)
        curve.rate.append(statistics.fmean(record["rate"] for record in records))
        for metric in records[0]["metrics"]:
            values = curve.metrics.setdefault(metric, [])
            values.append(_weighted(metric, [record["metrics"] for record in records]))
        for cost in TIMES:
            values = curve.costs.setdefault(cost, [])
            values.append(_mean((record.get(cost) for record in records), statistics.median))
        for record in records:
            for size in ("parameters", "encode_kmac", "decode_kmac"):
                if size in record:
                    curve.network.setdefault(size, record[size])
    return curve

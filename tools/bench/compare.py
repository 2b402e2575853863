"""What changed between two runs, for people and for CI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UnreadableInputError
from .bd import BjontegaardError, delta
from .store import number
from .summary import SUMMARY_NAME, Curve

ROUNDING = 1e-6  # percent: two equal curves give a BD-rate of this order
_OURS = {"psnr-rgb": "psnr", "ms-ssim-rgb": "ms_ssim", "ms-ssim": "ms_ssim"}  # CompressAI's names for them
_COSTS = {"encoding_time": "encode_s", "decoding_time": "decode_s"}


@dataclass(frozen=True)
class Tolerances:
    """How much worse B may be than A: BD-rate in percent, quality at a point in the metric's unit, time as a
    factor.

    `strict` counts improvements beyond the tolerance as changes too.
    """

    bd_rate: float = 0.5
    rate: float = 0.5
    quality: float = 0.02
    time: float | None = None
    strict: bool = False


@dataclass(frozen=True)
class Change:
    """One line of the comparison; `bad` where it is beyond tolerance."""

    text: str
    bad: bool


def read_curves(path: Path) -> list[Curve]:
    """The curves of a run's folder, its `summary.json`, or a result file of CompressAI; raises UnreadableInputError."""
    if path.is_dir():
        path = path / SUMMARY_NAME
    try:
        data: Any = json.loads(path.read_text())
        if "curves" in data:
            return [_ours(entry) for entry in data["curves"]]
        return [_compressai(data)]
    except OSError as error:
        raise UnreadableInputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UnreadableInputError(f"{path} is no summary of a benchmark and no result file of CompressAI") from None


def _floats(values: Any) -> list[float | None]:
    return [number(value) for value in values]


def _ours(entry: dict[str, Any]) -> Curve:
    metrics = {name: _floats(values) for name, values in entry["metrics"].items()}
    costs = {name: _floats(values) for name, values in entry["costs"].items()}
    return Curve(entry["name"], entry["version"], entry["quality"], [float(r) for r in entry["rate"]], metrics, costs)


def _compressai(data: dict[str, Any]) -> Curve:
    results = data["results"]
    rate = [float(value) for value in results["bpp"]]
    metrics = {
        _OURS.get(k, k): _floats(v) for k, v in results.items() if k not in ("bpp", "quality") and k not in _COSTS
    }
    costs = {ours: _floats(results[theirs]) for theirs, ours in _COSTS.items() if theirs in results}
    quality = [float(q) for q in results.get("quality", range(1, len(rate) + 1))]
    return Curve(str(data["name"]), str(data.get("description", "")), quality, rate, metrics, costs)


def compare(old: Sequence[Curve], new: Sequence[Curve], allowed: Tolerances, metrics: Sequence[str]) -> list[Change]:
    """Every change from `old` to `new`, codec by codec; what is gone is beyond tolerance."""
    changes = []
    after = {curve.name: curve for curve in new}
    for curve in old:
        if curve.name not in after:
            changes.append(Change(f"{curve.name}: gone", True))
            continue
        changes += _curve_changes(curve, after[curve.name], allowed, metrics)
    before = {curve.name for curve in old}
    changes += [Change(f"{curve.name}: new", allowed.strict) for curve in new if curve.name not in before]
    return changes


def _beyond(worse: float, tolerance: float, strict: bool) -> bool:
    return worse > tolerance or (strict and -worse > tolerance)


def _curve_changes(old: Curve, new: Curve, allowed: Tolerances, metrics: Sequence[str]) -> list[Change]:
    changes = []
    if old.version != new.version:
        changes.append(Change(f"{old.name}: was {old.version}; is {new.version}", False))
    for metric in metrics:
        before, after = old.points(metric), new.points(metric)
        if before is None and after is None:
            continue
        if before is None or after is None:
            changes.append(Change(f"{old.name}: {metric} stands in one run only", after is None))
            continue
        try:
            rate = delta(before, after).rate_pchip
            text = f"{old.name}: BD-rate by {metric} {rate:+.3f} % (allowed {allowed.bd_rate:g})"
            if abs(rate) > ROUNDING:
                changes.append(Change(text, _beyond(rate, allowed.bd_rate, allowed.strict)))
        except BjontegaardError as error:
            changes.append(Change(f"{old.name}: no BD-rate by {metric}: {error}", False))
    return changes + _point_changes(old, new, allowed, metrics)


def _point_changes(old: Curve, new: Curve, allowed: Tolerances, metrics: Sequence[str]) -> list[Change]:
    changes = []
    places = {quality: i for i, quality in enumerate(new.quality)}
    for i, quality in enumerate(old.quality):
        where = f"{old.name} q={quality:g}"
        if quality not in places:
            changes.append(Change(f"{where}: gone", True))
            continue
        j = places[quality]
        rate = 100 * (new.rate[j] / old.rate[i] - 1)
        if rate:
            rates = f"{old.rate[i]:.5g} to {new.rate[j]:.5g}"
            text = f"{where}: rate {rates} ({rate:+.3f} %, allowed {allowed.rate:g})"
            changes.append(Change(text, _beyond(rate, allowed.rate, allowed.strict)))
        for metric in metrics:
            a, b = _at(old.metrics, metric, i), _at(new.metrics, metric, j)
            if a is not None and b is not None and a != b:
                text = f"{where}: {metric} {a:.5g} to {b:.5g} ({b - a:+.4f}, allowed {allowed.quality:g})"
                changes.append(Change(text, _beyond(a - b, allowed.quality, allowed.strict)))
        if allowed.time is not None:
            changes += _time_changes(where, old, new, (i, j), allowed.time)
    return changes


def _time_changes(where: str, old: Curve, new: Curve, at: tuple[int, int], factor: float) -> list[Change]:
    changes = []
    for cost in ("encode_s", "decode_s"):
        a, b = _at(old.costs, cost, at[0]), _at(new.costs, cost, at[1])
        if a and b:
            text = f"{where}: {cost} {a:.4g} to {b:.4g} s (x{b / a:.2f}, allowed x{factor:g})"
            changes.append(Change(text, b / a > factor))
    return changes


def _at(table: dict[str, list[float | None]], name: str, place: int) -> float | None:
    values = table.get(name, [])
    return values[place] if place < len(values) else None

"""Results as CSV, and as JSON in CompressAI's result format, which its plotting tool reads."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .measure import Record
from .store import finite, slug, write_text
from .summary import TIMES, Curve

# CompressAI's names, and ours for what it has no name for
_COMPRESSAI = {
    "psnr": "psnr-rgb",
    "ms_ssim": "ms-ssim-rgb",
    "encode_s": "encoding_time",
    "decode_s": "decoding_time",
}
_FIELDS = (
    "codec", "quality", "source", "status", "error", "bytes", "rate", *TIMES,
    "parameters", "encode_kmac", "decode_kmac", "width", "height", "seconds", "workers", "threads", "version",
)  # fmt: skip


def write_records(path: Path, records: Sequence[Record], metrics: Sequence[str]) -> None:
    """One line of CSV for each source, codec and quality, the failed ones too."""
    lines = [[*_FIELDS[:7], *metrics, *_FIELDS[7:]]]
    for record in records:
        row = [record.get(field, "") for field in _FIELDS]
        measured = [record.get("metrics", {}).get(metric, "") for metric in metrics]
        lines.append([*row[:7], *measured, *row[7:]])
    _write_csv(path, lines)


def write_averages(path: Path, curves: Sequence[Curve], rate_unit: str) -> None:
    """One line of CSV for each point of each measured curve."""
    metrics = list(dict.fromkeys(metric for curve in curves for metric in curve.metrics))
    lines: list[list[Any]] = [["codec", "quality", rate_unit, *metrics, *TIMES]]
    for curve in curves:
        for i, quality in enumerate(curve.quality):
            columns = [curve.metrics.get(name, []) for name in metrics] + [curve.costs[name] for name in TIMES]
            values = [column[i] if i < len(column) else None for column in columns]
            lines.append([curve.name, quality, curve.rate[i], *("" if v is None else v for v in values)])
    _write_csv(path, lines)


def _write_csv(path: Path, lines: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    write_text(path, text.getvalue())


def compressai_results(curve: Curve, rate_name: str = "bpp") -> dict[str, Any]:
    """The curve as CompressAI has it: {"name", "description", "results": {"bpp": [], "psnr-rgb": [], …}}."""
    columns: dict[str, Sequence[float | None]] = {
        rate_name: curve.rate,
        "quality": curve.quality,
        **curve.metrics,
        **curve.costs,
    }
    results = {
        _COMPRESSAI.get(name, name): list(values)
        for name, values in columns.items()
        if values and any(value is not None for value in values)
    }
    return {"name": curve.name, "description": curve.version, "results": finite(results)}


def write_compressai(folder: Path, curves: Sequence[Curve], rate_name: str) -> None:
    """One JSON file for each curve."""
    folder.mkdir(parents=True, exist_ok=True)
    for curve in curves:
        text = json.dumps(compressai_results(curve, rate_name), indent=1)
        write_text(folder / f"{slug(curve.name)}.json", text + "\n")

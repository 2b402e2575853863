"""The report: one HTML file with its data, pictures and scripts inside, which needs no network."""

from __future__ import annotations

import base64
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from .comparison import Row
from .measure import Record
from .plots import TITLES
from .sound_metrics import SOUND_UNITS
from .store import finite, write_text
from .summary import AVERAGING, Curve, Summary

_DIGITS = {"ms_ssim": 5, "stoi": 4, "pesq": 3, "visqol": 3, "wer": 1, "wer_original": 1, "speaker": 3}
_SHORT = {"psnr": "PSNR", "ms_ssim_db": "MS-SSIM", "ssimulacra2": "SSIMULACRA2", "si_sdr": "SI-SDR"}
_UNITS = {"psnr": "dB", "ms_ssim_db": "dB", **SOUND_UNITS}


@dataclass(frozen=True)
class Report:
    """What the page shows. `bd` is anchor -> metric -> rows; `drawn` names the published curves shown."""

    summary: Summary
    records: Sequence[Record]
    published: Sequence[Curve]
    drawn: Sequence[str]
    anchor: str
    bd: Mapping[str, Mapping[str, Sequence[Row]]]
    viewer: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    workers: int


def _metrics(summary: Summary) -> list[dict[str, Any]]:
    found = dict.fromkeys(m for curve in summary.curves for m in curve.metrics if m not in ("mse", "ms_ssim", "words"))
    return [
        {
            "name": name,
            "title": TITLES.get(name, name),
            "short": _SHORT.get(name, TITLES.get(name, name).split(" (")[0]),
            "unit": _UNITS.get(name, ""),
            "digits": _DIGITS.get(name, 2),
        }
        for name in found
        if any(curve.points(name) for curve in summary.curves)
    ]


def _warnings(summary: Summary, failed: int) -> list[str]:
    found = [f"left out of every average: {source} ({reason})" for source, reason in summary.excluded.items()]
    found += [f"failed on every {summary.kind}: {point}" for point in summary.dropped]
    return found + (
        [f"{failed} measurements failed; their reasons stand in the table of each {summary.kind}"] if failed else []
    )


def _facts(report: Report) -> list[tuple[str, str]]:
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {cpu_name()}"
    facts = [("averages", AVERAGING), ("machine", machine)]
    facts.append(("timing", f"measurements at a time: {report.workers}; several share the machine"))
    facts += [(curve.name, curve.version) for curve in report.summary.curves]
    return facts + [("note", note) for note in report.notes]


def cpu_name() -> str:
    """The processor's name as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "processor unknown"


def page_data(report: Report) -> dict[str, Any]:
    """Everything that the page's script draws, as plain JSON values."""
    summary = report.summary
    failed = sum(record["status"] != "ok" for record in report.records)
    word = "picture" if summary.kind == "picture" else "sound"
    many = f"{len(summary.sources)} {word}{'s' if len(summary.sources) != 1 else ''}"
    fields = ("codec", "quality", "source", "bytes", "rate", "metrics", "encode_s", "decode_s", "error")
    data = {
        "title": f"Rate and distortion of {len(summary.curves)} codecs",
        "lead": f"Over {many}; every number comes from a real file that was decoded again.",
        "kind": word,
        "rate_unit": "bpp" if summary.kind == "picture" else "kbps",
        "quality_word": "quality",
        "warnings": _warnings(summary, failed),
        "metrics": _metrics(summary),
        "curves": [curve.as_dict() for curve in summary.curves],
        "published": [curve.as_dict() for curve in report.published],
        "drawn": list(report.drawn),
        "anchor": report.anchor,
        "anchors": list(report.bd),
        "bd": {
            anchor: {metric: [row.as_dict() for row in rows] for metric, rows in by_metric.items()}
            for anchor, by_metric in report.bd.items()
        },
        "viewer": list(report.viewer),
        "sources": sorted({record["source"] for record in report.records}),
        "records": [{key: record[key] for key in fields if key in record} for record in report.records],
        "facts": _facts(report),
    }
    plain: dict[str, Any] = finite(data)
    return plain


def write_report(path: Path, report: Report) -> None:
    """Write the page."""
    write_text(path, page("page.html", page_data(report), "base.js", "plot.js", "viewer.js", "page.js"))


def page(template: str, data: Mapping[str, Any], *scripts: str) -> str:
    """An HTML page with its data, its pictures and the scripts inside; data["title"] is its title."""
    folder = files(__package__) / "report"

    def text(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    # "<" never stands in the data as such, so that no text of it can end the script element
    inline = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    parts = {
        "head": text("head.html"),
        "title": escape(str(data["title"])),
        "style": text("style.css"),
        "viewer": text("viewer.html"),
        "script": "".join(text(name) for name in scripts),
        "data": inline,
    }
    found = text(template)
    for name, value in parts.items():
        found = found.replace(f"{{{{{name}}}}}", value)
    return found


def data_uri(data: bytes, kind: str) -> str:
    """`data` as a data: address."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"

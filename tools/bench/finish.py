"""From the records of a run to everything that a person reads: tables, CSV, JSON, plots and the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UsageError
from . import published
from .comparison import Row, against, compared, markdown_table, text_table
from .export import write_averages, write_compressai, write_records
from .html import Report, write_report
from .plots import TITLES, plot
from .run import Plan, Results, Runner
from .sound_metrics import SOUND_UNITS
from .store import Store, finite, write_text
from .summary import AVERAGING, SUMMARY_NAME, Curve, Summary, summarise
from .viewer import Viewer

SUMMARY_FORMAT = 1
DRAWN = (
    "VTM-9.1 (CompressAI)",
    "BPG 4:4:4 (CompressAI)",
    "mbt2018-mean",
    "cheng2020-attn",
    "ELIC",
    "MLIC++",
    "HPCM-Large",
)
DEFAULT_ANCHOR = "VTM-9.1 (CompressAI)"
UNITS = {"psnr": "dB", "ms_ssim_db": "dB", **SOUND_UNITS}


@dataclass(frozen=True)
class Presentation:
    """What to show beside the measurements. `published` is auto, always or never."""

    anchors: Sequence[str] = ()
    published: str = "auto"
    drawn: Sequence[str] = DRAWN
    viewer: int = 3


@dataclass(frozen=True)
class Context:
    """A summary, the published curves that stand beside it, and the anchors, the first of which leads."""

    summary: Summary
    published: Sequence[Curve]
    anchors: Sequence[Curve]
    notes: Sequence[str]

    def rows(self, anchor: Curve) -> dict[str, list[Row]]:
        """Deltas of every curve against one anchor, by metric."""
        metrics = dict.fromkeys(metric for curve in self.summary.curves for metric in curve.metrics)
        both = [*self.summary.curves, *self.published]
        return {metric: against(anchor, both, metric) for metric in compared(list(metrics))}


def relate(plan: Plan, summary: Summary, wanted: Presentation) -> Context:
    """Choose the published curves and the anchors.

    Published curves are means over the 24 Kodak pictures, so they stand beside a run over just those, or
    where `published` is "always". Raises UsageError for an anchor that is neither measured nor published.
    """
    notes: list[str] = []
    curves: list[Curve] = []
    kodak = plan.kind == "picture" and not summary.excluded and published.is_kodak(list(plan.sources))
    if plan.kind == "picture" and wanted.published != "never":
        if kodak or wanted.published == "always":
            curves = published.curves()
        if not kodak:
            notes.append(
                "published curves are means over the 24 Kodak pictures, which this run is not: "
                + ("read them with care" if curves else "they are left out")
            )
    by_name = {curve.name.lower(): curve for curve in [*curves, *summary.curves]}  # the measured one wins
    names = list(wanted.anchors) or ([DEFAULT_ANCHOR] if curves else [curve.name for curve in summary.curves[:1]])
    for name in names:
        if name.lower() not in by_name and wanted.published != "never" and plan.kind == "picture":
            by_name[name.lower()] = published.by_name(name)
            notes.append(f"{name} is a published curve over Kodak, which this run is not")
        elif name.lower() not in by_name:
            raise UsageError(f"no curve is called {name!r}; choose of {', '.join(c.name for c in by_name.values())}")
    return Context(summary, curves, [by_name[name.lower()] for name in names], notes)


def finish(plan: Plan, results: Results, store: Store, runner: Runner, wanted: Presentation) -> list[str]:
    """Write every output into the run's folder and return the lines for the terminal.

    Raises UsageError where nothing could be measured.
    """
    bad = {str(path): reason for path, reason in plan.bad_sources}
    summary = summarise(plan.kind, results.records, bad)
    folder, unit = store.folder, "bpp" if plan.kind == "picture" else "kbps"
    metrics = list(dict.fromkeys(m for record in results.records for m in record.get("metrics", {})))
    write_records(folder / "results.csv", results.records, metrics)
    if not summary.curves:
        raise UsageError(f"nothing was measured well: {folder / 'results.csv'} says why for each file")
    context = relate(plan, summary, wanted)
    write_averages(folder / "averages.csv", summary.curves, unit)
    write_compressai(folder / "json", summary.curves, unit)
    tables = {anchor.name: context.rows(anchor) for anchor in context.anchors}
    write_text(folder / SUMMARY_NAME, json.dumps(finite(summary_json(context, tables)), indent=1) + "\n")
    anchor = context.anchors[0].name
    blocks = [markdown_table(anchor, metric, summary.curves, rows) for metric, rows in tables[anchor].items() if rows]
    write_text(folder / "table.md", "\n\n".join("\n".join(block) for block in blocks) + "\n")
    drawn = [curve for curve in context.published if curve.name in wanted.drawn]
    for metric in TITLES:
        if any(curve.points(metric) for curve in summary.curves):
            many = f"mean over {len(summary.sources)} {plan.kind}{'s' if len(summary.sources) != 1 else ''}"
            plot(summary.curves, drawn, metric, folder / f"rd-{metric}", rate_unit=unit, title=many)
    viewer = Viewer(plan, store, runner, results.records).entries(wanted.viewer) if plan.kind == "picture" else []
    others = [curve for curve in [*summary.curves, *drawn] if curve.name not in tables]
    every = {**tables, **{curve.name: context.rows(curve) for curve in others}}
    page = Report(
        summary, results.records, context.published, [curve.name for curve in drawn],
        context.anchors[0].name, every, viewer, context.notes, runner.options.jobs,
    )  # fmt: skip
    write_report(folder / "report.html", page)
    return list(_lines(context, tables, unit, folder))


def summary_json(context: Context, tables: dict[str, dict[str, list[Row]]]) -> dict[str, Any]:
    """The averages with their Bjontegaard deltas, which `bitfloor bench compare` reads."""
    summary = context.summary
    return {
        "bitfloor_bench": SUMMARY_FORMAT,
        "kind": summary.kind,
        "averaging": AVERAGING,
        "sources": summary.sources,
        "excluded": summary.excluded,
        "dropped": summary.dropped,
        "curves": [curve.as_dict() for curve in summary.curves],
        "bd": {
            anchor: {metric: [row.as_dict() for row in rows] for metric, rows in by_metric.items()}
            for anchor, by_metric in tables.items()
        },
    }


def _lines(context: Context, tables: dict[str, dict[str, list[Row]]], unit: str, folder: Path) -> list[str]:
    summary = context.summary
    lines = []
    for source, reason in summary.excluded.items():
        lines.append(f"left out of every average: {source} ({reason})")
    lines += [f"failed everywhere, so no point: {point}" for point in summary.dropped]
    for anchor, by_metric in tables.items():
        for metric, rows in by_metric.items():
            if rows:
                lines += [*text_table(anchor, metric, UNITS.get(metric, ""), rows), ""]
    lines += [f"note: {note}" for note in context.notes]
    return [
        *lines,
        f"averages: {AVERAGING} ({len(summary.sources)} of them)",
        f"report: {folder / 'report.html'}",
    ]

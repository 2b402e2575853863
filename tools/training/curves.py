"""Curves of a training: curves.html from its logs, and TensorBoard events where that is installed.

The page needs nothing but a browser: one drawing for each figure of log.csv and validation.csv over the steps.
"""

from __future__ import annotations

import csv
import html
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

WIDTH, HEIGHT, MARGIN = 460, 220, 44  # pixels of one drawing; the margin is left and below
POINTS = 400  # of a line at most; more are averaged
_LOGARITHMIC = {"lr", "mse", "norm"}
_AXIS = ("step", "seconds")
_STYLE = """body{font:15px/1.4 system-ui,sans-serif;margin:24px;color:#222;background:#fff}
figure{display:inline-block;margin:0 20px 24px 0}figcaption{font-weight:600}
text{font-size:11px;fill:#555}path{fill:none;stroke:#0969da;stroke-width:1.6}line{stroke:#ddd}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#111}line{stroke:#333}text{fill:#aaa}}"""

Series = list[tuple[float, float]]  # step and value


class Events(Protocol):
    """Where figures go as they come: TensorBoard's writer, or nowhere."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Take the value of the curve `tag` at a step."""


def tensorboard(folder: Path) -> Events | None:
    """A writer of TensorBoard events into `folder`/events, or None where its package is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "events"))


def write_page(folder: Path) -> Path | None:
    """Write curves.html into a training's folder from the logs there; None where there is none yet."""
    drawings = []
    for log, title in (("log.csv", "training"), ("validation.csv", "held-out data")):
        for name, series in read_series(folder / log).items():
            drawings.append(drawing(f"{name} ({title})", series, name in _LOGARITHMIC))
    if not drawings:
        return None
    name = html.escape(folder.resolve().name)
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}: training curves</title>'
        f"<style>{_STYLE}</style><h1>{name}</h1>\n" + "\n".join(drawings) + "\n</html>\n"
    )
    path, partial = folder / "curves.html", folder / "curves.html.partial"
    partial.write_text(page, encoding="utf-8")
    os.replace(partial, path)
    return path


def read_series(path: Path) -> dict[str, Series]:
    """The curves of a log by the names of its columns; a log that is not there has none.

    Rows that a killed process left half-written are passed over.
    """
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else ()) if name not in _AXIS]
    series = {name: _column(rows, name) for name in names}
    return {name: values for name, values in series.items() if len(values) > 1}


def _column(rows: Sequence[Mapping[str, str]], name: str) -> Series:
    values: Series = []
    for row in rows:
        try:
            point = float(row["step"]), float(row[name])
        except (KeyError, TypeError, ValueError):
            continue
        if math.isfinite(point[1]):
            values.append(point)
    return values


def drawing(title: str, series: Series, logarithmic: bool = False) -> str:
    """One figure of HTML with the curve in SVG; at most `POINTS` points, neighbours averaged."""
    series = _thinned([(x, y) for x, y in series if y > 0] if logarithmic else series)
    values = [math.log10(y) if logarithmic else y for _, y in series]
    low, high = min(values, default=0.0), max(values, default=1.0)
    high = high if high > low else low + 1
    first, last = series[0][0] if series else 0.0, series[-1][0] if series else 1.0
    span = last - first or 1

    def place(x: float, value: float) -> str:
        across = MARGIN + (x - first) / span * (WIDTH - MARGIN - 8)
        down = 8 + (high - value) / (high - low) * (HEIGHT - 32)
        return f"{across:.1f},{down:.1f}"

    parts = []
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        down = 8 + (1 - share) * (HEIGHT - 32)
        label = f"{10**value if logarithmic else value:.4g}"
        parts.append(f'<line x1="{MARGIN}" x2="{WIDTH - 8}" y1="{down:.1f}" y2="{down:.1f}"/>')
        parts.append(f'<text x="{MARGIN - 4}" y="{down + 4:.1f}" text-anchor="end">{label}</text>')
    parts.append(f'<text x="{MARGIN}" y="{HEIGHT - 6}">step {first:,.0f}</text>')
    parts.append(f'<text x="{WIDTH - 8}" y="{HEIGHT - 6}" text-anchor="end">{last:,.0f}</text>')
    if series:
        points = " L".join(place(x, value) for (x, _), value in zip(series, values, strict=True))
        parts.append(f'<path d="M{points}"/>')
    body = "".join(parts)
    caption = html.escape(title)
    return (
        f'<figure><figcaption>{caption}</figcaption><svg role="img" aria-label="{caption}" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">{body}</svg></figure>'
    )


def _thinned(series: Series) -> Series:
    """Means of equal runs of neighbours, at most `POINTS` of them."""
    run = -(-len(series) // POINTS)
    if run <= 1:
        return series
    runs = [series[i : i + run] for i in range(0, len(series), run)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in runs]

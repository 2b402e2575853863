"""Rate-distortion plots as PNG and SVG: measured curves solid with their points, published ones dashed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import UsageError
from .summary import Curve

# Okabe and Ito's colours, which people with any colour vision tell apart, then darker tints of three of them
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f00", "#004c77", "#8e3f00")
MARKERS = "osD^vP*X<"
TITLES = {
    "psnr": "PSNR (dB, RGB)",
    "ms_ssim_db": "MS-SSIM (dB)",
    "ssimulacra2": "SSIMULACRA2",
    "pesq": "PESQ wide-band (MOS-LQO)",
    "stoi": "STOI",
    "visqol": "ViSQOL speech (MOS-LQO)",
    "si_sdr": "SI-SDR (dB)",
    "log_mel": "log-mel distance (dB), lower is better",
    "wer": "word error rate (%), lower is better",
    "speaker": "speaker similarity (cosine)",
}
_WIDEST_RATIO = 1.15  # how far beyond the measured rates a published curve may stretch the plot


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise UsageError("plots need the package matplotlib: pip install 'bitfloor[report]'") from None
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "bitfloor"  # the same run gives the same file
    return Figure


def plot(
    measured: Sequence[Curve],
    published: Sequence[Curve],
    metric: str,
    path: Path,
    *,
    rate_unit: str,
    title: str,
) -> None:
    """Write `path` with the endings .png and .svg. Raises UsageError where matplotlib is missing."""
    figure = _pyplot()(figsize=(8, 5.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    with_metric = [curve for curve in measured if curve.points(metric)]
    for i, curve in enumerate(with_metric):
        _draw(axes, curve, metric, colour=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)])
    limits = axes.get_xlim(), axes.get_ylim()
    for i, curve in enumerate(published):
        grey = f"{0.25 + 0.5 * i / max(1, len(published)):.2f}"
        _draw(axes, curve, metric, colour=grey, marker="", dashed=True)
    if with_metric:
        top = max(max(curve.rate) for curve in with_metric)
        axes.set_xlim(0, top * _WIDEST_RATIO)
        axes.set_ylim(*limits[1])
    axes.set(xlabel=f"rate ({rate_unit}, real files)", ylabel=TITLES.get(metric, metric), title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    for ending in (".png", ".svg"):
        figure.savefig(path.with_suffix(ending), metadata={"Date": None} if ending == ".svg" else None)


def _draw(axes: Any, curve: Curve, metric: str, *, colour: str, marker: str, dashed: bool = False) -> None:
    points = curve.points(metric)
    if points is None:
        return
    name = f"{curve.name}, published" if dashed else curve.name
    style = {"linestyle": (0, (4, 3)), "linewidth": 1.1} if dashed else {"linewidth": 1.8}
    axes.plot(points.rate, points.quality, color=colour, marker=marker, markersize=4, label=name, **style)

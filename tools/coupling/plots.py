"""Drawings of couplings and coding games; matplotlib is needed here only (extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...codecs.media.files import atomic_output
from ...entropy_models.coupling import BottleneckCoupling, Coupling
from ...entropy_models.coupling.laws import Floats, Ints
from ...errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, INK = "#2b6cb0", "#dd6b20", "#a0aec0", "#1a202c"
PALETTE = ("#2b6cb0", "#dd6b20", "#2f855a", "#b83280", "#b7791f", "#319795", "#6b46c1", "#c53030")
FLOW_LIMIT = 48
FORMATS = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Raise UsageError where plots cannot be drawn, or not in the format that `path` asks for."""
    try:
        import matplotlib as _  # noqa: F401
    except ImportError:
        raise UsageError("plots need matplotlib: pip install 'bitfloor[plot]'") from None
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"a plot is written as {', '.join(FORMATS)}, not {path.suffix or path.name}")


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """A figure that needs no screen, and its row of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def save_figure(figure: Figure, path: Path, overwrite: bool) -> None:
    """Write a figure in the format of its suffix; raises UsageError as `atomic_output` does."""
    with atomic_output(path, overwrite) as file:
        figure.savefig(file, format=path.suffix[1:].lower())


def draw_coupling(coupling: Coupling, names: Sequence[str]) -> Figure:
    """Two marginals as bars with a ribbon for each cell, or a map of the cells for large alphabets."""
    if max(coupling.shape) > FLOW_LIMIT:
        figure, (axes,) = new_figure(6.4, 5.6)
        _draw_cells(axes, coupling, names)
    else:
        figure, (axes,) = new_figure(6.4, 5.6)
        _draw_flow(axes, [coupling.marginal(0), coupling.marginal(1)], [(coupling.index, coupling.mass)], names)
    figure.suptitle(
        f"H = {coupling.entropy:.4f} bits, I = {coupling.mutual_information:.4f} bits, {len(coupling.mass)} cells"
    )
    return figure


def draw_bottleneck(found: BottleneckCoupling, names: Sequence[str]) -> Figure:
    """Source, bottleneck and output as bars with ribbons, or both cell maps for large alphabets."""
    source = np.stack([found.encoder.x, found.encoder.t], axis=1)
    encoder = Coupling(source, found.encoder.mass, (found.encoder.size, len(found.encoder.label_law)))
    if max(encoder.shape + found.decoder.shape) > FLOW_LIMIT:
        figure, axes = new_figure(11, 5.2, columns=2)
        _draw_cells(axes[0], encoder, (names[0], "T"))
        _draw_cells(axes[1], found.decoder, ("T", names[1]))
    else:
        figure, (one,) = new_figure(8.4, 5.6)
        laws = [encoder.marginal(0), encoder.marginal(1), found.decoder.marginal(1)]
        links = [(encoder.index, encoder.mass), (found.decoder.index, found.decoder.mass)]
        _draw_flow(one, laws, links, (names[0], "T", names[1]))
    figure.suptitle(
        f"H(T) = {found.rate:.4f} bits, I(X;Y) = {found.information:.4f} bits, "
        f"H(Y|T) = {found.conditional_entropy:.4f} bits"
    )
    return figure


def _draw_flow(axes: Axes, laws: Sequence[Floats], links: Sequence[tuple[Ints, Floats]], names: Sequence[str]) -> None:
    """Columns of stacked bars, largest at the top, joined by ribbons as wide as their mass."""
    gap, bar = 0.012, 0.09
    tops = [_stack(law, gap) for law in laws]
    height = max(top.max() if len(top) else 1.0 for top in tops)
    for column, (law, top, name) in enumerate(zip(laws, tops, names, strict=True)):
        for symbol in np.flatnonzero(law):
            colour = PALETTE[symbol % len(PALETTE)] if column == 0 else GREY
            axes.bar(column, law[symbol], bar, top[symbol] - law[symbol], color=colour, linewidth=0)
            if law[symbol] > 0.02:
                side = -1 if column == 0 else 1
                axes.text(
                    column + side * bar * 0.7,
                    top[symbol] - law[symbol] / 2,
                    f"{symbol}: {law[symbol]:.3g}",
                    ha="right" if side < 0 else "left",
                    va="center",
                    fontsize=8,
                    color=INK,
                    zorder=5,
                )
        axes.text(column, height + 0.02, name, ha="center", va="bottom", fontsize=11, color=INK)
    for column, (index, mass) in enumerate(links):
        _ribbons(axes, (column + bar / 2, column + 1 - bar / 2), tops[column : column + 2], index, mass)
    axes.set_xlim(-0.35, len(laws) - 1 + 0.35)
    axes.set_ylim(-0.02, height + 0.09)
    axes.axis("off")


def _stack(law: Floats, gap: float) -> Floats:
    """Upper edge of each symbol's bar when they are piled up with gaps, the likeliest at the top."""
    order = np.argsort(law, kind="stable")
    order = order[law[order] > 0]
    top = np.zeros(len(law))
    top[order] = np.cumsum(law[order]) + gap * np.arange(len(order))
    return top


def _ribbons(axes: Axes, ends: tuple[float, float], tops: Sequence[Floats], index: Ints, mass: Floats) -> None:
    """Draw a band from `ends[0]` to `ends[1]` for each cell, as wide as its mass."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    left, right = tops[0].copy(), tops[1].copy()
    # From the top down, so that ribbons of one bar do not cross more than they must.
    for cell in np.lexsort((-tops[1][index[:, 1]], -tops[0][index[:, 0]])):
        i, j, width = int(index[cell, 0]), int(index[cell, 1]), float(mass[cell])
        (x0, x1), a, b = ends, left[i], right[j]
        middle = (x0 + x1) / 2
        points = [(x0, a), (middle, a), (middle, b), (x1, b), (x1, b - width), (middle, b - width)]
        points += [(middle, a - width), (x0, a - width), (x0, a)]
        curve = [Outline.CURVE4] * 3
        codes = [Outline.MOVETO, *curve, Outline.LINETO, *curve, Outline.CLOSEPOLY]
        colour = PALETTE[i % len(PALETTE)]
        axes.add_patch(PathPatch(Outline(points, codes), facecolor=colour, alpha=0.35, linewidth=0))
        left[i] -= width
        right[j] -= width


def _draw_cells(axes: Axes, coupling: Coupling, names: Sequence[str]) -> None:
    """Each cell as a dot at the ranks of its two symbols, coloured by its mass."""
    ranks = []
    for axis in (0, 1):
        law = coupling.marginal(axis)
        rank = np.empty(len(law), dtype=int)
        rank[np.argsort(-law, kind="stable")] = np.arange(1, len(law) + 1)
        ranks.append(rank[coupling.index[:, axis]])
    size = float(np.clip(6000 / max(coupling.shape), 1.5, 40))
    dots = axes.scatter(ranks[1], ranks[0], c=np.log2(coupling.mass), s=size, cmap="viridis", linewidths=0, marker="s")
    axes.invert_yaxis()
    axes.set_xlabel(f"{names[1]}: rank of the symbol by probability")
    axes.set_ylabel(f"{names[0]}: rank")
    axes.figure.colorbar(dots, ax=axes, label="log2 of the cell's mass", shrink=0.85)

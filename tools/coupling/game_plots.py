"""Drawings of Markov coding games: reward and accuracy, belief over steps, the board with an episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...entropy_models.coupling.laws import Floats
from .game import Episode
from .game_table import Row
from .mdp import ACTIONS, GridWorld
from .plots import BLUE, GREY, INK, ORANGE, PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {"ebim": "MEC-B (EBIM)", "quantiser": "uniform quantiser"}


def draw_table(rows: Sequence[Row]) -> Figure:
    """Per encoder reward against accuracy, a line for each rate with a point for each temperature."""
    encoders = list(dict.fromkeys(row.encoder for row in rows))
    figure, panels = new_figure(5.2 * len(encoders), 4.6, len(encoders))
    rates = list(dict.fromkeys(row.rate for row in rows))
    for axes, encoder in zip(panels, encoders, strict=True):
        for rate, colour in zip(rates, PALETTE * len(rates), strict=False):
            line = [row for row in rows if row.encoder == encoder and row.rate == rate]
            axes.errorbar(
                [row.accuracy for row in line],
                [row.reward for row in line],
                xerr=[row.accuracy_error for row in line],
                yerr=[row.reward_error for row in line],
                marker="o",
                capsize=2,
                color=colour,
                label=f"R = {rate:g} H(M)",
            )
        axes.set_title(NAMES[encoder], color=INK)
        axes.set_xlabel("receiver's accuracy")
        axes.set_xlim(-0.04, 1.04)
        axes.grid(alpha=0.3)
        axes.sharey(panels[0])
    panels[0].set_ylabel("discounted reward")
    panels[0].legend(frameon=False, loc="lower left")
    _name_temperatures(panels[0], rows, encoders[0])
    return figure


def _name_temperatures(axes: Axes, rows: Sequence[Row], encoder: str) -> None:
    """Write log beta beside the points of the first rate."""
    first = rows[0].rate
    for row in rows:
        if row.encoder == encoder and row.rate == first:
            axes.annotate(
                f"log β = {row.log_beta:g}",
                (row.accuracy, row.reward),
                xytext=(-10, -12) if row.accuracy > 0.8 else (8, 8),
                textcoords="offset points",
                ha="right" if row.accuracy > 0.8 else "left",
                fontsize=8,
                color=INK,
            )


def draw_beliefs(rows: Sequence[Row]) -> Figure:
    """Mean belief in the true message after each step: a panel a temperature, the quantiser dashed."""
    log_betas = list(dict.fromkeys(row.log_beta for row in rows))
    rates = list(dict.fromkeys(row.rate for row in rows))
    figure, panels = new_figure(4.4 * len(log_betas), 3.9, len(log_betas))
    for axes, log_beta in zip(panels, log_betas, strict=True):
        for row in rows:
            if row.log_beta != log_beta:
                continue
            axes.plot(
                np.arange(1, len(row.belief) + 1),
                row.belief,
                color=PALETTE[rates.index(row.rate) % len(PALETTE)],
                linestyle="-" if row.encoder == "ebim" else "--",
                label=f"{NAMES[row.encoder]}, {row.rate:g} H(M)",
            )
        axes.set_title(f"log β = {log_beta:g}", color=INK)
        axes.set_xlabel("step")
        axes.set_ylim(-0.03, 1.03)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("belief in the true message")
    panels[0].legend(frameon=False, fontsize=7)
    return figure


def draw_board(world: GridWorld, policy: Floats, episode: Episode, title: str) -> Figure:
    """The board with the policy as arrows as long as their probability, and one episode's way over it."""
    from matplotlib.patches import Rectangle

    figure, (axes, side) = new_figure(10.6, 5.4, columns=2)
    rows, columns = world.shape
    for row in range(rows):
        for column in range(columns):
            cell = (row, column)
            fill = "#4a5568" if cell in world.obstacles else "white"
            fill = {world.goal: "#c6f6d5", world.trap: "#fed7d7"}.get(cell, fill)
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=fill, edgecolor=GREY, linewidth=0.8))
            if cell not in world.obstacles | {world.goal, world.trap}:
                _arrows(axes, cell, policy[world.state(cell)])
    for cell, text in ((world.goal, "+1"), (world.trap, "-1")):
        axes.text(cell[1] - 0.44, cell[0] - 0.42, text, ha="left", va="top", fontsize=10, color=INK)
    path = np.array([world.cell(state) for state in episode.states], dtype=float)
    path += np.random.default_rng(0).uniform(-0.2, 0.2, path.shape)  # so that repeated cells can be told apart
    axes.plot(path[:, 1], path[:, 0], color=BLUE, linewidth=1.6, alpha=0.85)
    axes.plot(path[0, 1], path[0, 0], "o", color=BLUE, markersize=8, label="start")
    axes.plot(path[-1, 1], path[-1, 0], "s", color=ORANGE, markersize=8, label="end")
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.01), ncols=2, fontsize=8)
    axes.set_title(title, fontsize=10, color=INK)

    side.plot(np.arange(1, len(episode.belief) + 1), episode.belief, color=BLUE)
    side.set_xlabel("step")
    side.set_ylabel(f"belief in the true message ({episode.message})")
    side.set_ylim(-0.03, 1.03)
    side.grid(alpha=0.3)
    side.set_title(f"{'read' if episode.correct else 'not read'}, reward {episode.reward:.3f}", fontsize=10, color=INK)
    return figure


def _arrows(axes: Axes, cell: tuple[int, int], law: Floats) -> None:
    for (down, right), chance in zip(ACTIONS, law, strict=True):
        if chance > 0.03:
            length = 0.42 * float(chance)
            axes.annotate(
                "",
                xy=(cell[1] + right * length, cell[0] + down * length),
                xytext=(cell[1], cell[0]),
                arrowprops={
                    "arrowstyle": "->",
                    "color": "#718096",
                    "linewidth": 0.9,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
            )

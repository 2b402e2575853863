"""`bitfloor couple game`: reward and accuracy of Markov coding games under a rate limit."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...codecs.media.files import check_output
from ...errors import UsageError
from ..console import QUIET, common_options, is_terminal, note, setting
from ..options import PATH, SEED, Number

if TYPE_CHECKING:
    from ..coupling.game_table import Setting


@click.command()
@click.option("--log-beta", "log_betas", multiple=True, type=Number(), help="Temperature(s). [-6 -5 -4]")
@click.option("--rate", "rates", multiple=True, type=Number(0, 1), help="Share(s) of H(M). [1 0.8 0.5 0.25]")
@click.option("--encoder", "encoders", multiple=True, type=click.Choice(["ebim", "quantiser"]), help="[both]")
@click.option("--episodes", default=200, show_default=True, type=click.IntRange(1), help="For each cell.")
@click.option("--messages", default=512, show_default=True, type=click.IntRange(1, 1 << 16), help="Equally likely.")
@click.option("--max-steps", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--discount", default=0.95, show_default=True, type=Number(0, below=1))
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--mdp", type=PATH, help="Another game: .npz with transitions, rewards, terminal, start.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=PATH, help="Draw reward against accuracy.")
@click.option("--beliefs", type=PATH, help="Draw the receiver's belief over the steps.")
@click.option("--board", type=PATH, help="Draw the board with one episode (first --log-beta, --rate, --encoder).")
@click.option("-f", "--force", is_flag=True, help="Overwrite drawings.")
@common_options
def game(
    *,
    log_betas: tuple[float, ...],
    rates: tuple[float, ...],
    encoders: tuple[str, ...],
    episodes: int,
    messages: int,
    max_steps: int,
    discount: float,
    seed: int,
    mdp: Path | None,
    as_json: bool,
    plot: Path | None,
    beliefs: Path | None,
    board: Path | None,
    force: bool,
) -> None:
    """Send messages through the actions of an agent that walks to a goal, at most R bits a step.

    The board is that of the MEC-B paper unless --mdp gives another game. Options that take several values are
    given several times.
    """
    from ..coupling.game_table import Setting, format_table, play_table
    from ..coupling.mdp import paper_grid, read_mdp
    from ..coupling.plots import check_plot, save_figure

    for path in (plot, beliefs, board):
        if path is not None:
            check_plot(path)
            check_output(path, force)
    if board is not None and mdp is not None:
        raise UsageError("--board draws the paper's board, not --mdp")
    chosen = read_mdp(mdp) if mdp else paper_grid().mdp()
    setting_ = Setting(chosen, messages, episodes, discount, max_steps, seed)
    log_betas, rates = log_betas or (-6.0, -5.0, -4.0), rates or (1.0, 0.8, 0.5, 0.25)
    picked = [name for name in ("ebim", "quantiser") if not encoders or name in encoders]
    rows = play_table(setting_, log_betas, rates, picked, _progress)  # type: ignore[arg-type]
    click.echo(json.dumps({"rows": [row.json() for row in rows]}) if as_json else format_table(rows))

    from ..coupling import game_plots

    for path, draw in ((plot, game_plots.draw_table), (beliefs, game_plots.draw_beliefs)):
        if path is not None:
            save_figure(draw(rows), path, force)
            note(f"drawn: {path}")
    if board is not None:
        _draw_board(setting_, board, (log_betas[0], rates[0], picked[0]), force)


def _progress(episodes: Iterable[int]) -> Iterable[int]:
    from tqdm import tqdm

    quiet = setting(click.get_current_context(silent=True), QUIET) or not is_terminal(sys.stderr)
    return tqdm(episodes, unit="episode", disable=quiet, leave=False)


def _draw_board(shared: Setting, path: Path, cell: tuple[float, float, str], force: bool) -> None:
    import numpy as np

    from ..coupling import game_plots
    from ..coupling.game import CodingGame
    from ..coupling.game_table import play_one
    from ..coupling.mdp import paper_grid, soft_policy
    from ..coupling.plots import save_figure

    log_beta, rate, encoder = cell
    policy = soft_policy(shared.mdp, log_beta, shared.discount)
    played = CodingGame(shared.mdp, policy, shared.prior, rate, encoder)  # type: ignore[arg-type]
    episode = play_one(played, shared, np.random.default_rng(shared.seed))
    title = f"{shared.messages} messages, log β = {log_beta:g}, R = {rate:g} H(M), {encoder}"
    save_figure(game_plots.draw_board(paper_grid(), policy, episode, title), path, force)
    note(f"drawn: {path}")

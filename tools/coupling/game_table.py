"""Many episodes of a coding game over temperatures, rates and encoders, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from ...entropy_models.coupling.checks import check_integer
from ...entropy_models.coupling.laws import Floats
from .game import CodingGame, EncoderName, Episode
from .mdp import MDP, soft_policy

BELIEF_STEPS = 60


@dataclass(frozen=True)
class Setting:
    """What all cells of a table share: the game, the number of (equally likely) messages, the episodes."""

    mdp: MDP
    messages: int = 512
    episodes: int = 200
    discount: float = 0.95
    max_steps: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `UsageError` for numbers that make no game."""
        for name, low, high in (
            ("messages", 1, 1 << 16),
            ("episodes", 1, 1 << 32),
            ("max_steps", 1, 1 << 32),
            ("seed", 0, (1 << 64) - 1),
        ):
            check_integer(getattr(self, name), name.replace("_", " "), low, high)

    @property
    def prior(self) -> Floats:
        """The uniform law of the message."""
        return np.full(self.messages, 1 / self.messages)


@dataclass(frozen=True)
class Row:
    """One cell: means over its episodes, `*_error` their standard errors.

    `rate` is a share of the message's entropy; `belief` is the mean belief in the true message after each
    of the first 60 steps (an ended episode keeps its last).
    """

    log_beta: float
    encoder: EncoderName
    rate: float
    reward: float
    reward_error: float
    accuracy: float
    accuracy_error: float
    steps: float
    belief: list[float]

    def json(self) -> dict[str, object]:
        """The row for `json.dumps`."""
        return asdict(self)


def play_table(
    setting: Setting,
    log_betas: Sequence[float],
    rates: Sequence[float],
    encoders: Sequence[EncoderName],
    watch: Callable[[Iterable[int]], Iterable[int]] = lambda episodes: episodes,
) -> list[Row]:
    """Play all cells, in order of temperature, encoder and rate.

    `watch` wraps the run over all episodes, for a progress bar. Every cell starts from the same seed, so
    that the encoders meet the same messages.
    """
    policies = {log_beta: soft_policy(setting.mdp, log_beta, setting.discount) for log_beta in log_betas}
    cells = [(b, encoder, rate) for b in log_betas for encoder in encoders for rate in rates]
    rows, played, game = [], list[Episode](), None
    rng = np.random.default_rng()
    for count in watch(range(len(cells) * setting.episodes)):
        log_beta, encoder, rate = cells[count // setting.episodes]
        if game is None:
            game = CodingGame(setting.mdp, policies[log_beta], setting.prior, rate, encoder)
            rng = np.random.default_rng(setting.seed)
        played.append(play_one(game, setting, rng))
        if len(played) == setting.episodes:
            rows.append(_row(log_beta, encoder, rate, played))
            played, game = [], None
    return rows


def play_one(game: CodingGame, setting: Setting, rng: np.random.Generator) -> Episode:
    """One episode with a message drawn uniformly."""
    return game.play(int(rng.integers(setting.messages)), rng, setting.discount, setting.max_steps)


def _row(log_beta: float, encoder: EncoderName, rate: float, episodes: list[Episode]) -> Row:
    reward = np.array([episode.reward for episode in episodes])
    correct = np.array([episode.correct for episode in episodes], dtype=float)
    paths = [(e.belief + e.belief[-1:] * BELIEF_STEPS)[:BELIEF_STEPS] for e in episodes if e.belief]
    root = len(episodes) ** 0.5
    return Row(
        log_beta=float(log_beta),
        encoder=encoder,
        rate=float(rate),
        reward=float(reward.mean()),
        reward_error=float(reward.std() / root),
        accuracy=float(correct.mean()),
        accuracy_error=float(correct.std() / root),
        steps=float(np.mean([len(episode.actions) for episode in episodes])),
        belief=[round(float(value), 4) for value in np.mean(paths, axis=0)] if paths else [],
    )


def format_table(rows: Sequence[Row]) -> str:
    """The rows as aligned text; accuracy and reward with their standard errors."""
    lines = ["log beta  encoder    R/H(M)  accuracy       reward         steps"]
    lines += [
        f"{r.log_beta:8g}  {r.encoder:9}  {r.rate:6.3g}  {r.accuracy:5.3f} ±{r.accuracy_error:5.3f}"
        f"  {r.reward:6.3f} ±{r.reward_error:5.3f}  {r.steps:6.1f}"
        for r in rows
    ]
    return "\n".join(lines)

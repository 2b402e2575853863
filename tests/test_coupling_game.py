"""Markov coding games: the MDP, the soft policy, the coupled actions, the receiver, known results."""

import numpy as np
import pytest
from scipy.stats import chisquare

from bitfloor.entropy_models.coupling import entropy
from bitfloor.errors import UnreadableInputError, UsageError
from bitfloor.tools.coupling.game import CodingGame
from bitfloor.tools.coupling.game_table import Setting, format_table, play_table
from bitfloor.tools.coupling.mdp import ACTIONS, MDP, paper_grid, read_mdp, soft_policy

GRID = paper_grid()
BOARD = GRID.mdp()


def test_board_moves():
    """Intended 0.8, each perpendicular 0.1, blocked moves stay."""
    up, right, _, left = range(4)
    start = GRID.state((5, 4))
    law = BOARD.transitions[start, left]
    assert law[GRID.state((5, 3))] == pytest.approx(0.8)
    assert law[GRID.state((6, 4))] == pytest.approx(0.1)
    assert law[GRID.state((5, 4))] == pytest.approx(0.1)  # up is the obstacle (4, 4)
    corner = GRID.state((0, 0))
    assert BOARD.transitions[corner, up, corner] == pytest.approx(0.9)
    assert BOARD.transitions[corner, right, GRID.state((0, 1))] == pytest.approx(0.8)
    assert ACTIONS[left] == (0, -1)
    assert BOARD.rewards[GRID.state((0, 7))] == 1
    assert BOARD.rewards[GRID.state((1, 7))] == -1
    assert BOARD.terminal.sum() == 2
    np.testing.assert_allclose(BOARD.transitions.sum(axis=2), 1)


def test_soft_policy_becomes_value_iteration_when_cold_and_uniform_without_a_future():
    value = np.zeros(64)
    for _ in range(300):  # plain value iteration, written for this test
        best = np.zeros(64)
        for state in range(64):
            if BOARD.terminal[state]:
                best[state] = BOARD.rewards[state]
                continue
            best[state] = BOARD.rewards[state] + 0.95 * max(
                sum(BOARD.transitions[state, a, s] * value[s] for s in np.flatnonzero(BOARD.transitions[state, a]))
                for a in range(4)
            )
        value = best
    gains = BOARD.transitions @ value
    policy = soft_policy(BOARD, -12, iterations=300)
    for state in np.flatnonzero(~BOARD.terminal):
        if np.sort(gains[state])[-1] - np.sort(gains[state])[-2] > 1e-3:
            assert policy[state].argmax() == gains[state].argmax()
            assert policy[state].max() > 0.999
    np.testing.assert_allclose(soft_policy(BOARD, 0, discount=0), 0.25, atol=1e-12)


def test_soft_policy_is_a_fixed_point():
    beta, policy = np.exp(-3.0), soft_policy(BOARD, -3, iterations=2000)
    # V = r + discount * E[V'] + beta H(pi) under pi, and log pi = (Q - V) / beta: solve the first as linear
    # equations.
    free = ~BOARD.terminal
    step = np.einsum("sa,sat->st", policy, BOARD.transitions)
    entropies = -np.sum(policy * np.log(policy), axis=1)
    matrix = np.eye(64) - 0.95 * step * free[:, None]
    value = np.linalg.solve(matrix, np.where(free, BOARD.rewards + beta * entropies, BOARD.rewards))
    q = BOARD.rewards[:, None] + 0.95 * BOARD.transitions @ value
    again = np.exp((q - q.max(axis=1, keepdims=True)) / beta)
    np.testing.assert_allclose(again[free] / again[free].sum(axis=1, keepdims=True), policy[free], atol=1e-6)


@pytest.mark.parametrize("encoder", ["ebim", "quantiser"])
@pytest.mark.parametrize("rate", [0.0, 0.25, 0.6, 1.0])
def test_actions_keep_the_policy_and_the_rate(encoder, rate):
    rng = np.random.default_rng(1)
    policy = soft_policy(BOARD, -4)
    game = CodingGame(BOARD, policy, np.full(50, 1 / 50), rate, encoder)
    for _ in range(30):
        belief = rng.exponential(size=50) * (rng.random(50) < 0.6)
        belief /= belief.sum()
        state = int(rng.integers(64))
        laws = game.action_laws(state, belief)
        np.testing.assert_allclose(laws.sum(axis=0), 1, atol=1e-9)
        np.testing.assert_allclose(laws @ belief, policy[state], atol=1e-9)
        joint = laws * belief
        information = entropy(laws @ belief) + entropy(belief) - entropy(joint)
        assert information <= rate * np.log2(50) + 1e-9
        distinct = np.unique(laws[:, belief > 0].round(12), axis=1, return_inverse=True)[1].ravel()
        assert entropy(np.bincount(distinct, weights=belief[belief > 0])) <= rate * np.log2(50) + 1e-9
    if encoder == "quantiser" and rate == 0.25:  # floor(2^1.41) = 2 blocks
        laws = game.action_laws(44, np.full(50, 1 / 50))
        assert len(np.unique(laws.round(12), axis=1).T) <= 2
        np.testing.assert_allclose(laws[:, :25], laws[:, :1].repeat(25, axis=1))


def test_receiver_is_bayesian_and_actions_have_the_policys_law():
    """One decision only: actions over many games against pi, the belief against Bayes' rule."""
    policy = soft_policy(BOARD, -3)
    prior = np.full(6, 1 / 6)
    game = CodingGame(BOARD, policy, prior, 0.7)
    rng = np.random.default_rng(2)
    laws = game.action_laws(BOARD.start, prior)
    counts = np.zeros(4)
    for _ in range(3000):
        message = int(rng.integers(6))
        episode = game.play(message, rng, 0.95, max_steps=1)
        action = episode.actions[0]
        counts[action] += 1
        posterior = prior * laws[action] / np.sum(prior * laws[action])
        assert episode.belief == [pytest.approx(posterior[message])]
    assert chisquare(counts, policy[BOARD.start] * 3000).pvalue > 1e-3


def test_ebim_beats_the_quantiser_as_in_the_replication():
    """Accuracy, reward and steps of an independent implementation at log beta -5 and -4, 100 episodes."""
    rows = play_table(Setting(BOARD, episodes=60), [-5, -4], [1, 0.8, 0.25], ["ebim", "quantiser"])
    cell = {(row.log_beta, row.encoder, row.rate): row for row in rows}
    for rate in (0.8, 0.25):
        assert cell[-5, "ebim", rate].accuracy > cell[-5, "quantiser", rate].accuracy + 0.2
        assert cell[-4, "ebim", rate].accuracy > cell[-4, "quantiser", rate].accuracy + 0.6
    for rate, accuracy in ((1, 0.62), (0.8, 0.58), (0.25, 0.40)):
        row = cell[-5, "ebim", rate]
        assert abs(row.accuracy - accuracy) < 4 * row.accuracy_error + 0.05
        assert abs(row.reward - 0.321) < 0.03
    for rate in (1, 0.8, 0.25):
        assert cell[-4, "ebim", rate].accuracy > 0.98
        assert abs(cell[-4, "ebim", rate].reward - 0.084) < 0.03
    assert cell[-4, "quantiser", 0.8].accuracy < 0.45  # blocks of 4 never come apart
    assert 45 < cell[-4, "ebim", 1].steps < 95
    assert len(format_table(rows).splitlines()) == 1 + len(rows)


def chain_mdp():
    """Two states and a goal; action 1 usually moves on, action 0 usually stays."""
    transitions = np.array([[[0.9, 0.1, 0], [0.1, 0.9, 0]], [[0, 0.9, 0.1], [0, 0.1, 0.9]], [[0, 0, 1.0], [0, 0, 1.0]]])
    return MDP(transitions, np.array([0.0, 0.0, 1.0]), np.array([False, False, True]), 0)


def test_any_finite_mdp(tmp_path):
    mdp = chain_mdp()
    path = tmp_path / "chain.npz"
    np.savez(path, transitions=mdp.transitions, rewards=mdp.rewards, terminal=mdp.terminal, start=0)
    again = read_mdp(path)
    np.testing.assert_array_equal(again.transitions, mdp.transitions)
    (row,) = play_table(Setting(again, messages=4, episodes=200), [0.0], [1.0], ["ebim"])
    assert row.accuracy > 0.5
    assert row.steps > 2
    (tmp_path / "no.npz").write_bytes(b"PK nothing")
    with pytest.raises(UnreadableInputError, match=r"no \.npz"):
        read_mdp(tmp_path / "no.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transitions": np.ones((3, 2))}, "shape"),
        ({"transitions": np.full((3, 2, 3), 0.5)}, "must be a law"),
        ({"rewards": np.zeros(2)}, "entries"),
        ({"rewards": np.array([0, np.inf, 0])}, "finite"),
        ({"start": 3}, "no state"),
    ],
)
def test_what_is_no_mdp_is_refused(change, message):
    good = chain_mdp()
    parts = {"transitions": good.transitions, "rewards": good.rewards, "terminal": good.terminal, "start": 0}
    with pytest.raises(UsageError, match=message):
        MDP(**{**parts, **change})
    with pytest.raises(UsageError, match="share"):
        CodingGame(good, np.full((3, 2), 0.5), np.full(2, 0.5), 1.5)


@pytest.mark.parametrize("log_beta", [-500, -50, 20, 100, 500])
def test_extreme_temperatures_give_laws(log_beta):
    """Cold: a best action at every place; hot: the policy of a player that only wants to stay random."""
    policy = soft_policy(BOARD, log_beta, iterations=200)
    np.testing.assert_allclose(policy.sum(axis=1), 1)
    free = ~BOARD.terminal
    if log_beta < 0:  # equal actions share
        best = policy[free] > 1e-6
        np.testing.assert_allclose(policy[free], best / best.sum(axis=1, keepdims=True), atol=1e-3)
    else:
        np.testing.assert_allclose(policy, soft_policy(BOARD, 15, iterations=200), atol=1e-4)


@pytest.mark.parametrize("log_beta", [1000, -1000, np.inf, np.nan, "hot", None])
def test_temperatures_that_no_float_holds_are_refused(log_beta):
    with pytest.raises(UsageError, match="log beta must"):
        soft_policy(BOARD, log_beta)


def test_rewards_beyond_the_range_of_a_float_are_refused():
    mdp = MDP(chain_mdp().transitions, np.array([1.7e308, 1.7e308, 0]), chain_mdp().terminal, 0)
    with pytest.raises(UsageError, match="too extreme for rewards"):
        soft_policy(mdp, -5)


@pytest.mark.parametrize(
    "options",
    [
        ["--log-beta", "1000"],
        ["--log-beta", "-1e9"],
        ["--log-beta", "nan"],
        ["--rate", "nan"],
        ["--rate", "1.5"],
        ["--discount", "nan"],
        ["--discount", "1"],
        ["--discount", "-0.1"],
        ["--seed", "-1"],
        ["--seed", "1.5"],
        ["--episodes", "0"],
        ["--messages", "0"],
        ["--max-steps", "-3"],
    ],
)
def test_numbers_that_make_no_game_are_one_line(options, capsys):
    from bitfloor.tools.cli import main

    assert main(["couple", "game", "--episodes", "1", "--messages", "2", *options]) == 2
    error = capsys.readouterr().err.strip()
    assert "unexpected" not in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("wrong", [{"seed": 1.5}, {"seed": -1}, {"episodes": 2.5}, {"messages": True}])
def test_settings_are_whole_numbers(wrong):
    with pytest.raises(UsageError, match="must be"):
        Setting(BOARD, **wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": 1.5}, "start must be an integer"),
        ({"start": [0, 1]}, "one state"),
        ({"start": -1}, "start must be in"),
        ({"terminal": [0.5, 0, 1]}, "true or false"),
        ({"rewards": [1j, 0, 1]}, "real numbers"),
        ({"transitions": np.full((3, 2, 3), np.nan)}, "finite"),
    ],
)
def test_game_files_are_taken_as_they_are_or_refused(tmp_path, change, message):
    mdp = chain_mdp()
    parts = {"transitions": mdp.transitions, "rewards": mdp.rewards, "terminal": mdp.terminal, "start": 0}
    np.savez(tmp_path / "game.npz", **{**parts, **change})
    with pytest.raises(UsageError, match=message):
        read_mdp(tmp_path / "game.npz")

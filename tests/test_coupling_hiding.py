"""Message hiding: every message comes back, the cover keeps the source's law, mistakes are clear errors."""

import random

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from bitfloor.entropy_models.coupling import greedy_cells
from bitfloor.entropy_models.coupling.block_cells import TOTAL, BlockCells, law_keys
from bitfloor.entropy_models.coupling.fimec import Fimec
from bitfloor.entropy_models.coupling.ngram import NgramSource
from bitfloor.errors import CorruptStreamError, UsageError
from bitfloor.tools.coupling.hiding import MAX_MESSAGE, Hider
from bitfloor.tools.coupling.text_source import TextSource

TEXT = "the cat sat on the mat, and the rat ran at the hat. " * 30 + "quiet foxes jump over big lazy dogs! " * 20


def chain(order):
    """Symbols of a made-up Markov chain on 12 letters, as training data."""
    rng = np.random.default_rng(order)
    table = rng.dirichlet(np.full(12, 0.7), size=12)
    data = [0]
    for _ in range(3000):
        data.append(int(rng.choice(12, p=table[data[-1]])))
    return NgramSource(data, 12, order)


def pooled_chi_square(groups):
    """p-value over several (counts, law) pairs, cells of expectation below 8 pooled into one."""
    statistic, freedom = 0.0, 0
    for counts, law in groups:
        expected = np.asarray(law, dtype=float) / np.sum(law) * counts.sum()
        cell_of = np.where(expected < 8, 0, 1 + np.arange(len(expected)))
        wanted, seen = np.bincount(cell_of, expected), np.bincount(cell_of, counts)
        used = wanted > 0
        wanted, seen = wanted[used], seen[used]
        if len(wanted) > 1 and wanted.min() >= 1:
            statistic += float(((seen - wanted) ** 2 / wanted).sum())
            freedom += len(wanted) - 1
    assert freedom > 5
    return chi2.sf(statistic, freedom)


def hide_many(source, count, seed=1):
    """Hide `count` messages of 16 bytes, which must come back; returns covers and the worst risk."""
    rng = random.Random(seed)
    hider = Hider(Fimec(source), b"correct horse", source.digest)
    covers, risk = [], 0.0
    for _ in range(count):
        message = rng.randbytes(16)
        hidden = hider.hide(message, rng.randrange)
        found = hider.reveal(hidden.symbols)
        assert found.message == message
        assert found.carrying == hidden.carrying == len(hidden.symbols)
        assert found.error_probability == hidden.error_probability
        covers.append(hidden.symbols)
        risk = max(risk, hidden.error_probability)
    return covers, risk


def check_law(source, covers):
    """Chi-square of symbols given their contexts, and of pairs of symbols, against the source."""
    single = {}
    double = {}
    for cover in covers:
        history = []
        for position, symbol in enumerate(cover):
            state = source.state(history)
            single.setdefault(state, np.zeros(source.alphabet))[symbol] += 1
            if position + 1 < len(cover) and position % 2 == 0:
                pairs = double.setdefault(state, np.zeros((source.alphabet,) * 2))
                pairs[symbol, cover[position + 1]] += 1
            history.append(symbol)
    assert pooled_chi_square([(counts, source.masses(state)) for state, counts in single.items()]) > 1e-3
    pair_groups = []
    for state, counts in double.items():
        first = source.masses(state) / TOTAL
        second = [source.masses(source.state([*state, symbol])) / TOTAL for symbol in range(source.alphabet)]
        pair_groups.append((counts.ravel(), (first[:, None] * np.array(second)).ravel()))
    assert pooled_chi_square(pair_groups) > 1e-3


@pytest.mark.parametrize("order", [0, 1])
def test_messages_come_back_and_the_cover_keeps_its_law(order):
    covers, risk = hide_many(chain(order), 100)
    assert risk <= 2e-9
    check_law(chain(order), covers)


@pytest.mark.slow
def test_ten_thousand_messages():
    """pytest -m slow tests/test_coupling_hiding.py; several minutes."""
    covers, risk = hide_many(chain(1), 10_000)
    assert risk <= 2e-9
    check_law(chain(1), covers)


def test_throughput_is_near_the_entropy_of_the_source():
    source = chain(0)
    law = source.masses(()) / TOTAL
    entropy = -float(np.sum(law * np.log2(law)))
    covers, _ = hide_many(source, 20)
    assert 0.75 * entropy < 20 * 40 * 8 / sum(map(len, covers)) < entropy


def test_printed_error_probability_is_honest():
    """With a large allowed risk some messages are misread, as often as the receiver is told."""
    rng = random.Random(2)
    coder = Fimec(chain(1), bits=4, risk=0.4)
    wrong, told, runs = 0, 0.0, 1500
    for _ in range(runs):
        values, symbols = [rng.randrange(16) for _ in range(3)], []
        coder.hide(values, symbols, rng.randrange)
        read = coder.reveal(3, symbols)
        wrong += read.values != values
        told += read.error_probability
    assert told / runs > 0.01
    assert binomtest(wrong, runs, told / runs).pvalue > 1e-3


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_block_sizes_and_message_sizes(bits):
    source, rng = chain(1), random.Random(3)
    hider = Hider(Fimec(source, bits), b"k", source.digest)
    for size in (0, 1, 17) if bits < 16 else (5,):
        hidden = hider.hide(bytes(range(size)), rng.randrange)
        assert hider.reveal([*hidden.symbols, 1, 2, 3]).message == bytes(range(size))


def test_mistakes_are_clear_errors():
    source = TextSource(TEXT, 2)
    rng = random.Random(4)
    hider = Hider(Fimec(source), b"right", source.digest)
    cover = source.text(hider.hide(b"meet me at noon", rng.randrange).symbols)
    assert hider.reveal(source.symbols(cover)).message == b"meet me at noon"
    other = TextSource(TEXT[:-2], 2)
    for wrong, source_read in [
        (Hider(Fimec(source), b"wrong", source.digest), source),
        (Hider(Fimec(other), b"right", other.digest), other),
        (Hider(Fimec(source, 4), b"right", source.digest), source),
    ]:
        with pytest.raises(CorruptStreamError, match="no message of this key"):
            wrong.reveal(source_read.symbols(cover))
    with pytest.raises(CorruptStreamError, match="ends before"):
        hider.reveal(source.symbols(cover)[:-20])
    assert hider.reveal(source.symbols(cover + "Ω")).message == b"meet me at noon"
    with pytest.raises(CorruptStreamError, match="was changed after that"):
        hider.reveal(source.symbols(cover[:-20] + "Ω" + cover[-20:]))
    changed = 0
    for position in range(0, len(cover), 23):
        symbols = source.symbols(cover)
        symbols[position] = (symbols[position] + 1) % source.alphabet
        try:
            changed += hider.reveal(symbols).message != b"meet me at noon"
        except CorruptStreamError:
            continue
    assert changed == 0


def test_block_cells_are_the_greedy_couplings():
    """The fast way against the plain one, on beliefs as they come: uniform, then after some symbols."""
    rng, pick = np.random.default_rng(7), random.Random(7)
    for size in (1, 2, 16, 256) * 30:
        weights = rng.exponential(size=rng.integers(1, 40)) ** pick.choice([0.2, 1, 4])
        law = np.array([int(x) for x in weights / weights.sum() * TOTAL], dtype=np.int64)
        law[law.argmax()] += TOTAL - law.sum()
        belief = ([TOTAL // size] * size, list(range(size)))
        for _ in range(5):
            full = np.zeros(256, np.int64)
            full[belief[1]] = belief[0]
            rows, columns, masses = greedy_cells(full, law)
            cells = BlockCells(belief, law_keys(law))
            found = sorted(zip(cells.values, cells.symbols, cells.masses, strict=True))
            assert found == sorted(zip(rows.tolist(), columns.tolist(), masses.tolist(), strict=True))
            symbol = pick.choice(cells.symbols)
            belief = cells.given(symbol)
            assert sum(belief[0]) == TOTAL
            joint = np.bincount(rows[columns == symbol], masses[columns == symbol], 256)[belief[1]]
            np.testing.assert_allclose(np.array(belief[0]) / TOTAL, joint / joint.sum(), atol=1e-9)


def test_limits():
    source = chain(1)
    with pytest.raises(UsageError, match="key is empty"):
        Hider(Fimec(source), b"", source.digest)
    with pytest.raises(UsageError, match="at most"):
        Hider(Fimec(source), b"k", source.digest).hide(bytes(MAX_MESSAGE + 1))
    with pytest.raises(UsageError, match="alphabet"):
        NgramSource([0, 5], 3)
    with pytest.raises(UsageError, match="list of integers"):
        NgramSource([0.5, 1], 3)
    with pytest.raises(UsageError, match="learns from"):
        NgramSource([], 3)
    dull = NgramSource([0] * 50, 1)
    with pytest.raises(UsageError, match="too predictable"):
        Hider(Fimec(dull, 4), b"k", dull.digest).hide(b"")
    for bits in (17, 0, 8.5, True):
        with pytest.raises(UsageError, match="bits in a block"):
            Fimec(source, bits)


def test_ngram_laws_follow_witten_and_bell():
    """Against the formula in fractions, on a text short enough to count by eye."""
    from fractions import Fraction

    source = NgramSource([0, 1, 0, 2, 0, 1], 3, order=1)
    uniform = Fraction(1, 3)
    # Without context: 0 three times, 1 twice, 2 once, three kinds. After 0: 1 twice, 2 once, two kinds.
    none = [(count + 3 * uniform) / (6 + 3) for count in (3, 2, 1)]
    after_0 = [(count + 2 * none[s]) / (3 + 2) for s, count in enumerate((0, 2, 1))]
    for state, law in (((), none), ((0,), after_0)):
        np.testing.assert_allclose(source.masses(state) / TOTAL, [float(p) for p in law], atol=1e-11)
        assert int(source.masses(state).sum()) == TOTAL
    assert source.state([1, 2, 0]) == (0,)
    assert source.state([]) == ()
    assert NgramSource([0, 1], 3, order=1).state([2]) == ()


def witten_bell(table, context):
    shorter = witten_bell(table, context[1:]) if context else np.full(8, 1 / 8)
    counts = np.array(table[context])
    kinds = np.count_nonzero(counts)
    return (counts + kinds * shorter) / (counts.sum() + kinds)


@pytest.mark.parametrize("order", [0, 1, 3, 12])
def test_contexts_are_those_that_a_table_of_all_would_hold(order):
    """The sorted symbols against a dictionary of all contexts, filled symbol by symbol."""
    rng = random.Random(order)
    data = [rng.choice([0, 0, 0, 1, 2, 7]) for _ in range(300)]
    table = {}
    for end in range(len(data)):
        for length in range(min(order, end) + 1):
            counts = table.setdefault(tuple(data[end - length : end]), [0] * 8)
            counts[data[end]] += 1
    source = NgramSource(data, 8, order)
    for _ in range(300):
        history = [rng.choice([0, 0, 1, 2, 3, 7]) for _ in range(rng.randrange(20))]
        longest = max(
            (tuple(history[len(history) - k :]) for k in range(min(order, len(history)) + 1)),
            key=lambda context: len(context) if context in table else -1,
        )
        state = source.state(history)
        assert state == longest
        np.testing.assert_allclose(source.masses(state) / TOTAL, witten_bell(table, state), atol=1e-9)


def test_text_source_ends_with_a_sentence():
    source, rng = TextSource(TEXT, 3), random.Random(5)
    assert source.text(source.ending(source.symbols("the ca"), rng.randrange))[-1] in ".!"
    assert source.ending(source.symbols("the end."), rng.randrange) == []
    assert TextSource("a\r\nb").characters == [" ", "a", "b"]

"""The codec mecb: rate, law, information, determinism, damaged files."""

import hashlib
import zlib

import numpy as np
import pytest
from PIL import Image
from scipy.stats import chisquare

import bitfloor
from bitfloor.codecs import container
from bitfloor.codecs.mecb import MECBCodec
from bitfloor.codecs.mecb_stream import CHUNK, Design, write_design
from bitfloor.entropy_models.coding.range_coder import RangeEncoder
from bitfloor.entropy_models.coupling import entropy
from bitfloor.entropy_models.coupling.sampling import Sampler, WordStream, integer_masses
from bitfloor.errors import CorruptStreamError, UnreadableInputError, UsageError

CODEC = MECBCodec()
LAW = np.array([0.35, 0.2, 0.15, 0.1, 0.08, 0.06, 0.04, 0.02])

# "the quick brown fox ..." at 2 bits, put out with the uniform law on a..z, seed 7
GOLDEN = (
    "8a42464c02046d6563624000013d0724d28f007a361d452aa9000ab04af0f9fbef068f67ecb6cc5d08c84812e86c3c08"
    "14a07342d5f5636fa7bd746e1e8ffd4fffffffffffffff6093b13b13b13b13b13b13b13b13b13b13b13b13b13b13b13b"
    "13b13b13b13b13b13b13b13b13b14676db6db6db6db6d3e4fc2527176c27c6207c69b5cb35e2f0f56440"
)
GOLDEN_OUTPUT = "9cf0f29c25c66a24"


def text(count=20_000):
    """Symbols of a made-up law on 60 letters."""
    law = 1 / np.arange(1, 61) ** 1.1
    return np.random.default_rng(1).choice(60, count, p=law / law.sum()).astype(np.uint8)


def picture():
    noise = np.random.default_rng(2).normal(0, 6, (120, 160))
    return np.clip(np.add.outer(np.arange(120), np.arange(160)) * 0.6 + 40 + noise, 0, 255).astype(np.uint8)


def chi_square_p(counts, law):
    """p-value of counts against a law, cells of small expectation pooled."""
    expected = law / law.sum() * counts.sum()
    order = np.argsort(expected)
    rare = order[np.cumsum(expected[order]) < 10]
    keep = np.setdiff1d(np.flatnonzero(expected), rare)
    assert counts[expected == 0].sum() == 0
    observed, wanted = counts[keep], expected[keep]
    if expected[rare].sum() > 0:
        observed, wanted = np.append(observed, counts[rare].sum()), np.append(wanted, expected[rare].sum())
    return chisquare(observed, wanted).pvalue


def design_bytes(data):
    """Bytes of the file that are not labels: all around the payload, and the two laws coded alone."""
    from bitfloor.codecs.mecb_stream import read_design
    from bitfloor.entropy_models.coding.range_coder import RangeDecoder

    file = container.unpack(data)
    coder = RangeEncoder()
    write_design(coder, read_design(RangeDecoder(file.payload)))
    return len(data) - len(file.payload) + len(coder.finish())


@pytest.mark.parametrize("rate", [0.3, 1.0, 2.5, 4.0, 9.0])
@pytest.mark.parametrize("source", [text(), picture()], ids=["text", "picture"])
def test_real_bits_are_the_label_entropy(source, rate):
    data = CODEC.encode(source, rate=rate)
    labels = CODEC.labels(data)
    measured = entropy(np.bincount(labels) / labels.size)
    assert measured <= rate + 1e-9
    assert measured == pytest.approx(CODEC.summary(data).rate, abs=1e-9)  # the law is the measured one
    assert 8 * len(data) <= 1.005 * measured * labels.size + 8 * design_bytes(data) + 8
    assert design_bytes(data) < 500
    if rate > entropy(np.bincount(source.ravel()) / source.size):
        np.testing.assert_array_equal(CODEC.decode(data), source)


@pytest.mark.parametrize("given", [None, LAW, np.full(40, 1 / 40)], ids=["same", "eight", "uniform"])
def test_output_has_the_prescribed_law(given):
    source = text()
    law = np.bincount(source) / source.size if given is None else given
    for seed in range(5):
        drawn = CODEC.decode(CODEC.encode(source, rate=1.7, output_law=given, seed=seed))
        assert chi_square_p(np.bincount(drawn, minlength=len(law)), law) > 1e-3


def test_output_given_each_label_has_the_designed_law():
    """Sharper than the law of Y alone, which the exact counts of T make almost deterministic."""
    source = text()
    data = CODEC.encode(source, rate=1.7, output_law=LAW)
    labels, drawn = CODEC.labels(data), CODEC.decode(data)
    joint = np.zeros((labels.max() + 1, len(LAW)))
    from bitfloor.entropy_models.coupling import greedy_coupling

    cells = greedy_coupling(np.bincount(labels) / labels.size, LAW)
    np.add.at(joint, tuple(cells.index.T), cells.mass)
    for label in range(len(joint)):
        counts = np.bincount(drawn[labels == label], minlength=len(LAW))
        law = np.where(joint[label] > 1e-5, joint[label], 0)  # the laws are rounded to 2^-20
        if np.count_nonzero(law) > 1 and law.sum() * labels.size > 50:
            counts[law == 0] = 0
            assert chi_square_p(counts, law) > 1e-3


def measured_information(x, y):
    """Plug-in estimate of I(X;Y), less its bias (Miller 1955)."""
    joint = np.zeros((x.max() + 1, y.max() + 1))
    np.add.at(joint, (x, y), 1)
    joint /= x.size
    value = entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)
    cells = [np.count_nonzero(part) for part in (joint, joint.sum(0), joint.sum(1))]
    return value - (cells[0] - cells[1] - cells[2] + 1) / (2 * x.size * np.log(2))


@pytest.mark.parametrize("given", [None, LAW, np.full(40, 1 / 40)], ids=["same", "eight", "uniform"])
def test_measured_information_agrees_with_the_design(given):
    source = text(200_000)
    for rate in (0.7, 1.9, 3.1):
        data = CODEC.encode(source, rate=rate, output_law=given, seed=3)
        designed = CODEC.summary(data).information
        assert designed <= rate
        assert measured_information(source, CODEC.decode(data)) == pytest.approx(designed, abs=0.01)
        if given is None:
            assert designed == pytest.approx(CODEC.summary(data).rate)  # nothing is lost behind the bottleneck


def test_what_goes_in_comes_out():
    grey = Image.fromarray(picture())
    for source, kind in [(b"no law but this", bytes), (grey, Image.Image), (text(50), np.ndarray)]:
        drawn = CODEC.decode(CODEC.encode(source, rate=64))
        assert isinstance(drawn, kind)
        np.testing.assert_array_equal(np.asarray(drawn), np.asarray(source))
    wide = np.array([[0, 65535], [300, 300]])
    np.testing.assert_array_equal(CODEC.decode(CODEC.encode(wide, rate=64)), wide)
    assert CODEC.decode(CODEC.encode(np.array([7]), rate=0)).tolist() == [7]
    colour = Image.merge("RGB", [grey, grey, grey])
    assert CODEC.encode(colour, rate=2) == CODEC.encode(grey, rate=2)
    data = CODEC.encode(text(CHUNK + 5), rate=64)
    np.testing.assert_array_equal(CODEC.decode(data), text(CHUNK + 5))
    assert bitfloor.decode(CODEC.encode(b"abc", quality=100)) == b"abc"


def test_source_law_given_by_the_user():
    source = np.array([0, 1, 1, 3, 0, 0])
    data = CODEC.encode(source, rate=64, source_law=[0.5, 0.25, 0.125, 0.125])
    np.testing.assert_array_equal(CODEC.decode(data), source)
    assert CODEC.summary(data).source_entropy == pytest.approx(1.75, abs=1e-4)
    with pytest.raises(UsageError, match="symbol 3, to which the source law gives no probability"):
        CODEC.encode(source, rate=1, source_law=[0.5, 0.5])


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (b"", {}, "1 to"),
        (np.array([-1, 2]), {}, "lie in 0..65535"),
        (np.array([0.5]), {}, "array of integers"),
        (np.zeros((2, 2, 2), int), {}, "one or two dimensions"),
        (Image.new("I;16", (2, 2)), {}, "8-bit pictures"),
        (b"a", {"rate": -1}, "rate must be"),
        (b"a", {"seed": -1}, "seed must be"),
        (b"a", {"quality": 0}, "quality"),
        (b"a", {"rate": 1, "output_law": [0.9, 0.2]}, "sums to 1.1"),
        (b"a", {"rate": 1, "output_law": np.full(300, 1 / 300)}, "at most 256"),
    ],
)
def test_bad_requests(source, options, message):
    with pytest.raises(UsageError, match=message):
        CODEC.encode(source, **options)


@pytest.mark.parametrize("seed", [1.5, 1.0, "1", True, None, 2**32, np.float64(3), [1]])
def test_seeds_are_whole_numbers_or_refused(seed):
    data = CODEC.encode(b"abcabc", rate=1)
    with pytest.raises(UsageError, match="seed must be"):
        CODEC.encode(b"abcabc", rate=1, seed=seed)
    if seed is not None:
        with pytest.raises(UsageError, match="seed must be"):
            CODEC.decode(data, seed=seed)
    assert CODEC.encode(b"abcabc", rate=1, seed=np.int64(7)) == CODEC.encode(b"abcabc", rate=1, seed=7)


@pytest.mark.parametrize("rate", [np.nan, np.inf, "1", 1j, True, -0.5, 10**400])
def test_rates_are_finite_numbers_or_refused(rate):
    with pytest.raises(UsageError, match="rate must be"):
        CODEC.encode(b"abcabc", rate=rate)


@pytest.mark.parametrize("source", [[[1, 2], [3]], [1, 2.5], None, [2**70], np.array([True])])
def test_sources_that_are_no_symbols_are_one_error(source):
    with pytest.raises(UsageError, match="the codec mecb"):
        CODEC.encode(source, rate=1)


def test_a_text_is_the_name_of_a_file():
    with pytest.raises(UnreadableInputError, match="cannot read abc"):
        CODEC.encode("abc", rate=1)


def test_keeping_nothing_is_said(caplog, monkeypatch):
    import logging

    monkeypatch.setattr(logging.getLogger("bitfloor"), "propagate", True)
    CODEC.encode(b"abababb", rate=0.5)
    assert "nothing of the source is kept" in caplog.text
    caplog.clear()
    for source, rate in ((b"abababb", 1), (b"aaaa", 0.5), (b"abab", 0)):
        CODEC.encode(source, rate=rate)
    assert not caplog.text


def philox(seed, count):
    """Philox4x64-10 in Python integers, written from the paper: key (seed, 0), counters 1, 2, ..."""
    mask, words = 2**64 - 1, []
    for block in range(1, -(-count // 4) + 1):
        c, key = [block, 0, 0, 0], [seed, 0]
        for _ in range(10):
            left, right = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
            c = [(right >> 64) ^ c[1] ^ key[0], right & mask, (left >> 64) ^ c[3] ^ key[1], left & mask]
            key = [(key[0] + 0x9E3779B97F4A7C15) & mask, (key[1] + 0xBB67AE8584CAA73B) & mask]
        words += c
    return words[:count]


def test_sampling_against_python_integers():
    """Same Y everywhere: the words are Philox's, the products exact, cells found by integer comparison."""
    assert WordStream(12345).take(10).tolist() == philox(12345, 10)
    rng = np.random.default_rng(4)
    labels_law = rng.integers(1, 2**25, 7)
    output_law = integer_masses(rng.dirichlet(np.ones(5)), 1 << 20)
    sampler = Sampler.greedy(labels_law, output_law)
    labels = rng.integers(0, 7, 500)
    drawn = sampler.draw(labels, WordStream(9).take(500))

    from bitfloor.entropy_models.coupling import greedy_cells

    rows, columns, masses = greedy_cells(labels_law * output_law.sum(), output_law * labels_law.sum())
    for label, word, output in zip(labels.tolist(), philox(9, 500), drawn.tolist(), strict=True):
        cells = [(int(y), int(m)) for x, y, m in zip(rows, columns, masses, strict=True) if x == label]
        point = word * sum(m for _, m in cells) >> 64
        ends = np.cumsum([m for _, m in cells]).tolist()
        assert output == next(y for (y, _), end in zip(cells, ends, strict=True) if point < end)


def test_golden_file():
    """A file made once decodes to the same Y for ever."""
    golden = bytes.fromhex(GOLDEN)
    assert hashlib.sha256(CODEC.decode(golden)).hexdigest()[:16] == GOLDEN_OUTPUT
    assert CODEC.decode(golden, seed=8) != CODEC.decode(golden)


def test_damaged_files_give_one_error():
    data = CODEC.encode(text(300), rate=1.5, output_law=LAW)
    for cut in range(len(data)):
        with pytest.raises(CorruptStreamError):
            CODEC.decode(data[:cut])
    rng = np.random.default_rng(5)
    for _ in range(400):  # with the CRC made good again, so that the inner checks are what is tested
        broken = bytearray(data[:-4])
        for place in rng.integers(11, len(broken), rng.integers(1, 4)):
            broken[place] = rng.integers(256)
        rebuilt = bytes(broken) + zlib.crc32(broken).to_bytes(4, "little")
        try:
            drawn = CODEC.decode(rebuilt)
        except CorruptStreamError:
            continue
        # Only what the check value cannot know may have changed: form and seed.
        same_header = container.unpack(rebuilt).header == container.unpack(data).header
        assert not same_header or drawn.tolist() == CODEC.decode(data).tolist()


@pytest.mark.parametrize(
    "fields", [(0, 2, 5, 0), (9, 1, 5, 0), (3, 2**31, 2**31, 0), (2, 1, 0, 0), (0, 1, 5), (1, 1, 2**29, 0)]
)
def test_headers_that_cannot_be(fields):
    good = container.unpack(CODEC.encode(b"abcde", rate=1))
    header = container.Header(4, b"mecb", fields)
    with pytest.raises(CorruptStreamError, match="header"):
        CODEC.decode(container.pack(header, good.payload, good.latents_check))


def test_design_survives_the_stream_for_any_function():
    from bitfloor.codecs.mecb_stream import read_design
    from bitfloor.entropy_models.coding.range_coder import RangeDecoder

    rng = np.random.default_rng(6)
    for _ in range(100):
        source = rng.integers(0, 50, rng.integers(1, 30)) * (rng.random() < 0.8)
        source[0] += 1
        label_of = np.full(len(source), -1)
        support = np.flatnonzero(source)
        label_of[support] = np.unique(rng.integers(0, 4, len(support)), return_inverse=True)[1]
        output = None if rng.random() < 0.5 else integer_masses(rng.random(9), 1 << 20)
        coder = RangeEncoder()
        write_design(coder, Design(source, label_of, output))
        back = read_design(RangeDecoder(coder.finish()))
        np.testing.assert_array_equal(back.source, source)
        np.testing.assert_array_equal(back.label_of, label_of)
        assert (back.output is None) == (output is None)
        if output is not None:
            np.testing.assert_array_equal(back.output, output)

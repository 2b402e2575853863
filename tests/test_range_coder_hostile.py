"""The range decoder on bytes that nobody encoded."""

import random
from unittest.mock import Mock

import constriction
import numpy as np
import pytest
from range_coder_helpers import small_tables

from bitfloor.entropy_models.coding import range_coder
from bitfloor.entropy_models.coding.range_coder import RangeDecoder, RangeEncoder
from bitfloor.errors import CorruptStreamError


@pytest.fixture(scope="module")
def small():
    return small_tables()


def outcome(data, small):
    """Decode `data` by a fixed plan: 'decoded', or 'refused' by CorruptStreamError, nothing else."""
    decoder = RangeDecoder(data)
    try:
        symbols = decoder.decode(np.arange(60) % 2, small)
        values = decoder.decode_uniform(40, 1000)
        rows = decoder.decode_rows(np.tile([5, 0, 1], (20, 1)))
    except CorruptStreamError as error:
        assert "\n" not in str(error)
        return "refused"
    assert symbols.shape == (60,)
    assert values.min() >= 0
    assert values.max() < 1000
    assert set(rows.tolist()) <= {0, 1, 2}
    return "decoded"


def test_random_bytes_are_decoded_or_refused(small):
    rng = random.Random(13)
    outcomes = [outcome(rng.randbytes(rng.randint(0, 300)), small) for _ in range(500)]
    assert set(outcomes) == {"decoded", "refused"}


def test_damaged_bytes_are_decoded_or_refused(small):
    rng = random.Random(14)
    encoder = RangeEncoder()
    encoder.encode([rng.choice((0, 100, 5, -9999, 2**31 - 1)) for _ in range(60)], np.arange(60) % 2, small)
    encoder.encode_uniform([rng.randrange(1000) for _ in range(40)], 1000)
    encoder.encode_rows([0] * 20, np.tile([5, 0, 1], (20, 1)))
    data = encoder.finish()
    assert outcome(data, small) == "decoded"
    for length in range(len(data)):
        outcome(data[:length], small)
    for _ in range(2000):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        outcome(bytes(damaged), small)


def test_an_escape_beyond_32_bits_is_refused(small):
    """A stream made by hand: an escape of the largest class with all mantissa bits set."""
    encoder = RangeEncoder()
    encoder._coder.encode(np.array([2], np.int32), range_coder._model(small, 0))
    encoder._coder.encode(np.array([33], np.int32), range_coder._ESCAPE_CLASSES)
    encoder.encode_uniform([2**33 - 1], 2**33)
    with pytest.raises(CorruptStreamError, match="does not fit 32 bits"):
        RangeDecoder(encoder.finish()).decode([0], small)


def test_a_uniform_value_beyond_its_range_is_refused():
    """4097 values are coded as 2049 pairs, and the last pair has one value too many."""
    encoder = RangeEncoder()
    encoder.encode_uniform([4097], 4098)
    with pytest.raises(CorruptStreamError, match="out of its range"):
        RangeDecoder(encoder.finish()).decode_uniform(1, 4097)


def test_panics_become_our_error_and_interrupts_do_not(capfd):
    decoder = RangeDecoder(b"\x12\x34")
    with pytest.raises(CorruptStreamError, match="no range-coder stream"):
        decoder._decode(constriction.stream.model.Uniform(), np.array([1], np.int32))
    assert "panicked" in capfd.readouterr().err
    decoder._coder = Mock(**{"decode.side_effect": KeyboardInterrupt})
    with pytest.raises(KeyboardInterrupt):
        decoder.decode_uniform(1, 5)

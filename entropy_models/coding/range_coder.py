"""The package's one range coder: any number of calls, any kind of model, one stream of bytes.

    symbols, indexes --group by table--> slots --Categorical--+
    symbols outside their table --escape: class, mantissa-----+--> constriction's coder --> trimmed bytes
    uniform integers, integers by rows of frequencies --------+

`RangeDecoder` must be called as `RangeEncoder` was, call for call. All models come from integers, so the
bytes are the same everywhere. Decoding damaged bytes mostly yields other symbols and no error at all: the
file's check values are what detects damage, this module only guarantees that nothing worse happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import constriction
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import CorruptStreamError
from . import escape
from .tables import ProbabilityTables, group_by_index, normalised_rows

UNIFORM_MAX = 2**40
# Up to here a uniform model spends at most 2^-12 of a bit too much, as 2^24 slots are shared out evenly.
_UNIFORM_BITS = 12

_Categorical = constriction.stream.model.Categorical
_Uniform = constriction.stream.model.Uniform


class RangeEncoder:
    """Codes symbols into one stream; `finish` returns its bytes."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def encode(self, symbols: ArrayLike, indexes: ArrayLike, tables: ProbabilityTables) -> None:
        """Code integers under the tables `indexes` (same size), grouped by table; order inside is C order.

        Any 32-bit integer can be coded, at the price of an escape where its table does not hold it.
        Raises ValueError for other symbols or indexes without a table, before anything is coded.
        """
        values, chosen = tables.check_symbols(symbols), tables.check_indexes(indexes)
        if values.size != chosen.size:
            raise ValueError(f"{values.size} symbols for {chosen.size} table indexes")
        order, groups = group_by_index(chosen)
        values = values[order]
        escaped = np.zeros(values.shape, dtype=bool)
        for index, start, stop in groups:
            slots = tables.slots(values[start:stop], index)
            escaped[start:stop] = slots == tables.lengths[index] - 1
            self._coder.encode(slots, _model(tables, index))
        if escaped.any():
            outside = order[escaped]
            self._encode_escapes(values[escaped].astype(np.int64), *tables.edges(chosen[outside]))

    def encode_uniform(self, values: ArrayLike, size: int) -> None:
        """Code integers of 0..size-1, all equally likely, size at most 2^40; log2(size) bits each.

        Raises ValueError for anything else.
        """
        array = np.asarray(values)
        if array.size == 0:
            return
        if array.dtype.kind not in "iu" or int(array.min()) < 0 or int(array.max()) >= size:
            raise ValueError(f"values must be integers of 0..{size - 1}")
        rest = array.ravel().astype(np.int64)
        for shift, digit_size in _uniform_digits(size):
            self._coder.encode((rest >> shift).astype(np.int32), _Uniform(digit_size))
            rest &= (1 << shift) - 1

    def encode_rows(self, symbols: ArrayLike, frequencies: ArrayLike) -> None:
        """Code symbols (N,) of 0..K-1, each under its own row of integer frequencies (N, K).

        The rows are made to sum to 2^24 by `tables.normalised_rows`; a symbol of frequency 0 can be coded.
        Raises ValueError for symbols or frequencies that do not fit.
        """
        rows = normalised_rows(frequencies)
        array = np.asarray(symbols)
        if array.shape != rows.shape[:1]:
            raise ValueError(f"symbols {array.shape} for frequencies {rows.shape}")
        if array.size == 0:
            return
        if array.dtype.kind not in "iu" or int(array.min()) < 0 or int(array.max()) >= rows.shape[1]:
            raise ValueError(f"symbols must be integers of 0..{rows.shape[1] - 1}")
        self._coder.encode(array.astype(np.int32), _Categorical(perfect=False), _parameters(rows))

    def finish(self) -> bytes:
        """Return the stream: the fewest bytes that, followed by zeros without end, decode to what was coded.

        The encoder's state is an interval [low, low + range), and every number in it decodes alike.
        constriction ends the stream with a whole 32-bit word in it; this takes the number of the interval
        that ends in the most zero bytes, and the decoder takes missing bytes as zeros.
        """
        words = self._coder.get_compressed()
        position, (low, span) = self._coder.pos()
        if len(words) == 0:
            return b""
        # Word number `position` was made by rounding `low`, 64 bits wide, up to a multiple of 2^32.
        head = words[: position + 1].astype(">u4").tobytes()
        point = int.from_bytes(head + bytes(4), "big")
        stream_low = point - (-low % 2**32)
        for zeros in range(8, -1, -1):
            number = -(-stream_low >> 8 * zeros) << 8 * zeros
            if number < stream_low + span:
                break
        return number.to_bytes(len(head) + 4, "big").rstrip(b"\x00")

    def _encode_escapes(self, values: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]) -> None:
        classes, mantissas = escape.split(values, first, last)
        self._coder.encode(classes.astype(np.int32), _ESCAPE_CLASSES)
        for width in np.unique(classes).tolist():
            self.encode_uniform(mantissas[classes == width], 1 << width)


class RangeDecoder:
    """Decodes the bytes of a `RangeEncoder`, called in the same way. Past the end it reads zeros."""

    def __init__(self, data: bytes) -> None:
        padded = bytes(data) + bytes(-len(data) % 4)
        words = np.frombuffer(padded, dtype=">u4").astype(np.uint32)
        self._coder = constriction.stream.queue.RangeDecoder(words)

    def decode(self, indexes: ArrayLike, tables: ProbabilityTables) -> NDArray[np.int32]:
        """Return the symbols that were coded under the tables `indexes`, in the shape of `indexes`.

        Raises CorruptStreamError where the bytes cannot be what an encoder wrote.
        """
        chosen = tables.check_indexes(indexes)
        order, groups = group_by_index(chosen)
        ordered = np.empty(chosen.shape, dtype=np.int32)
        escaped = np.zeros(chosen.shape, dtype=bool)
        for index, start, stop in groups:
            slots = self._decode(_model(tables, index), stop - start)
            escaped[start:stop] = slots == tables.lengths[index] - 1
            # An escape slot may lie one past 32 bits and wrap around here; its value is replaced below.
            ordered[start:stop] = slots + tables.offsets[index]
        if escaped.any():
            ordered[escaped] = self._decode_escapes(*tables.edges(chosen[order[escaped]]))
        symbols = np.empty_like(ordered)
        symbols[order] = ordered
        return symbols.reshape(np.shape(indexes))

    def decode_uniform(self, count: int, size: int) -> NDArray[np.int64]:
        """Return `count` integers that `encode_uniform` coded with the same `size`, (count,).

        Raises CorruptStreamError where one is not below `size`.
        """
        values = np.zeros(count, dtype=np.int64)
        for shift, digit_size in _uniform_digits(size) if count else ():
            values |= self._decode(_Uniform(digit_size), count).astype(np.int64) << shift
        if count and int(values.max()) >= size:
            raise CorruptStreamError("the payload is damaged: an integer in it is out of its range")
        return values

    def decode_rows(self, frequencies: ArrayLike) -> NDArray[np.int32]:
        """Return the symbols (N,) that `encode_rows` coded under `frequencies` (N, K)."""
        rows = normalised_rows(frequencies)
        if len(rows) == 0:
            return np.zeros(0, dtype=np.int32)
        return self._decode(_Categorical(perfect=False), _parameters(rows))

    def _decode_escapes(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
        classes = self._decode(_ESCAPE_CLASSES, len(first)).astype(np.int64)
        mantissas = np.zeros_like(classes)
        for width in np.unique(classes).tolist():
            members = classes == width
            mantissas[members] = self.decode_uniform(int(members.sum()), 1 << width)
        values = escape.join(classes, mantissas, first, last)
        if int(values.min()) < escape.SYMBOL_MIN or int(values.max()) > escape.SYMBOL_MAX:
            raise CorruptStreamError("the payload is damaged: a value in it does not fit 32 bits")
        return values

    def _decode(self, model: Any, *arguments: Any) -> NDArray[np.int32]:
        try:
            decoded: NDArray[np.int32] = self._coder.decode(model, *arguments)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        # constriction reports bad data by AssertionError and, where it panics, by a BaseException of its own.
        except BaseException as error:
            raise CorruptStreamError("the payload is damaged: it is no range-coder stream") from error
        return decoded


def _uniform_digits(size: int) -> Iterator[tuple[int, int]]:
    """Split 0..size-1 into digits of at most 12 bits, high ones first: (shift, size of the digit).

    Only the first digit may waste anything, less than 2^-11 of a bit; the others are powers of two.
    """
    if not 1 <= size <= UNIFORM_MAX:
        raise ValueError(f"a uniform range of {size} values is not in 1..2^40")
    largest = size - 1
    shift = max(0, largest.bit_length() - _UNIFORM_BITS)
    if largest > 0:
        yield shift, (largest >> shift) + 1
    while shift > 0:
        width = min(shift, _UNIFORM_BITS)
        shift -= width
        yield shift, 1 << width


def _parameters(frequencies: NDArray[Any]) -> NDArray[np.float64]:
    """Return what makes constriction use exactly these integer frequencies, whose last axis sums to 2^24.

    With perfect=False it gives each of n slots 1 of its 2^24 parts and shares out the other 2^24 - n in
    proportion to the parameters. With frequency - 1 as parameters the factor is exactly 1.
    """
    return frequencies.astype(np.float64) - 1.0


_ESCAPE_CLASSES = _Categorical(_parameters(escape.class_frequencies()), perfect=False)
_MODELS: WeakKeyDictionary[ProbabilityTables, dict[int, Any]] = WeakKeyDictionary()


def _model(tables: ProbabilityTables, index: int) -> Any:
    """Return constriction's model of one table; it is made once and lives as long as `tables`."""
    models = _MODELS.setdefault(tables, {})
    if index not in models:
        models[index] = _Categorical(_parameters(tables.row(index)), perfect=False)
    return models[index]

"""The payload of a mecb file: integer laws, the encoder's function, then the labels, all in one range-coder
stream.

    source law | shape of the function | output law or "as the source" | labels, in chunks of 2^20

An integer law is: alphabet size - 1 (uniform over 2^16), support size - 1 (uniform over the alphabet), one
binary symbol per letter for "has mass" (under rows [size - support, support]; left out when the support is
everything), the largest bit length of the masses (uniform over 29), then for each mass its bit length - 1
(uniform over that) and the bits below its leading one.

The function is: 0 for a state of EBIM's Algorithm 1, then the number of merged largest labels (uniform over
the support) and whether the two smallest are merged too (uniform over 2); or 1 for one label per letter of
the support (uniform over the support). Letters stand in the order of falling mass, equal masses by index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..entropy_models.coding.range_coder import RangeDecoder, RangeEncoder
from ..entropy_models.coding.tables import ProbabilityTables, normalised_rows
from ..entropy_models.coupling.laws import Ints
from ..entropy_models.coupling.sampling import Sampler
from ..errors import CorruptStreamError

MAX_ALPHABET = 1 << 16
MAX_TOTAL = 1 << 28
CHUNK = 1 << 20
_LENGTHS = 29


@dataclass(frozen=True)
class Design:
    """What both sides know: the source's integer law, the label of every symbol, and the output's law.

    `source` (inputs,) sums to at most 2^28; `label_of` (inputs,) is -1 where the mass is zero, else
    0..labels-1 with no label left out; `output` (outputs,) likewise, or None for "the source's law".
    """

    source: Ints
    label_of: Ints
    output: Ints | None

    @property
    def label_masses(self) -> Ints:
        """Masses of the labels, (labels,)."""
        support = np.flatnonzero(self.source)
        masses = np.zeros(int(self.label_of.max()) + 1, dtype=np.int64)
        np.add.at(masses, self.label_of[support], self.source[support])
        return masses

    @property
    def output_masses(self) -> Ints:
        """Masses of the output law, (outputs,)."""
        return self.source if self.output is None else self.output

    def arrays(self) -> list[Ints]:
        """Everything that decides the output besides the labels, for the file's check value."""
        return [self.source, self.label_of, self.output_masses]

    def sampler(self) -> Sampler:
        """The decoder's law of Y given T: the posterior of the source, or a greedy coupling."""
        if self.output is None:
            return Sampler.posterior(self.label_of, self.source)
        return Sampler.greedy(self.label_masses, self.output)

    def tables(self) -> ProbabilityTables:
        """The range coder's table of the labels, from integers alone; the escape slot is never used."""
        frequencies = normalised_rows(np.append(self.label_masses, 0)[None, :])
        return ProbabilityTables(frequencies[0].astype(np.uint32), np.array([frequencies.shape[1]]), np.zeros(1, int))


def write_design(coder: RangeEncoder, design: Design) -> None:
    """Code a design; the decoder of the other side reads it with `read_design`."""
    _write_masses(coder, design.source)
    order = falling_order(design.source)
    labels = design.label_of[order]
    merges = int(np.count_nonzero(labels == 0)) - 1
    pair = bool(len(labels) > merges + 2 and labels[-1] == labels[-2])
    simple = np.array_equal(labels, state_labels(len(labels), merges, pair))
    coder.encode_uniform([0 if simple else 1], 2)
    if simple:
        coder.encode_uniform([merges], len(labels))
        coder.encode_uniform([int(pair)], 2)
    else:
        coder.encode_uniform(labels, len(labels))
    coder.encode_uniform([0 if design.output is None else 1], 2)
    if design.output is not None:
        _write_masses(coder, design.output)


def read_design(coder: RangeDecoder) -> Design:
    """Read a design; raises `CorruptStreamError` for one that no encoder writes."""
    source = _read_masses(coder)
    order = falling_order(source)
    if _one(coder, 2) == 0:
        merges, pair = _one(coder, len(order)), _one(coder, 2) == 1
        if pair and len(order) <= merges + 2:
            raise CorruptStreamError("the payload is damaged: it merges labels that are not there")
        labels = state_labels(len(order), merges, pair)
    else:
        labels = coder.decode_uniform(len(order), len(order))
        if len(np.unique(labels)) != labels.max() + 1:
            raise CorruptStreamError("the payload is damaged: it leaves out a label")
    label_of = np.full(len(source), -1, dtype=np.int64)
    label_of[order] = labels
    return Design(source, label_of, _read_masses(coder) if _one(coder, 2) else None)


def falling_order(masses: Ints) -> Ints:
    """The letters of positive mass by falling mass, equal masses by index."""
    order = np.argsort(-masses, kind="stable")
    return order[: np.count_nonzero(masses)]


def state_labels(count: int, merges: int, pair: bool) -> Ints:
    """Labels after Algorithm 1 merged the `merges` + 1 largest letters and maybe the two smallest."""
    labels = np.maximum(np.arange(count) - merges, 0)
    if pair:
        labels[-1] = labels[-2]
    return labels


def write_labels(coder: RangeEncoder, chunks: Iterable[Ints], tables: ProbabilityTables) -> None:
    """Code labels given in chunks of `CHUNK` (the last may be shorter), as `read_labels` reads them."""
    for part in chunks:
        coder.encode(part, np.zeros(len(part), dtype=np.uint8), tables)


def read_labels(coder: RangeDecoder, count: int, tables: ProbabilityTables) -> Iterator[NDArray[np.int32]]:
    """Read `count` labels in chunks; raises `CorruptStreamError` for a label that there is not."""
    for start in range(0, count, CHUNK):
        part = coder.decode(np.zeros(min(CHUNK, count - start), dtype=np.uint8), tables)
        if int(part.min()) < 0 or int(part.max()) > tables.lengths[0] - 2:
            raise CorruptStreamError("the payload is damaged: a label in it does not exist")
        yield part


def _write_masses(coder: RangeEncoder, masses: Ints) -> None:
    support = np.flatnonzero(masses)
    size = len(masses)
    coder.encode_uniform([size - 1], MAX_ALPHABET)
    coder.encode_uniform([len(support) - 1], size)
    if len(support) < size:
        coder.encode_rows((masses > 0).astype(np.int64), _presence(size, len(support)))
    lengths = np.array([int(mass).bit_length() for mass in masses[support]])
    top = int(lengths.max())
    coder.encode_uniform([top - 1], _LENGTHS)
    coder.encode_uniform(lengths - 1, top)
    for length in range(2, top + 1):
        own = masses[support][lengths == length]
        coder.encode_uniform(own - (1 << (length - 1)), 1 << (length - 1))


def _read_masses(coder: RangeDecoder) -> Ints:
    size = _one(coder, MAX_ALPHABET) + 1
    count = _one(coder, size) + 1
    present = np.ones(size, dtype=bool)
    if count < size:
        present = coder.decode_rows(_presence(size, count)) == 1
    if int(present.sum()) != count:
        raise CorruptStreamError("the payload is damaged: a law in it has another support than it says")
    top = _one(coder, _LENGTHS) + 1
    lengths = coder.decode_uniform(count, top) + 1
    values = np.ones(count, dtype=np.int64)
    for length in range(2, top + 1):
        own = lengths == length
        half = 1 << (length - 1)
        values[own] = half + coder.decode_uniform(int(own.sum()), half)
    if int(values.sum()) > MAX_TOTAL:
        raise CorruptStreamError("the payload is damaged: the masses of a law in it are too large")
    masses = np.zeros(size, dtype=np.int64)
    masses[present] = values
    return masses


def _presence(size: int, count: int) -> Ints:
    return np.tile(np.array([size - count, count], dtype=np.int64), (size, 1))


def _one(coder: RangeDecoder, size: int) -> int:
    return int(coder.decode_uniform(1, size)[0])

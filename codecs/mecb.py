"""`mecb`: a discrete source at R bits a symbol under logarithmic loss, put out with a prescribed law.

    X ──function from EBIM──► T ──range coder──► file ──► T ──q(y|t), seeded──► Y

(Ebrahimi, Chen and Khisti, "Minimum Entropy Coupling with Bottleneck", NeurIPS 2024.) Y has the law of the
source, or any law the user gives, and keeps as much information on X as a coupling with H(T) <= R finds.
This is no codec for looking at pictures: log-loss does not know that grey 100 is close to grey 101.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..entropy_models.coding.range_coder import RangeDecoder, RangeEncoder
from ..entropy_models.coupling import as_law, best_function, entropy, greedy_ebim
from ..entropy_models.coupling.checks import check_integer
from ..entropy_models.coupling.laws import Ints
from ..entropy_models.coupling.sampling import WordStream, integer_masses
from ..errors import CorruptStreamError, UsageError
from . import container
from .base import Codec, Kind, check_quality
from .mecb_stream import (
    CHUNK,
    MAX_ALPHABET,
    Design,
    falling_order,
    read_design,
    read_labels,
    write_design,
    write_labels,
)
from .sources import contents

if TYPE_CHECKING:
    from PIL.Image import Image

_LOG = logging.getLogger(__name__)

CODEC_ID = 4
FINGERPRINT = b"mecb"
MAX_SYMBOLS = 1 << 28
GIVEN_TOTAL = 1 << 20
"""Total of the integers that a law given by the user is rounded to."""
BRUTE_FORCE_SUPPORT = 8
BYTES, PICTURE, LIST, MATRIX = range(4)


@dataclass(frozen=True)
class Summary:
    """What a mecb file does, in bits a symbol: H(X), H(T), I(X;Y), H(Y|T), H(Y), and the file's own size."""

    symbols: int
    source_entropy: float
    rate: float
    information: float
    added_entropy: float
    output_entropy: float
    file_bits: float


class MECBCodec(Codec):
    """The codec; it has no model. `encode` takes bytes, an 8-bit grey picture, or an array of symbols."""

    name: ClassVar[str] = "mecb"
    kind: ClassVar[Kind] = "symbols"

    def encode(
        self,
        source: Any,
        *,
        quality: float | None = None,
        rate: float | None = None,
        source_law: ArrayLike | None = None,
        output_law: ArrayLike | None = None,
        seed: int = 0,
    ) -> bytes:
        """Return the file for `source`: bytes, a PIL image, or an array (n,) or (rows, columns) of 0..65535.

        A str or a path is the name of a file: of a picture, of an array (.npy), of any bytes.

        `rate` bounds H(T) in bits a symbol; without it `quality` q makes it
        H(X) 100^((q - 100) / 99): 1 a hundredth of the source's entropy, 100 all of it. Colour pictures
        become grey first. `source_law` replaces the measured law of the symbols,
        `output_law` is the law that the output shall have (the source's by default); `seed` (0..2^32-1) is
        the one that Y is drawn with. Raises UsageError for a source, law, rate or seed that cannot be.
        """
        seed = _check_seed(seed)
        form, symbols = _as_symbols(contents(source, self.name)[0])
        flat = symbols.ravel()
        masses = _source_masses(flat, source_law)
        if rate is None:
            # Files grow by one factor for each step of quality, as those of the picture codecs do.
            share = 100 ** ((check_quality(quality) - 100) / 99)
            rate = share * entropy(masses / masses.sum())
        output = None if output_law is None else _output_masses(output_law, form)
        design = Design(masses, _function(masses, rate), output)
        if rate > 0 and np.count_nonzero(masses) > 1 and len(design.label_masses) == 1:
            _LOG.warning(
                "nothing of the source is kept: no function of its %d symbols that the codec tries has at most %g bits",
                np.count_nonzero(masses),
                rate,
            )
        coder = RangeEncoder()
        write_design(coder, design)
        write_labels(coder, _label_chunks(design, flat), design.tables())
        rows, columns = symbols.shape if symbols.ndim == 2 else (1, len(symbols))
        header = container.Header(CODEC_ID, FINGERPRINT, (form, rows, columns, seed))
        check = container.latents_check(chain(design.arrays(), _label_chunks(design, flat)))
        return container.pack(header, coder.finish(), check)

    def decode(self, data: bytes, *, seed: int | None = None) -> Any:
        """Return Y as what X was: bytes, a grey PIL image, or an array of uint8 (uint16 above 256 symbols).

        `seed` replaces the file's. Raises CorruptStreamError for damaged data.
        """
        file = container.unpack(data)
        form, rows, columns, own_seed = _check_header(file.header)
        own_seed = own_seed if seed is None else _check_seed(seed)
        design, labels = _open(file, rows * columns)
        outputs = len(design.output_masses)
        if form in {BYTES, PICTURE} and outputs > 256:
            raise CorruptStreamError(f"the payload is damaged: {outputs} symbols do not fit a byte")
        drawn = np.empty(rows * columns, dtype=np.uint8 if outputs <= 256 else np.uint16)
        words, sampler = WordStream(own_seed), design.sampler()

        def draw_all() -> Iterator[Ints]:
            position = 0
            for part in labels:
                drawn[position : position + len(part)] = sampler.draw(part, words.take(len(part)))
                position += len(part)
                yield part

        container.verify_latents(file.latents_check, chain(design.arrays(), draw_all()))
        return _as_object(drawn, form, rows, columns)

    def labels(self, data: bytes) -> Ints:
        """Return T, shape (symbols,), as the file holds it; raises CorruptStreamError for damaged data."""
        file = container.unpack(data)
        _, rows, columns, _ = _check_header(file.header)
        return np.concatenate(list(_open(file, rows * columns)[1])).astype(np.int64)

    def summary(self, data: bytes) -> Summary:
        """Return what the file's design achieves; raises CorruptStreamError for damaged data."""
        file = container.unpack(data)
        _, rows, columns, _ = _check_header(file.header)
        design = _open(file, rows * columns)[0]
        label_law = design.label_masses / design.label_masses.sum()
        output_law = design.output_masses / design.output_masses.sum()
        joint = entropy(output_law) if design.output is None else design.sampler().entropy
        return Summary(
            symbols=rows * columns,
            source_entropy=entropy(design.source / design.source.sum()),
            rate=entropy(label_law),
            # T is a function of X, so I(X;Y) = I(T;Y) = H(T) + H(Y) - H(T,Y).
            information=max(0.0, entropy(label_law) + entropy(output_law) - joint),
            added_entropy=max(0.0, joint - entropy(label_law)),
            output_entropy=entropy(output_law),
            file_bits=8 * len(data) / (rows * columns),
        )


def _as_symbols(source: Any) -> tuple[int, np.ndarray]:
    """The form that the header names and the symbols, (n,) or (rows, columns), not negative."""
    if isinstance(source, bytes | bytearray | memoryview):
        form, symbols = BYTES, np.frombuffer(bytes(source), dtype=np.uint8)
    elif hasattr(source, "convert") and hasattr(source, "getbands"):
        if source.mode.startswith(("I", "F")):
            raise UsageError(f"the codec mecb takes 8-bit pictures, not mode {source.mode}: give it as an array")
        form, symbols = PICTURE, np.asarray(source.convert("L"))
    else:
        symbols = _as_array(source)
        if symbols.dtype.kind not in "iu" or symbols.ndim not in {1, 2}:
            raise UsageError(
                "the codec mecb takes bytes, a picture, or an array of integers with one or two dimensions, "
                f"not {type(source).__name__} {symbols.dtype} {symbols.shape}"
            )
        form = LIST if symbols.ndim == 1 else MATRIX
    if not 0 < symbols.size <= MAX_SYMBOLS:
        raise UsageError(f"the codec mecb takes 1 to {MAX_SYMBOLS:,} symbols, not {symbols.size:,}")
    low, high = int(symbols.min()), int(symbols.max())
    if low < 0 or high >= MAX_ALPHABET:
        raise UsageError(f"symbols must lie in 0..{MAX_ALPHABET - 1}, not {low}..{high}")
    return form, symbols


def _as_array(source: Any) -> np.ndarray:
    try:
        return np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of several lengths, a tensor on another device
        raise UsageError(f"the codec mecb cannot make an array of this {type(source).__name__}: {error}") from None


def _as_object(drawn: np.ndarray, form: int, rows: int, columns: int) -> bytes | Image | np.ndarray:
    if form == BYTES:
        return drawn.tobytes()
    if form == PICTURE:
        from PIL import Image

        return Image.fromarray(drawn.reshape(rows, columns))
    return drawn if form == LIST else drawn.reshape(rows, columns)


def _label_chunks(design: Design, symbols: np.ndarray) -> Iterator[Ints]:
    """T of all symbols, in chunks, so that large sources need no array of labels."""
    for start in range(0, len(symbols), CHUNK):
        yield design.label_of[symbols[start : start + CHUNK]]


def _source_masses(symbols: np.ndarray, given: ArrayLike | None) -> Ints:
    counts = np.zeros(int(symbols.max()) + 1, dtype=np.int64)
    for start in range(0, len(symbols), CHUNK):
        counts += np.bincount(symbols[start : start + CHUNK], minlength=len(counts))
    if given is None:
        return counts
    law = as_law(given, "the source law")
    if len(law) > MAX_ALPHABET:
        raise UsageError(f"the source law has {len(law):,} symbols; at most {MAX_ALPHABET:,} are possible")
    masses = integer_masses(law, GIVEN_TOTAL)
    present = np.flatnonzero(counts)
    missing = present[~np.isin(present, np.flatnonzero(masses))]
    if len(missing):
        raise UsageError(f"the source holds symbol {missing[0]}, to which the source law gives no probability")
    return masses


def _output_masses(given: ArrayLike, form: int) -> Ints:
    law = as_law(given, "the output law")
    limit = 256 if form in {BYTES, PICTURE} else MAX_ALPHABET
    if len(law) > limit:
        raise UsageError(f"the output law has {len(law):,} symbols; at most {limit:,} are possible here")
    return integer_masses(law, GIVEN_TOTAL)


def _function(masses: Ints, rate: float) -> Ints:
    """The label of every symbol, -1 where there is no mass; the best function where few symbols allow it."""
    order = falling_order(masses)
    law = masses[order] / masses.sum()
    few = len(order) <= BRUTE_FORCE_SUPPORT
    labels = (best_function if few else greedy_ebim)(law, rate).function()
    label_of = np.full(len(masses), -1, dtype=np.int64)
    label_of[order] = labels
    return label_of


def _check_seed(seed: int) -> int:
    return check_integer(seed, "the seed", 0, container.MAX_INTEGER)


def _check_header(header: container.Header) -> tuple[int, int, int, int]:
    if header.codec_id != CODEC_ID or header.fingerprint != FINGERPRINT or len(header.fields) != 4:
        raise CorruptStreamError("the header is not one of the codec mecb")
    form, rows, columns, seed = header.fields
    if form > MATRIX or not 0 < rows * columns <= MAX_SYMBOLS or (form in {BYTES, LIST} and rows != 1):
        raise CorruptStreamError(f"the header describes no signal: form {form}, {rows} x {columns}")
    return form, rows, columns, seed


def _open(file: container.Container, count: int) -> tuple[Design, Iterator[np.ndarray]]:
    coder = RangeDecoder(file.payload)
    design = read_design(coder)
    return design, read_labels(coder, count, design.tables())

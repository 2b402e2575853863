"""Sounds into tokens, batch by batch, in this process or in several; what is wrong with one stops no other."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...codecs.media.files import shown_name
from ...codecs.sources import take
from ...errors import BitfloorError
from ..jobs import naming
from ..pool import Pool, cores
from ..threads import wished_threads

if TYPE_CHECKING:
    from ...codecs.media.sound import SoundSource
    from ...codecs.secodec.analysis import Analysed
    from ...codecs.secodec.codec import SECodecCodec
    from ...codecs.secodec.token_files import Meaning

_PATIENCE_S = 24 * 3600.0  # for one batch
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """How sounds become tokens: the model, how many layers, on which device; None for the usual."""

    model: str | None = None
    layers: int | None = None
    device: str | None = None


@dataclass(frozen=True)
class Tokens:
    """Tokens of a file, what they mean, the sound's duration in seconds, and the bytes of the file."""

    found: Analysed
    meaning: Meaning
    seconds: float
    size: int


@dataclass(frozen=True)
class _Batch:
    """For every file its tokens or what is wrong with it; `said` are the warnings of another process."""

    results: list[Tokens | Exception]
    said: list[str]


def tokens_of(paths: Sequence[Path], wish: Wish, workers: int, batch: int) -> Iterator[tuple[int, Tokens | Exception]]:
    """Number and result of every file, in the order in which they are done; `batch` files at a time."""
    size = max(1, min(batch, -(-len(paths) // workers)))
    batches = [range(start, min(start + size, len(paths))) for start in range(0, len(paths), size)]
    if workers == 1 or len(batches) < 2:
        for numbers in batches:
            yield from zip(numbers, tokenise([paths[number] for number in numbers], wish).results, strict=True)
        return
    threads = None if wished_threads() else max(1, cores() // workers)
    work = partial(_numbered, paths=list(paths), wish=wish)
    with Pool(work, workers=workers, threads=threads, timeout_s=_PATIENCE_S, lost=_lost) as pool:
        alone: list[range] = []
        for numbers, made in pool.run(batches):
            if not made.results and len(numbers) > 1:  # the worker died: which of the files was it?
                alone += [range(number, number + 1) for number in numbers]
            else:
                yield from _told(numbers, made, paths)
        for numbers, made in pool.run(alone):
            yield from _told(numbers, made, paths)


def _numbered(numbers: range, paths: Sequence[Path], wish: Wish) -> _Batch:
    return tokenise([paths[number] for number in numbers], wish)


def _lost(reason: str) -> _Batch:
    return _Batch([], [reason])


def _told(numbers: range, made: _Batch, paths: Sequence[Path]) -> Iterator[tuple[int, Tokens | Exception]]:
    if not made.results:
        yield numbers[0], BitfloorError(f"{paths[numbers[0]]}: {made.said[0]}")
        return
    for words in made.said:
        _log.warning("%s", words)
    yield from zip(numbers, made.results, strict=True)


def tokenise(paths: Sequence[Path], wish: Wish) -> _Batch:
    """The tokens of some files. Sounds go through the networks together, as far as they are short."""
    results: dict[int, Tokens | Exception] = {}
    sounds: dict[int, tuple[SECodecCodec, SoundSource, int]] = {}
    with _overheard() as said:
        for number, path in enumerate(paths):
            try:
                with naming(path):
                    opened = _open(path, wish)
            except Exception as error:
                results[number] = error
                continue
            if isinstance(opened, Tokens):
                results[number] = opened
            else:
                sounds[number] = opened
        results |= _analysed(sounds, wish)
    return _Batch([results[number] for number in range(len(paths))], said)


def _open(path: Path, wish: Wish) -> Tokens | tuple[SECodecCodec, SoundSource, int]:
    """The tokens that a file holds already, or its sound, short ones in memory, the codec for it and its size."""
    from ...codecs.media.sound import open_sound
    from ...codecs.secodec.batch import LONGEST
    from ...codecs.secodec.codec import open_speech_codec
    from ...codecs.secodec.token_files import Meaning, is_stored, read_tokens

    data = take(path)
    size = len(data) if isinstance(data, bytes) else data.stat().st_size
    codec = open_speech_codec(data, wish.model)
    layers = codec.check_layers(wish.layers)
    if is_stored(data):
        found = read_tokens(data, shown_name(path), codec, layers)
        seconds = len(found.codes) / codec.frame_rate
        return Tokens(found, Meaning.of(codec, found.codes.shape[1]), seconds, size)
    sound = open_sound(data, shown_name(path))
    return codec, sound.load() if codec.frames_of(sound) <= LONGEST else sound, size


def _analysed(
    sounds: dict[int, tuple[SECodecCodec, SoundSource, int]], wish: Wish
) -> Iterator[tuple[int, Tokens | Exception]]:
    from ...codecs.secodec.analysis import CHEAPEST
    from ...codecs.secodec.batch import analyse_batch
    from ...codecs.secodec.token_files import Meaning

    if not sounds:
        return
    codec = next(iter(sounds.values()))[0]  # without a file that names its model all have the same
    try:
        opened = [sound for _, sound, _ in sounds.values()]
        found = analyse_batch(codec, opened, wish.layers, CHEAPEST, wish.device or "cpu")
    except Exception as error:
        if len(sounds) == 1:
            yield from ((number, error) for number in sounds)
            return
        for number, opened_one in sounds.items():
            yield from _analysed({number: opened_one}, wish)
        return
    for (number, (_, sound, size)), one in zip(sounds.items(), found, strict=True):
        yield number, Tokens(one, Meaning.of(codec, one.codes.shape[1]), sound.length / sound.rate, size)


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """The warnings of a worker, which the person's process says, between the lines of its progress bar."""
    said: list[str] = []
    if multiprocessing.parent_process() is None:
        yield said
        return
    handler, logger = logging.Handler(logging.WARNING), logging.getLogger("bitfloor")
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(handler)

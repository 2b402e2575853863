"""Speech tokens as files for other programs: NumPy's .npy, or JSON that says what they are, and how loud."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import CorruptStreamError, ModelError, UnreadableInputError, UsageError
from ..container import MAGIC
from ..media.sound import open_sound
from .level import STEP, check_gain
from .token_arrays import check_tokens

if TYPE_CHECKING:
    from .analysis import Analysed
    from .codec import SECodecCodec

_NPY = b"\x93NUMPY"


def read_tokens(source: Path | bytes, name: str, codec: SECodecCodec, layers: int | None = None) -> Analysed:
    """Tokens (F, L) int64 and gain of a sound, a bitfloor file, or a file of `token_bytes`, told apart by their start.

    `source` is a path only for a sound. An .npy file has no gain, which means the level that the network codes at.
    `layers` are asked of the encoder for a sound; of stored tokens the first so many are taken.

    Raises:
        UnreadableInputError: for anything else, and for tokens that the codec does not have.
        CorruptStreamError: for a damaged bitfloor file.
        ModelError: for tokens of another model.
    """
    from .analysis import Analysed

    if isinstance(source, bytes) and is_stored(source):
        found = codec.stored(source) if source.startswith(MAGIC) else _stored(source, name, codec)
        return Analysed(found.codes[:, :layers], found.gain)
    return codec.analyse(open_sound(source, name), layers)


def is_stored(source: Path | bytes) -> bool:
    """Whether this holds tokens already: a bitfloor file, or a file of tokens."""
    return isinstance(source, bytes) and (source.startswith((MAGIC, _NPY)) or source.lstrip()[:1] == b"{")


def _stored(data: bytes, name: str, codec: SECodecCodec) -> Analysed:
    from .analysis import Analysed

    try:
        if data.startswith(_NPY):
            tokens, gain = np.load(io.BytesIO(data), allow_pickle=False), 0
        else:
            tokens, gain = _from_json(json.loads(data), name, codec)
        return Analysed(check_tokens(tokens, codec.network.quantiser.sizes), gain)
    except (ValueError, EOFError, RecursionError, UsageError) as error:
        raise UnreadableInputError(f"{name} is no file of tokens: {error}") from None


def _from_json(content: Any, name: str, codec: SECodecCodec) -> tuple[Any, int]:
    """Tokens and gain. Raises ValueError for a field that says something else than `token_bytes` would."""
    if not isinstance(content, dict) or "tokens" not in content:
        raise ValueError('it has no field "tokens"')
    fingerprint = codec.frozen.fingerprint.hex()
    model = content.get("model", fingerprint)
    if not isinstance(model, str):
        raise ValueError(f'"model" is {json.dumps(model)}, not the fingerprint of a model: leave it out for any')
    if model != fingerprint:
        raise ModelError(f"{name} needs model {model}, not {fingerprint}")
    for key, wanted in (("codec", codec.name), ("frames_per_second", codec.network.config.frame_rate)):
        if content.get(key, wanted) != wanted:
            raise ValueError(f'"{key}" is {json.dumps(content[key])}, not {json.dumps(wanted)}')
    decibels = content.get("gain_db", 0)
    if isinstance(decibels, bool) or not isinstance(decibels, (int, float)) or not math.isfinite(decibels):
        raise ValueError(f'"gain_db" is {json.dumps(decibels)}, not a number of decibels')
    try:
        return content["tokens"], check_gain(round(decibels / STEP))
    except (CorruptStreamError, OverflowError):
        raise ValueError(f'"gain_db" is {decibels:g}, which no sound has') from None


@dataclass(frozen=True)
class Meaning:
    """What tokens mean: the codec and the fingerprint of its model, frames a second, how many codes each layer has."""

    codec: str
    model: str
    frames_per_second: float
    codes: tuple[int, ...]

    @classmethod
    def of(cls, codec: SECodecCodec, layers: int) -> Meaning:
        """Of tokens of so many layers."""
        return cls(codec.name, codec.fingerprint.hex(), codec.frame_rate, tuple(codec.codebook_sizes[:layers]))


def token_bytes(found: Analysed, meaning: Meaning, suffix: str) -> bytes:
    """A file of tokens (F, L): .npy as int32, or .json with gain, frame rate, the numbers of codes and the model."""
    if suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, found.codes.astype(np.int32), allow_pickle=False)
        return buffer.getvalue()
    content = asdict(meaning) | {"gain_db": found.gain * STEP, "tokens": found.codes.tolist()}
    return json.dumps(content).encode() + b"\n"

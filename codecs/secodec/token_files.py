"""Speech tokens as files for other programs: NumPy's .npy, or JSON that says what they are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ModelError, UnreadableInputError, UsageError
from ..container import MAGIC
from ..files import format_suffix, write_bytes
from ..sound import read_sound

if TYPE_CHECKING:
    from .codec import SECodecCodec

SUFFIXES = (".npy", ".json")
_NPY = b"\x93NUMPY"


def read_tokens(data: bytes, name: str, codec: SECodecCodec, layers: int | None = None) -> np.ndarray:
    """Tokens (F, L) int64 of a sound, a bitfloor file, or a file of `write_tokens`, told apart by their first bytes.

    Raises:
        UnreadableInputError: for anything else, and for tokens that the codec does not have.
        CorruptStreamError: for a damaged bitfloor file.
        ModelError: for tokens of another model.
    """
    if data.startswith(MAGIC):
        tokens = codec.decode_tokens(data)
    elif data.startswith(_NPY) or data.lstrip()[:1] == b"{":
        tokens = _checked(_stored(data, name, codec.frozen.fingerprint.hex()), name, codec)
    else:
        tokens = codec.tokens(read_sound(data, name), layers)
    return tokens[:, :layers]


def _stored(data: bytes, name: str, fingerprint: str) -> np.ndarray:
    try:
        if data.startswith(_NPY):
            return np.load(io.BytesIO(data), allow_pickle=False)
        content = json.loads(data)
        if content.get("model", fingerprint) != fingerprint:
            raise ModelError(f"{name} needs model {content['model']}, not {fingerprint}")
        return np.array(content["tokens"])
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise UnreadableInputError(f"{name} is no file of tokens: {error}") from None


def _checked(tokens: np.ndarray, name: str, codec: SECodecCodec) -> np.ndarray:
    sizes = codec.network.quantiser.sizes
    fits = tokens.ndim == 2 and 1 <= tokens.shape[1] <= len(sizes) and len(tokens) and tokens.dtype.kind in "iu"
    if not fits or (tokens < 0).any() or (tokens >= sizes[: tokens.shape[1]]).any():
        raise UnreadableInputError(f"{name}: tokens must be whole numbers (frames, layers) below {sizes}")
    return tokens.astype(np.int64)


def check_suffix(path: str | Path) -> str:
    """The suffix that says the format of an output, .npy where there is none. Raises UsageError for another."""
    suffix = format_suffix(path, SUFFIXES, ".npy")
    if suffix not in SUFFIXES:
        raise UsageError(f"tokens go into {' or '.join(SUFFIXES)}, not {suffix}")
    return suffix


def write_tokens(tokens: np.ndarray, codec: SECodecCodec, path: Path, overwrite: bool = False) -> None:
    """Writes tokens (F, L): .npy as int32, or .json with the frame rate, the numbers of codes and the model.

    Raises:
        UsageError: for another suffix, and as `files.atomic_output` does.
    """
    suffix = check_suffix(path)
    if suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, tokens.astype(np.int32), allow_pickle=False)
        write_bytes(buffer.getvalue(), path, overwrite)
    else:
        layers = tokens.shape[1]
        content = {
            "codec": codec.name,
            "model": codec.frozen.fingerprint.hex(),
            "frames_per_second": codec.network.config.frame_rate,
            "codes": codec.network.quantiser.sizes[:layers],
            "tokens": tokens.tolist(),
        }
        write_bytes(json.dumps(content).encode() + b"\n", path, overwrite)

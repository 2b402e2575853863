"""Tokens to bytes and back, and tokens drawn from the model: one walk over frames and layers for all three.

The walk asks a source for the codes of one layer after the other. An encoder knows them and writes them
down, a decoder reads them, a sampler draws them. An encoder is asked for many frames at once, the others
frame by frame; the model is exact, so the frequencies are the same.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from ..errors import CorruptStreamError, UsageError
from .exact.frequencies import frequencies
from .range_coder import RangeDecoder, RangeEncoder
from .token_model import TokenModel

BLOCK_FRAMES = 64  # frames whose frequencies an encoder holds at once: 4 MB for 8 layers of 1024


class CodeSource(Protocol):
    """Where the walk gets codes from.

    Attributes:
        block: frames that may be asked for at once; more than one only where `known` has them.
    """

    block: int

    def known(self, start: int, stop: int) -> np.ndarray:
        """Codes (stop - start, L) of earlier frames of a block; never called where `block` is 1."""

    def take(self, rows: np.ndarray, start: int, layer: int) -> np.ndarray:
        """Codes (T,) of a layer in the frames from `start`, whose integer frequencies are `rows` (T, K)."""

    def end_block(self) -> None:
        """Called after the last layer of a block of frames."""


@torch.inference_mode()
def walk(model: TokenModel, frames: int, active: int, source: CodeSource) -> np.ndarray:
    """Codes (frames, active) int64 from `source`, under a frozen model.

    Raises:
        UsageError: when the model has no such number of layers.
    """
    if not 1 <= active <= model.config.layers:
        raise UsageError(f"{active} layers were asked for, but the token model has {model.config.layers}")
    codes = np.empty((frames, active), dtype=np.int64)
    past, layers = model.start(1), torch.tensor([active])
    every = torch.arange(model.config.codes)
    told = [model.told(every, layer) for layer in range(active)]
    previous = model.rate.new_zeros(1, 1, model.config.embedding)
    for start in range(0, frames, source.block):
        stop = min(start + source.block, frames)
        if stop - start > 1:
            earlier = torch.from_numpy(source.known(start, stop - 1))[None]
            previous = torch.cat([previous, model.frames(earlier)], dim=1)
        context, past = model.context(previous, layers, past)
        for layer in range(active):
            rows = frequencies(model.log2_frequencies(context, layer))[0].numpy()
            codes[start:stop, layer] = source.take(rows, start, layer)
            context = context + told[layer][torch.from_numpy(codes[start:stop, layer])]
        previous = model.frames(torch.from_numpy(codes[stop - 1 : stop])[None])
        source.end_block()
    return codes


class Encoding:
    """Writes codes (T, L) to a range coder, frame by frame and in each frame layer by layer."""

    block = BLOCK_FRAMES

    def __init__(self, codes: np.ndarray, encoder: RangeEncoder) -> None:
        self.codes, self.encoder = codes.astype(np.int64), encoder
        self._rows: list[np.ndarray] = []
        self._chosen: list[np.ndarray] = []

    def known(self, start: int, stop: int) -> np.ndarray:
        """See `CodeSource`."""
        return self.codes[start:stop]

    def take(self, rows: np.ndarray, start: int, layer: int) -> np.ndarray:
        """See `CodeSource`."""
        chosen = self.codes[start : start + len(rows), layer]
        self._rows.append(rows)
        self._chosen.append(chosen)
        return chosen

    def end_block(self) -> None:
        """See `CodeSource`."""
        rows = np.stack(self._rows, axis=1)
        self.encoder.encode_rows(np.stack(self._chosen, axis=1).ravel(), rows.reshape(-1, rows.shape[2]))
        self._rows, self._chosen = [], []


class Decoding:
    """Reads codes from a range decoder."""

    block = 1

    def __init__(self, decoder: RangeDecoder, sizes: np.ndarray) -> None:
        self.decoder, self.sizes = decoder, sizes

    def known(self, start: int, stop: int) -> np.ndarray:
        """See `CodeSource`."""
        raise NotImplementedError("a decoder knows no frame before it has been asked for it")

    def take(self, rows: np.ndarray, start: int, layer: int) -> np.ndarray:
        """See `CodeSource`. Raises CorruptStreamError for a code that the layer does not have."""
        codes = self.decoder.decode_rows(rows).astype(np.int64)
        if codes.max() >= self.sizes[layer]:
            raise CorruptStreamError("the payload is damaged: a token in it does not exist")
        return codes

    def end_block(self) -> None:
        """See `CodeSource`."""


class Sampling:
    """Repeats the prompt (T, L), then draws codes in proportion to frequency ** (1 / temperature)."""

    block = 1

    def __init__(self, prompt: np.ndarray, rng: np.random.Generator, temperature: float = 1.0) -> None:
        if not temperature > 0:
            raise UsageError(f"the temperature must be positive, not {temperature}")
        self.prompt, self.rng, self.temperature = prompt.astype(np.int64), rng, temperature

    def known(self, start: int, stop: int) -> np.ndarray:
        """See `CodeSource`."""
        return self.prompt[start:stop]

    def take(self, rows: np.ndarray, start: int, layer: int) -> np.ndarray:
        """See `CodeSource`."""
        if start < len(self.prompt):
            return self.prompt[start : start + 1, layer]
        weights = (rows[0] / rows[0].max()) ** (1 / self.temperature)
        return self.rng.choice(len(weights), size=1, p=weights / weights.sum())

    def end_block(self) -> None:
        """See `CodeSource`."""


def encode_tokens(model: TokenModel, codes: np.ndarray, encoder: RangeEncoder) -> None:
    """Writes codes (T, L), L at most the model's layers.

    Raises:
        UsageError: for a code that its layer does not have.
    """
    sizes = model.sizes.numpy()[: codes.shape[1]]
    if codes.size and (codes.min() < 0 or (codes.max(axis=0) >= sizes).any()):
        raise UsageError(f"tokens must lie below {sizes.tolist()}")
    walk(model, codes.shape[0], codes.shape[1], Encoding(codes, encoder))


def decode_tokens(model: TokenModel, frames: int, active: int, decoder: RangeDecoder) -> np.ndarray:
    """Reads codes (frames, active) int64.

    Raises:
        CorruptStreamError: where the bytes cannot be what `encode_tokens` wrote.
    """
    return walk(model, frames, active, Decoding(decoder, model.sizes.numpy()))


def sample_tokens(
    model: TokenModel, prompt: np.ndarray, frames: int, *, temperature: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Continues a prompt (T, L) to `frames` frames in all, codes (frames, L) int64.

    Raises:
        UsageError: for a temperature that is not positive.
    """
    source = Sampling(prompt, np.random.default_rng(seed), temperature)
    return walk(model, frames, prompt.shape[1], source)

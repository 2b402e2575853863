"""Tokens to bytes and back, and tokens drawn from the model: one walk over the steps for all three.

The walk asks a source for the tokens of each step. An encoder knows them and writes them down, a decoder reads them,
a sampler draws them. An encoder is asked for many steps at once, the others step by step; the model is exact, so the
frequencies are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ...errors import CorruptStreamError, UsageError
from ..coding.range_coder import RangeDecoder, RangeEncoder
from ..exact.frequencies import frequencies
from ..exact.settings import one_thread, own_settings
from .token_model import TokenModel, delay, undelay
from .token_steps import StepByStep

BLOCK_STEPS = 64  # steps whose frequencies an encoder holds at once: a few MB for 8 layers of 1024


class TokenSource(Protocol):
    """Where the walk gets tokens from.

    Attributes:
        steps: (S, L) int64, tokens known in advance, -1 elsewhere.
        block: steps that may be asked for at once; more than one only where `steps` holds them all.
    """

    steps: np.ndarray
    block: int

    def take(self, rows: np.ndarray, places: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Tokens (M,) at `places` (step, layer), whose integer frequencies are `rows` (M, K), in coding order."""


@own_settings()
@one_thread()
def walk(model: TokenModel, frames: int, active: int, source: TokenSource) -> np.ndarray:
    """Codes (frames, active) int64 from `source`, under a frozen model.

    Raises:
        UsageError: when the model has no such number of layers.
    """
    if not 1 <= active <= model.config.layers:
        raise UsageError(f"{active} layers were asked for, but the token model has {model.config.layers}")
    if frames == 0:
        return np.empty((0, active), dtype=np.int64)
    steps = torch.full((1, frames + active - 1, active), -1)
    exists = delay(torch.zeros(1, frames, active, dtype=torch.int64))[0] == 0
    rows_of = _in_blocks(model, active, source) if source.block > 1 else _one_by_one(model, active, steps[0])
    for start, rows in rows_of:
        _fill(steps[0, start:][: len(rows)], exists[start:][: len(rows)], rows, source, start)
    codes: np.ndarray = undelay(steps)[0].numpy()
    return codes


def _in_blocks(model: TokenModel, active: int, source: TokenSource) -> Iterator[tuple[int, np.ndarray]]:
    """First step and frequencies (S, L, K) of blocks of steps, all of whose tokens the source has told."""
    before = np.pad(source.steps[:-1], ((1, 0), (0, 0)), constant_values=-1)
    past = model.start(1)
    for start in range(0, len(before), source.block):
        entered = model.enter(torch.from_numpy(before[None, start : start + source.block]))
        context, past = model.context(entered, torch.tensor([active]), past)
        yield start, frequencies(model.log2_frequencies(context, active))[0].numpy()


def _one_by_one(model: TokenModel, active: int, steps: Tensor) -> Iterator[tuple[int, np.ndarray]]:
    """The same of single steps; `steps` (S, L) is filled by the caller meanwhile."""
    stepper = StepByStep(model, active)
    before = np.full(active, -1)
    for number, tokens in enumerate(steps.numpy()):
        yield number, stepper.after(before)[None]
        before = tokens


def _fill(steps: Tensor, exists: Tensor, rows: np.ndarray, source: TokenSource, start: int) -> None:
    """Puts the tokens of a block of steps (S, L) where they exist; coding order is by step, then by layer."""
    step, layer = exists.numpy().nonzero()
    tokens = source.take(rows[step, layer], (step + start, layer))
    steps[step, layer] = torch.from_numpy(tokens)


class Encoding:
    """Writes codes (T, L) to a range coder."""

    block = BLOCK_STEPS

    def __init__(self, codes: np.ndarray, encoder: RangeEncoder) -> None:
        self.steps = delay(torch.from_numpy(codes.astype(np.int64))[None])[0].numpy()
        self.encoder = encoder

    def take(self, rows: np.ndarray, places: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """See `TokenSource`."""
        tokens: np.ndarray = self.steps[places]
        self.encoder.encode_rows(tokens, rows)
        return tokens


class Decoding:
    """Reads codes from a range decoder, and stops when they cost more than the bytes that there are.

    Past its end a stream reads as zeros for ever: a header that claims hours must not be followed for hours.
    """

    block = 1
    steps = np.empty((0, 0), dtype=np.int64)

    def __init__(self, decoder: RangeDecoder, sizes: np.ndarray, size: int) -> None:
        self.decoder, self.sizes = decoder, sizes
        self.bits_left = 1.01 * 8 * size + 64  # the cost below leaves the coder's own rounding out

    def _spend(self, tokens: np.ndarray, rows: np.ndarray) -> None:
        totals = rows.sum(axis=1, dtype=np.float64)
        chosen = rows[np.arange(tokens.size), tokens]
        self.bits_left -= float(np.log2(totals / np.maximum(chosen, totals * 2.0**-24)).sum())
        if self.bits_left < 0:
            raise CorruptStreamError("the payload is damaged: it ends before its tokens do")

    def take(self, rows: np.ndarray, places: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """See `TokenSource`. Raises CorruptStreamError for a token that no encoder writes."""
        tokens = self.decoder.decode_rows(rows).astype(np.int64)
        if (tokens >= self.sizes[places[1]]).any():
            raise CorruptStreamError("the payload is damaged: a token in it does not exist")
        self._spend(tokens, rows)
        return tokens


PATIENCE = 40  # frames that a pause may last before it is held back: 0.8 s
IMPATIENCE = 0.9  # what each frame beyond takes from the weight of more pause


class Sampling:
    """Repeats the prompt (T, L), then draws codes in proportion to frequency ** (1 / temperature).

    Of all that a model of speech foretells, silence after silence is the surest, and a walk that falls into it stays:
    so from `PATIENCE` frames of first-layer codes that are `quiet` (K,) on they lose weight, frame by frame.
    """

    block = 1

    def __init__(
        self,
        prompt: np.ndarray,
        rng: np.random.Generator,
        temperature: float = 1.0,
        quiet: np.ndarray | None = None,
    ) -> None:
        if not temperature > 0:
            raise UsageError(f"the temperature must be positive, not {temperature}")
        self.prompt = prompt.astype(np.int64)
        self.steps = np.empty((0, prompt.shape[1]), dtype=np.int64)
        self.rng, self.temperature, self.quiet = rng, temperature, quiet
        self.pause = 0  # frames up to now

    def take(self, rows: np.ndarray, places: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """See `TokenSource`."""
        return np.array([self._one(row, step - layer, layer) for row, step, layer in zip(rows, *places, strict=True)])

    def _one(self, row: np.ndarray, frame: int, layer: int) -> int:
        if frame < len(self.prompt):
            code = int(self.prompt[frame, layer])
        else:
            weights = (row / row.max()) ** (1 / self.temperature)
            if layer == 0 and self.quiet is not None and self.pause > PATIENCE:
                weights[: self.quiet.size][self.quiet] *= IMPATIENCE ** (self.pause - PATIENCE)
            code = int(self.rng.choice(weights.size, p=weights / weights.sum()))
        if layer == 0 and self.quiet is not None:
            self.pause = self.pause + 1 if self.quiet[code] else 0
        return code


def encode_tokens(model: TokenModel, codes: np.ndarray) -> bytes:
    """The stream of codes (T, L), L at most the model's layers.

    Raises:
        UsageError: for a code that its layer does not have.
    """
    sizes = model.sizes.numpy()[: codes.shape[1]]
    if codes.size and (codes.min() < 0 or (codes.max(axis=0) >= sizes).any()):
        raise UsageError(f"tokens must lie below {sizes.tolist()}")
    encoder = RangeEncoder()
    walk(model, codes.shape[0], codes.shape[1], Encoding(codes, encoder))
    return encoder.finish()


def decode_tokens(model: TokenModel, frames: int, active: int, payload: bytes) -> np.ndarray:
    """Reads codes (frames, active) int64 from a whole stream of `encode_tokens`.

    Raises:
        CorruptStreamError: where the bytes cannot be what `encode_tokens` wrote.
    """
    return walk(model, frames, active, Decoding(RangeDecoder(payload), model.sizes.numpy(), len(payload)))


def sample_tokens(
    model: TokenModel,
    prompt: np.ndarray,
    frames: int,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    quiet: np.ndarray | None = None,
) -> np.ndarray:
    """Continues a prompt (T, L) to `frames` frames in all, codes (frames, L) int64; `quiet` as in `Sampling`.

    Raises:
        UsageError: for a temperature that is not positive.
    """
    source = Sampling(prompt, np.random.default_rng(seed), temperature, quiet)
    return walk(model, frames, prompt.shape[1], source)

"""Networks over long sounds, chunk by chunk, with the same result as in one piece.

    frames      ....[ context | chunk | context ]....      context: what the chunk's frames depend on
    kept                      [ chunk ]

A chunk's result depends on `reach` frames on either side, so that much is computed with it and thrown away; at the
ends of the sound there is less of it, as there is for the whole. Memory is that of one chunk, and a stream can be
decoded as it arrives, `reach` frames behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from .model import SECodecNetwork

CHUNK_FRAMES = 500  # ten seconds


def encoder_reach(network: SECodecNetwork) -> int:
    """Frames on either side that a latent depends on."""
    return network.encoder.trunk.reach + _window_reach(network)


def decoder_reach(network: SECodecNetwork) -> int:
    """Frames on either side that a frame's samples depend on: the latency of decoding a stream, in frames."""
    return network.decoder.trunk.reach + _window_reach(network)


def _window_reach(network: SECodecNetwork) -> int:
    transform = network.encoder.transform
    return -(-transform.margin // transform.hop)


def encode_chunks(network: SECodecNetwork, frames: Iterable[Tensor], chunk: int = CHUNK_FRAMES) -> Iterator[Tensor]:
    """Latents (F', dim) of one chunk after the other; `frames` are parts (F'', hop) of the waveform."""

    def encode(part: Tensor) -> Tensor:
        return network.encoder(part.reshape(1, -1))[0]

    return _in_chunks(frames, encode, encoder_reach(network), chunk)


def decode_chunks(network: SECodecNetwork, latents: Iterable[Tensor], chunk: int = CHUNK_FRAMES) -> Iterator[Tensor]:
    """Samples (F', hop) of one chunk after the other; `latents` are parts (F'', dim)."""

    def decode(part: Tensor) -> Tensor:
        return network.decoder(part[None])[0].reshape(len(part), -1)

    return _in_chunks(latents, decode, decoder_reach(network), chunk)


@torch.inference_mode()
def _in_chunks(
    parts: Iterable[Tensor], network: Callable[[Tensor], Tensor], reach: int, chunk: int
) -> Iterator[Tensor]:
    """What `network` makes, frame by frame, of the rows of all `parts`, `chunk` rows at a time."""
    held: list[Tensor] = []  # the rows from `reach` before the next chunk on
    count = context = 0  # how many they are, and how many of them lie before the chunk
    for part in parts:
        held.append(part)
        count += len(part)
        while count >= context + chunk + reach:
            rows = _joined(held)
            yield network(rows[: context + chunk + reach])[context : context + chunk]
            start = max(0, context + chunk - reach)
            held, context, count = [rows[start:]], context + chunk - start, count - start
    while count > context:
        rows = _joined(held)
        made = network(rows[: context + chunk + reach])[context : context + chunk]
        yield made
        start = max(0, context + len(made) - reach)
        held, context, count = [rows[start:]], context + len(made) - start, count - start


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)

"""Networks over long sounds, chunk by chunk, with the same result as in one piece.

    frames      ....[ context | chunk | context ]....      context: what the chunk's frames depend on
    kept                      [ chunk ]

A chunk's result depends on `reach` frames on either side, so that much is computed with it and thrown away; at the
ends of the sound there is less of it, as there is for the whole. Memory is that of one chunk, and a stream can be
decoded as it arrives, `reach` frames behind.
"""

from __future__ import annotations

from collections.abc import Iterator

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


@torch.inference_mode()
def encode_chunks(network: SECodecNetwork, waveform: Tensor, chunk: int = CHUNK_FRAMES) -> Iterator[Tensor]:
    """Latents (F', dim) of one chunk after the other; `waveform` is (F * hop,), a whole number of frames."""
    hop, reach = network.config.hop, encoder_reach(network)
    frames = waveform.shape[0] // hop
    for start in range(0, frames, chunk):
        stop = min(start + chunk, frames)
        low, high = max(0, start - reach), min(frames, stop + reach)
        latents = network.encoder(waveform[None, low * hop : high * hop])[0]
        yield latents[start - low : stop - low]


@torch.inference_mode()
def decode_chunks(network: SECodecNetwork, latents: Tensor, chunk: int = CHUNK_FRAMES) -> Iterator[Tensor]:
    """Samples (F' * hop,) of one chunk after the other from `latents` (F, dim)."""
    hop, reach = network.config.hop, decoder_reach(network)
    frames = latents.shape[0]
    for start in range(0, frames, chunk):
        stop = min(start + chunk, frames)
        low, high = max(0, start - reach), min(frames, stop + reach)
        samples = network.decoder(latents[None, low:high])[0]
        yield samples[(start - low) * hop : (stop - low) * hop]

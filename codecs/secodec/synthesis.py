"""From tokens to a sound: of one sound block by block, or of several short ones together.

codes --quantiser--> latents --decoder--> samples --gain, high-pass--> blocks at 16 kHz
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...entropy_models.exact.settings import CallersSettings, in_own_settings, own_settings
from ..media.sound import Sound
from ..media.sound.highpass import high_pass
from .analysis import Device, padded
from .chunks import CHUNK_FRAMES, decode_chunks
from .frozen import FrozenSECodec
from .level import factor
from .spectrum import SAMPLE_RATE
from .token_arrays import check_frames


def samples(
    frozen: FrozenSECodec, codes: Iterable[Tensor], gain: int, chunk: int = CHUNK_FRAMES, device: Device = "cpu"
) -> Iterator[np.ndarray]:
    """Blocks float32 of the sound whose codes come in parts (F', L), made as they are asked for.

    What the encoder's high-pass would not have let in is taken away. Blocks come `chunk` frames at a time.
    """
    return in_own_settings(_samples(frozen, codes, gain, chunk, device))


def _samples(
    frozen: FrozenSECodec, codes: Iterable[Tensor], gain: int, chunk: int, device: Device
) -> Iterator[np.ndarray]:
    network, loudness = frozen.on(device).network, np.float32(factor(gain))
    latents = (network.quantiser.decode(part[None].to(device))[0] for whole in codes for part in whole.split(chunk))
    made = (block.flatten().cpu().numpy() * loudness for block in decode_chunks(network, latents, chunk))
    yield from high_pass(made, SAMPLE_RATE, chunk * network.config.hop)


def stream(frozen: FrozenSECodec, frames: Iterable[Any], gain: int, chunk: int) -> Iterator[Tensor]:
    """Samples (n,) of tokens as they arrive, each time one frame (L,) or some (L, F); see `SECodecCodec.decode_frames`.

    Whoever makes the frames, say a language model, works under the settings of the caller.
    """
    callers = CallersSettings()

    def codes() -> Iterator[Tensor]:
        arriving = iter(frames)
        while True:
            with callers.restored():
                try:
                    part = next(arriving)
                except StopIteration:
                    return
            yield torch.from_numpy(check_frames(part, frozen.network.quantiser.sizes))

    made = samples(frozen, codes(), gain, chunk)
    while True:
        callers.note()
        try:
            block = next(made)
        except StopIteration:
            return
        yield torch.from_numpy(block)


def synthesise(frozen: FrozenSECodec, codes: np.ndarray, gain: int, device: Device = "cpu") -> Sound:
    """The whole sound of codes (F, L) int64."""
    parts = [torch.from_numpy(np.ascontiguousarray(codes))]
    return Sound(np.concatenate(list(samples(frozen, parts, gain, device=device))), SAMPLE_RATE)


@own_settings()
def synthesise_together(
    frozen: FrozenSECodec, codes: Sequence[np.ndarray], gains: Sequence[int], device: Device = "cpu"
) -> list[np.ndarray]:
    """The samples of several sounds of codes (F', L), so short that the network holds them all at once."""
    network = frozen.on(device).network
    whole, mask = padded([torch.from_numpy(part) for part in codes], device)
    waveforms = network.decoder(network.quantiser.decode(whole), mask).cpu().numpy()
    made = []
    for waveform, part, gain in zip(waveforms, codes, gains, strict=True):
        loud = waveform[: len(part) * network.config.hop] * np.float32(factor(gain))
        made.append(np.concatenate(list(high_pass([loud], SAMPLE_RATE))))
    return made

"""From a sound to its tokens: level, latents, codes; of one sound of any length, or of several short ones together.

blocks --high-pass, 16 kHz, level--> frames --encoder--> latents --quantiser, then bits--> codes
codes --decoder--> what is missing of the level
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from ...entropy_models.exact.settings import own_settings
from ...entropy_models.structural.quantiser import Rule, check_rule
from ...errors import UsageError
from ..media.sound import SoundSource
from ..media.sound.highpass import high_pass
from ..media.sound.signal import exactly, in_blocks, resampled
from .chunks import CHUNK_FRAMES, encode_chunks
from .frozen import FrozenSECodec
from .level import MARGIN, NOMINAL, active_level, factor, gain_of, missing, within
from .model import SECodecNetwork
from .rate_distortion import choose_batch, choose_codes
from .spectrum import SAMPLE_RATE
from .token_arrays import NOTHING

Device = str | torch.device
CHEAPEST = "rate-distortion"  # the rule that weighs nearness against bits
MEASURED = 6  # chunks of ten seconds that are decoded to find what is missing of the level
RULES = (CHEAPEST, *get_args(Rule))


@dataclass(frozen=True)
class Analysed:
    """A sound as codes (F, L) int64, 50 frames a second, and as the `gain` in steps of `level.STEP`."""

    codes: np.ndarray
    gain: int


@own_settings()
def analyse(
    frozen: FrozenSECodec, sound: SoundSource, layers: int, rule: str = CHEAPEST, device: Device = "cpu"
) -> Analysed:
    """Codes and gain of a sound of any length, through the network chunk by chunk.

    Raises:
        UsageError: for a rule that is none of `RULES`.
    """
    check_rules(rule)
    frozen = frozen.on(device)
    frames, gain, powers = _levelled(sound, frozen.network.config.hop)
    parts = list(encode_chunks(frozen.network, (torch.from_numpy(part).to(device) for part in frames)))
    codes = _codes(frozen, [torch.cat(parts)], layers, rule)
    return _as_loud(frozen, codes, [gain], [powers], device)[0]


@own_settings()
def analyse_together(
    frozen: FrozenSECodec, sounds: Sequence[SoundSource], layers: int, rule: str = CHEAPEST, device: Device = "cpu"
) -> list[Analysed]:
    """The same of sounds so short that the network holds them all at once."""
    check_rules(rule)
    frozen = frozen.on(device)
    levelled = [_levelled(sound, frozen.network.config.hop) for sound in sounds]
    waveforms = [torch.from_numpy(np.concatenate(list(frames))) for frames, _, _ in levelled]
    whole, mask = padded(waveforms, device)
    latents = frozen.network.encoder(whole.flatten(1), mask)
    parts = [row[: len(waveform)] for row, waveform in zip(latents, waveforms, strict=True)]
    codes = _codes(frozen, parts, layers, rule)
    _, gains, powers = zip(*levelled, strict=True)
    return _as_loud(frozen, codes, gains, powers, device)


def _codes(frozen: FrozenSECodec, latents: Sequence[Tensor], layers: int, rule: str) -> list[np.ndarray]:
    """Codes (F', layers) for the latents (F', dim) of each sound."""
    quantise = frozen.network.quantiser
    whole, mask = padded(latents, latents[0].device)
    active = torch.full((len(latents),), layers, device=whole.device)
    codes = quantise(whole, active, check_rules(rule)).codes[..., :layers].masked_fill(~mask[..., None], NOTHING)
    if rule == CHEAPEST and whole.device.type == "cpu":
        # What codes cost takes 64 KiB a frame: several sounds at once leave the caches and take half as long again.
        pairs = [(part, row[: len(part)]) for part, row in zip(latents, codes, strict=True)]
        return [choose_codes(frozen.tokens, quantise, *pair) for pair in pairs]
    if rule == CHEAPEST:
        codes = choose_batch(frozen.tokens, quantise, whole, codes)
    return [row[: len(part)] for row, part in zip(codes.cpu().numpy(), latents, strict=True)]


def _levelled(sound: SoundSource, hop: int) -> tuple[Iterator[np.ndarray], int, np.ndarray]:
    """Blocks (F', hop) at the level that the network wants, the gain that undoes it, and their mean squares (F,)."""
    powers = np.concatenate([np.square(part, dtype=np.float64).mean(axis=1) for part in _frames(sound, hop)])
    gain = gain_of(active_level(powers))
    return (part / np.float32(factor(gain)) for part in _frames(sound, hop)), gain, powers / factor(gain) ** 2


def _as_loud(
    frozen: FrozenSECodec,
    codes: Sequence[np.ndarray],
    gains: Sequence[int],
    powers: Sequence[np.ndarray],
    device: Device,
) -> list[Analysed]:
    """Sounds with the gains that bring them back as loud as they were.

    `gains` are those that the encoder was given them with, and `powers` the mean squares (F',) of what it was given.
    Of a long sound some chunks are decoded, spread over those that hold speech.
    """
    network = frozen.network
    places = [_speech_chunks(one) for one in powers]
    parts = [torch.from_numpy(row[place]) for row, chunks in zip(codes, places, strict=True) for place in chunks]
    waveforms = (waveform for some in _batches(parts) for waveform in _decoded(network, some, device))
    found = []
    for row, gain, power, chunks in zip(codes, gains, powers, places, strict=True):
        before, after = np.concatenate([power[place] for place in chunks]), []
        for place in chunks:
            waveform = next(waveforms)[: len(power[place]) * network.config.hop]
            heard = np.concatenate(list(high_pass([waveform], SAMPLE_RATE))).reshape(-1, network.config.hop)
            after.append(np.square(heard, dtype=np.float64).mean(axis=1))
        found.append(Analysed(row, within(gain + missing(before, np.concatenate(after)))))
    return found


def _batches(parts: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    """Codes (F', L) in order, as many at once as take little memory when they are padded; at least one."""
    some: list[Tensor] = []
    for part in parts:
        if some and (len(some) + 1) * max(len(one) for one in (*some, part)) > CHUNK_FRAMES:
            yield some
            some = []
        some.append(part)
    yield some


def _decoded(network: SECodecNetwork, codes: Sequence[Tensor], device: Device) -> np.ndarray:
    """Waveforms (B, T) of codes (F', L), the shorter ones with something behind their end."""
    whole, mask = padded(codes, device)
    waveforms: np.ndarray = network.decoder(network.quantiser.decode(whole), mask).cpu().numpy()
    return waveforms


def _speech_chunks(powers: np.ndarray) -> list[slice]:
    """At most `MEASURED` chunks with speech at `NOMINAL` in them, evenly spread; all of a short sound."""
    chunks = [slice(start, start + CHUNK_FRAMES) for start in range(0, len(powers), CHUNK_FRAMES)]
    speech = [place for place in chunks if powers[place].mean() > 10 ** ((NOMINAL - MARGIN) / 10)] or chunks
    step = max(1, len(speech) / MEASURED)
    return [speech[int(number * step)] for number in range(min(MEASURED, len(speech)))]


def _frames(sound: SoundSource, hop: int) -> Iterator[np.ndarray]:
    """The sound as the encoder takes it, but for its level: (F', hop) at 16 kHz, without offset and rumble."""
    filtered = high_pass(sound.blocks(), sound.rate)
    whole = exactly(resampled(filtered, sound.rate, SAMPLE_RATE), hop * frame_count(sound.length, sound.rate, hop))
    for block in in_blocks(whole, CHUNK_FRAMES * hop):
        yield block.reshape(-1, hop)


def frame_count(length: int, rate: int, hop: int) -> int:
    """Frames that `length` samples at `rate` Hz need, at least 1; in integers, so that both sides agree."""
    return max(1, -(-length * SAMPLE_RATE // (rate * hop)))


def check_rules(rule: str) -> Rule:
    """How the first codes are found under one of `RULES`. Raises UsageError for another."""
    if rule not in RULES:
        raise UsageError(f"unknown rule {rule!r}; known are {', '.join(RULES)}")
    return check_rule("nearest" if rule == CHEAPEST else rule)


def padded(parts: Sequence[Tensor], device: Device) -> tuple[Tensor, Tensor]:
    """Parts (F', ...) as one tensor (B, F, ...), zeros behind the shorter ones, and where they are, (B, F) bool."""
    whole = torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
    lengths = torch.tensor([len(part) for part in parts])
    mask = torch.arange(whole.shape[1]) < lengths[:, None]
    return whole.to(device), mask.to(device)

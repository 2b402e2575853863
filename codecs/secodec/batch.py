"""Many sounds at once, as programs that train on tokens have them: tensors in, tensors out, and back.

    waveforms (B, T) --encode_batch--> tokens (B, L, F), mask (B, F) --decode_batch--> waveforms (B, T)

Sounds of similar length go through the networks together; what is padding counts for nothing, so every sound gets the
tokens that it would get alone. Only where two codes are equally good to the last bit of a float32 may another batch,
like another machine, take the other of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...entropy_models.exact.settings import own_settings
from ...errors import BitfloorError, CorruptStreamError, UsageError
from ..media.sound import Sound, SoundSource, as_sound
from .analysis import Analysed, Device, analyse, analyse_together, frame_count
from .frozen import FrozenSECodec
from .level import STEP, check_gain
from .synthesis import synthesise, synthesise_together
from .token_arrays import NOTHING, check_batch

if TYPE_CHECKING:
    from .codec import SECodecCodec

GROUP_FRAMES = 2000  # frames, padding among them, that the networks work on at once on a processor
OTHERWISE = 8  # times as many on a device that wants more work at once
LONGEST = 1500  # frames (30 s) up to which a sound shares a group: longer ones go chunk by chunk


class TokenBatch(NamedTuple):
    """Tokens of B sounds.

    Attributes:
        tokens: (B, L, F) int64, L layers (codebooks), F frames of the longest sound; -1 where a sound has ended.
        mask: (B, F) bool, True where a sound has a frame.
        gain_db: (B,) float32, by how much a sound is louder than the level at which the network codes.
        lengths: (B,) int64, samples of each sound at the codec's rate.
    """

    tokens: Tensor
    mask: Tensor
    gain_db: Tensor
    lengths: Tensor

    def to(self, device: Device) -> TokenBatch:
        """The batch on another device."""
        return TokenBatch(*(tensor.to(device) for tensor in self))


def encode_batch(
    codec: SECodecCodec,
    waveforms: Any,
    lengths: Any = None,
    *,
    sample_rate: int,
    layers: int | None,
    rule: str,
    device: Device | None,
) -> TokenBatch:
    """See `SECodecCodec.encode_batch`."""
    sounds = as_sounds(waveforms, lengths, sample_rate)
    place = _place(device, waveforms)
    found = analyse_batch(codec, sounds, layers, rule, place)
    with own_settings(inference=False):
        frames = max(len(one.codes) for one in found)
        tokens = torch.full((len(found), found[0].codes.shape[1], frames), NOTHING, dtype=torch.int64)
        mask = torch.zeros(len(found), frames, dtype=torch.bool)
        for number, one in enumerate(found):
            tokens[number, :, : len(one.codes)] = torch.from_numpy(one.codes.T)
            mask[number, : len(one.codes)] = True
        gains = torch.tensor([one.gain * STEP for one in found], dtype=torch.float32)
        samples = torch.tensor([-(-sound.length * codec.sample_rate // sound.rate) for sound in sounds])
        return TokenBatch(tokens, mask, gains, samples).to(place)


def decode_batch(
    codec: SECodecCodec, tokens: Any, mask: Any = None, *, gain_db: Any, lengths: Any, device: Device | None
) -> Tensor:
    """See `SECodecCodec.decode_batch`."""
    if isinstance(tokens, TokenBatch):
        batch = tokens
        tokens, mask = batch.tokens, batch.mask if mask is None else mask
        gain_db = batch.gain_db if gain_db is None else gain_db
        lengths = batch.lengths if lengths is None else lengths
    place = _place(device, tokens)
    codes, frames = check_batch(tokens, mask, codec.codebook_sizes)
    gains = as_gains(gain_db, len(codes))
    most = frames * codec.hop
    samples = most if lengths is None else _whole(lengths, most, "samples that its frames have")
    made = synthesise_batch(codec.frozen, codes, frames, gains, place)
    with own_settings(inference=False):
        waveforms = torch.zeros(len(codes), int(samples.max()), dtype=torch.float32)
        for number, sound in made:
            count = int(samples[number])
            waveforms[number, :count] = torch.from_numpy(sound[:count])
        return waveforms.to(place)


def analyse_batch(
    codec: SECodecCodec, sounds: Sequence[SoundSource], layers: int | None, rule: str, device: Device
) -> list[Analysed]:
    """What `codec.analyse` finds in each of the sounds."""
    active, frozen = codec.check_layers(layers), codec.frozen
    counts = [frame_count(sound.length, sound.rate, codec.hop) for sound in sounds]
    found: dict[int, Analysed] = {}
    for group in groups(counts, device):
        if len(group) == 1:
            found[group[0]] = analyse(frozen, sounds[group[0]], active, rule, device)
        else:
            together = analyse_together(frozen, [sounds[number] for number in group], active, rule, device)
            found |= zip(group, together, strict=True)
    return [found[number] for number in range(len(sounds))]


def synthesise_batch(
    frozen: FrozenSECodec, codes: np.ndarray, frames: np.ndarray, gains: Sequence[int], device: Device
) -> Iterator[tuple[int, np.ndarray]]:
    """Number and samples of each sound of codes (B, L, F) with `frames` (B,), as `codec.synthesise` makes them."""
    for group in groups(frames.tolist(), device):
        parts = [np.ascontiguousarray(codes[number, :, : frames[number]].T) for number in group]
        if len(group) == 1:
            yield group[0], synthesise(frozen, parts[0], gains[group[0]], device).samples
        else:
            own = [gains[number] for number in group]
            yield from zip(group, synthesise_together(frozen, parts, own, device), strict=True)


def groups(counts: Sequence[int], device: Device = "cpu") -> Iterator[list[int]]:
    """Numbers of sounds of `counts` frames that go through the networks together, of similar length each."""
    most = GROUP_FRAMES * (1 if torch.device(device).type == "cpu" else OTHERWISE)
    group: list[int] = []
    for number in sorted(range(len(counts)), key=lambda number: counts[number]):
        count = counts[number]
        if group and (count > LONGEST or count * (len(group) + 1) > most):
            yield group
            group = []
        group.append(number)
    yield group


def as_sounds(waveforms: Any, lengths: Any, sample_rate: int) -> list[SoundSource]:
    """The sounds of an array or tensor (B, T) or (B, C, T), of which `lengths` (B,) samples count, or of a list.

    Raises:
        UsageError: for anything else, naming the waveform.
    """
    wanted = "waveforms are a tensor or array (B, T) or (B, channels, T), or a list of them (T,)"
    if hasattr(waveforms, "shape"):
        if len(waveforms.shape) not in (2, 3) or 0 in waveforms.shape:
            raise UsageError(f"{wanted}, not one of shape {tuple(waveforms.shape)}")
    elif not (isinstance(waveforms, (list, tuple)) and waveforms):
        raise UsageError(f"{wanted}, not {type(waveforms).__name__} {waveforms!r:.40}")
    items = list(waveforms)
    if lengths is not None:
        sizes = np.array([item.shape[-1] if hasattr(item, "shape") else len(item) for item in items])
        counts = _whole(lengths, sizes, "samples of its waveform")
        items = [_first(item, count) for item, count in zip(items, counts, strict=True)]
    return [_as_sound(item, number, sample_rate) for number, item in enumerate(items)]


def _first(item: Any, count: int) -> Any:
    return item[..., :count] if hasattr(item, "shape") else item[:count]


def _as_sound(item: Any, number: int, sample_rate: int) -> SoundSource:
    from .codec import as_source

    try:
        named = isinstance(item, (str, os.PathLike, Sound)) or hasattr(item, "blocks")
        return as_source(item) if named else as_sound((item, sample_rate))
    except UsageError as error:
        raise UsageError(f"waveform {number}: {error}") from None


def _whole(lengths: Any, most: np.ndarray, words: str) -> np.ndarray:
    """Lengths (B,) int64 of 1 to `most` (B,). Raises UsageError for others."""
    if hasattr(lengths, "detach"):
        lengths = lengths.detach().cpu()
    found = np.asarray(lengths)
    if found.shape != most.shape or found.dtype.kind not in "iu":
        raise UsageError(f"lengths are {len(most)} whole numbers, not {found.dtype} {found.shape}")
    for number, (length, limit) in enumerate(zip(found.tolist(), most.tolist(), strict=True)):
        if not 1 <= length <= limit:
            raise UsageError(f"length {length} of sound {number} is not within 1 and the {limit} {words}")
    return found.astype(np.int64)


def as_gains(gain_db: Any, count: int) -> list[int]:
    """Gains in steps from decibels: one number, one for each sound, or None for the network's own level."""
    if hasattr(gain_db, "detach"):
        gain_db = gain_db.detach().cpu()
    try:
        values = np.broadcast_to(np.asarray(0 if gain_db is None else gain_db, dtype=np.float64), (count,))
        return [check_gain(round(value / STEP)) for value in values.tolist()]
    except (TypeError, ValueError, OverflowError, CorruptStreamError):
        raise UsageError(f"gain_db is a number of decibels for each of {count} sounds, not {gain_db!r:.60}") from None


def _place(device: Device | None, tensors: Any) -> torch.device:
    """The device that was named, else that of the tensors. Raises UsageError where there is no such device."""
    if device is None:
        first = tensors[0] if isinstance(tensors, (list, tuple)) and tensors else tensors
        found = getattr(first, "device", None)
        return found if isinstance(found, torch.device) else torch.device("cpu")
    return check_device(device)


def check_device(device: Device) -> torch.device:
    """The device, tried. Raises UsageError where this machine, or this torch, does not have it."""
    try:
        place = torch.device(device)
        if place.type != "meta":
            with own_settings():
                torch.ones(1, dtype=torch.float64, device=place).sum().item()
            return place
        reason = "it holds no numbers"
    except BitfloorError:
        raise
    except Exception as error:  # every backend has its own way to say so
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    raise UsageError(f"the device {str(device)!r} cannot be used: {reason:.200}")

"""SECodec as a sound codec: sounds in, files out, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from ...entropy_models.exact.settings import in_own_settings, own_settings
from ...entropy_models.structural.quantiser import Rule, check_rule
from ...entropy_models.tokens.token_coding import decode_tokens, encode_tokens
from ...errors import CorruptStreamError, ModelError, UsageError
from ..base import Model, ModelCodec, SoundCodec, check_quality
from ..container import MAGIC, Container, Header, latents_check, pack, unpack, verify_latents
from ..media.sound import MAX_SECONDS, RATES, Sound, SoundSource, as_sound
from ..media.sound.highpass import high_pass
from ..media.sound.signal import Stream, exactly, in_blocks, resampled
from ..sources import contents
from .chunks import CHUNK_FRAMES, decode_chunks, encode_chunks
from .frozen import FrozenSECodec
from .level import active_level, factor, from_field, gain_of, to_field
from .model import SECodecNetwork
from .rate_distortion import choose_codes
from .spectrum import SAMPLE_RATE

CODEC_ID = 3
NO_SPEECH = "this is no speech file of bitfloor"
CHEAPEST = "rate-distortion"  # the rule that weighs nearness against bits
RULES = (CHEAPEST, *get_args(Rule))


@dataclass(frozen=True)
class Analysed:
    """A sound as codes (F, L) int64, 50 frames a second, and as the `gain` in steps of `level.STEP`."""

    codes: np.ndarray
    gain: int


@dataclass(frozen=True)
class _Fields:
    """A speech file's header: rate in Hz and samples of the sound that was encoded, layers, gain."""

    rate: int
    length: int
    layers: int
    gain: int


class SECodecCodec(SoundCodec, ModelCodec):
    """One network for every rate; see `bitfloor.load`.

    A file holds tokens, and the gain between the level at which the network codes and the sound's. Quality 1..100 runs
    evenly over the layers of the quantiser. What comes back has the length and the rate of what was given, in one
    channel.
    """

    name: ClassVar[str] = "secodec"
    options: ClassVar[Mapping[str, Callable[[str], Any]]] = MappingProxyType({"rule": str})

    def __init__(self, frozen: FrozenSECodec) -> None:
        self.frozen = frozen

    @classmethod
    def from_path(cls, path: Path) -> SECodecCodec:
        """See `ModelCodec`."""
        return cls(FrozenSECodec.load(path))

    @property
    def fingerprint(self) -> bytes:
        """See `ModelCodec`."""
        return self.frozen.fingerprint

    @property
    def network(self) -> SECodecNetwork:
        """The network in use."""
        return self.frozen.network

    def layers_of(self, quality: float | None) -> int:
        """Layers of the quantiser at a quality of 1..100."""
        share = (check_quality(quality) - 1) / 99
        return 1 + round(share * (self.network.config.layers - 1))

    def encode(self, source: Any, *, quality: float | None = None, rule: str = CHEAPEST) -> bytes:
        """The file for `source`: a `Sound`, a pair (samples, rate), or the name of a file (str or path).

        `rule` is how frames find their codes: "rate-distortion", or as `Rule` says, which pays no heed to bits.

        Raises:
            UsageError: for a source that `as_sound` refuses, a quality out of range or an unknown rule.
        """
        layers = self.layers_of(quality)
        sound = as_source(source)
        found = self.analyse(sound, layers, rule)
        fields = (sound.rate, sound.length, layers, to_field(found.gain))
        header = Header(CODEC_ID, self.frozen.fingerprint, fields)
        return pack(header, encode_tokens(self.frozen.tokens, found.codes), latents_check([found.codes]))

    def decode_stream(self, data: bytes) -> Stream:
        """See `SoundCodec`: the tokens are decoded here, the samples as they are asked for.

        Raises:
            CorruptStreamError: for damaged data.
        """
        container = unpack(data)
        fields, codes = self._fields(container), self._tokens_in(container)
        blocks = in_own_settings(self._samples(codes, fields.gain))
        return Stream(exactly(resampled(blocks, SAMPLE_RATE, fields.rate), fields.length), fields.rate, fields.length)

    def tokens(self, source: Any, layers: int | None = None, rule: str = CHEAPEST) -> np.ndarray:
        """The codes alone of `analyse`: what is said and how it sounds, not how loud."""
        return self.analyse(source, layers, rule).codes

    @own_settings()
    def analyse(self, source: Any, layers: int | None = None, rule: str = CHEAPEST) -> Analysed:
        """Codes and gain of a sound; all layers when None. `rule` as in `encode`.

        Raises:
            UsageError: as `encode`.
        """
        if rule not in RULES:
            raise UsageError(f"unknown rule {rule!r}; known are {', '.join(RULES)}")
        distance = check_rule("nearest" if rule == CHEAPEST else rule)
        sound = as_source(source)
        powers = [np.square(part, dtype=np.float64).mean(axis=1) for part in self._frames(sound)]
        gain = gain_of(active_level(np.concatenate(powers)))
        levelled = (torch.from_numpy(part / np.float32(factor(gain))) for part in self._frames(sound))
        latents = list(encode_chunks(self.network, levelled))
        active = torch.tensor([layers or self.network.config.layers])
        quantise = self.network.quantiser
        codes = torch.cat([quantise(part[None], active, distance).codes[0, :, : int(active)] for part in latents])
        if rule == CHEAPEST:
            return Analysed(choose_codes(self.frozen.tokens, quantise, torch.cat(latents), codes), gain)
        return Analysed(codes.numpy(), gain)

    def _frames(self, sound: SoundSource) -> Iterator[np.ndarray]:
        """The sound as the encoder takes it, but for its level: (F', hop) at 16 kHz, without offset and rumble."""
        hop = self.network.config.hop
        filtered = high_pass(sound.blocks(), sound.rate)
        whole = exactly(resampled(filtered, sound.rate, SAMPLE_RATE), hop * frame_count(sound.length, sound.rate, hop))
        for block in in_blocks(whole, CHUNK_FRAMES * hop):
            yield block.reshape(-1, hop)

    @own_settings()
    def synthesise(self, tokens: Any, gain: int = 0) -> Sound:
        """The sound (F * hop samples, 16 kHz) of codes (F, L), L at most the codec's layers, at `Analysed.gain`.

        `tokens` may be an array of any whole numbers, a torch tensor or nested lists; (1, F, L) is (F, L).

        Raises:
            UsageError: for another shape or kind of numbers, or a code that its layer does not have.
        """
        codes = check_tokens(tokens, self.network.quantiser.sizes)
        return Sound(np.concatenate(list(self._samples(codes, gain))), SAMPLE_RATE)

    def _samples(self, codes: np.ndarray, gain: int) -> Iterator[np.ndarray]:
        """Blocks at 16 kHz of codes (F, L), without what the encoder's high-pass would not have let in."""
        loudness = np.float32(factor(gain))
        parts = (torch.from_numpy(codes[start : start + CHUNK_FRAMES]) for start in range(0, len(codes), CHUNK_FRAMES))
        latents = (self.network.quantiser.decode(part[None])[0] for part in parts)
        made = (samples.flatten().numpy() * loudness for samples in decode_chunks(self.network, latents))
        yield from high_pass(made, SAMPLE_RATE)

    def decode_tokens(self, data: bytes) -> np.ndarray:
        """Codes (F, L) int64 in a file: what the check value covers, equal on every machine.

        Raises:
            CorruptStreamError: for damaged data.
        """
        return self.stored(data).codes

    def stored(self, data: bytes) -> Analysed:
        """Codes and gain in a file.

        Raises:
            CorruptStreamError: for damaged data.
        """
        container = unpack(data)
        return Analysed(self._tokens_in(container), self._fields(container).gain)

    def decode_latents(self, data: bytes) -> list[NDArray[np.int32] | NDArray[np.int64]]:
        """See `Codec`: the tokens."""
        return [self.decode_tokens(data)]

    def exact_parts(self) -> list[Any]:
        """See `Codec`."""
        return [self.frozen.tokens]

    def _tokens_in(self, container: Container) -> np.ndarray:
        fields = self._fields(container)
        frames = frame_count(fields.length, fields.rate, self.network.config.hop)
        tokens = decode_tokens(self.frozen.tokens, frames, fields.layers, container.payload)
        verify_latents(container.latents_check, [tokens])
        return tokens

    def _fields(self, container: Container) -> _Fields:
        """Raises CorruptStreamError for what `encode` does not write."""
        header = container.header
        if header.codec_id != CODEC_ID or len(header.fields) != 4:
            raise CorruptStreamError(NO_SPEECH)
        if header.fingerprint != self.frozen.fingerprint:
            raise ModelError(f"the file needs model {header.fingerprint.hex()}, not {self.frozen.fingerprint.hex()}")
        rate, length, layers, gain = header.fields
        if not (
            RATES[0] <= rate <= RATES[1]
            and 1 <= length <= MAX_SECONDS * rate
            and 1 <= layers <= self.network.config.layers
        ):
            raise CorruptStreamError(f"a header of {length} samples at {rate} Hz in {layers} layers cannot be")
        return _Fields(rate, length, layers, from_field(gain))


def open_speech_codec(data: Path | bytes, model: Model | None = None) -> SECodecCodec:
    """The codec for `data`: with the model that a bitfloor file names, else with `model` or the default.

    Raises:
        CorruptStreamError: for a bitfloor file that is damaged.
        ModelError: where the model is not here.
    """
    fingerprint = None
    if isinstance(data, bytes) and data.startswith(MAGIC):
        header = unpack(data).header
        if header.codec_id != CODEC_ID:
            raise CorruptStreamError(NO_SPEECH)
        fingerprint = header.fingerprint
    return SECodecCodec.load(model, fingerprint=fingerprint)


def frame_count(length: int, rate: int, hop: int) -> int:
    """Frames that `length` samples at `rate` Hz need, at least 1; in integers, so that both sides agree."""
    return max(1, -(-length * SAMPLE_RATE // (rate * hop)))


def as_source(source: Any) -> SoundSource:
    """What has blocks as it is, the sound in a file that is named, anything else by `as_sound`."""
    source, _ = contents(source, SECodecCodec.name)
    return source if hasattr(source, "blocks") and not isinstance(source, Sound) else as_sound(source)


def check_tokens(tokens: Any, sizes: list[int]) -> np.ndarray:
    """Codes (F, L) int64, F and L at least 1, from an array, a tensor or lists; `sizes` are the layers' codes.

    Raises:
        UsageError: for anything else, too many layers, or a code that its layer does not have.
    """
    wanted = f"tokens are whole numbers (frames, layers), at most {len(sizes)} layers"
    if hasattr(tokens, "detach"):  # a torch tensor
        tokens = tokens.detach().cpu().numpy()
    try:
        codes = np.asarray(tokens)
    except (ValueError, TypeError):
        raise UsageError(f"{wanted}: every frame must have as many") from None
    if codes.ndim == 3 and codes.shape[0] == 1:
        codes = codes[0]
    if codes.ndim != 2 or codes.dtype.kind not in "iu" or not codes.size or codes.shape[1] > len(sizes):
        raise UsageError(f"{wanted}, not {codes.dtype} {codes.shape}")
    if (codes < 0).any() or (codes >= np.array(sizes[: codes.shape[1]])).any():
        raise UsageError(f"tokens must lie below {sizes[: codes.shape[1]]}, layer by layer")
    return codes.astype(np.int64)

"""SECodec as a sound codec: sounds in, files out, and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import torch

from ...entropy_models.exact.settings import own_settings
from ...entropy_models.structural.quantiser import Rule, check_rule
from ...entropy_models.tokens.token_coding import decode_tokens, encode_tokens
from ...errors import CorruptStreamError, ModelError, UsageError
from ..base import Kind, Model, ModelCodec, check_quality
from ..container import MAGIC, Container, Header, latents_check, pack, unpack, verify_latents
from ..sound import MAX_SECONDS, RATES, Sound, as_sound
from .chunks import decode_chunks, encode_chunks
from .frozen import FrozenSECodec
from .level import active_level, factor, from_field, gain_of, to_field
from .model import SECodecNetwork
from .rate_distortion import choose_codes
from .spectrum import SAMPLE_RATE

CODEC_ID = 3
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


class SECodecCodec(ModelCodec):
    """One network for every rate; see `bitfloor.load`.

    A file holds tokens, and the gain between the level at which the network codes and the sound's. Quality 1..100 runs
    evenly over the layers of the quantiser. What comes back has the length and the rate of what was given, in one
    channel.
    """

    name: ClassVar[str] = "secodec"
    kind: ClassVar[Kind] = "sound"

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
        """The file for `source`, a `Sound` or a pair (samples, rate).

        `rule` is how frames find their codes: "rate-distortion", or as `Rule` says, which pays no heed to bits.

        Raises:
            UsageError: for a source that `as_sound` refuses, a quality out of range or an unknown rule.
        """
        layers = self.layers_of(quality)
        sound = as_sound(source)
        found = self.analyse(sound, layers, rule)
        fields = (sound.rate, sound.samples.size, layers, to_field(found.gain))
        header = Header(CODEC_ID, self.frozen.fingerprint, fields)
        return pack(header, encode_tokens(self.frozen.tokens, found.codes), latents_check([found.codes]))

    def decode(self, data: bytes) -> tuple[np.ndarray, int]:
        """Samples (T,) float32 and the rate of what was encoded.

        Raises:
            CorruptStreamError: for damaged data.
        """
        container = unpack(data)
        fields = self._fields(container)
        sound = self.synthesise(self._tokens_in(container), fields.gain)
        whole = sound.at(fields.rate, fields.length)
        return whole.samples, whole.rate

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
        sound = as_sound(source)
        frames = frame_count(sound.samples.size, sound.rate, self.network.config.hop)
        samples = sound.at(SAMPLE_RATE, frames * self.network.config.hop).samples
        gain = gain_of(active_level(np.square(samples.reshape(frames, -1), dtype=np.float64).mean(axis=1)))
        waveform = torch.from_numpy(samples / np.float32(factor(gain)))
        active = torch.tensor([layers or self.network.config.layers])
        latents = list(encode_chunks(self.network, waveform))
        quantise = self.network.quantiser
        codes = torch.cat([quantise(part[None], active, distance).codes[0, :, : int(active)] for part in latents])
        if rule == CHEAPEST:
            return Analysed(choose_codes(self.frozen.tokens, quantise, torch.cat(latents), codes), gain)
        return Analysed(codes.numpy(), gain)

    @own_settings()
    def synthesise(self, tokens: np.ndarray, gain: int = 0) -> Sound:
        """The sound (F * hop samples, 16 kHz) of codes (F, L), L at most the codec's layers, at `Analysed.gain`.

        Raises:
            UsageError: for a code that its layer does not have.
        """
        latents = self.network.quantiser.decode(torch.from_numpy(tokens)[None])[0]
        samples = torch.cat(list(decode_chunks(self.network, latents))).numpy()
        return Sound(samples * np.float32(factor(gain)), SAMPLE_RATE)

    def decode_tokens(self, data: bytes) -> np.ndarray:
        """Codes (F, L) int64 in a file: what the check value covers, equal on every machine.

        Raises:
            CorruptStreamError: for damaged data.
        """
        return self._tokens_in(unpack(data))

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
            raise CorruptStreamError("this is no speech file of bitfloor")
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


def open_speech_codec(data: bytes, model: Model | None = None) -> SECodecCodec:
    """The codec for `data`: with the model that a bitfloor file names, else with `model` or the default.

    Raises:
        CorruptStreamError: for a bitfloor file that is damaged.
        ModelError: where the model is not here.
    """
    fingerprint = unpack(data).header.fingerprint if data.startswith(MAGIC) else None
    return SECodecCodec.load(model, fingerprint=fingerprint)


def frame_count(length: int, rate: int, hop: int) -> int:
    """Frames that `length` samples at `rate` Hz need, at least 1; in integers, so that both sides agree."""
    return max(1, -(-length * SAMPLE_RATE // (rate * hop)))

"""SECodec as a sound codec: sounds in, files out, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy_models.tokens.token_coding import decode_tokens, encode_tokens
from ...errors import CorruptStreamError, ModelError, UsageError
from ..base import Model, ModelCodec, SoundCodec, check_quality
from ..container import MAGIC, Container, Header, latents_check, pack, unpack, verify_latents
from ..media.sound import MAX_SECONDS, RATES, Sound, SoundSource, as_sound
from ..media.sound.signal import Stream, exactly, resampled
from ..sources import contents
from .analysis import CHEAPEST, Analysed, Device, analyse, frame_count
from .batch import TokenBatch, as_gains, decode_batch, encode_batch
from .chunks import decoder_reach
from .frozen import FrozenSECodec
from .level import from_field, to_field
from .model import SECodecNetwork
from .spectrum import SAMPLE_RATE
from .synthesis import samples, stream, synthesise
from .token_arrays import check_tokens

CODEC_ID = 3
NO_SPEECH = "this is no speech file of bitfloor"


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

    @property
    def sample_rate(self) -> int:
        """Hz that the network works at: of the waveforms of `decode_batch`."""
        return SAMPLE_RATE

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.network.config.frame_rate

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return self.network.config.hop

    @property
    def num_codebooks(self) -> int:
        """Layers of the quantiser: the most tokens of a frame."""
        return self.network.config.layers

    @property
    def codebook_sizes(self) -> list[int]:
        """How many codes each layer has; the tokens of layer l lie below the l-th number."""
        return self.network.quantiser.sizes

    @property
    def reach(self) -> int:
        """Frames on either side that a frame's samples depend on."""
        return decoder_reach(self.network)

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
        found = analyse(self.frozen, sound, layers, rule)
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
        blocks = samples(self.frozen, [torch.from_numpy(codes)], fields.gain)
        return Stream(exactly(resampled(blocks, SAMPLE_RATE, fields.rate), fields.length), fields.rate, fields.length)

    def tokens(self, source: Any, layers: int | None = None, rule: str = CHEAPEST) -> np.ndarray:
        """The codes alone of `analyse`: what is said and how it sounds, not how loud."""
        return self.analyse(source, layers, rule).codes

    def encode_batch(
        self,
        waveforms: Any,
        lengths: Any = None,
        *,
        sample_rate: int = SAMPLE_RATE,
        layers: int | None = None,
        rule: str = CHEAPEST,
        device: Device | None = None,
    ) -> TokenBatch:
        """Tokens (B, L, F) of waveforms (B, T), and what belongs to them: see `TokenBatch`.

        Args:
            waveforms: a tensor or array (B, T) or (B, channels, T); or a list of tensors, arrays, `Sound`s or names of
                files, of any lengths.
            lengths: samples (B,) that each waveform really has, all when None.
            sample_rate: of the waveforms, in Hz; they are resampled.
            layers: L, all when None.
            rule: as in `encode`.
            device: where the networks run and the tokens end up; None is where the waveforms are.

        Raises:
            UsageError: for a waveform that `as_sound` refuses, and for lengths, layers or a device that cannot be.
        """
        return encode_batch(self, waveforms, lengths, sample_rate=sample_rate, layers=layers, rule=rule, device=device)

    def decode_batch(
        self, tokens: Any, mask: Any = None, *, gain_db: Any = None, lengths: Any = None, device: Device | None = None
    ) -> Tensor:
        """Waveforms (B, T) float32 at `sample_rate` of tokens (B, L, F), zeros where a sound has ended.

        Args:
            tokens: a `TokenBatch`, which brings all the rest along; or a tensor, an array or lists (B, L, F), L at most
                `num_codebooks`; or a list of them (L, F) of any lengths.
            mask: (B, F) bool, where a sound has frames; without it a sound ends where its tokens are -1.
            gain_db: one number, or one for each sound: louder than the level at which the network codes.
            lengths: (B,) samples of each sound; all of its frames when None.
            device: as for `encode_batch`.

        Raises:
            UsageError: for anything else, and for a code that its layer does not have.
        """
        return decode_batch(self, tokens, mask, gain_db=gain_db, lengths=lengths, device=device)

    def decode_frames(self, frames: Iterable[Any], *, gain_db: float = 0.0, chunk: int = 25) -> Iterator[Tensor]:
        """Samples (n,) float32 at `sample_rate` as tokens arrive: of one frame (L,) at a time, or of some (L, F).

        In all they are what `decode_batch` makes of all tokens at once. They come `chunk` frames at a time and at least
        `reach` + `chunk` frames behind; with smaller chunks they come earlier and cost more.

        Raises:
            UsageError: as `decode_batch`, when the frame arrives.
        """
        if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
            raise UsageError(f"a chunk is a whole number of frames, not {chunk!r}")
        return stream(self.frozen, frames, as_gains(gain_db, 1)[0], chunk)

    def analyse(self, source: Any, layers: int | None = None, rule: str = CHEAPEST, device: Device = "cpu") -> Analysed:
        """Codes and gain of a sound; all layers when None. `rule` as in `encode`.

        Raises:
            UsageError: as `encode`, and for a number of layers that the codec does not have.
        """
        return analyse(self.frozen, as_source(source), self.check_layers(layers), rule, device)

    def check_layers(self, layers: int | None) -> int:
        """How many layers are used. Raises UsageError for a number that the codec does not have."""
        most = self.network.config.layers
        if layers is None:
            return most
        if isinstance(layers, bool) or not hasattr(layers, "__index__") or not 1 <= int(layers) <= most:
            raise UsageError(f"{layers!r} layers were asked for, but the codec has 1 to {most}")
        return int(layers)

    def frames_of(self, sound: SoundSource) -> int:
        """Frames that a sound gets."""
        return frame_count(sound.length, sound.rate, self.hop)

    def synthesise(self, tokens: Any, gain: int = 0) -> Sound:
        """The sound (F * hop samples, 16 kHz) of codes (F, L), L at most the codec's layers, at `Analysed.gain`.

        `tokens` may be an array of any whole numbers, a torch tensor or nested lists; (1, F, L) is (F, L).

        Raises:
            UsageError: for another shape or kind of numbers, or a code that its layer does not have.
        """
        codes = check_tokens(tokens, self.codebook_sizes)
        return synthesise(self.frozen, codes, gain)

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


def as_source(source: Any) -> SoundSource:
    """What has blocks as it is, the sound in a file that is named, anything else by `as_sound`."""
    source, _ = contents(source, SECodecCodec.name)
    return source if hasattr(source, "blocks") and not isinstance(source, Sound) else as_sound(source)

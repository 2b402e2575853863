"""Text to sound: sentence by sentence, each phone as long as the network expects, every token drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ... import weights
from ...entropy_models.exact.settings import in_own_settings, own_settings
from ...errors import UsageError
from ..base import Model
from ..loaded import one_in_memory
from ..media.sound import Sound
from .frozen import FrozenSESLM
from .model import START, places_of
from .pronunciation import NUMBER_OF, SILENCE, Phone, phones
from .text import parts, sentences, words
from .wishes import TEMPERATURE, check_wishes

NAME = "seslm"
COMMENT = "Synthetic speech made by bitfloor (SESLM)"  # what files of it say of themselves
PROMPT_SECONDS = (1.0, 15.0)  # the shortest that describes a voice, and how much is heard of a longer one
_LONGEST = 40  # frames of a phone
_EDGES = (5, 12)  # frames of the pause before and after a sentence
_PAUSE = (6, 20)  # frames, fewest and most, of a pause within one


class Speaker:
    """Speaks English texts in the voice of a prompt; see `bitfloor.load("seslm")`. Threads may share it."""

    def __init__(self, frozen: FrozenSESLM) -> None:
        self.frozen = frozen

    @classmethod
    def load(cls, model: Model | None = None) -> Speaker:
        """The speaker with a model: a name, a file, a folder, or the default. Raises ModelError without one."""
        path = weights.find(NAME, model)
        return one_in_memory(cls, path, lambda: cls(FrozenSESLM.load(Path(path))))

    def say(
        self, text: str, *, voice: Any = None, seed: int = 0, temperature: float = TEMPERATURE, speed: float = 1.0
    ) -> Sound:
        """The sound of a whole text; see `say_sentences`."""
        made = self.say_sentences(text, voice=voice, seed=seed, temperature=temperature, speed=speed)
        return Sound(np.concatenate([sound.samples for sound in made]), self.frozen.codec.sample_rate)

    def say_sentences(
        self, text: str, *, voice: Any = None, seed: int = 0, temperature: float = TEMPERATURE, speed: float = 1.0
    ) -> Iterator[Sound]:
        """The sounds of the sentences of a text, each made when it is asked for.

        Args:
            text: English.
            voice: whose voice to speak in: what `SECodecCodec.encode` takes, such as the name of a sound file, at
                least 1 s of it; None for the voice in the box.
            seed: another seed, another reading, where the temperature is above 0.
            temperature: below 1 the likelier sounds come more often; 0 always takes the likeliest.
            speed: 2 is twice as fast.

        Raises:
            UsageError: for a text with nothing to say or characters without a sound in English, at once, and for what
                cannot be a voice, a seed, a temperature or a speed.
        """
        plan = self.plan(text)
        heard = self._voice(voice)
        check_wishes(seed, temperature, speed)
        made = (
            self.frozen.codec.synthesise(self._tokens(piece, heard, seed + number, temperature, speed))
            for number, piece in enumerate(plan)
        )
        return in_own_settings(made)

    def plan(self, text: str) -> list[list[Phone]]:
        """The phones of each sentence, or part of a long one. Raises UsageError as `say_sentences`."""
        if not isinstance(text, str):
            raise UsageError(f"a text is a str, not {type(text).__name__}")
        spoken = [words(sentence) for sentence in sentences(text) if any(c.isalnum() for c in sentence)]
        if not spoken:
            words(text)  # says what is wrong with it
            raise UsageError("there is nothing to say")
        return [phones(piece) for sentence in spoken for piece in parts(sentence)]

    @own_settings()
    def tokens(
        self, text: str, *, voice: Any = None, seed: int = 0, temperature: float = TEMPERATURE, speed: float = 1.0
    ) -> np.ndarray:
        """Codes (F, L) int64 of a whole text for `SECodecCodec.synthesise`; arguments as for `say_sentences`."""
        check_wishes(seed, temperature, speed)
        plan, heard = self.plan(text), self._voice(voice)
        return np.concatenate(
            [self._tokens(piece, heard, seed + number, temperature, speed) for number, piece in enumerate(plan)]
        )

    @own_settings()
    def _voice(self, voice: Any) -> Tensor:
        """The vector (1, voice) of a prompt."""
        codec, network = self.frozen.codec, self.frozen.network
        codes = self.frozen.voice if voice is None else torch.from_numpy(codec.tokens(voice))
        fewest, most = (round(seconds * codec.frame_rate) for seconds in PROMPT_SECONDS)
        if voice is not None and len(codes) < fewest:
            raise UsageError(f"the voice is {len(codes) / codec.frame_rate:.1f} s long: 1 s is the least, 3 s are good")
        return network.voice_of(network.latents_of(codes[None, :most]))

    def _tokens(self, said: list[Phone], voice: Tensor, seed: int, temperature: float, speed: float) -> np.ndarray:
        """Codes (F, L) of one sentence."""
        network = self.frozen.network
        numbers = torch.tensor([[phone.number for phone in said]])
        encoded = network.encode_phones(numbers, torch.tensor([[float(phone.begins) for phone in said]]))
        durations = durations_of(network.log_durations(encoded, voice)[0].exp(), numbers[0], speed)
        frames = network.frames(encoded, voice, places_of(durations)[None])
        codes = self._first(frames, torch.Generator().manual_seed(seed), temperature)
        for layer in range(1, len(network.config.codes)):
            logits = network.layer_logits(frames, network.latents_of(codes), torch.tensor([layer]))
            codes = torch.cat([codes, logits.argmax(-1)[..., None]], -1)
        found: np.ndarray = codes[0].numpy()
        return found

    def _first(self, frames: Tensor, random: torch.Generator, temperature: float) -> Tensor:
        """Codes (1, F, 1) of the first layer, one frame after the other."""
        network, state = self.frozen.network, None
        previous, drawn = torch.tensor([[START]]), []
        for place in range(frames.shape[1]):
            logits, state = network.first_logits(frames[:, place : place + 1], previous, state)
            if temperature > 0:
                code = torch.multinomial((logits[0, 0] / temperature).softmax(-1), 1, generator=random)
            else:
                code = logits[0, 0].argmax()[None]
            drawn.append(code)
            previous = code[None] + 1
        return torch.stack(drawn)[None]


def durations_of(expected: Tensor, numbers: Tensor, speed: float) -> Tensor:
    """Whole frames (P,) int64, at least 1, of phones `numbers` (P,) that are expected to last `expected` (P,) frames.

    What rounding takes from one phone it gives to the next, so the whole lasts as long as was expected.
    """
    silent = numbers == NUMBER_OF[SILENCE]
    wanted = torch.where(silent, expected.clamp(*_PAUSE), expected.clamp(1, _LONGEST))
    if silent[0]:
        wanted[0] = _EDGES[0]
    if silent[-1]:
        wanted[-1] = _EDGES[1]
    made, owed = [], 0.0
    for frames in (wanted / speed).tolist():
        whole = max(1, round(frames + owed))
        owed += frames - whole
        made.append(whole)
    return torch.tensor(made)

"""Training of SESLM on aligned speech: durations, the first layer and the further layers, all at once."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...codecs.secodec.model import SECodecNetwork
from ...codecs.seslm.model import SESLM, START, SESLMConfig, places_of
from .aligned_speech import AlignedUtterance, read

HELD_OUT = 40  # one text or speaker in so many is for validation, chosen by name
PROMPT = 120  # frames of a prompt
_HIDDEN = 0.15  # share of earlier tokens that the network does not see, so that it listens to the phones
_VALIDATED = 48


def split_texts(utterances: Sequence[AlignedUtterance]) -> tuple[list[AlignedUtterance], list[AlignedUtterance]]:
    """(training, held out): no text in both, where texts are told apart by their phones without pauses."""

    def held_out(utterance: AlignedUtterance) -> bool:
        said = bytes(utterance.phones[utterance.phones > 0].to(torch.uint8).tolist())
        return int.from_bytes(hashlib.sha256(said).digest()[:4], "big") % HELD_OUT == 0

    return [u for u in utterances if not held_out(u)], [u for u in utterances if held_out(u)]


class SESLMTask:
    """loss = cross entropy of the first layer + of one further layer drawn for each clip + error of log durations.

    A clip's prompt is another utterance of its speaker, or another part of its own.

    Args:
        codec: the network of the speech codec whose tokens the utterances hold.
        places: files of `aligned_speech`.
        batch: clips in a step.
        frames: length of a clip.
    """

    def __init__(self, codec: SECodecNetwork, places: Sequence[Path], *, batch: int = 16, frames: int = 160) -> None:
        centroids = codec.quantiser.centroids().detach().float().cpu().clone()
        self.network = SESLM(SESLMConfig(tuple(codec.quantiser.sizes), centroids.shape[-1]), centroids)
        self.model: nn.Module = self.network
        self.dtype = torch.float32
        self.config = json.dumps(asdict(self.network.config), sort_keys=True)
        self.size, self.length = batch, frames
        self.training, self.held_out = split_texts([u for place in places for u in read(place)[0]])
        self._others: defaultdict[str, list[AlignedUtterance]] = defaultdict(list)
        for utterance in self.training:
            self._others[utterance.speaker].append(utterance)
        lengths = np.array([len(u.codes) for u in self.training], dtype=np.float64)
        self._shares = np.cumsum(lengths) / lengths.sum()

    def batch(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, ...]:
        """Clips of random utterances, see `_collate`."""
        chosen = [self.training[min(int(np.searchsorted(self._shares, rng.random())), len(self.training) - 1)]
                  for _ in range(self.size)]  # fmt: skip
        return self._collate(chosen, rng)

    def _collate(self, chosen: Sequence[AlignedUtterance], rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Phones, begins, durations (B, P), codes (B, F, L), places (B, F, 3), previous (B, F), prompts, layers (B,).

        Durations of 0 and codes of -1 are padding, and so are prompts (B, F', L) of -1.
        """
        count, most = len(chosen), max(len(u.phones) for u in chosen)
        layers = chosen[0].codes.shape[1]
        phones, begins, durations = (torch.zeros(count, most, dtype=torch.int64) for _ in range(3))
        codes = torch.full((count, self.length, layers), -1)
        prompts = torch.full((count, PROMPT, layers), -1)
        places = torch.zeros(count, self.length, 3, dtype=torch.int64)
        previous = torch.full((count, self.length), START)
        for item, u in enumerate(chosen):
            span = len(u.phones)
            phones[item, :span], begins[item, :span], durations[item, :span] = u.phones, u.begins, u.durations
            latest = max(len(u.codes) - self.length, 0)
            start = 0 if rng.random() < 0.2 else int(rng.integers(latest + 1))
            part = u.codes[start : start + self.length]
            size = len(part)
            codes[item, :size] = part
            places[item, :size] = places_of(u.durations)[start : start + size]
            seen = torch.cat([u.codes[start - 1 : start, 0] + 1 if start else torch.tensor([START]), part[:-1, 0] + 1])
            previous[item, :size] = seen
            others = self._others.get(u.speaker, [u])
            if len(others) > 1 and rng.random() < 0.5:
                prompt = others[int(rng.integers(len(others)))].codes
            else:
                rest = [u.codes[:start], u.codes[start + size :]]
                prompt = max(rest, key=len) if max(map(len, rest)) > 50 else u.codes
            at = int(rng.integers(max(len(prompt) - PROMPT, 0) + 1))
            prompts[item, : len(prompt[at : at + PROMPT])] = prompt[at : at + PROMPT]
        hidden = torch.from_numpy(rng.random(previous.shape) < _HIDDEN)
        drawn = torch.from_numpy(1 + np.minimum(rng.geometric(0.3, count) - 1, layers - 2))
        return phones, begins, durations, codes, places, previous.masked_fill(hidden, START), prompts, drawn

    def loss(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Task`."""
        parts = self._losses(inputs)
        total = parts["first"] + parts["further"] + parts["lasting"]
        return total, {"loss": total.detach(), **{name: part.detach() for name, part in parts.items()}}

    def _losses(self, inputs: tuple[Tensor, ...]) -> dict[str, Tensor]:
        numbers, begins, durations, codes, places, previous, prompts, layer = inputs
        network, known, there = self.network, durations > 0, codes[..., 0] >= 0
        heard = prompts[..., 0] >= 0
        voice = network.voice_of(network.latents_of(prompts.clamp(min=0)), heard)
        phones = network.encode_phones(numbers, begins.float(), known)
        lasting = network.log_durations(phones, voice, known)
        lasting_error = (lasting - durations.clamp(min=1).float().log()).abs()[known].mean()
        frames = network.frames(phones, voice, places, there)
        first, _ = network.first_logits(frames, previous)
        layers = torch.arange(codes.shape[-1], device=codes.device)
        lower = layers < layer[:, None, None]
        whole = network.centroids[layers, codes.clamp(min=0)]  # (B, F, L, dim)
        latents = (whole * lower[..., None]).sum(2)
        further = network.layer_logits(frames, latents, layer, there)
        target = codes.gather(2, layer[:, None, None].expand(-1, codes.shape[1], 1))[..., 0]
        return {
            "first": F.cross_entropy(first[there], codes[..., 0][there]),
            "further": F.cross_entropy(further[there], target[there]),
            "lasting": lasting_error,
        }

    @torch.no_grad()
    def validate(self, model: nn.Module, seconds: float) -> dict[str, float]:
        """The parts of the loss on held-out texts."""
        if not self.held_out:
            return {}
        rng = np.random.default_rng(0)
        chosen = self.held_out[:: max(1, len(self.held_out) // _VALIDATED)]
        model.eval()
        device = next(model.parameters()).device
        parts = self._losses(tuple(part.to(device) for part in self._collate(chosen, rng)))
        model.train()
        return {name: float(part) for name, part in parts.items()}

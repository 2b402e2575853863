"""Training of the token model on the codes of a trained speech codec."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...codecs.secodec.analysis import padded
from ...codecs.secodec.frames import pad_to_frames
from ...codecs.secodec.frozen import new_token_model
from ...codecs.secodec.model import SECodecNetwork
from ...codecs.secodec.rate_distortion import choose_batch
from ...entropy_models.structural import Rule
from ...entropy_models.tokens.token_model import TokenModelConfig
from .speech import find_speech, levelled, load_all, split_speakers

CHOICES = (0.3, 0.65)  # shares of the run at which codes are chosen anew
_TOGETHER = {"cpu": 1}  # utterances whose codes are chosen at once; more than one leave a processor's caches
_MOST_TOGETHER = 64  # on any other device


class TokenTask:
    """loss = bits a token, over clips of `frames` frames whose number of layers is drawn evenly.

    Utterances are encoded once, `shifts` times with different starts inside a frame, which gives the model that many
    versions of the codes of little data. Under the rule "nearest" their codes are chosen anew at the shares `CHOICES`
    of the run by distance and by what the model then says they cost, as the codec chooses them.

    Args:
        network: a codec whose codebooks are final; it is not trained.
        places: see `find_speech`.
        batch: clips in a step.
        frames: length of a clip.
        rule: how the codec's frames find their codes.
        device: where utterances are encoded and codes chosen; the token model must be there when it is trained.
    """

    def __init__(
        self,
        network: SECodecNetwork,
        places: Sequence[Path],
        *,
        config: TokenModelConfig | None = None,
        batch: int = 16,
        frames: int = 150,
        shifts: int = 2,
        rule: Rule = "nearest",
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.tokens = new_token_model(network, config)
        self.dtype = torch.float32
        self.model: nn.Module = self.tokens
        self.network, self.rule = network.eval().to(self.device), rule
        self.config = json.dumps(asdict(self.tokens.config), sort_keys=True)
        self.size, self.frames = batch, frames
        training, held_out = split_speakers(find_speech(places))
        hop = network.config.hop
        offsets = [hop * i // shifts for i in range(shifts)]
        bar = tqdm(load_all(training), desc="codes", mininterval=5)
        self.latents = [self._latents(waveform, offset) for waveform in bar for offset in offsets]
        self.nearest = self._codes(self.latents)
        self.training, self._choices = self.nearest, 0
        self.held_out_latents = [self._latents(waveform, 0) for waveform in load_all(held_out)]
        self.held_out = self._codes(self.held_out_latents)
        lengths = np.array([len(codes) for codes in self.training], dtype=np.float64)
        self._places = np.cumsum(lengths) / lengths.sum()

    @torch.inference_mode()
    def _latents(self, waveform: np.ndarray, offset: int) -> Tensor:
        """(F, D) of a whole utterance, int16 samples (T,), from sample `offset` on."""
        levels = torch.from_numpy(levelled(waveform))[None, offset:].to(self.device)
        return self.network.encode(pad_to_frames(levels, self.network.config.hop))[0].clone()

    @torch.inference_mode()
    def _codes(self, latents: Sequence[Tensor]) -> list[Tensor]:
        """The codes (F, L) of latents (F, D) by the rule, many utterances at once, in memory of the processor."""
        active = torch.tensor([self.network.config.layers], device=self.device)
        found: list[Tensor] = []
        for start in range(0, len(latents), _MOST_TOGETHER):
            some = latents[start : start + _MOST_TOGETHER]
            codes = self.network.quantiser(torch.cat(list(some))[None], active, self.rule).codes[0].cpu()
            found += [part.clone() for part in codes.split([len(one) for one in some])]
        return found

    def _choose(self, latents: Sequence[Tensor], nearest: list[Tensor]) -> list[Tensor]:
        """Codes at the bits that the model finds now."""
        if self.rule != "nearest":
            return nearest
        chosen = list(nearest)
        together = _TOGETHER.get(self.device.type, _MOST_TOGETHER)
        order = sorted(range(len(latents)), key=lambda number: len(latents[number]))  # little padding
        for start in range(0, len(order), together):
            numbers = order[start : start + together]
            whole, there = padded([latents[number] for number in numbers], self.device)
            codes, _ = padded([nearest[number] for number in numbers], self.device)
            codes = codes.masked_fill(~there[..., None], -1)
            found = choose_batch(self.tokens, self.network.quantiser, whole, codes).cpu().numpy()
            for number, row in zip(numbers, found, strict=True):
                chosen[number] = torch.from_numpy(row[: len(latents[number])].copy())
        return chosen

    def batch(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, ...]:
        """Codes (B, F, L), -1 where a clip has ended or a layer is not used, and the numbers of layers (B,)."""
        due = sum(progress >= share for share in CHOICES)
        if due > self._choices and self.rule == "nearest":
            self._choices, self.training = due, self._choose(self.latents, self.nearest)
        layers = self.network.config.layers
        codes = torch.full((self.size, self.frames, layers), -1)
        active = torch.from_numpy(rng.integers(1, layers + 1, self.size))
        active[: self.size // 2] = layers
        for item in range(self.size):
            number = min(int(np.searchsorted(self._places, rng.random())), len(self.training) - 1)
            whole = self.training[number]
            start = int(rng.integers(max(len(whole) - self.frames, 0) + 1))
            part = whole[start : start + self.frames, : int(active[item])]
            codes[item, : len(part), : part.shape[1]] = part
        return codes, active

    def loss(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Task`."""
        codes, active = inputs
        bits = model(codes, active).sum() / (codes >= 0).sum()
        return bits, {"bits": bits.detach()}

    @torch.no_grad()
    def validate(self, model: nn.Module, seconds: float) -> dict[str, float]:
        """On held-out speakers with all layers: bits a token, and their share of log2 of the numbers of codes.

        Of the nearest codes, and of those chosen by distance and bits.
        """
        device = next(model.parameters()).device
        layers = self.network.config.layers
        count = sum(len(codes) for codes in self.held_out)
        if not count:
            return {}
        active = torch.tensor([layers], device=device)
        figures = {}
        for name, held_out in (("", self.held_out), ("_chosen", self._choose(self.held_out_latents, self.held_out))):
            total = sum(model(codes[None].to(device), active).sum().item() for codes in held_out)
            figures[f"bits{name}"] = total / (count * layers)
            figures[f"share{name}"] = total / (count * float(np.log2(self.network.quantiser.sizes).sum()))
        return figures

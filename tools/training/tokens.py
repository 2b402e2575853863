"""Training of the token model on the codes of a trained speech codec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...codecs.secodec.frozen import new_token_model
from ...codecs.secodec.model import SECodecNetwork, pad_to_frames
from ...entropy_models.structural import Rule
from ...entropy_models.token_model import TokenModelConfig
from .speech import Utterance, find_speech, load_waveform, split_speakers, to_float


class TokenTask:
    """loss = bits a token, over clips of `frames` frames whose number of layers is drawn evenly.

    Utterances are encoded once, `shifts` times with different starts inside a frame, which gives the model that many
    versions of the codes of little data.

    Args:
        network: a codec whose codebooks are final; it is not trained.
        places: see `find_speech`.
        batch: clips in a step.
        frames: length of a clip.
        rule: how the codec's frames find their codes.
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
    ) -> None:
        self.tokens = new_token_model(network, config)
        self.model: nn.Module = self.tokens
        self.network, self.rule = network.eval(), rule
        self.size, self.frames = batch, frames
        training, held_out = split_speakers(find_speech(places))
        hop = network.config.hop
        offsets = [hop * i // shifts for i in range(shifts)]
        self.training = [self._codes(u, offset) for u in training for offset in offsets]
        self.held_out = [self._codes(u, 0) for u in held_out]
        lengths = np.array([len(codes) for codes in self.training], dtype=np.float64)
        self._places = np.cumsum(lengths) / lengths.sum()

    @torch.inference_mode()
    def _codes(self, utterance: Utterance, offset: int) -> Tensor:
        """(F, L) of a whole utterance, from sample `offset` on."""
        waveform = torch.from_numpy(to_float(load_waveform(utterance.path)))[None, offset:]
        latents = self.network.encode(pad_to_frames(waveform, self.network.config.hop))
        active = torch.tensor([self.network.config.layers])
        return self.network.quantiser(latents, active, self.rule).codes[0].clone()

    def batch(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, ...]:
        """Codes (B, F, L), -1 where a clip has ended or a layer is not used, and the numbers of layers (B,)."""
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

    def loss(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        """See `Task`."""
        codes, active = inputs
        bits = model(codes, active).sum() / (codes >= 0).sum()
        return bits, {"bits": bits.item()}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """On held-out speakers with all layers: bits a token, and their share of log2 of the numbers of codes."""
        device = next(model.parameters()).device
        layers = self.network.config.layers
        total, count = 0.0, 0
        for codes in self.held_out:
            total += model(codes[None].to(device), torch.tensor([layers], device=device)).sum().item()
            count += len(codes)
        whole = count * float(np.log2(self.network.quantiser.sizes).sum())
        return {"bits": total / (count * layers), "share": total / whole} if count else {}

"""Second stage of the speech codec's training: the decoder against discriminators.

Encoder and codebooks stay as they are, so tokens, rates and the token model are the same before and after. What
changes is how the tokens sound.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ...codecs.secodec.frames import pad_to_frames
from ...codecs.secodec.model import SECodecNetwork
from ...codecs.secodec.networks import Decoder
from ...entropy_models.structural import Rule
from .discriminators import MultiScaleDiscriminator, deception_loss, discriminator_loss, feature_distance
from .precision import mixed
from .secodec import draw_layers, mel_by_layers, validation_clips
from .spectral_loss import MelDistance, compressed_distance
from .speech import RandomClips, find_speech, split_speakers

WEIGHTS = {"mel": 1.0, "complex": 0.025, "deception": 0.03, "features": 0.1, "discriminator": 1.0}


class Opponents(nn.Module):
    """The decoder and those who judge it, under one optimiser."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder
        self.discriminator = MultiScaleDiscriminator()

    def forward(self, latents: Tensor, clips: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Latents (B, F, dim) and the clips (B, T) they come from -> decoded clips and the adversarial losses."""
        decoded = self.decoder(latents)[:, : clips.shape[1]]
        recorded = self.discriminator(clips)
        fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        judged = functional_call(self.discriminator, fixed, (decoded,))
        return decoded, {
            "discriminator": discriminator_loss(recorded, self.discriminator(decoded.detach())),
            "deception": deception_loss(judged),
            "features": feature_distance(recorded, judged),
        }


class AdversarialTask:
    """loss = mel + 0.025 x complex + 0.03 x deception + 0.1 x features for the decoder, a hinge loss for its judges.

    Args:
        network: a codec whose codebooks are final; only its decoder is trained.
        places: see `find_speech`.
        batch: clips in a step.
        seconds: length of a clip.
        rule: how frames find their codes.
    """

    def __init__(
        self,
        network: SECodecNetwork,
        places: Sequence[Path],
        *,
        batch: int = 16,
        seconds: float = 1.28,
        rule: Rule = "nearest",
    ) -> None:
        self.network = network.eval()
        self.dtype = torch.float32
        self.model: nn.Module = Opponents(network.decoder)
        self.config = json.dumps(asdict(network.config), sort_keys=True)
        self.size, self.rule = batch, rule
        self.samples = round(seconds * network.config.frame_rate) * network.config.hop
        self.mel = MelDistance()
        training, held_out = split_speakers(find_speech(places))
        self.clips = RandomClips(training)
        self.held_out = validation_clips(held_out)

    def batch(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, ...]:
        """Clips (B, T) and their quantised latents (B, F, dim), half of them with all layers."""
        device = next(self.model.parameters()).device
        self.network.to(device)
        clips = self.clips.to(device).draw(rng, self.size, self.samples)
        layers = draw_layers(rng, self.size, self.network.config.layers)
        with torch.no_grad(), mixed(device, self.dtype):
            latents = self.network.encoder(pad_to_frames(clips, self.network.config.hop))
            quantised = self.network.quantiser(latents, layers.to(device), self.rule)
        return clips, quantised.latents

    def loss(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Task`."""
        clips, latents = inputs
        self.mel.to(clips.device)
        with mixed(clips.device, self.dtype):
            decoded, parts = model(latents, clips)
        parts |= {"mel": self.mel(decoded, clips), "complex": compressed_distance(decoded, clips)}
        total = torch.stack([weight * parts[name].float() for name, weight in WEIGHTS.items()]).sum()
        return total, {"loss": total.detach(), **{name: parts[name].detach() for name in WEIGHTS}}

    @torch.no_grad()
    def validate(self, model: nn.Module, seconds: float) -> dict[str, float]:
        """On held-out speakers, by layers: mel distance and bits a second."""
        return mel_by_layers(self.network.to(next(model.parameters()).device), self.held_out, self.mel, self.rule)

"""SESLM's network: phones to tokens of SECodec, frame by frame, so that nothing is skipped or said twice.

    phones --encoder--> --durations--> frames --with the voice--> layer 1, one frame after the other (recurrent)
                                                              --> layers 2..8, one layer after the other, all frames
    prompt's latents --pool--> voice

The first stage is autoregressive and the second is not, as in VALL-E (Wang et al., arXiv 2301.02111) and USLM; what is
said when comes from durations, not from attention, as in FastSpeech (Ren et al., arXiv 1905.09263).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..secodec.networks import Trunk
from .pronunciation import ALPHABET

START = 0  # stands for the token before the first frame, and for one that is hidden in training
_POSITIONS = 5  # features of a frame's place in its phone


@dataclass(frozen=True)
class SESLMConfig:
    """Sizes of the network.

    Attributes:
        codes: of each layer of the speech codec, the first layer first.
        dim: of the speech codec's latents.
        width: of phones and frames.
        voice: of the vector that describes a voice.
        token: of a token of the first layer as the network reads it.
        recurrent: of the state from frame to frame.
        refining: width of the network of the further layers.
    """

    codes: tuple[int, ...]
    dim: int
    width: int = 192
    voice: int = 96
    token: int = 128
    recurrent: int = 384
    refining: int = 224
    blocks: int = 2
    refining_blocks: int = 4


class SESLM(nn.Module):
    """See the module. `centroids` (L, K, dim) are those of the speech codec, zero beyond a layer's own."""

    centroids: Tensor

    def __init__(self, config: SESLMConfig, centroids: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("centroids", centroids, persistent=False)
        width, layers = config.width, len(config.codes)
        self.phone = nn.Embedding(len(ALPHABET), width)
        self.begin = nn.Parameter(torch.zeros(width))
        self.phones = Trunk(width, width, config.blocks, width, 2)
        self.voice = Trunk(config.dim, config.voice, 2, config.voice, 2)
        self.lasting = Trunk(width + config.voice, width, 2, 1, 2)
        self.framing = Trunk(width + config.voice + _POSITIONS, width, config.blocks, width, 2)
        self.token = nn.Embedding(1 + config.codes[0], config.token)
        self.recurrent = nn.GRU(width + config.token, config.recurrent, batch_first=True)
        self.first = nn.Linear(config.recurrent + width, config.codes[0])
        self.layer = nn.Embedding(layers, width)
        self.refining = Trunk(width + config.dim, config.refining, config.refining_blocks, config.dim, 2)
        self.sharpness = nn.Parameter(torch.zeros(layers))

    def encode_phones(self, numbers: Tensor, begins: Tensor, mask: Tensor | None = None) -> Tensor:
        """Numbers (B, P) and where words begin (B, P) -> (B, P, width)."""
        return self.phones(self.phone(numbers) + begins[..., None] * self.begin, mask)

    def voice_of(self, latents: Tensor, mask: Tensor | None = None) -> Tensor:
        """A prompt's latents (B, F, dim) -> its voice (B, voice): the mean over its frames."""
        found = self.voice(latents, mask)
        if mask is None:
            return F.layer_norm(found.mean(1), found.shape[-1:])
        weights = mask[..., None].float()
        return F.layer_norm((found * weights).sum(1) / weights.sum(1).clamp(min=1), found.shape[-1:])

    def log_durations(self, phones: Tensor, voice: Tensor, mask: Tensor | None = None) -> Tensor:
        """Phones (B, P, width) of a voice (B, voice) -> natural logarithm of their frames (B, P)."""
        wide = voice[:, None].expand(-1, phones.shape[1], -1)
        return self.lasting(torch.cat([phones, wide], -1), mask)[..., 0] + math.log(4)

    def frames(self, phones: Tensor, voice: Tensor, places: Tensor, mask: Tensor | None = None) -> Tensor:
        """What is said in every frame, (B, F, width).

        Args:
            phones: (B, P, width).
            voice: (B, voice).
            places: (B, F, 3) int64: number of the frame's phone, frames before it in the phone, and after it.
        """
        phone, before, after = places.unbind(-1)
        said = phones.gather(1, phone[..., None].expand(-1, -1, phones.shape[-1]))
        length = (before + after + 1).float()
        place = torch.stack(
            [before / length, after / length, (before == 0).float(), (after == 0).float(), length.log() / 2], -1
        )
        wide = voice[:, None].expand(-1, said.shape[1], -1)
        return self.framing(torch.cat([said, wide, place], -1), mask)

    def first_logits(self, frames: Tensor, previous: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Frames (B, F, width), the tokens before them (B, F), 1 + code or `START` -> logits (B, F, K), state."""
        out, state = self.recurrent(torch.cat([frames, self.token(previous)], -1), state)
        return self.first(torch.cat([out, frames], -1)), state

    def layer_logits(self, frames: Tensor, latents: Tensor, layer: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits (B, F, K) of the codes of layer number `layer` (B,) >= 1, given the sum of lower ones (B, F, dim).

        The network says where the residual lies; a code is the likelier the nearer its centroid is.
        """
        residual = self.refining(torch.cat([frames + self.layer(layer)[:, None], latents], -1), mask)
        centroids = self.centroids[layer]
        scores = residual @ centroids.transpose(1, 2) - centroids.square().sum(-1)[:, None] / 2
        sizes = torch.tensor(self.config.codes, device=layer.device)[layer]
        beyond = torch.arange(centroids.shape[1], device=layer.device)[None] >= sizes[:, None]
        return (scores * self.sharpness[layer].exp()[:, None, None]).masked_fill(beyond[:, None], -1e4)

    def latents_of(self, codes: Tensor) -> Tensor:
        """Codes (B, F, L') of the first layers -> the sum of their centroids (B, F, dim)."""
        return sum(
            (self.centroids[layer][codes[..., layer]] for layer in range(codes.shape[-1])), self.begin.new_zeros(())
        )


def places_of(durations: Tensor) -> Tensor:
    """Durations (P,) int64 in frames -> (F, 3): the phone of every frame, frames before it in the phone, and after."""
    phone = torch.repeat_interleave(torch.arange(len(durations)), durations)
    starts = durations.cumsum(0) - durations
    before = torch.arange(len(phone)) - starts[phone]
    return torch.stack([phone, before, durations[phone] - 1 - before], -1)

"""Training of the speech codec: spectral losses, quantiser dropout, codebooks found anew on a schedule.

    share of the run   0 ........ 0.10 ........ 0.20 ..... 0.35 ..... 0.55 ............. 1
    quantiser          none       found         anew       anew       anew, then only following

The first tenth trains the networks without a quantiser, so that the first codebooks are found among features
that mean something. The encoder moves most early on, so codebooks are found anew then; later the centroids
follow their frames by an exponential average, and commitment holds the encoder near them. A run that goes on with a
trained network finds them anew at 0.10 and 0.35.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...codecs.secodec.model import SECodecConfig, SECodecNetwork
from ...codecs.secodec.residual_vq import Extraction
from ...codecs.secodec.spectrum import SAMPLE_RATE
from ...entropy_models.structural import Rule
from ...errors import UsageError
from .precision import mixed
from .spectral_loss import MelDistance, compressed_distance
from .speech import RandomClips, Utterance, find_speech, levelled, load_waveform, split_speakers

EXTRACTIONS = (0.10, 0.20, 0.35, 0.55)
LATER_EXTRACTIONS = (0.10, 0.35)  # of a run that begins, or is resumed, with codebooks
WEIGHTS = {"mel": 1.0, "complex": 0.025, "commitment": 0.25}
VALIDATED_LAYERS = (1, 2, 4, 8)
_VALIDATION_SECONDS = 3.0
_VALIDATION_CLIPS = 24
_EXTRACTION_SECONDS = 4.0


class SECodecTask:
    """loss = mel distance + 0.025 x compressed spectral distance + 0.25 x commitment.

    Half of the clips use all layers, the other half a number drawn evenly from 1 to all.

    Args:
        config: sizes of the network.
        places: see `find_speech`.
        batch: clips in a step.
        seconds: length of a clip.
        plan: how each layer's codebook is found; see `extraction_plan`.
        rule: how frames find their codes in layers that store frames.
        keep_codebooks: find none anew in a run that begins with codebooks; they follow their frames all along, and the
            token model that was trained on their codes goes on fitting them.
    """

    def __init__(
        self,
        config: SECodecConfig,
        places: Sequence[Path],
        *,
        batch: int = 16,
        seconds: float = 1.28,
        plan: Sequence[Extraction] | None = None,
        rule: Rule = "nearest",
        keep_codebooks: bool = False,
    ) -> None:
        self.keep_codebooks = keep_codebooks
        self.network = SECodecNetwork(config)
        self.dtype = torch.float32
        self.model: nn.Module = self.network
        self.config = json.dumps(asdict(config), sort_keys=True)
        self.size, self.rule = batch, rule
        self.samples = round(seconds * config.frame_rate) * config.hop
        self.plan = plan or extraction_plan(config)
        self.mel = MelDistance()
        training, held_out = split_speakers(find_speech(places))
        self.clips = RandomClips(training)
        self.held_out = validation_clips(held_out)
        self._progress: float | None = None
        self._schedule: tuple[float, ...] | None = None

    def begin_with(self, trained: SECodecNetwork) -> None:
        """Takes the weights and codebooks of a trained network.

        Raises:
            UsageError: for a network of other sizes.
        """
        if trained.config != self.network.config:
            raise UsageError("the model to begin with has other sizes than the preset")
        self.network.load_state_dict(trained.state_dict())

    def batch(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, ...]:
        """Clips (B, T) and how many layers each uses (B,), 0 for all of them before there are codebooks."""
        self.clips.to(next(self.network.parameters()).device)
        self._keep_schedule(rng, progress)
        clips = self.clips.draw(rng, self.size, self.samples)
        layers = draw_layers(rng, self.size, self.network.config.layers)
        return clips, layers if self._has_codebooks() else torch.zeros_like(layers)

    def _has_codebooks(self) -> bool:
        return self.network.quantiser.extracted

    def _keep_schedule(self, rng: np.random.Generator, progress: float) -> None:
        """Finds the codebooks anew where the run passes a point of the schedule."""
        if self._schedule is None:
            later = () if self.keep_codebooks else LATER_EXTRACTIONS
            self._schedule = later if self._has_codebooks() else EXTRACTIONS
        before = progress if self._progress is None else self._progress
        self._progress = progress
        due = any(before < point <= progress for point in self._schedule)
        if due or (not self._has_codebooks() and progress >= self._schedule[0]):
            self.network.quantiser.extract(self._latents(rng), self.plan, rule=self.rule)

    @torch.no_grad()
    def _latents(self, rng: np.random.Generator) -> Tensor:
        """(n_nodes, dim): latents of random training frames."""
        device = next(self.network.parameters()).device
        wanted = self.network.config.n_nodes
        samples = round(_EXTRACTION_SECONDS * SAMPLE_RATE)
        found: list[Tensor] = []
        while sum(map(len, found)) < 2 * wanted:
            latents = self.network.encode(self.clips.to(device).draw(rng, 16, samples)).flatten(0, 1)
            found.append(latents.float())
        pool = torch.cat(found)
        return pool[torch.from_numpy(np.sort(rng.permutation(len(pool))[:wanted])).to(device)]

    def loss(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Task`."""
        clips, layers = inputs
        self.mel.to(clips.device)
        with mixed(clips.device, self.dtype):
            out = model(clips, layers, self.rule)
        parts = {
            "mel": self.mel(out.waveform, clips),
            "complex": compressed_distance(out.waveform, clips),
            "commitment": out.quantised.commitment,
        }
        total = torch.stack([WEIGHTS[name] * part for name, part in parts.items()]).sum()
        return total, {"loss": total.detach(), **{name: part.detach() for name, part in parts.items()}}

    @torch.no_grad()
    def validate(self, model: nn.Module, seconds: float) -> dict[str, float]:
        """On held-out speakers, by layers: mel distance, and bits a second by the codes' own entropy."""
        if not self._has_codebooks():
            return {}
        return mel_by_layers(self.network.to(next(model.parameters()).device), self.held_out, self.mel, self.rule)


def draw_layers(rng: np.random.Generator, batch: int, layers: int) -> Tensor:
    """Numbers of layers (batch,): half of them all, the other half drawn evenly from 1 to all."""
    drawn = rng.integers(1, layers + 1, batch)
    drawn[: batch // 2] = layers
    return torch.from_numpy(drawn)


def mel_by_layers(network: SECodecNetwork, clips: Tensor, mel: MelDistance, rule: Rule) -> dict[str, float]:
    """Mel distance and bits a second (by the codes' own entropy) of clips (M, T) at several numbers of layers."""
    if not len(clips):
        return {}
    device = next(network.parameters()).device
    mel.to(device)
    clips = clips.to(device)
    training = network.training
    network.eval()
    figures = {}
    for count in (n for n in VALIDATED_LAYERS if n <= network.config.layers):
        out = network(clips, torch.full((len(clips),), count, device=device), rule)
        codes = out.quantised.codes[..., :count].flatten(0, 1)
        bits = sum(_entropy(column) for column in codes.unbind(-1))
        figures[f"mel{count}"] = mel(out.waveform, clips).item()
        figures[f"bps{count}"] = bits * network.config.frame_rate
    network.train(training)
    return figures


def extraction_plan(config: SECodecConfig, codes: int | None = None, neighbours: int = 10) -> list[Extraction]:
    """Structural entropy, or k-means with `codes` codes, in the layers that store frames; k-means elsewhere."""
    stored = min(config.structural_layers, config.layers)
    plan = [Extraction(codes=codes, k=neighbours)] * stored
    return plan + [Extraction(codes=config.capacity)] * (config.layers - stored)


def _entropy(codes: Tensor) -> float:
    share = torch.bincount(codes).double() / codes.numel()
    return float(-(share * share.clamp(min=1e-300).log2()).sum())


def validation_clips(utterances: Sequence[Utterance]) -> Tensor:
    """(M, T): the beginnings of evenly spaced utterances that are long enough, each utterance at the common level."""
    length = round(_VALIDATION_SECONDS * SAMPLE_RATE)
    waveforms = [w for u in utterances if (w := load_waveform(u.path)).size >= length]
    chosen = waveforms[:: max(1, len(waveforms) // _VALIDATION_CLIPS)]
    clips = [levelled(w)[:length] for w in chosen]
    return torch.from_numpy(np.stack(clips)) if clips else torch.zeros(0, length)

"""Rate-distortion training of a picture network for all qualities at once."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...codecs.image.config import ImageConfig
from ...codecs.image.loss import distortion, lagrangian, rate_and_distortion
from ...codecs.image.model import ImageNetwork
from ...entropy_models.latent.q_index import Q_INDEX_MAX
from ...entropy_models.parts import to_json
from ...errors import UnreadableInputError, UsageError
from ..console import note
from .device_crops import DeviceCrops
from .pictures import HELD_OUT_SHARE, RandomCrops, find_pictures, is_held_out, load_pictures
from .precision import mixed

REFERENCE_LAMBDA = 0.0093
VALIDATION_Q_INDICES = tuple(round(Q_INDEX_MAX * f) for f in (0.0, 0.25, 0.5, 0.75, 1.0))
LOUDEST = 4.0  # loss beyond which a crop pulls no harder; photographs lie between 0.3 and 1.5
IMITATION = 0.4  # share of the run in which a teacher is imitated
LATE = 0.85  # share of the run after which crops are larger


class ImageTask:
    """loss = (bpp + lambda 255^2 D) / sqrt(lambda / 0.0093), lambda drawn log-uniformly for every crop.

    D is squared error, or the visual distance where the network's configuration says so.

    A network that begins with new transforms may imitate a trained one first: for `IMITATION` of the run its g_a learns
    the teacher's latents, while contexts and g_s learn from these latents and so do not wait for it.
    """

    def __init__(
        self,
        config: ImageConfig,
        folders: Sequence[Path],
        batch: int = 8,
        crop: int = 128,
        late_crop: int = 192,  # rounded down to what the network takes
        drawings: float = 0.0,
        teacher: ImageNetwork | None = None,
        device: str = "cpu",
    ) -> None:
        self.network = ImageNetwork(config)
        self.config = to_json(config)
        self.model: nn.Module = self.network
        self.dtype = torch.float32
        self.size = batch
        self.teacher = None if teacher is None else _as_teacher(teacher, self.network).to(device)
        if crop < 1 or crop % config.block:
            raise UsageError(f"a crop of {crop} is no multiple of {config.block} pixels, which this network needs")
        paths = find_pictures(folders)
        pictures = load_pictures([p for p in paths if not is_held_out(p)])
        self.held_out = load_pictures([p for p in paths if is_held_out(p)])
        if not pictures:
            raise UnreadableInputError(f"none of {len(paths):,} pictures can be trained on: name folders with more")
        if not self.held_out:
            note(f"none of {len(paths):,} pictures is kept for validation (one in {HELD_OUT_SHARE} is, by its name)")
        crops = RandomCrops(pictures, drawings)
        self.crop, self.late_crop = self._sides(crops.largest, crop, late_crop)
        self.crops = (
            crops if torch.device(device).type == "cpu" else DeviceCrops(crops, self.late_crop, torch.device(device))
        )

    def _sides(self, largest: int, *wished: int) -> tuple[int, ...]:
        """Sides of crops that the network takes and some picture has. Raises UnreadableInputError without such."""
        block = self.network.config.block
        largest = largest // block * block
        if largest == 0:
            raise UnreadableInputError(f"all pictures are smaller than {block} pixels, too small to train on")
        sides = tuple(min(wish // block * block, largest) for wish in wished)
        if largest < wished[0]:
            note(f"no picture has {wished[0]} pixels in height and width: crops have {sides[0]} instead")
        return sides

    def batch(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, ...]:
        """Crops (B, 3, S, S), quality indices (B,), and while a teacher is imitated its latents (B, H, W, M)."""
        crops = self.crops.draw(rng, self.size, self.late_crop if progress > LATE else self.crop)
        q_index = torch.from_numpy(rng.integers(0, Q_INDEX_MAX + 1, self.size))
        if self.teacher is None or progress >= IMITATION:
            return crops, q_index
        with torch.no_grad():
            return crops, q_index, self.teacher.analyse(crops, q_index.to(crops.device))

    def loss(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Task`."""
        x, q_index, *latents = inputs
        with mixed(x.device, self.dtype):
            out = model(x, q_index, *latents)
        bpp, mse = rate_and_distortion(out, x)
        if latents:
            bpp = bpp + self._deviation(x, q_index, latents[0])
        weight = lagrangian(q_index.float(), self.network.config.lambdas)
        distance = distortion(self.network.config, out["x_hat"], x, mse)
        losses = (bpp + weight * 255**2 * distance) / torch.sqrt(weight / REFERENCE_LAMBDA)
        # A drawing that the network cannot do yet costs a hundred times a photograph and would drown it in the step.
        loss = (losses * (LOUDEST / losses.detach()).clamp_max(1)).mean()
        return loss, {"loss": losses.detach().mean(), "bpp": bpp.detach().mean(), "mse": mse.detach().mean()}

    def _deviation(self, x: Tensor, q_index: Tensor, latents: Tensor) -> Tensor:
        """What is wrong with the latents of g_a (B,), as bits per pixel that so much noise beside rounding costs."""
        with mixed(x.device, self.dtype):
            y = self.network.analyse(x, q_index)
        errors = (y - latents) * self.network.gains.state(q_index).gain[:, 0].detach()
        return 0.5 * torch.log2(1 + 12 * errors**2).flatten(1).sum(1) / (x.shape[-2] * x.shape[-1])

    @torch.no_grad()
    def validate(self, model: nn.Module, seconds: float) -> dict[str, float]:
        """Estimated bpp and PSNR (dB) at five qualities over centre crops of the held-out pictures.

        In an order that never changes, as many pictures as `seconds` allow, at least one; `pictures` says how many.
        """
        device = next(model.parameters()).device
        model.eval()
        end = time.monotonic() + seconds
        points: list[list[tuple[float, float]]] = []
        for picture in self.held_out:
            x = _centre(picture, self.network.config.block).to(device)
            points.append([self._point(model, x, q_index) for q_index in VALIDATION_Q_INDICES])
            if time.monotonic() > end:
                break
        model.train()
        figures: dict[str, float] = {"pictures": len(points)} if points else {}
        for number, (bpp, psnr) in enumerate(np.mean(points, 0) if points else ()):
            figures[f"bpp{number}"], figures[f"psnr{number}"] = float(bpp), float(psnr)
        return figures

    def _point(self, model: nn.Module, x: Tensor, q_index: int) -> tuple[float, float]:
        """Bits per pixel and PSNR (dB) of one picture (1, 3, H, W) at one quality index."""
        with mixed(x.device, self.dtype):
            out = model(x, torch.full((1,), q_index, device=x.device))
        out["x_hat"] = out["x_hat"].clamp(0, 1)
        bpp, mse = rate_and_distortion(out, x)
        return bpp.item(), 10 * float(np.log10(1 / max(mse.item(), 1e-10)))


def _as_teacher(teacher: ImageNetwork, network: ImageNetwork) -> ImageNetwork:
    """The teacher, frozen. Raises UsageError where its latents are not of the network's shape."""
    theirs, own = (n.config.slices.latent for n in (teacher, network))
    if theirs != own or teacher.config.transform.stride != network.config.transform.stride:
        raise UsageError(f"cannot imitate a network whose latents have {theirs} channels with one of {own}")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("a network is imitated in one process only: leave out torchrun, or --imitate")
    return teacher.eval().requires_grad_(False)


def _centre(picture: np.ndarray, block: int) -> Tensor:
    """(1, 3, H, W): the largest centre part with sides that are multiples of `block`, at most 448 or so."""
    h, w = (min(extent, 448) // block * block for extent in picture.shape[:2])
    top, left = (picture.shape[0] - h) // 2, (picture.shape[1] - w) // 2
    part = np.ascontiguousarray(picture[top : top + h, left : left + w])
    return torch.from_numpy(part).permute(2, 0, 1)[None].float() / 255

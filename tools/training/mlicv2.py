"""Rate-distortion training of MLICv2 for all qualities at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...codecs.mlicv2.model import STRIDE, MLICv2, MLICv2Config
from ...codecs.mlicv2.quality import POSITIONS, lagrangian
from .pictures import RandomCrops, find_pictures, is_held_out, load_pictures

REFERENCE_LAMBDA = 0.0093
VALIDATION_POSITIONS = tuple(round(POSITIONS * f) for f in (0.0, 0.25, 0.5, 0.75, 1.0))
LATE = 0.85  # share of the run after which crops are larger


class MLICv2Task:
    """loss = (bpp + lambda 255^2 MSE) / sqrt(lambda / 0.0093), lambda drawn log-uniformly for every crop."""

    def __init__(
        self,
        config: MLICv2Config,
        folders: Sequence[Path],
        batch: int = 8,
        crop: int = 128,
        late_crop: int = 192,
    ) -> None:
        self.network = MLICv2(config)
        self.model: nn.Module = self.network
        self.size, self.crop, self.late_crop = batch, crop, late_crop
        paths = find_pictures(folders)
        self.crops = RandomCrops(load_pictures([p for p in paths if not is_held_out(p)]))
        self.held_out = load_pictures([p for p in paths if is_held_out(p)])

    def batch(self, rng: np.random.Generator, progress: float) -> tuple[Tensor, ...]:
        """Crops (B, 3, S, S) and quality indices (B,)."""
        crops = self.crops.draw(rng, self.size, self.late_crop if progress > LATE else self.crop)
        return crops, torch.from_numpy(rng.integers(0, POSITIONS + 1, self.size))

    def loss(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        """See `Task`."""
        x, position = inputs
        with torch.autocast(x.device.type, torch.bfloat16):
            out = model(x, position)
        bpp, mse = rate_and_distortion(out, x)
        weight = lagrangian(position.float())
        loss = ((bpp + weight * 255**2 * mse) / torch.sqrt(weight / REFERENCE_LAMBDA)).mean()
        return loss, {"loss": loss.item(), "bpp": bpp.mean().item(), "mse": mse.mean().item()}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Estimated bpp and PSNR (dB) at five qualities over centre crops of the held-out pictures."""
        figures = {}
        device = next(model.parameters()).device
        model.eval()
        for number, position in enumerate(VALIDATION_POSITIONS):
            rates, errors = [], []
            for picture in self.held_out:
                x = _centre(picture).to(device)
                with torch.autocast(x.device.type, torch.bfloat16):
                    out = model(x, torch.full((1,), position, device=device))
                out["x_hat"] = out["x_hat"].clamp(0, 1)
                bpp, mse = rate_and_distortion(out, x)
                rates.append(bpp.item())
                errors.append(10 * np.log10(1 / max(mse.item(), 1e-10)))
            figures[f"bpp{number}"], figures[f"psnr{number}"] = float(np.mean(rates)), float(np.mean(errors))
        model.train()
        return figures


def rate_and_distortion(out: dict, x: Tensor) -> tuple[Tensor, Tensor]:
    """Estimated bits per pixel and mean squared error of every picture, (B,) each."""
    pixels = x.shape[2] * x.shape[3]
    bits = torch.stack([-torch.log2(v.float()).flatten(1).sum(1) for v in out["likelihoods"].values()]).sum(0)
    return bits / pixels, (out["x_hat"].float() - x).square().flatten(1).mean(1)


def _centre(picture: np.ndarray) -> Tensor:
    """(1, 3, H, W): the largest centre part with sides that are multiples of the stride, at most 448."""
    h, w = (min(extent // STRIDE * STRIDE, 448) for extent in picture.shape[:2])
    top, left = (picture.shape[0] - h) // 2, (picture.shape[1] - w) // 2
    part = np.ascontiguousarray(picture[top : top + h, left : left + w])
    return torch.from_numpy(part).permute(2, 0, 1)[None].float() / 255

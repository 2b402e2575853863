"""Measures of pictures: PSNR over 8-bit RGB, MS-SSIM, and SSIMULACRA2 where its package is installed."""

from __future__ import annotations

import io
import math
from importlib.util import find_spec

import numpy as np
from PIL import Image

from ...errors import UsageError

PICTURE_METRICS = ("psnr", "ms_ssim", "ssimulacra2")
MS_SSIM_LEAST_SIDE = 161  # an 11-tap window at a fifth scale of 1/16
UNITS = {"psnr": "dB", "ms_ssim": "", "ms_ssim_db": "dB", "ssimulacra2": ""}


def mean_square_error(a: Image.Image, b: Image.Image) -> float:
    """Mean over all pixels and the three channels of the squared difference of 8-bit RGB values."""
    difference = np.asarray(a, dtype=np.int32) - np.asarray(b, dtype=np.int32)
    return float(np.mean(np.square(difference), dtype=np.float64))


def psnr_of(mse: float) -> float:
    """PSNR in dB for a peak of 255; infinite for equal pictures."""
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


def decibels(similarity: float) -> float:
    """MS-SSIM in dB, -10 log10(1 - s), as the field plots it."""
    return math.inf if similarity >= 1 else -10 * math.log10(1 - similarity)


def ms_ssim(a: Image.Image, b: Image.Image) -> float | None:
    """MS-SSIM (Wang et al. 2003) over RGB, its five channels of scale averaged over colour, by
    pytorch-msssim.

    None where a side is under 161 pixels, for which the measure is not defined.
    """
    if min(a.size) < MS_SSIM_LEAST_SIDE:
        return None
    import torch
    from pytorch_msssim import ms_ssim as measure

    x, y = (torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() for image in (a, b))
    return float(measure(x, y, data_range=255.0))


def ssimulacra2(a: Image.Image, b: Image.Image) -> float:
    """SSIMULACRA2 by the package of that name; 90 is about where a difference becomes visible."""
    from ssimulacra2 import compute_ssimulacra2

    files = []
    for image in (a, b):
        file = io.BytesIO()
        image.save(file, format="PPM")
        file.seek(0)
        files.append(file)
    return float(compute_ssimulacra2(*files))


def choose_metrics(names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The metrics to measure: those asked for, or all that can be; raises UsageError for one that cannot."""
    packages = {"ms_ssim": "pytorch_msssim", "ssimulacra2": "ssimulacra2"}
    chosen = names or PICTURE_METRICS
    missing = [name for name in chosen if name in packages and find_spec(packages[name]) is None]
    unknown = [name for name in chosen if name not in PICTURE_METRICS]
    if unknown:
        raise UsageError(f"there is no metric {unknown[0]!r}; choose of {', '.join(PICTURE_METRICS)}")
    if names and missing:
        raise UsageError(f"{missing[0]} needs a package: pip install {packages[missing[0]].replace('_', '-')}")
    return tuple(name for name in chosen if name not in missing)


def measure_picture(a: Image.Image, b: Image.Image, metrics: tuple[str, ...]) -> dict[str, float | None]:
    """The asked measures of `b` against the original `a`, and always the mean square error."""
    mse = mean_square_error(a, b)
    found: dict[str, float | None] = {"mse": mse}
    if "psnr" in metrics:
        found["psnr"] = psnr_of(mse)
    if "ms_ssim" in metrics:
        similarity = ms_ssim(a, b)
        found["ms_ssim"] = similarity
        found["ms_ssim_db"] = None if similarity is None else decibels(similarity)
    if "ssimulacra2" in metrics:
        found["ssimulacra2"] = ssimulacra2(a, b)
    return found

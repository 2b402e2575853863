"""Published rate-distortion curves, kept as data with their sources."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from ...errors import UsageError
from .sources import Source
from .summary import Curve


@lru_cache(maxsize=1)
def _kodak() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((files(__package__) / "published" / "kodak.json").read_text())
    return data


def curves() -> list[Curve]:
    """Every published curve on Kodak: mean bpp, mean RGB PSNR of the 24 pictures, MS-SSIM where given."""
    found = []
    for entry in _kodak()["curves"]:
        points = sorted(zip(*(entry[key] for key in ("bpp", "psnr")), strict=True))
        curve = Curve(entry["name"], "published", source=entry["source"])
        curve.rate = [rate for rate, _ in points]
        curve.metrics = {"psnr": [psnr for _, psnr in points]}
        if "ms_ssim" in entry:
            from .metrics import decibels

            curve.metrics["ms_ssim"] = list(entry["ms_ssim"])
            curve.metrics["ms_ssim_db"] = [decibels(value) for value in entry["ms_ssim"]]
        found.append(curve)
    return found


def by_name(name: str) -> Curve:
    """The published curve called `name`, whatever the case; raises UsageError that lists them."""
    for curve in curves():
        if curve.name.lower() == name.lower():
            return curve
    raise UsageError(f"there is no published curve {name!r}; choose of {', '.join(c.name for c in curves())}")


def is_kodak(sources: list[Source]) -> bool:
    """Whether the sources are exactly the 24 pictures of the published curves, in whatever file format."""
    return {source.content for source in sources} == set(_kodak()["pictures"])

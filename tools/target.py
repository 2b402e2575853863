"""Finding the quality that makes a file of a wanted size, or a picture of a wanted PSNR, by trying.

Every probe is a whole file (and for PSNR a whole decoding), so that what is reported is what is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import TargetError

LOWEST, HIGHEST = 1.0, 100.0
MAX_PROBES = 8
# First guesses of how fast things rise with quality; the probes soon know better. Over 1..100 a file
# grows about tenfold and PSNR by about 12 dB.
LOG_SIZE_SLOPE = math.log(10) / 99
PSNR_SLOPE = 12 / 99
SIZE_TOLERANCE = 0.005  # a file this much smaller than asked is good enough
PSNR_TOLERANCE = 0.02  # dB above what was asked


@dataclass(frozen=True)
class Probe:
    """One try: the file of `quality`, and its measured value (bytes or dB)."""

    quality: float
    data: bytes
    value: float


def encode_to_size(encode: Callable[[float], bytes], limit: int) -> Probe:
    """Return the file of the highest quality that `encode` makes with at most `limit` bytes.

    It is within 0.5 % of `limit` unless quality 100 fits, the probes (8) run out, or quality has no
    step that fine. Raises TargetError where quality 1 makes a larger file.
    """
    best = _search(
        lambda quality, data: math.log(limit / len(data)),
        encode,
        slope=-LOG_SIZE_SLOPE,
        tolerance=SIZE_TOLERANCE,
        safe=LOWEST,
    )
    probe = Probe(best.quality, best.data, len(best.data))
    if len(best.data) > limit:
        raise TargetError(
            f"no file of at most {limit:,} bytes can be made: the smallest, at quality {LOWEST:g}, "
            f"has {len(best.data):,}"
        )
    return probe


def encode_to_psnr(
    encode: Callable[[float], bytes], measure: Callable[[bytes], float], floor: float
) -> Probe:
    """Return the file of the lowest quality whose PSNR, by `measure` (decoding, in dB), is at least `floor`.

    It is at most 0.02 dB above unless quality 1 suffices, the probes (8) run out, or quality has no
    step that fine. Raises TargetError where quality 100 does not reach it.
    """
    best = _search(
        lambda quality, data: measure(data) - floor,
        encode,
        slope=PSNR_SLOPE,
        tolerance=PSNR_TOLERANCE,
        safe=HIGHEST,
    )
    if best.value < 0:
        raise TargetError(
            f"a PSNR of {floor:g} dB cannot be reached: quality {HIGHEST:g} gives {best.value + floor:.2f} dB"
        )
    return Probe(best.quality, best.data, best.value + floor)


def _search(
    margin: Callable[[float, bytes], float],
    encode: Callable[[float], bytes],
    slope: float,
    tolerance: float,
    safe: float,
) -> Probe:
    """Return the probe with the least `margin` that is not negative, or that of quality `safe`.

    `margin` changes with quality by about `slope` and is good in 0..tolerance; `safe` is the end of the
    range where it is greatest. Secant steps kept inside a bracket; the last probe is left for `safe`.
    """
    tried: list[Probe] = []
    quality = (LOWEST + HIGHEST) / 2
    for count in range(1, MAX_PROBES + 1):
        data = encode(quality)
        tried.append(Probe(quality, data, margin(quality, data)))
        good = [probe for probe in tried if probe.value >= 0]
        if good and min(good, key=_value).value <= tolerance:
            break
        quality = _next_quality(tried, slope, tolerance / 2)
        repeated = any(abs(quality - probe.quality) < 1e-3 for probe in tried)
        if not good and (repeated or count == MAX_PROBES - 1):
            quality = safe
        if any(quality == probe.quality for probe in tried) or (good and repeated):
            break
    good = [probe for probe in tried if probe.value >= 0]
    return min(good, key=_value) if good else max(tried, key=_value)


def _value(probe: Probe) -> float:
    return probe.value


def _next_quality(tried: list[Probe], slope: float, aim: float) -> float:
    """Return where the margin should be `aim`, by the nearest probes on both sides, or by extrapolation."""
    above = [probe for probe in tried if probe.value >= aim]
    below = [probe for probe in tried if probe.value < aim]
    if above and below:
        a = min(above, key=lambda probe: probe.quality * slope)
        b = max(below, key=lambda probe: probe.quality * slope)
        if math.isinf(a.value) or tried[-1].value in (probe.value for probe in tried[:-1]):
            share = 0.5  # lossless, or quality has steps: a straight line knows neither
        else:
            share = (aim - a.value) / (b.value - a.value)
        # A step that hardly leaves one end would repeat for ever on a curve that bends.
        return a.quality + min(max(share, 0.05), 0.95) * (b.quality - a.quality)
    near = min(tried, key=lambda probe: abs(probe.value - aim))
    others = [probe for probe in tried if probe.quality != near.quality]
    if others:
        other = min(others, key=lambda probe: abs(probe.quality - near.quality))
        measured = (near.value - other.value) / (near.quality - other.quality)
        if math.isfinite(measured) and measured * slope > 0:
            slope = measured
    step = (aim - near.value) / slope
    return min(max(near.quality + 1.1 * step, LOWEST), HIGHEST)  # a little too far, to get a bracket

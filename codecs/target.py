"""Finding the quality that makes a file of a wanted size, or a picture of a wanted PSNR, by trying.

Every probe is a whole file (and for PSNR a whole decoding), so that what is reported is what is there. On photographs
size and PSNR rise with quality, and few probes do. On flat colour, text and patterns they do not: there a wish that
the first probes miss is looked for among all whole qualities, as long as what was measured leaves hope.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import TargetError

LOWEST, HIGHEST = 1.0, 100.0
MAX_PROBES = 8  # where the curve rises as it should
NEAR_PROBES = 4  # around a quality that is known to be nearly right
SPREAD_PROBES = 8  # more of them, over the whole range, before a wish is given up
# First guesses of how fast things rise with quality; the probes soon know better. Over 1..100 a file
# grows about tenfold and PSNR by about 12 dB.
LOG_SIZE_SLOPE = math.log(10) / 99
PSNR_SLOPE = 12 / 99
SIZE_TOLERANCE = 0.005  # a file this much smaller than asked is good enough
PSNR_TOLERANCE = 0.02  # dB above what was asked
# Where the curve falls by x somewhere, it may rise by this many x above the best probe so far; while it was probed in
# few places, by so much in any case.
REACH = 4.0
SIZE_SLACK = 0.4  # a file a third smaller
PSNR_SLACK = 3.0  # dB


@dataclass(frozen=True)
class Probe:
    """One try: the file of `quality`, and its measured value (bytes or dB)."""

    quality: float
    data: bytes
    value: float


def encode_to_size(encode: Callable[[float], bytes], limit: int, near: float | None = None) -> Probe:
    """Return the largest file found that has at most `limit` bytes.

    With `near` the search begins at that quality, and ends after few probes.

    Where size rises with quality it is within 0.5 % of `limit` unless quality 100 fits, the probes (8) run out, or
    quality has no step that fine. Raises TargetError where every quality tried makes a larger file.
    """
    found = _search(
        lambda quality, data: math.log(limit / len(data)),
        encode,
        slope=-LOG_SIZE_SLOPE,
        tolerance=SIZE_TOLERANCE,
        slack=SIZE_SLACK,
        near=near,
    )
    good = [probe for probe in found if len(probe.data) <= limit]
    if not good:
        least = min(found, key=lambda probe: len(probe.data))
        raise TargetError(
            f"no file of at most {limit:,} bytes was found: the smallest of {len(found)} qualities tried has "
            f"{len(least.data):,}, at quality {least.quality:.4g}"
        )
    best = max(good, key=lambda probe: (len(probe.data), probe.quality))
    return Probe(best.quality, best.data, len(best.data))


def encode_to_psnr(
    encode: Callable[[float], bytes],
    measure: Callable[[bytes], float],
    floor: float,
    near: float | None = None,
) -> Probe:
    """Return the smallest file found whose PSNR, by `measure` (decoding, in dB), is at least `floor`.

    With `near` the search begins at that quality, and ends after few probes.

    Where PSNR rises with quality it is at most 0.02 dB above unless quality 1 suffices, the probes (8) run out, or
    quality has no step that fine. Raises TargetError where no quality tried reaches it.
    """
    psnr: dict[float, float] = {}  # by quality

    def margin(quality: float, data: bytes) -> float:
        psnr[quality] = measure(data)
        return psnr[quality] - floor

    found = _search(
        margin,
        encode,
        slope=PSNR_SLOPE,
        tolerance=PSNR_TOLERANCE,
        slack=PSNR_SLACK,
        near=near,
    )
    good = [probe for probe in found if probe.value >= 0]
    if not good:
        best = max(found, key=lambda probe: psnr[probe.quality])
        raise TargetError(
            f"a PSNR of {floor:g} dB was not reached: the best of {len(found)} qualities tried gives "
            f"{psnr[best.quality]:.2f} dB, at quality {best.quality:.4g}"
        )
    best = min(good, key=lambda probe: (len(probe.data), -probe.value))
    return Probe(best.quality, best.data, psnr[best.quality])


def _search(
    margin: Callable[[float, bytes], float],
    encode: Callable[[float], bytes],
    slope: float,
    tolerance: float,
    slack: float,
    near: float | None = None,
) -> list[Probe]:
    """Return all probes, until one has a `margin` in 0..tolerance, or none is worth a try any more.

    `margin` should change with quality by about `slope`. First come secant steps kept inside a bracket, the last of
    them at the end of the range where the margin should be greatest; then, if no margin was good, whole qualities,
    first spread over the range, then those nearest to the best, while the falls of the curve let hope for more.
    """
    tried: list[Probe] = []

    def probe(quality: float) -> None:
        data = encode(quality)
        tried.append(Probe(quality, data, margin(quality, data)))

    best_end = HIGHEST if slope > 0 else LOWEST
    quality = (LOWEST + HIGHEST) / 2 if near is None else near
    for count in range(1, (MAX_PROBES if near is None else NEAR_PROBES) + 1):
        probe(quality)
        good = [one for one in tried if one.value >= 0]
        if good and min(good, key=_value).value <= tolerance:
            return tried
        quality = _next_quality(tried, slope, tolerance / 2)
        repeated = any(abs(quality - one.quality) < 1e-3 for one in tried)
        if not good and (repeated or count == MAX_PROBES - 1):
            quality = best_end
        if any(quality == one.quality for one in tried) or (good and repeated):
            break
    left = _spread() if near is None else []
    while left:
        best = max(tried, key=_value)
        many = len(tried) >= MAX_PROBES + SPREAD_PROBES
        if best.value >= 0 or best.value + max(REACH * _fall(tried, slope), 0 if many else slack) < 0:
            break
        quality = min(left, key=lambda one: abs(one - best.quality)) if many else left[0]
        left.remove(quality)
        if all(quality != one.quality for one in tried):
            probe(quality)
    return tried


def _spread() -> list[float]:
    """The whole qualities, so that the first few of them lie all over the range (van der Corput's order)."""
    order = (float(int(f"{number:07b}"[::-1], 2)) for number in range(128))
    return [quality for quality in order if LOWEST <= quality <= HIGHEST]


def _fall(tried: list[Probe], slope: float) -> float:
    """Return by how much, at most, a probe lies below an earlier one where the curve should rise."""
    fall, top = 0.0, -math.inf
    for probe in sorted(tried, key=lambda probe: probe.quality * slope):
        top = max(top, probe.value)
        fall = max(fall, top - probe.value)
    return fall


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

"""Probability laws on a finite alphabet: checking what a user gives, and entropies in bits."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NORMALISATION_TOLERANCE = 1e-6
"""How far from one the sum of a given law may be: rounding of printed numbers, not a forgotten division."""


def as_law(values: ArrayLike, name: str = "the law", normalise: bool = False) -> Floats:
    """Check a law and return it as float64 of shape (n,) that sums to one up to rounding.

    `normalise=True` accepts any non-negative masses (counts, say) and divides by their sum. Without it a
    sum further than 1e-6 from one is an error, because it nearly always means that the wrong column was
    read. Zeros and masses as small as 1e-300 are kept.

    Raises `UsageError` for an empty, multi-dimensional, negative, non-finite or unnormalised law.
    """
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "biufO":  # text, dates and complex numbers would be converted without a word
            raise TypeError(f"it holds {given.dtype}")
        law = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{name} is not a list of numbers ({error})") from None
    if law.ndim != 1 or law.size == 0:
        raise UsageError(f"{name} must be a non-empty one-dimensional list, not of shape {law.shape}")
    if not np.isfinite(law).all():
        raise UsageError(f"{name} holds a value that is no number (entry {int(np.isfinite(law).argmin())})")
    if law.min() < 0:
        raise UsageError(f"{name} holds a negative mass, {law.min():g} (entry {int(law.argmin())})")
    peak = float(law.max())
    if peak == 0:
        raise UsageError(f"{name} has no mass at all")
    scaled = law / peak  # so that neither 1e308 twice nor 1e-300 in all leave the range of a float
    total = math.fsum(scaled)
    if not normalise and abs(total * peak - 1) > NORMALISATION_TOLERANCE:
        raise UsageError(f"{name} sums to {total * peak:.9g} instead of 1; divide it by its sum first")
    return scaled / total if normalise else law / math.fsum(law)


def entropy(masses: ArrayLike) -> float:
    """Shannon entropy in bits of non-negative masses that sum to one; 0 log 0 = 0."""
    mass = np.asarray(masses, dtype=np.float64).ravel()
    mass = mass[mass > 0]
    return max(0.0, -float(np.sum(mass * np.log2(mass))))


def entropy_terms(masses: Floats) -> Floats:
    """The summands -m log2 m of the entropy, elementwise, zero where the mass is zero."""
    safe = np.where(masses > 0, masses, 1.0)
    return -safe * np.log2(safe)


def merge_loss(a: float, b: float) -> float:
    """Bits lost when masses a and b become one: (a+b) h(a/(a+b)) = a log2(1+b/a) + b log2(1+a/b)."""
    if a <= 0 or b <= 0:
        return 0.0
    small, large = min(a, b), max(a, b)
    # log2((a+b)/small) as a difference: large/small overflows when one mass is 1e-300 and the other is not.
    of_small = small * (math.log2(small + large) - math.log2(small))
    return of_small + large * math.log1p(small / large) / math.log(2)


def binary_entropy(p: float) -> float:
    """h(p) = -p log2 p - (1-p) log2(1-p), in bits."""
    return merge_loss(p, 1.0 - p)

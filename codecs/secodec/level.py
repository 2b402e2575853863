"""The loudness of a sound and the gain that brings it to the level that the network was trained at.

    sound --divided by the gain--> encoder --> tokens --> decoder --times the gain--> sound

A network codes best what is as loud as its training speech. So the level of the speech in a sound is measured, the
sound is brought to `NOMINAL`, and the gain that undoes this stands in the file as an integer number of `STEP`s. The
level is that of active speech, as ITU-T P.56 means it: pauses, however long, and clicks, however loud, hardly count.
"""

from __future__ import annotations

import numpy as np

from ...errors import CorruptStreamError

NOMINAL = -26.0  # dBFS, as telephony has it; held-out training speech sounds best there, at the fewest bits
STEP = 0.5  # dB
LEVELS = (-100.0, 100.0)  # dBFS; what is below, digital silence too, counts as the lowest
MOST_MISSING = 12.0  # dB; where more is missing, it is not speech that came back
MARGIN = 15.9  # dB that a frame may lie below the active level and still be active (ITU-T P.56)


def active_level(powers: np.ndarray) -> float:
    """Level in dBFS, within `LEVELS`, of the active ones among frames with mean squares `powers` (F,), full scale 1.

    The level is the mean power of all frames above it less `MARGIN`. Beginning with the loudest frame it falls until
    that holds. So frames below that threshold, say silence that follows the speech, change nothing at all.
    """
    lowest, highest = LEVELS
    powers = _without_clicks(np.asarray(powers, dtype=np.float64))
    level = 10 * np.log10(max(float(powers.max(initial=0.0)), 1e-30))
    while True:
        active = powers[powers >= 10 ** ((level - MARGIN) / 10)]
        mean = 10 * np.log10(float(active.mean())) if active.size else lowest
        if mean >= level - 1e-9 or mean < lowest:
            return float(np.clip(mean, lowest, highest))
        level = mean


def missing(before: np.ndarray, after: np.ndarray) -> int:
    """Steps by which a decoded sound is too quiet, from the mean squares of its frames and of the original's, (F,).

    They lie half-way between what the mean power and the level of active speech say, for these part by up to 1 dB where
    pauses are not those of the original. Sounds that the network cannot code, say of silence alone, stay as they are.
    """
    if not (before.any() and after.any()):
        return 0
    power = 10 * np.log10(before.mean() / after.mean())
    speech = active_level(before) - active_level(after)
    steps = round(float(power + speech) / 2 / STEP)
    return steps if abs(steps) * STEP <= MOST_MISSING else 0


def within(gain: int) -> int:
    """The nearest gain that some level within `LEVELS` has."""
    return min(max(gain, gain_of(LEVELS[0])), gain_of(LEVELS[1]))


def _without_clicks(powers: np.ndarray) -> np.ndarray:
    """Each frame no louder than the loudest but two of the five around it: clicks of up to two frames vanish."""
    if powers.size < 5:
        return powers
    around = np.lib.stride_tricks.sliding_window_view(np.pad(powers, 2, mode="edge"), 5)
    return np.minimum(powers, np.sort(around, axis=1)[:, 2])


def gain_of(level: float) -> int:
    """Steps by which a sound at `level` dBFS is louder than `NOMINAL`."""
    return round((level - NOMINAL) / STEP)


def factor(gain: int) -> float:
    """What the decoder multiplies the network's samples with, and the encoder divides by."""
    return float(10 ** (gain * STEP / 20))


def to_field(gain: int) -> int:
    """The gain as a header field: 0, 1, 2, 3, 4 ... for 0, -1, 1, -2, 2 ..."""
    return 2 * gain if gain >= 0 else -2 * gain - 1


def from_field(value: int) -> int:
    """The gain in a header field.

    Raises:
        CorruptStreamError: for a gain that no level within `LEVELS` has.
    """
    return check_gain(gain_in(value))


def gain_in(value: int) -> int:
    """The same of any value."""
    return value // 2 if value % 2 == 0 else -(value + 1) // 2


def check_gain(gain: int) -> int:
    """The gain as it is. Raises CorruptStreamError for one that no level within `LEVELS` has."""
    if not gain_of(LEVELS[0]) <= gain <= gain_of(LEVELS[1]):
        raise CorruptStreamError(f"a gain of {gain * STEP:g} dB cannot be")
    return gain

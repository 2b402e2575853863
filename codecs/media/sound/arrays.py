"""Sounds from what Python programs hold: arrays, tensors and lists, with channels in either place."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ....errors import UsageError
from .mixdown import Mixer
from .signal import MAX_SECONDS, RATES, Sound

_log = logging.getLogger(__name__)
MOST_CHANNELS = 32
LOUDEST = 32.0  # a float sample beyond is no sound in -1..1, however hot, but an integer that was not scaled
_FULL_SCALE = {"uint8": 128, "int16": 1 << 15, "int32": 1 << 31}
WANTED = "a sound is a pair: samples (T,), (T, channels) or (channels, T), and the rate in Hz"


def as_sound(source: Any) -> Sound:
    """A `Sound`, or a pair (samples, rate); samples may be an array, a torch tensor or a list.

    Floats are nominally in -1..1; int16, int32 and uint8 have the full scale that they have in WAV files. Channels,
    at most 32, may come first, as in torchaudio, or last, as in soundfile, and are mixed (see `mixdown`); ones in
    front, as of a batch of one sound, are taken away.

    Raises:
        UsageError: for anything else, an empty sound, a NaN or infinite sample, an odd rate, more than four hours.
    """
    if isinstance(source, Sound):
        source = (source.samples, source.rate)
    if not (isinstance(source, (tuple, list)) and len(source) == 2):
        raise UsageError(WANTED)
    rate = check_rate(source[1])
    samples = _scaled(_with_channels(_as_array(source[0])))
    if len(samples) > MAX_SECONDS * rate:
        raise UsageError(f"the sound is longer than {MAX_SECONDS // 3600} hours: cut it into parts")
    mixer = Mixer(samples.shape[1])
    mono = mixer.mix(samples)
    if mixer.loss:
        _log.warning("the sound: %s", mixer.loss)
    return Sound(np.ascontiguousarray(mono) * np.float32(mixer.scale), rate)


def check_rate(rate: Any) -> int:
    """The rate in Hz as an int; a float or a 0-dimensional array with a whole value is one.

    Raises:
        UsageError: for any other.
    """
    try:
        value = float(rate)
    except (TypeError, ValueError, OverflowError):
        what = repr(rate) if isinstance(rate, str) else f"of type {type(rate).__name__}"
        raise UsageError(f"a rate is a number in Hz, not {what}; {WANTED}") from None
    if isinstance(rate, (bool, str, bytes)) or not RATES[0] <= value <= RATES[1] or value != int(value):
        raise UsageError(f"a rate of {rate!r} Hz is none of {RATES[0]}..{RATES[1]} Hz")
    return int(value)


def _as_array(samples: Any) -> np.ndarray:
    if hasattr(samples, "detach"):  # a torch tensor, perhaps on a GPU, with a gradient, or bfloat16
        if str(samples.layout) != "torch.strided" or samples.is_quantized or samples.is_meta:
            raise UsageError("a sparse, quantised or meta tensor is no sound: give an ordinary one")
        samples = samples.detach().cpu().resolve_conj().resolve_neg()
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()
    if isinstance(samples, np.ma.MaskedArray):
        raise UsageError("a masked array is no sound: say what its masked samples are, array.filled(0)")
    try:
        return np.asarray(samples)
    except (ValueError, TypeError) as error:
        raise UsageError(f"the samples are no array of numbers ({error})") from None


def _with_channels(samples: np.ndarray) -> np.ndarray:
    """(T, channels). Raises UsageError where the shape does not say which is which."""
    shape = samples.shape
    if samples.size == 0:
        raise UsageError("the sound is empty: it holds no samples")
    while samples.ndim > 2 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim == 1:
        return samples[:, None]
    if samples.ndim != 2:
        raise UsageError(f"samples of shape {shape} are neither (T,) nor (T, channels) nor (channels, T)")
    rows, columns = samples.shape
    if columns == 1 or (columns <= MOST_CHANNELS < rows):
        return samples
    if rows == 1 or (rows <= MOST_CHANNELS < columns):
        return samples.T
    raise UsageError(f"samples of shape {shape} do not say which of the two are channels: give one channel, (T,)")


def _scaled(samples: np.ndarray) -> np.ndarray:
    """float32 with full scale 1. Raises UsageError for other kinds of numbers, NaN and infinity."""
    scale = _FULL_SCALE.get(samples.dtype.name)
    if scale is not None:
        centred = samples.astype(np.float64) - (scale if samples.dtype == np.uint8 else 0)
        return (centred / scale).astype(np.float32)
    if samples.dtype.kind != "f":
        raise UsageError(
            f"samples of {samples.dtype} have no known full scale: give floats in -1..1, int16, int32 or uint8"
        )
    loudest = float(np.abs(samples).max())
    if not np.isfinite(loudest):
        raise UsageError("the sound holds NaN or infinite samples")
    factor = scale_of(loudest)
    if factor != 1:
        _log.warning("the samples reach %.6g: taken as 16-bit values, floats go from -1 to 1", loudest)
    return (samples * factor).astype(np.float32) if factor != 1 else samples.astype(np.float32, copy=False)


def scale_of(loudest: float) -> float:
    """What brings float samples up to `loudest` to full scale 1: 1, or 2^-15 for what must be 16-bit values.

    Raises:
        UsageError: for samples beyond those.
    """
    if loudest <= LOUDEST:
        return 1.0
    if loudest <= _FULL_SCALE["int16"]:
        return 1 / _FULL_SCALE["int16"]
    raise UsageError(f"the samples reach {loudest:.6g}, but floats go from -1 to 1")

"""Measures of speech: PESQ, STOI and ViSQOL by their packages, SI-SDR and log-mel distance by definition.

Word error rate is in `words`, speaker similarity in `voices`.
"""

from __future__ import annotations

import math
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...errors import UsageError
from .sounds import Sound
from .voices import speaker_similarity
from .words import MODEL_VARIABLE, Listening, measure_words

SOUND_METRICS = ("pesq", "stoi", "visqol", "si_sdr", "log_mel", "wer", "speaker")
ONLY_ASKED = ("visqol",)  # takes longer than all codecs and the other measures together
RATE = 16000  # wide-band PESQ and ViSQOL's speech mode are defined at 16 kHz
SOUND_UNITS = {
    "pesq": "MOS-LQO", "stoi": "", "visqol": "MOS-LQO", "si_sdr": "dB", "log_mel": "dB", "wer": "%",
    "wer_original": "%", "speaker": "",
}  # fmt: skip
LOWER_IS_BETTER = ("log_mel", "wer", "wer_original")
# ViSQOL's speech score needs its lattice model's runtime: the fall-back polynomial is 1 to 2 points too high
_MODULES = {
    "pesq": ("pesq",), "stoi": ("pystoi",), "visqol": ("visqol", "ai_edge_litert"), "wer": ("faster_whisper",),
    "speaker": ("resemblyzer", "webrtcvad"),
}  # fmt: skip
_INSTALL = {
    "pesq": "pesq", "stoi": "pystoi", "visqol": "'visqol-python[lattice]'", "wer": "faster-whisper",
    "speaker": "Resemblyzer 'setuptools<81'",
}  # fmt: skip


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019, eq. 3), both (length,)."""
    reference = reference.astype(np.float64) - reference.mean()
    estimate = estimate.astype(np.float64) - estimate.mean()
    energy = float(reference @ reference)
    if energy == 0:
        raise ValueError("SI-SDR of a silent reference is not defined")
    target = (estimate @ reference) / energy * reference
    noise = float(np.sum((estimate - target) ** 2))
    signal = float(target @ target)
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def mel_filters(bands: int, bins: int, rate: int) -> np.ndarray:
    """Triangular filters (bands, bins) evenly spaced on the HTK mel scale from 0 Hz to half the rate."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequency = np.linspace(0, rate / 2, bins)
    rising = (frequency - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - frequency) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


def log_mel(samples: np.ndarray, rate: int) -> np.ndarray:
    """Log-mel spectrogram in dB, (frames, 80): 1024-sample Hann windows every 256 samples, floor -100 dB."""
    window = np.hanning(1025)[:-1]
    padded = np.pad(samples.astype(np.float64), (512, 512), mode="reflect" if len(samples) > 512 else "constant")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 1024)[::256]
    power = np.abs(np.fft.rfft(frames * window)) ** 2 / np.sum(window) ** 2
    return 10 * np.log10(np.maximum(power @ mel_filters(80, 513, rate).T, 1e-10))


def log_mel_distance(reference: np.ndarray, estimate: np.ndarray, rate: int) -> float:
    """Mean absolute difference of the two log-mel spectrograms in dB."""
    return float(np.mean(np.abs(log_mel(reference, rate) - log_mel(estimate, rate))))


def choose_sound_metrics(names: tuple[str, ...] | None, whisper: Path | None = None) -> tuple[str, ...]:
    """The metrics to measure: those asked for, or all quick ones that can be; raises UsageError for one that cannot.

    `whisper` is the folder of the recogniser that word error rates need.
    """
    chosen = names or tuple(name for name in SOUND_METRICS if name not in ONLY_ASKED)
    unknown = [name for name in chosen if name not in SOUND_METRICS]
    if unknown:
        raise UsageError(f"there is no metric {unknown[0]!r}; choose of {', '.join(SOUND_METRICS)}")
    missing = [name for name in chosen if not all(map(_is_here, _MODULES.get(name, ())))]
    if names and missing:
        raise UsageError(f"{missing[0]} needs a package: pip install {_INSTALL[missing[0]]}")
    if names and "wer" in chosen and whisper is None:
        raise UsageError(f"wer needs a Whisper model: --whisper FOLDER, or {MODEL_VARIABLE} in the environment")
    if whisper is None:
        missing.append("wer")
    return tuple(name for name in chosen if name not in missing)


def _is_here(module: str) -> bool:
    """Whether a module can be imported. webrtcvad is tried: one of its releases needs what setuptools 81 dropped."""
    if module != "webrtcvad":
        return find_spec(module) is not None
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _visqol(reference: np.ndarray, estimate: np.ndarray) -> float:
    from visqol import VisqolApi

    api = VisqolApi()
    api.create(mode="speech")
    return float(api.measure_from_arrays(reference.astype(np.float64), estimate.astype(np.float64), RATE).moslqo)


def measure_sound(
    a: Sound, b: Sound, metrics: tuple[str, ...], listening: Listening | None = None
) -> dict[str, float | None]:
    """The asked measures of `b` against the original `a`, both taken to 16 kHz and equally long.

    "wer" gives word error rates of both, with the number of words, and needs `listening`.
    """
    reference, estimate = a.at(RATE).samples, b.at(RATE).samples
    length = min(len(reference), len(estimate))
    reference, estimate = reference[:length], estimate[:length]
    found: dict[str, float | None] = {}
    if "pesq" in metrics:
        from pesq import pesq

        found["pesq"] = float(pesq(RATE, reference, estimate, "wb"))
    if "stoi" in metrics:
        from pystoi import stoi

        found["stoi"] = float(stoi(reference, estimate, RATE))
    if "visqol" in metrics:
        found["visqol"] = _visqol(reference, estimate)
    if "si_sdr" in metrics:
        found["si_sdr"] = si_sdr(reference, estimate)
    if "log_mel" in metrics:
        found["log_mel"] = log_mel_distance(reference, estimate, RATE)
    if "wer" in metrics and listening is not None:
        found |= measure_words(reference, estimate, listening)
    if "speaker" in metrics:
        found["speaker"] = speaker_similarity(reference, estimate)
    return found

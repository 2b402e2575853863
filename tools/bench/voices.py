"""Speaker similarity: the cosine of two recordings' speaker embeddings, by Resemblyzer with the encoder it carries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

RATE = 16000  # Hz


@lru_cache(maxsize=1)
def _encoder() -> Any:
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False)


@lru_cache(maxsize=64)
def _embedding(samples: bytes) -> np.ndarray | None:
    """Of float32 samples at 16 kHz; None where nothing in them is found to be speech."""
    from resemblyzer import preprocess_wav

    sound = np.frombuffer(samples, dtype=np.float32).copy()
    speech = preprocess_wav(sound, source_sr=RATE) if sound.any() else sound[:0]
    return np.asarray(_encoder().embed_utterance(speech)) if speech.size else None


def speaker_similarity(reference: np.ndarray, decoded: np.ndarray) -> float | None:
    """Of two sounds (T,) at 16 kHz, 1 for the same voice; None where one holds no speech.

    Two utterances of one speaker reach 0.8 to 0.9, those of two speakers 0.4 to 0.7.
    """
    a, b = (_embedding(np.ascontiguousarray(x, dtype=np.float32).tobytes()) for x in (reference, decoded))
    return None if a is None or b is None else float(a @ b)

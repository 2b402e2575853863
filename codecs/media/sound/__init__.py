"""Sounds as the speech codec takes them: one channel in blocks, from arrays and files, and back into files.

    file   --open_sound--> SoundFile \
                                      blocks of one channel --> codec --> blocks --write_sound--> file
    arrays --as_sound----> Sound     /

A `Sound` has its samples in memory; a `SoundFile` reads its blocks anew whenever they are asked for, so that hours of
sound take no more memory than seconds.
"""

from __future__ import annotations

from .arrays import as_sound
from .reading import is_sound, open_sound, read_sound
from .signal import MAX_SECONDS, RATES, Sound, SoundSource
from .writing import WRITABLE, check_suffix, write_sound

__all__ = [
    "MAX_SECONDS",
    "RATES",
    "WRITABLE",
    "Sound",
    "SoundSource",
    "as_sound",
    "check_suffix",
    "is_sound",
    "open_sound",
    "read_sound",
    "write_sound",
]

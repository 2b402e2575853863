"""Suffixes of the sound files that this libsndfile reads."""

from __future__ import annotations

import soundfile

# By libsndfile's names. Left out is what has no header (RAW) or holds other things as often as sounds (MAT4, MAT5).
_SUFFIXES = {
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "AVR": (".avr",),
    "CAF": (".caf",),
    "FLAC": (".flac",),
    "HTK": (".htk",),
    "IRCAM": (".sf",),
    "MP3": (".mp3", ".mp2", ".mp1"),
    "NIST": (".nist", ".sph"),
    "OGG": (".ogg", ".oga", ".opus"),
    "PAF": (".paf", ".fap"),
    "PVF": (".pvf",),
    "RF64": (".rf64",),
    "SDS": (".sds",),
    "SVX": (".svx", ".8svx", ".iff"),
    "VOC": (".voc",),
    "W64": (".w64",),
    "WAV": (".wav", ".wave"),
    "WVE": (".wve",),
    "XI": (".xi",),
}


def sound_suffixes() -> tuple[str, ...]:
    """Lower-case suffixes, with their dots."""
    here = soundfile.available_formats()
    return tuple(suffix for name, suffixes in _SUFFIXES.items() if name in here for suffix in suffixes)

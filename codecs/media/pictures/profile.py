"""Colour profiles (ICC.1:2022): what one is for, one that fits the picture, and profiles of our own.

Other formats say what their numbers mean by a gamma, by chromaticities or by the code points of ITU-T H.273
(`cICP` of PNG, `nclx` of AVIF). All of them become a profile, the one form that a file of ours keeps.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

D50 = np.array([0.9642, 1.0, 0.8249])  # the profile connection space's white, as ICC rounds it
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_HEADER, _SIGNATURE = 128, b"acsp"

# Chromaticities x, y of red, green, blue and white.
_D65, _ILLUMINANT_C = (0.3127, 0.3290), (0.310, 0.316)
SRGB_PRIMARIES = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
ADOBE_PRIMARIES = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), _D65)
ADOBE_GAMMA = 563 / 256
_SMPTE_170M = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
Primaries = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]

# H.273, tables 2 and 3. Code point 2 is "unspecified"; still pictures then mean sRGB.
_CODED_PRIMARIES: Mapping[int, Primaries] = {
    1: SRGB_PRIMARIES,
    2: SRGB_PRIMARIES,
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _ILLUMINANT_C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: _SMPTE_170M,
    7: _SMPTE_170M,
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _ILLUMINANT_C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
# Cameras' curves of BT.709, 601 and 2020 are shown as sRGB by everything that shows still pictures.
_AS_SRGB = (1, 2, 6, 13, 14, 15)
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
PQ, HLG = 16, 18
_TABLE_SIZE = 256  # a rendition: what is exact stands in the code points
_REFERENCE_WHITE = 203.0  # cd/m², ITU-R BT.2408


def space_of(icc: bytes) -> bytes:
    """Return the four letters of the colour space that a profile is for, b"" where it is no profile, or a cut one."""
    whole = len(icc) > _HEADER and int.from_bytes(icc[:4], "big") <= len(icc)
    return icc[16:20] if whole and icc[36:40] == _SIGNATURE else b""


def tags_of(icc: bytes) -> dict[bytes, bytes]:
    """Return the tags of a profile by their signature; none where the profile is broken."""
    tags = {}
    try:
        (count,) = struct.unpack_from(">I", icc, _HEADER)
        for index in range(min(count, 200)):
            name, offset, size = struct.unpack_from(">4sII", icc, _HEADER + 4 + 12 * index)
            tags[name] = icc[offset : offset + size]
    except struct.error:
        return {}
    return tags


def cicp_of(icc: bytes) -> bytes | None:
    """Return the four code points of H.273 that a profile carries: primaries, transfer, matrix, range."""
    tag = tags_of(icc).get(b"cicp", b"")
    return tag[8:12] if len(tag) == 12 else None


def grey_form(icc: bytes) -> bytes | None:
    """Return the profile for one channel that means what three equal channels mean under an RGB profile.

    None where there is none: the three curves differ, or a table or code points say more than they do.
    """
    tags = tags_of(icc)
    curve = tags.get(b"rTRC")
    if curve is None or any(name in tags for name in (b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"cicp")):
        return None
    if tags.get(b"gTRC") != curve or tags.get(b"bTRC") != curve:
        return None
    return grey_profile(curve)


def colour_form(icc: bytes) -> bytes | None:
    """Return the profile for three equal channels that means what a GRAY profile means for one, or None."""
    curve = tags_of(icc).get(b"kTRC")
    return None if curve is None else rgb_profile(SRGB_PRIMARIES, curve)


def fitting(icc: bytes | None, grey: bool) -> bytes | None:
    """Return a profile of the same meaning for a picture written in one channel (`grey`) or three equal ones.

    None where there is none.
    """
    space = space_of(icc) if icc else b""
    if icc is None or space == (b"GRAY" if grey else b"RGB "):
        return icc
    if grey:
        return grey_form(icc) if space == b"RGB " else None
    return colour_form(icc) if space == b"GRAY" else None


def _close(a: Primaries, b: Primaries) -> bool:
    """Tell whether chromaticities are the same but for how they were rounded."""
    return bool(np.abs(np.array(a) - np.array(b)).max() < 0.0015)


def gamma_curve(gamma: float) -> bytes:
    """Return the curve light = sample ** gamma as the content of a tag."""
    return b"para\0\0\0\0" + struct.pack(">HH", 0, 0) + _fixed(gamma)


def srgb_curve() -> bytes:
    """Return sRGB's curve (IEC 61966-2-1) as the content of a tag."""
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def table_curve(light: NDArray[np.float64]) -> bytes:
    """Return a curve through equally spaced values of light in 0..1 as the content of a tag."""
    return b"curv\0\0\0\0" + struct.pack(">I", len(light)) + np.rint(light * 65535).astype(">u2").tobytes()


def grey_profile(curve: bytes) -> bytes:
    """Return a profile for grey pictures with this curve."""
    return _profile(b"GRAY", {b"wtpt": _xyz(D50), b"kTRC": curve})


def rgb_profile(primaries: Primaries, curve: bytes, cicp: bytes | None = None) -> bytes:
    """Return a profile for three channels of one curve; `cicp` are four code points to keep with it.

    Raises ValueError where the primaries span no triangle.
    """
    adaptation, colours = adapted(primaries)
    tags = {
        b"wtpt": _xyz(D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(*adaptation.ravel()),
        **{name: _xyz(colours[:, index]) for index, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    if cicp is not None:
        tags[b"cicp"] = b"cicp\0\0\0\0" + cicp
    return _profile(b"RGB ", tags)


def white_first(values: Sequence[float]) -> Primaries:
    """Return chromaticities given as x and y of white, red, green and blue."""
    white, red, green, blue = zip(values[::2], values[1::2], strict=True)
    return red, green, blue, white


def described_profile(gamma: float | None, primaries: Primaries | None) -> bytes | None:
    """Return the profile of samples that are light ** `gamma` of these primaries; None for what is sRGB.

    What is None is as in sRGB. Raises ValueError where the primaries span no triangle.
    """
    # 1/2.2 is how writers say sRGB; what lies so near is meant so.
    like_srgb = not gamma or abs(gamma * 2.2 - 1) < 0.005
    if like_srgb and (primaries is None or _close(primaries, SRGB_PRIMARIES)):
        return None
    curve = srgb_curve() if like_srgb or not gamma else gamma_curve(min(max(1 / gamma, 0.01), 100))
    return rgb_profile(primaries or SRGB_PRIMARIES, curve)


def coded_profile(primaries: int, transfer: int) -> bytes | None:
    """Return the profile of code points of H.273, None for sRGB.

    The code points stay in it as a `cicp` tag. Brightness beyond white (PQ, HLG) has no place in a curve: the
    curve is a rendition for programs that do not look at the tag. Raises ValueError for unknown code points.
    """
    if primaries not in _CODED_PRIMARIES:
        raise ValueError(f"colour primaries {primaries} of H.273 are unknown")
    if primaries in (1, 2) and transfer in _AS_SRGB:
        return None
    curves: dict[int, Callable[[], bytes]] = {PQ: _pq_curve, HLG: _hlg_curve}
    if transfer in _AS_SRGB:
        curve = srgb_curve()
    elif transfer in _GAMMAS:
        curve = gamma_curve(_GAMMAS[transfer])
    elif transfer in curves:
        curve = curves[transfer]()
    else:
        raise ValueError(f"the transfer function {transfer} of H.273 is unknown")
    return rgb_profile(_CODED_PRIMARIES[primaries], curve, bytes((primaries, transfer, 0, 1)))


def _pq_curve() -> bytes:
    """SMPTE ST 2084, 0 to 10,000 cd/m²."""
    root = np.linspace(0, 1, _TABLE_SIZE) ** (32 / 2523)
    light = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
    return table_curve(_toned(10_000 * light ** (8192 / 1305), 10_000))


def _hlg_curve() -> bytes:
    """ARIB STD-B67 on a display of 1,000 cd/m², whose system gamma is 1.2 (ITU-R BT.2100)."""
    signal = np.linspace(0, 1, _TABLE_SIZE)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return table_curve(_toned(1000 * np.clip(scene, 0, 1) ** 1.2, 1000))


def _toned(nits: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """Bring 0..peak cd/m² into 0..1 (Reinhard et al. 2002, eq. 4, with the peak as the least pure white)."""
    relative, white = nits / _REFERENCE_WHITE, peak / _REFERENCE_WHITE
    return np.clip(relative * (1 + relative / white**2) / (1 + relative), 0, 1)


def adapted(primaries: Primaries) -> tuple[Matrix, Matrix]:
    """Return the adaptation to D50 (Bradford), and the colours' XYZ under D50 as columns."""
    if any(not (0 < y <= 1 and -1 <= x <= 1.5) for x, y in primaries):
        raise ValueError("the chromaticities are no colours")
    red, green, blue, white = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in primaries)
    unscaled = np.stack([red, green, blue], axis=1)
    if abs(np.linalg.det(unscaled)) < 1e-4:
        raise ValueError("the chromaticities span no triangle")
    colours = unscaled * np.linalg.solve(unscaled, white)
    scale = (_BRADFORD @ D50) / (_BRADFORD @ white)
    adaptation: Matrix = np.linalg.inv(_BRADFORD) @ (scale[:, None] * _BRADFORD)
    adapted: Matrix = adaptation @ colours
    if np.abs(adapted).max() > 100:
        raise ValueError("the chromaticities are no colours")
    return adaptation, adapted


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(values: Matrix) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _text(words: str) -> bytes:
    body = words.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(body), 28) + body


def _profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """Return the bytes of a display profile, version 4.4; equal tags are stored once."""
    tags = {b"desc": _text("bitfloor"), b"cprt": _text("CC0"), **tags}
    start = _HEADER + 4 + 12 * len(tags)
    body, places, table = b"", {}, struct.pack(">I", len(tags))
    for name, content in tags.items():
        if content not in places:
            places[content] = start + len(body)
            body += content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", places[content], len(content))
    header = struct.pack(">I4xI4s4s4s", start + len(body), 0x04400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, _SIGNATURE) + bytes(28) + _fixed(*D50)
    return header.ljust(_HEADER, b"\0") + table + body

"""HEIF with HEVC in it (HEIC), as telephones write it: by libheif, through pillow-heif where that is installed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import UnreadableInputError
from . import profile as profiles
from .decoded import Decoded, Space, full_range
from .metadata import Metadata
from .picture import check_pixels

BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def is_heif(data: bytes) -> bool:
    """Tell whether the file type box begins with a brand of HEIF."""
    return data[4:8] == b"ftyp" and data[8:12] in BRANDS


def read_heif(data: bytes, max_pixels: int) -> Decoded:
    """Return the primary picture in a HEIF file, upright; 10 and 12 bits become 16.

    Raises UnreadableInputError for one with too many pixels, or where pillow-heif is not installed, and libheif's
    errors for a broken file.
    """
    try:
        import pillow_heif
    except ImportError:
        raise UnreadableInputError("HEIC needs the package pillow-heif: pip install 'bitfloor[heic]'") from None
    image = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
    width, height = image.size
    check_pixels(width, height, max_pixels)
    notes = []
    if any("hdrgainmap" in str(kind) for kind in image.info.get("aux") or {}):
        notes.append("its gain map for bright screens is left out")
    samples: NDArray[Any] = np.asarray(image)  # decodes
    samples = samples[:, :, None] if samples.ndim == 2 else samples
    if samples.dtype != np.uint8:
        bits = int(image.info["bit_depth"])
        samples = full_range(samples >> (16 - bits), (1 << bits) - 1)
    space: Space = "grey" if samples.shape[2] < 3 else "rgb"
    metadata = Metadata((image.info.get("exif") or b"").removeprefix(b"Exif\0\0") or None, image.info.get("xmp"))
    return Decoded(samples, space, _profile(image.info, notes), 1, notes, metadata)


def _profile(info: dict[str, Any], notes: list[str]) -> bytes | None:
    """Return the profile in the file, else that of the code points."""
    if icc := info.get("icc_profile"):
        return bytes(icc)
    coded = info.get("nclx_profile")
    if not coded:
        return None
    try:
        return profiles.coded_profile(int(coded["color_primaries"]), int(coded["transfer_characteristics"]))
    except ValueError as error:
        notes.append(f"{error}, and it is taken as sRGB")
        return None

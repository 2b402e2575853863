"""TIFF 6.0 and BigTIFF: samples by tifffile and libtiff, their meaning here.

Any byte order, planar or not, in strips or tiles, 1 to 16 bits a sample. A file whose samples have no fixed
white (floating point, signed) is refused with the reason, rather than guessed.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from ....errors import UnreadableInputError
from . import profile as profiles
from .decoded import CHANNELS, Decoded, Space, full_range
from .exif import byte_order, orientation_of
from .metadata import NO_METADATA, Metadata
from .picture import check_pixels

_ORIENTATION, _TRANSFER_FUNCTION, _WHITE_POINT, _PRIMARIES = 274, 301, 318, 319
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 282, 283, 296
_XMP, _ICC, _DNG_VERSION = 700, 34675, 50706
_WHITE_IS_ZERO, _PALETTE, _YCBCR, _CIELAB = 0, 3, 6, 8
_SPACES: dict[int, Space] = {0: "grey", 1: "grey", 2: "rgb", 3: "rgb", 5: "cmyk", 6: "rgb", 8: "lab", 9: "lab"}
_FAX, _OLD_JPEG, _JPEG = (2, 3, 4), 6, 7
_UNSIGNED, _SIGNED = 1, 2
_ASSOCIATED, _UNASSOCIATED = 1, 2
_NO_SUFFIX = "convert it to 8 or 16 bits first"


def read_tiff(data: bytes, max_pixels: int) -> Decoded:
    """Return the first picture in a TIFF file.

    Raises UnreadableInputError for one with too many pixels or samples of no fixed meaning, and other
    errors, tifffile's own among them, for a broken file.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        if not isinstance(page, tifffile.TiffPage):
            raise ValueError("it holds no picture")
        notes: list[str] = []
        _check(page, max_pixels)
        if _more_than_one(file):
            notes.append("it holds several pictures, of which the first is taken")
        space: Space = _SPACES[int(page.photometric)]
        orientation, xmp = _tag(page, _ORIENTATION), _tag(page, _XMP)
        if not orientation:
            orientation = orientation_of(None, xmp if isinstance(xmp, bytes) else None)
        if _is_for_libtiff(page):
            samples = _libtiff_colours(data, page)[:, :, : CHANNELS[space]]
        elif page.photometric == _PALETTE:
            samples = _coloured(_samples(page)[:, :, 0], page)
            if (samples[:, :, :1] == samples).all():
                space, samples = "grey", samples[:, :, :1]
        else:
            samples = _with_alpha_only(_meant(_samples(page), page, space), page, CHANNELS[space], notes)
        return Decoded(samples, space, _profile(page, notes), int(orientation), notes, _metadata(data, page, notes))


def _metadata(data: bytes, page: tifffile.TiffPage, notes: list[str]) -> Metadata:
    from .tiff_exif import exif_in_tiff

    xmp, unit, exif, dpi = _tag(page, _XMP), _tag(page, _UNIT), None, None
    try:
        exif = exif_in_tiff(data, page.offset)
    except ValueError:
        notes.append("its EXIF data are too large and left out")
    try:
        found = [_tag(page, tag) for tag in (_X_RESOLUTION, _Y_RESOLUTION)]
        across, down = (value[0] / value[1] * {2: 1.0, 3: 2.54}[int(unit or 2)] for value in found)
        dpi = across, down
    except (ArithmeticError, KeyError, TypeError, ValueError, IndexError):
        pass  # none, or one without a unit
    return Metadata(exif, xmp if isinstance(xmp, bytes) else None, dpi)


def write_tiff(samples: NDArray[Any], icc: bytes | None, metadata: Metadata = NO_METADATA) -> bytes:
    """Return a deflated TIFF of (H, W, 1 to 4) samples of uint8 or uint16: grey, grey and alpha, RGB, RGBA."""
    buffer = io.BytesIO()
    channels = samples.shape[2]
    tifffile.imwrite(
        buffer,
        samples[:, :, 0] if channels == 1 else samples,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="adobe_deflate",
        predictor=True,
        byteorder=byte_order(metadata.exif or b""),
        iccprofile=icc,
        metadata=None,
        software=False,
        resolution=metadata.resolution,
        resolutionunit="INCH" if metadata.resolution else None,
        extratags=[(_XMP, 1, len(metadata.xmp), metadata.xmp, True)] if metadata.xmp else (),
    )
    if not metadata.exif:
        return buffer.getvalue()
    from .tiff_exif import with_exif

    return with_exif(buffer.getvalue(), metadata.exif)


def _tag(page: tifffile.TiffPage, code: int) -> Any:
    tag = page.tags.get(code)
    return None if tag is None else tag.value


def _check(page: tifffile.TiffPage, max_pixels: int) -> None:
    """Refuse what would take too much memory, and samples of which nobody knows what they mean."""
    check_pixels(page.imagewidth, page.imagelength, max_pixels)
    if page.is_tiled:
        check_pixels(page.tilewidth, page.tilelength, max(max_pixels, 1 << 20))
    if page.samplesperpixel * page.imagewidth * page.imagelength > 8 * max_pixels or page.imagedepth != 1:
        raise UnreadableInputError(f"its {page.samplesperpixel} channels or {page.imagedepth} layers are too many")
    if _tag(page, _DNG_VERSION) is not None:
        raise UnreadableInputError("it is a raw photograph (DNG): develop it first")
    if page.photometric is None or int(page.photometric) not in _SPACES:
        raise UnreadableInputError(f"TIFF with samples of the kind {page.photometric!r} is not supported")
    signed, bits = page.sampleformat != _UNSIGNED, page.bitspersample
    if page.sampleformat not in (_UNSIGNED, _SIGNED, 4) or (signed and bits < 32 and page.photometric != _CIELAB):
        kind = "signed" if page.sampleformat == _SIGNED else "floating-point or complex"
        raise UnreadableInputError(f"its samples are {kind} numbers, whose white is not fixed: {_NO_SUFFIX}")
    if bits > 32 or not isinstance(bits, int):
        raise UnreadableInputError(f"samples of {bits} bits are not supported: {_NO_SUFFIX}")


def _more_than_one(file: tifffile.TiffFile) -> bool:
    """Tell whether a second whole picture follows; thumbnails and masks do not count, nor broken pages."""
    try:
        return any(not page.subfiletype & 5 for page in file.pages[1:3] if isinstance(page, tifffile.TiffPage))
    except Exception:  # what follows the first picture cannot hurt it
        return False


def _is_for_libtiff(page: tifffile.TiffPage) -> bool:
    """Tell whether samples need what libtiff alone has: fax, JPEG of the first kind, YCbCr of halved colour."""
    halved = page.photometric == _YCBCR and page.compression != _JPEG
    return halved or page.compression in (*_FAX, _OLD_JPEG)


def _libtiff_colours(data: bytes, page: tifffile.TiffPage) -> NDArray[np.uint8]:
    """Return colours (H, W, 3) of 8 bits, black as 0 whatever the file calls it."""
    tag = page.tags.get(_ORIENTATION)
    if tag is not None:  # libtiff would apply a half of it
        order = page.parent.byteorder + "H"
        data = data[: tag.valueoffset] + struct.pack(order, 1) + data[tag.valueoffset + 2 :]
    return np.asarray(imagecodecs.tiff_decode(data, asrgb=True))[:, :, :3]


def _samples(page: tifffile.TiffPage) -> NDArray[Any]:
    """Return the samples as they are stored, (H, W, C); YCbCr in JPEG comes as RGB."""
    stored = page.asarray(squeeze=False, maxworkers=1)
    separate, _, height, width, contiguous = stored.shape
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if separate > 1:
        return np.moveaxis(native[:, 0, :, :, 0], 0, 2)
    return np.asarray(native).reshape(height, width, contiguous)


def _meant(samples: NDArray[Any], page: tifffile.TiffPage, space: Space) -> NDArray[Any]:
    """Return stored samples over their full range, larger always lighter (or more ink)."""
    bits = page.bitspersample
    if bits > 16:
        if samples.min() < 0 or samples.max() > 65535:  # PIL keeps its own 16 bits so, hence not all are refused
            raise UnreadableInputError(f"its 32-bit numbers go beyond 0..65535: {_NO_SUFFIX}")
        samples, bits = samples.astype(np.uint16), 16
    if space == "lab":
        return _lab(samples, bits, is_signed=page.photometric == _CIELAB)
    samples = full_range(samples.view(np.uint8) if samples.dtype == np.bool_ else samples, (1 << bits) - 1)
    if page.photometric == _WHITE_IS_ZERO:
        samples = samples.copy()
        samples[:, :, 0] = np.iinfo(samples.dtype).max - samples[:, :, 0]
    return samples


def _lab(samples: NDArray[Any], bits: int, is_signed: bool) -> NDArray[Any]:
    """Return L*a*b* as `Decoded` wants it; a and b are signed in CIELAB and moved by half in ICCLAB."""
    if bits not in (8, 16):
        raise UnreadableInputError(f"L*a*b* of {bits} bits is not supported: {_NO_SUFFIX}")
    moved = samples.view(f"u{bits // 8}").astype(np.int64)
    if is_signed:
        moved[:, :, 1:3] = (moved[:, :, 1:3] + (1 << bits - 1)) % (1 << bits)
    if bits == 16:  # 256 steps for what 8 bits have as one, but L of CIELAB ends at 65535
        first = 1 if is_signed else 0
        moved[:, :, first:3] = np.minimum((moved[:, :, first:3] * 257 + 128) // 256, 65535)
    return moved.astype(samples.view(f"u{bits // 8}").dtype)


def _coloured(indices: NDArray[Any], page: tifffile.TiffPage) -> NDArray[Any]:
    """Return the colours of a palette, in 8 bits unless its 16 say more; old writers filled the low byte alone."""
    colours = np.asarray(_tag(page, 320), np.uint16).reshape(3, -1).T
    high, low = colours >> 8, colours & 255
    if (high == 0).all():
        colours = low.astype(np.uint8)
    elif ((low == high) | (low == 0)).all():
        colours = high.astype(np.uint8)
    return np.asarray(colours[indices.astype(np.int64)])


def _with_alpha_only(samples: NDArray[Any], page: tifffile.TiffPage, colours: int, notes: list[str]) -> NDArray[Any]:
    """Return the colours and the first alpha channel that the file declares."""
    extra = [int(kind) for kind in page.extrasamples]
    if not extra and samples.shape[2] == 4 and colours == 3:
        extra = [_UNASSOCIATED]  # some writers of RGBA leave the declaration out
    alphas = [index for index, kind in enumerate(extra) if kind in (_ASSOCIATED, _UNASSOCIATED)]
    wanted = colours + alphas[0] if alphas and colours + alphas[0] < samples.shape[2] else None
    dropped = samples.shape[2] - colours - (wanted is not None)
    if dropped > 0:
        notes.append(f"{dropped} further channel{'s are' if dropped > 1 else ' is'} left out")
    if wanted is None:
        return samples[:, :, :colours]
    colour, alpha = samples[:, :, :colours], samples[:, :, wanted : wanted + 1]
    if extra[alphas[0]] == _ASSOCIATED:
        peak = int(np.iinfo(samples.dtype).max)
        divisor = np.maximum(alpha.astype(np.uint64), 1)
        divided = (colour.astype(np.uint64) * peak + divisor // 2) // divisor
        colour = np.minimum(divided, peak).astype(samples.dtype)
    return np.concatenate([colour, alpha], axis=2)


def _profile(page: tifffile.TiffPage, notes: list[str]) -> bytes | None:
    """Return the profile, or one of the primaries that the tags give."""
    icc = _tag(page, _ICC)
    if isinstance(icc, bytes):
        return icc
    if _tag(page, _TRANSFER_FUNCTION) is not None:
        notes.append("its transfer function is left out")
    white, rgb = _tag(page, _WHITE_POINT), _tag(page, _PRIMARIES)
    if rgb is None or len(rgb) != 12:
        return None
    try:
        rationals = [*(white or (3127, 10_000, 3290, 10_000)), *rgb]
        values = [rationals[i] / rationals[i + 1] for i in range(0, 16, 2)]
        return profiles.described_profile(None, profiles.white_first(values))
    except (ArithmeticError, ValueError, IndexError, TypeError):
        notes.append("its primaries are broken and left out")
        return None

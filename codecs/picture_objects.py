"""Pictures from the objects of other libraries (PIL images in any mode, arrays, tensors), and PIL images back."""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ..errors import UsageError
from .picture import MAX_ICC_BYTES, Picture, to_depth

EXIF_ORIENTATION = 0x0112
_ICC_SPACES = {"CMYK": b"CMYK", "LAB": b"Lab "}
_GREY_MODES = ("1", "L", "LA", "La", "I")

_log = logging.getLogger(__name__)


def as_picture(source: Any) -> Picture:
    """Return the Picture of a PIL image, an HxW, HxWx3 or HxWx4 array of uint8 or uint16, or a 3xHxW tensor.

    A tensor holds floats in 0..1 and becomes a picture of 8 bits. Raises UsageError for anything else.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if type(source).__module__.partition(".")[0] == "torch":
        return _from_tensor(source)
    if isinstance(source, Image.Image):
        return from_pil(source)
    raise UsageError(f"a {type(source).__name__} is no picture: give a PIL image, an array or a tensor")


def _from_array(array: NDArray[Any]) -> Picture:
    if array.ndim == 2:
        return Picture(np.repeat(array[:, :, None], 3, axis=2), grey=True)
    if array.ndim == 3 and array.shape[2] == 4:
        return Picture(np.ascontiguousarray(array[:, :, :3]), np.ascontiguousarray(array[:, :, 3]))
    return Picture(array)


def _from_tensor(tensor: Any) -> Picture:
    if tensor.ndim != 3 or tensor.shape[0] != 3 or not tensor.is_floating_point():
        raise UsageError(f"a picture tensor is 3xHxW floats, not {tuple(tensor.shape)} of {tensor.dtype}")
    samples = tensor.detach().cpu().float().permute(1, 2, 0).contiguous().numpy()
    if not (samples.size and samples.min() >= 0 and samples.max() <= 1):  # false for NaN too
        raise UsageError("a picture tensor holds values in 0..1; this one has others")
    return Picture(to_depth(samples, np.dtype(np.uint8)))


def from_pil(image: Image.Image, samples: NDArray[Any] | None = None) -> Picture:
    """Return the Picture of a PIL image, turned upright by its EXIF orientation.

    `samples` (H, W, channels), where given, are the image's samples in more bits than PIL has.
    Raises UsageError for modes that hold no picture of 0..white, and what Pillow raises on broken data.
    """
    image.load()
    grey = image.mode in _GREY_MODES or image.mode.startswith("I;16")
    if samples is not None:
        grey = samples.shape[2] < 3  # Pillow says RGBA for grey with alpha of 16 bits
    icc = _profile(image, grey)
    if samples is None:
        image, icc = _in_known_mode(image, icc)
        samples = _plain_samples(image)
    samples = _upright(_with_transparency(samples, image), _orientation(image))
    channels = samples.shape[2]
    grey, alpha = channels < 3, None
    if channels in (2, 4):
        alpha = np.ascontiguousarray(samples[:, :, -1])
    rgb = np.repeat(samples[:, :, :1], 3, axis=2) if grey else np.ascontiguousarray(samples[:, :, :3])
    return Picture(rgb, alpha, icc, grey)


def _in_known_mode(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None]:
    """Return the image as L, LA, RGB, RGBA, I or I;16 and the profile that then holds."""
    mode = image.mode
    if mode in ("L", "LA", "RGB", "RGBA", "I") or mode.startswith("I;16"):
        return image, icc
    if mode in ("CMYK", "LAB"):
        return _to_srgb(image, icc), None
    if mode in ("P", "PA"):
        colours = image.convert("RGBA" if mode == "PA" or "transparency" in image.info else "RGB")
        return _keep_info(_grey_if_equal(colours), image), icc
    one_bit = "LA" if "transparency" in image.info else "L"
    target = {"1": one_bit, "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}.get(mode)
    if target is None:
        raise UsageError(f"pictures of mode {mode} are not supported: convert it to RGB or grey first")
    return _keep_info(image.convert(target), image), icc


def _keep_info(converted: Image.Image, original: Image.Image) -> Image.Image:
    """Carry the EXIF data over, whose orientation is read later; transparency has been converted."""
    converted.info = {k: v for k, v in original.info.items() if k != "transparency"}
    return converted


def _grey_if_equal(image: Image.Image) -> Image.Image:
    samples = np.asarray(image)
    if (samples[:, :, 0] == samples[:, :, 1]).all() and (samples[:, :, 0] == samples[:, :, 2]).all():
        return image.convert("LA" if image.mode == "RGBA" else "L")
    return image


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Return a CMYK or LAB image as sRGB, through its profile where it has a sound one."""
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif icc is None:
            return _keep_info(image.convert("RGB"), image)
        else:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        if converted is not None:
            return _keep_info(converted, image)
    except (OSError, ImageCms.PyCMSError) as error:
        if image.mode == "LAB":
            raise UsageError(f"pictures of mode LAB are not supported here ({error})") from None
        _log.warning("the CMYK colour profile is broken (%s): its colours are guessed", error)
    return _keep_info(image.convert("RGB"), image)


def _plain_samples(image: Image.Image) -> NDArray[Any]:
    samples = np.asarray(image)
    if image.mode == "I":
        if samples.min() < 0 or samples.max() > 65535:
            raise UsageError("pictures of 32-bit integers are not supported beyond 0..65535")
        samples = samples.astype(np.uint16)
    elif image.mode.startswith("I;16"):
        samples = samples.astype(np.uint16, copy=False)  # the byte order of this machine
    return samples[:, :, None] if samples.ndim == 2 else samples


def _with_transparency(samples: NDArray[Any], image: Image.Image) -> NDArray[Any]:
    """Add the alpha that a grey or RGB file expresses by one transparent colour."""
    key = image.info.get("transparency")
    if samples.shape[2] not in (1, 3) or not isinstance(key, (int, tuple)):
        return samples
    opaque = (samples != np.array(key)).any(axis=2, keepdims=True)
    alpha = opaque.astype(samples.dtype) * np.iinfo(samples.dtype).max
    return np.concatenate([samples, alpha.astype(samples.dtype)], axis=2)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # EXIF data is broken in many ways, and the picture is good all the same
        return 1


def _upright(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo EXIF orientations 2..8: 5..8 swap the axes, then each is one of the four flips."""
    if orientation in (5, 6, 7, 8):
        samples = samples.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def _profile(image: Image.Image, grey: bool) -> bytes | None:
    """Return the colour profile where it is one for this kind of picture."""
    icc = image.info.get("icc_profile")
    if not icc:
        return None
    if icc[16:20] != (b"GRAY" if grey else _ICC_SPACES.get(image.mode, b"RGB ")):
        _log.info("the colour profile is not one for a picture of mode %s and is left out", image.mode)
        return None
    if len(icc) >= MAX_ICC_BYTES:
        _log.warning("the colour profile of %d bytes is left out", len(icc))
        return None
    return bytes(icc)


def to_pil(picture: Picture) -> Image.Image:
    """Return a PIL image: L, LA, RGB, RGBA, or I;16 for a grey picture of 16 bits without alpha.

    PIL has no 16 bits of colour: such a picture is rounded to 8. The colour profile is in `info`.
    """
    if picture.grey and picture.alpha is None:
        image = Image.fromarray(np.ascontiguousarray(picture.rgb[:, :, 0]))
    else:
        if picture.peak > 255:
            _log.warning("a picture of 16 bits a channel is rounded to 8 bits here")
        planes = [picture.rgb[:, :, :1] if picture.grey else picture.rgb]
        if picture.alpha is not None:
            planes.append(picture.alpha[:, :, None])
        samples = np.concatenate(planes, axis=2) if len(planes) > 1 else planes[0]
        image = Image.fromarray(np.ascontiguousarray(to_depth(samples, np.dtype(np.uint8))))
    if picture.icc:
        image.info["icc_profile"] = picture.icc
    return image

"""Pictures from arrays and tensors, wherever it is clear what their axes and numbers mean.

    array or tensor --> NumPy (H, W, channels) --> uint8 or uint16 --> Picture

Axes: libraries of arrays put the channels last, libraries of tensors first. What has 3 channels where its own kind
has them (an array 4 also) is read so. Else that axis is the channels which alone can be: has 1, 3 or 4 entries.
Numbers: uint8 and uint16 run over their whole range, floats over 0..1, booleans are black and white.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import UsageError
from .picture import Picture, to_depth

CHANNELS = (1, 3, 4)
_SPARE = 0.5 / 255  # a resized float picture leaves 0..1 by less than this, and rounds to black or white


def is_array(source: Any) -> bool:
    """Whether `array_picture` is the one to ask: for NumPy arrays, tensors, and what NumPy can take without a copy."""
    return isinstance(source, np.ndarray) or _is_tensor(source) or hasattr(source, "__array__")


def array_picture(source: Any) -> Picture:
    """Return the Picture of an array or tensor: HxW, HxWxC or CxHxW with 1, 3 or 4 channels, or a batch of one.

    Floats become a picture of 8 bits. Raises UsageError where axes or numbers could mean something else.
    """
    tensor = _is_tensor(source)
    samples = _as_uint(_channels_last(_as_array(source, tensor), channels_first=tensor))
    colours = np.ascontiguousarray(samples[:, :, :3])
    if colours.shape[2] == 1:
        return Picture(np.repeat(colours, 3, axis=2), grey=True)
    alpha = np.ascontiguousarray(samples[:, :, 3]) if samples.shape[2] == 4 else None
    return Picture(colours, alpha)


def _is_tensor(source: Any) -> bool:
    """Whether it is a torch tensor or of a class derived from that; torch is there if so, and is not imported here."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(source, torch.Tensor)


def _as_array(source: Any, tensor: bool) -> NDArray[Any]:
    if not tensor:
        if isinstance(source, np.ma.MaskedArray):
            raise UsageError("a masked array is no picture: say what its masked samples are, array.filled(0)")
        try:
            return np.asarray(source)
        except Exception as error:  # whatever another library raises, say for memory of a GPU
            raise UsageError(f"a {type(source).__name__} does not become a NumPy array: {error}") from error
    if source.layout != sys.modules["torch"].strided or source.is_quantized or source.is_meta:
        raise UsageError("a sparse, quantised or meta tensor is no picture: give an ordinary one")
    plain = source.detach().as_subclass(sys.modules["torch"].Tensor).cpu().resolve_conj().resolve_neg()
    array: NDArray[Any] = (plain.float() if plain.is_floating_point() else plain).numpy()
    return array


def _as_uint(samples: NDArray[Any]) -> NDArray[Any]:
    """Return samples as uint8 or uint16, in this machine's byte order."""
    kind, size = samples.dtype.kind, samples.dtype.itemsize
    if kind == "b":
        return samples.astype(np.uint8) * np.uint8(255)
    if kind == "u" and size <= 2:
        return samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if kind != "f":
        raise UsageError(f"samples of {samples.dtype} do not say what is white: give uint8, uint16, or floats in 0..1")
    low, high = float(samples.min()), float(samples.max())
    if not (low >= -_SPARE and high <= 1 + _SPARE):  # false for NaN too
        raise UsageError(f"a picture of floats holds values in 0..1; this one goes from {low:g} to {high:g}")
    return to_depth(samples.astype(np.float32, copy=False), np.dtype(np.uint8))


def _channels_last(samples: NDArray[Any], channels_first: bool) -> NDArray[Any]:
    """Return (H, W, channels)."""
    shape = samples.shape
    if samples.size == 0:
        raise UsageError(f"a picture of shape {shape} has no pixels")
    if samples.ndim == 4:
        if shape[0] != 1:
            raise UsageError(f"a batch of {shape[0]} pictures is not one picture: encode each by itself")
        samples = samples[0]
    if samples.ndim == 2:
        return samples[:, :, None]
    if samples.ndim != 3:
        raise UsageError(f"a picture has the axes HxW, HxWxC or CxHxW, not the shape {shape}")
    first, last = samples.shape[0] in CHANNELS, samples.shape[2] in CHANNELS
    usual = samples.shape[0] == 3 if channels_first else samples.shape[2] in (3, 4)
    if usual or first != last:
        at_front = channels_first if usual else first
        return samples.transpose(1, 2, 0) if at_front else samples
    if first:
        raise UsageError(f"a picture of shape {shape} may have its channels first or last: give it as HxWx3")
    raise UsageError(f"a picture of shape {shape} has no axis of 1, 3 or 4 channels")

"""JPEG's distortion without its entropy code: 4:2:0, with either of two chroma filters."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.fft import dctn, idctn

AXES = (2, 3)


def tables(quality: int) -> tuple[np.ndarray, np.ndarray]:
    """The 8x8 quantisation tables of luma and chroma at libjpeg's quality."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=quality)
    found = Image.open(file).quantization
    return np.array(found[0]).reshape(8, 8), np.array(found[1]).reshape(8, 8)


def blocks(plane: np.ndarray, size: int) -> np.ndarray:
    """(H, W) to (H / size, W / size, size, size)."""
    height, width = plane.shape
    return plane.reshape(height // size, size, width // size, size).transpose(0, 2, 1, 3)


def unblocks(grid: np.ndarray) -> np.ndarray:
    """The inverse of `blocks`."""
    rows, columns, size, _ = grid.shape
    return grid.transpose(0, 2, 1, 3).reshape(rows * size, columns * size)


def coded(coefficients: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Quantised and brought back."""
    return np.round(coefficients / table) * table


def plane(samples: np.ndarray, table: np.ndarray) -> np.ndarray:
    """A plane at full resolution through 8x8 blocks."""
    coefficients = dctn(blocks(samples - 128, 8), axes=AXES, norm="ortho")
    return unblocks(idctn(coded(coefficients, table), axes=AXES, norm="ortho")) + 128


def chroma_by_dct(samples: np.ndarray, table: np.ndarray) -> np.ndarray:
    """IJG libjpeg 7 and later: a 16x16 DCT of which the low 8x8 are kept, and back."""
    low = dctn(blocks(samples - 128, 16), axes=AXES, norm="ortho")[:, :, :8, :8] / 2
    whole = np.zeros((*low.shape[:2], 16, 16))
    whole[:, :, :8, :8] = coded(low, table) * 2
    return unblocks(idctn(whole, axes=AXES, norm="ortho")) + 128


def chroma_by_box(samples: np.ndarray, table: np.ndarray) -> np.ndarray:
    """libjpeg 6 and libjpeg-turbo: means of 2x2, and the triangle filter 3/4, 1/4 back."""
    height, width = samples.shape
    half = np.round(samples.reshape(height // 2, 2, width // 2, 2).mean((1, 3)))
    half = np.clip(np.round(plane(half, table)), 0, 255)
    for axis in (0, 1):
        padded = np.concatenate([half.take([0], axis), half, half.take([-1], axis)], axis)
        count = half.shape[axis]
        before, after = padded.take(range(count), axis), padded.take(range(2, count + 2), axis)
        pair = np.stack([(3 * half + before) / 4, (3 * half + after) / 4], axis=axis + 1)
        shape = list(half.shape)
        shape[axis] *= 2
        half = pair.reshape(shape)
    return half


def model_psnr(pictures: list[Image.Image], quality: int, *, dct_chroma: bool) -> float:
    """Mean PSNR over the pictures, RGB, in dB."""
    luma_table, chroma_table = tables(quality)
    chroma = chroma_by_dct if dct_chroma else chroma_by_box
    found = []
    for image in pictures:
        original = np.asarray(image).astype(float)
        r, g, b = (original[..., i] for i in range(3))
        y = plane(np.round(0.299 * r + 0.587 * g + 0.114 * b), luma_table)
        cb = chroma(np.round(-0.168735892 * r - 0.331264108 * g + 0.5 * b + 128), chroma_table)
        cr = chroma(np.round(0.5 * r - 0.418687589 * g - 0.081312411 * b + 128), chroma_table)
        y, cb, cr = (np.clip(np.round(p), 0, 255) for p in (y, cb, cr))
        cb, cr = cb - 128, cr - 128
        decoded = np.stack([y + 1.402 * cr, y - 0.344136286 * cb - 0.714136286 * cr, y + 1.772 * cb], -1)
        error = np.clip(np.round(decoded), 0, 255) - original
        found.append(10 * np.log10(255**2 / np.mean(error**2)))
    return float(np.mean(found))

"""PSNR, MS-SSIM and the measures of sound against other ways to compute them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bench_helpers import picture
from PIL import Image
from scipy.ndimage import correlate1d

from bitfloor.errors import UsageError
from bitfloor.tools.bench import metrics, sound_metrics
from bitfloor.tools.bench.sounds import Sound


def ms_ssim_by_definition(a: Image.Image, b: Image.Image) -> float:
    """Wang, Simoncelli and Bovik 2003, in float64 by scipy: each colour by itself, then the mean."""
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    window = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(plane: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(plane, window, axis=0), window, axis=1)[5:-5, 5:-5]

    scores = []
    for channel in range(3):
        x, y = (np.asarray(image, dtype=np.float64)[..., channel] for image in (a, b))
        score = 1.0
        for scale, weight in enumerate(weights):
            mx, my = blur(x), blur(y)
            vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
            contrast = (2 * vxy + c2) / (vx + vy + c2)
            luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
            whole = contrast * luminance if scale == 4 else contrast
            score *= max(whole.mean(), 0) ** weight
            x, y = (p[: p.shape[0] // 2 * 2, : p.shape[1] // 2 * 2] for p in (x, y))
            x, y = ((p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in (x, y))
        scores.append(score)
    return float(np.mean(scores))


@pytest.fixture(scope="module")
def pair() -> tuple[Image.Image, Image.Image]:
    original = picture(3, width=320, height=256)
    noise = np.random.default_rng(1).normal(0, 12, (256, 320, 3))
    worse = np.clip(np.asarray(original) + noise, 0, 255).astype(np.uint8)
    return original, Image.fromarray(worse)


def test_psnr_against_its_definition(pair: tuple[Image.Image, Image.Image]) -> None:
    a, b = (np.asarray(image).astype(np.longdouble) for image in pair)
    expected = 20 * np.log10(255) - 10 * np.log10(((a - b) ** 2).sum() / a.size)
    measured = metrics.measure_picture(*pair, ("psnr",))["psnr"]
    assert measured == pytest.approx(float(expected), abs=1e-4)
    assert metrics.measure_picture(pair[0], pair[0], ("psnr",))["psnr"] == math.inf


def test_ms_ssim_against_its_definition(pair: tuple[Image.Image, Image.Image]) -> None:
    pytest.importorskip("pytorch_msssim")
    measured = metrics.measure_picture(*pair, ("ms_ssim",))
    expected = ms_ssim_by_definition(*pair)
    assert measured["ms_ssim"] == pytest.approx(expected, abs=1e-4)
    assert measured["ms_ssim_db"] == pytest.approx(-10 * math.log10(1 - expected), abs=1e-2)


def test_ms_ssim_of_a_small_picture_is_no_number() -> None:
    small = picture(0, width=160, height=200)
    assert metrics.measure_picture(small, small, ("ms_ssim",))["ms_ssim"] is None


def test_ssimulacra2_orders_jpegs_and_gives_100_for_equal(pair: tuple[Image.Image, Image.Image]) -> None:
    pytest.importorskip("ssimulacra2")
    assert metrics.ssimulacra2(pair[0], pair[0]) == pytest.approx(100)
    assert metrics.ssimulacra2(*pair) < 90


def test_an_unknown_metric_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match="no metric 'ssim'"):
        metrics.choose_metrics(("ssim",))
    with pytest.raises(UsageError, match="no metric 'mos'"):
        sound_metrics.choose_sound_metrics(("mos",))


def test_si_sdr_of_orthogonal_noise_is_its_power_ratio() -> None:
    t = np.arange(16000) / 16000
    signal, noise = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 1000 * t)
    assert sound_metrics.si_sdr(signal, 0.3 * signal + 0.03 * noise) == pytest.approx(20, abs=1e-6)
    assert sound_metrics.si_sdr(signal, -2 * signal) == math.inf


def test_log_mel_distance_of_a_gain_is_that_gain_in_decibels() -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, 16000)
    assert sound_metrics.log_mel_distance(noise, noise / 2, 16000) == pytest.approx(20 * math.log10(2), abs=1e-9)
    assert sound_metrics.log_mel_distance(noise, noise, 16000) == 0


def test_mel_filters_share_every_frequency_between_neighbours() -> None:
    filters = sound_metrics.mel_filters(20, 4001, 16000)
    centres = filters.argmax(axis=1)
    assert (np.diff(centres) > 0).all()
    inside = filters[:, centres[0] : centres[-1] + 1].sum(axis=0)
    assert inside == pytest.approx(np.ones_like(inside), abs=1e-9)


def test_sound_at_two_rates_is_compared_at_16_khz() -> None:
    t = np.arange(24000) / 24000
    high = Sound(np.sin(2 * np.pi * 500 * t).astype(np.float32), 24000)
    found = sound_metrics.measure_sound(high, high.at(16000), ("si_sdr", "log_mel"))
    assert found["si_sdr"] is not None and found["si_sdr"] > 60

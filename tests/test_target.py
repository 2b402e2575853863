"""The search for a quality against trying all of them."""

import math

import numpy as np
import pytest

from bitfloor.errors import TargetError
from bitfloor.tools.target import MAX_PROBES, encode_to_psnr, encode_to_size

GRID = 1 + 99 * np.arange(4001) / 4000


class Curve:
    """File sizes and PSNR that rise with quality, bend, and have steps, as real ones do."""

    def __init__(self, rng):
        self.small, self.growth = rng.uniform(100, 20_000), math.log(rng.uniform(4, 40))
        self.bend, self.step = rng.uniform(-0.6, 0.6), rng.choice([1e-6, 0.1, 0.25])
        self.extra, self.probes = rng.choice([0, 300]), 0
        self.low, self.gain = rng.uniform(22, 32), rng.uniform(8, 20)

    def _place(self, quality):
        t = (round(quality / self.step) * self.step - 1) / 99
        return t + self.bend * t * (1 - t)

    def size(self, quality):
        return int(self.extra + self.small * math.exp(self.growth * self._place(quality)))

    def psnr(self, quality):
        return self.low + self.gain * self._place(quality)

    def encode(self, quality):
        assert 1 <= quality <= 100
        self.probes += 1
        return QualityBytes(self.size(quality), quality)


class QualityBytes(bytes):
    """A file that remembers its quality, as a real one does."""

    def __new__(cls, size, quality):
        made = super().__new__(cls, size)
        made.quality = quality
        return made


@pytest.mark.parametrize("seed", range(60))
def test_size_is_never_above_and_close_to_the_best_of_all_qualities(seed):
    rng = np.random.default_rng(seed)
    curve = Curve(rng)
    limit = int(rng.uniform(curve.size(1), curve.size(100) * 1.1))
    probe = encode_to_size(curve.encode, limit)
    best = max(size for size in map(curve.size, GRID) if size <= limit)
    assert len(probe.data) <= limit and probe.value == len(probe.data) == curve.size(probe.quality)
    assert len(probe.data) >= best * 0.97  # steps of quality may cost the last probes
    assert curve.step > 1e-3 or len(probe.data) >= best * 0.994
    assert curve.probes <= MAX_PROBES


@pytest.mark.parametrize("seed", range(60))
def test_psnr_is_never_below_and_close_to_the_best_of_all_qualities(seed):
    rng = np.random.default_rng(seed)
    curve = Curve(rng)
    floor = rng.uniform(curve.psnr(1) - 1, curve.psnr(100))
    probe = encode_to_psnr(curve.encode, lambda data: curve.psnr(data.quality), floor)
    best = min(value for value in map(curve.psnr, GRID) if value >= floor)
    assert floor <= probe.value == pytest.approx(curve.psnr(probe.quality))
    assert probe.value <= best + (0.021 if curve.step < 1e-3 else 0.2)
    assert curve.probes <= MAX_PROBES


def test_few_probes_on_an_ordinary_curve():
    counts = []
    for seed in range(40):
        curve = Curve(np.random.default_rng(seed))
        curve.step = 1e-6
        encode_to_size(curve.encode, round(math.sqrt(curve.size(1) * curve.size(100))))
        counts.append(curve.probes)
    assert np.mean(counts) <= 5


def test_unreachable_targets_say_what_is_nearest():
    curve = Curve(np.random.default_rng(0))
    with pytest.raises(TargetError, match=f"quality 1, has {curve.size(1):,}"):
        encode_to_size(curve.encode, curve.size(1) - 1)
    with pytest.raises(TargetError, match=f"quality 100 gives {curve.psnr(100):.2f} dB"):
        encode_to_psnr(curve.encode, lambda data: curve.psnr(data.quality), curve.psnr(100) + 0.01)
    assert curve.probes <= 2 * MAX_PROBES


def test_the_ends_of_the_range_are_found():
    curve = Curve(np.random.default_rng(1))
    assert encode_to_size(curve.encode, curve.size(1)).quality == pytest.approx(1, abs=0.2)
    assert encode_to_size(curve.encode, 10**9).quality == 100
    measure = lambda data: curve.psnr(data.quality)  # noqa: E731
    assert encode_to_psnr(curve.encode, measure, curve.psnr(100)).quality == pytest.approx(100, abs=0.2)
    assert encode_to_psnr(curve.encode, measure, 1.0).quality == 1


def test_lossless_pictures_have_infinite_psnr():
    curve = Curve(np.random.default_rng(2))
    measure = lambda data: math.inf if data.quality > 90 else curve.psnr(data.quality)  # noqa: E731
    assert encode_to_psnr(curve.encode, measure, curve.psnr(95)).value == math.inf

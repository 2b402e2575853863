"""The search for a quality against trying all of them."""

import math

import numpy as np
import pytest

from bitfloor.codecs import aim
from bitfloor.codecs.base import PictureCodec
from bitfloor.codecs.target import MAX_PROBES, NEAR_PROBES, SPREAD_PROBES, encode_to_psnr, encode_to_size
from bitfloor.errors import TargetError

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


def test_unreachable_targets_say_what_was_measured():
    curve = Curve(np.random.default_rng(0))
    with pytest.raises(TargetError, match=rf"the smallest of \d+ qualities tried has {curve.size(1):,}, at quality 1$"):
        encode_to_size(curve.encode, curve.size(1) - 1)
    assert curve.probes <= MAX_PROBES + SPREAD_PROBES
    with pytest.raises(TargetError, match=rf"qualities tried gives {curve.psnr(100):.2f} dB, at quality 100$"):
        encode_to_psnr(curve.encode, lambda data: curve.psnr(data.quality), curve.psnr(100) + 0.01)
    assert curve.probes <= 2 * (MAX_PROBES + SPREAD_PROBES)


def test_what_cannot_be_is_given_up_at_once():
    curve = Curve(np.random.default_rng(0))
    with pytest.raises(TargetError, match="best of"):
        encode_to_psnr(curve.encode, lambda data: curve.psnr(data.quality), 90)
    assert curve.probes <= MAX_PROBES


# Flat red of 128x128 pixels, coded by the network that came with 0.1: bytes and PSNR in dB at quality 1, 2, ... 100.
RED_BYTES = [
    99, 97, 95, 97, 92, 92, 91, 87, 87, 89, 88, 88, 89, 85, 84, 86, 85, 96, 90, 86, 87, 92, 97, 92, 91,
    93, 100, 100, 101, 104, 114, 111, 111, 117, 117, 116, 126, 109, 115, 126, 126, 125, 122, 124, 127, 119,
    113, 119, 113, 113, 109, 117, 119, 121, 122, 130, 130, 131, 136, 143, 137, 142, 143, 137, 145, 149, 130,
    131, 136, 141, 145, 147, 156, 161, 171, 177, 165, 167, 169, 173, 175, 189, 188, 198, 195, 192, 202, 206,
    208, 216, 231, 245, 252, 260, 266, 271, 282, 281, 275, 283,
]  # fmt: skip
RED_PSNR = [
    40.97, 42.45, 43.49, 44.81, 45.28, 45.69, 45.21, 44.77, 44.6, 44.85, 45.74, 44.11, 45.09, 43.68, 42.09,
    42.25, 41.49, 42.12, 42.52, 41.94, 41.87, 43.46, 44.96, 45.81, 43.24, 45.02, 44.65, 44.92, 44.13, 44.02,
    43.97, 43.61, 45.15, 45.96, 47.13, 46.98, 46.94, 45.74, 46.37, 45.52, 45.86, 44.71, 44.97, 45.28, 45.49,
    45.78, 46.72, 46.95, 46.69, 47.75, 47.16, 48.23, 47.64, 47.16, 46.29, 47.84, 46.81, 47.12, 46.72, 46.89,
    47.6, 48.65, 49.16, 48.99, 49.33, 49.31, 49.43, 49.77, 48.4, 48.15, 47.73, 47.6, 48.37, 49.29, 49.6,
    50.05, 51.04, 51.2, 52.25, 51.44, 51.9, 51.13, 51.19, 50.8, 51.03, 49.72, 49.97, 51.45, 51.28, 52.73,
    52.11, 52.88, 53.5, 53.09, 53.62, 53.19, 52.1, 51.56, 51.63, 50.77,
]  # fmt: skip


class FlatRed:
    """The measured curves, between whole qualities those of the nearest one."""

    def __init__(self):
        self.probes = 0

    def encode(self, quality):
        self.probes += 1
        return QualityBytes(RED_BYTES[round(quality) - 1], quality)

    def psnr(self, data):
        return RED_PSNR[round(data.quality) - 1]


@pytest.mark.parametrize("floor", [*np.arange(40, 53.6, 0.2), 53.61, 53.62])
def test_psnr_that_does_not_rise_is_met_where_any_whole_quality_meets_it(floor):
    red = FlatRed()
    probe = encode_to_psnr(red.encode, red.psnr, floor)
    assert red.psnr(probe.data) == pytest.approx(probe.value) and probe.value >= floor
    assert red.probes <= (30 if floor < 53.5 else MAX_PROBES + 100)


@pytest.mark.parametrize("limit", [84, 85, 86, 88, 90, 92, 95, 99, 110, 130, 200, 300])
def test_size_that_does_not_rise_is_met_where_any_whole_quality_meets_it(limit):
    red = FlatRed()
    assert 84 <= len(encode_to_size(red.encode, limit).data) <= limit
    assert red.probes <= MAX_PROBES + 100


def test_a_flat_picture_is_given_up_only_after_all_whole_qualities():
    red = FlatRed()
    with pytest.raises(TargetError, match=r"the best of 1\d\d qualities tried gives 53.62 dB, at quality 9[45]"):
        encode_to_psnr(red.encode, red.psnr, 53.63)
    with pytest.raises(TargetError, match=r"the smallest of 1\d\d qualities tried has 84, at quality 1[45]"):
        encode_to_size(red.encode, 83)


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


class Refining(PictureCodec):
    """Size and PSNR by a `Curve`; with an effort files are 5 % smaller, or 2 % larger and better by 0.3 dB."""

    name = "refining"

    def __init__(self, curve, grows):
        self.curve, self.change, self.gain = curve, 1.02 if grows else 0.95, 0.3 if grows else 0.0
        self.efforts = []

    def encode_picture(self, picture, quality, effort=0):
        self.efforts.append(effort)
        data = QualityBytes(int(self.curve.size(quality) * (self.change if effort else 1)), quality)
        data.psnr = self.curve.psnr(quality) + (self.gain if effort else 0)
        return data

    def decode_picture(self, data, *, max_pixels=0):
        raise NotImplementedError

    def decode_latents(self, data):
        raise NotImplementedError

    def exact_parts(self):
        raise NotImplementedError


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_a_wish_is_looked_for_without_effort_and_met_with_it(monkeypatch, seed, grows):
    monkeypatch.setattr(aim, "_psnr_measure", lambda codec, source, options: lambda data: data.psnr)
    rng = np.random.default_rng(seed)
    curve = Curve(rng)
    curve.step = 1e-6
    picture = np.zeros((8, 8, 3), np.uint8)
    quality = rng.uniform(10, 90)
    for wish in ({"size": curve.size(quality)}, {"bpp": curve.size(quality) / 8}, {"psnr": curve.psnr(quality)}):
        codec = Refining(curve, grows)
        plain = aim.encode_to_aim(codec, picture, aim.Aim(**wish))
        codec.efforts.clear()
        found = aim.encode_to_aim(codec, picture, aim.Aim(**wish), {"effort": 5})
        assert codec.efforts == sorted(codec.efforts) and 1 <= codec.efforts.count(5) <= NEAR_PROBES
        if "psnr" in wish:
            assert found.data.psnr >= wish["psnr"] and len(found.data) <= len(plain.data)
        else:
            assert len(found.data) <= curve.size(quality) and found.data.psnr >= plain.data.psnr
            assert len(found.data) >= 0.98 * curve.size(quality)  # the bytes that it saved were spent


def test_where_no_refined_file_meets_the_wish_the_plain_one_does(monkeypatch):
    monkeypatch.setattr(aim, "_psnr_measure", lambda codec, source, options: lambda data: data.psnr)
    codec = Refining(Curve(np.random.default_rng(0)), grows=True)
    least = codec.curve.size(1)
    found = aim.encode_to_aim(codec, np.zeros((8, 8, 3), np.uint8), aim.Aim(size=least), {"effort": 9})
    assert len(found.data) == least and codec.efforts[-1] == 9

"""Colours that alpha hides: they cost nothing, count for nothing, and stay where they are wanted."""

import numpy as np
import pytest
from fake_codec import ENTRY, FakeCodec
from PIL import Image

import bitfloor
from bitfloor.codecs import registry
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.pictures.hidden import fill_hidden
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.codecs.media.pictures.psnr import picture_psnr
from bitfloor.tools import cli

RNG = np.random.default_rng(11)


def disc(size, hidden, dtype=np.uint8):
    """A disc of smooth colours; outside `hidden`: "noise" or a level."""
    y, x = np.mgrid[:size, :size]
    peak = np.iinfo(dtype).max
    rgb = np.stack([x, y, (x + y) // 2], axis=2) / (size - 1) * 0.5 * peak + 0.25 * peak
    alpha = np.where(np.hypot(y - size / 2, x - size / 2) < size / 3, peak, 0).astype(dtype)
    outside = RNG.integers(0, peak + 1, rgb.shape) if hidden == "noise" else np.full(rgb.shape, hidden)
    return Picture(np.where(alpha[:, :, None] > 0, rgb, outside).astype(dtype), alpha)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (7, 13), (64, 33)])
def test_what_is_seen_stays_and_what_is_hidden_lies_between_it(shape, dtype):
    rgb = RNG.integers(50, 100, (*shape, 3), dtype=dtype)
    alpha = RNG.choice(np.array([0, 0, 1, np.iinfo(dtype).max], dtype), shape)
    alpha[0, 0] = 1
    noisy = rgb.copy()
    noisy[alpha == 0] = RNG.integers(0, np.iinfo(dtype).max, 3)
    filled = fill_hidden(Picture(noisy, alpha))
    assert (filled.rgb[alpha > 0] == rgb[alpha > 0]).all() and (filled.alpha == alpha).all()
    seen = rgb[alpha > 0]
    assert (filled.rgb >= seen.min(axis=0)).all() and (filled.rgb <= seen.max(axis=0)).all()


def test_the_filling_does_not_depend_on_what_was_hidden():
    assert (fill_hidden(disc(64, "noise")).rgb == fill_hidden(disc(64, 0)).rgb).all()


def test_the_filling_is_smooth_and_goes_on_from_the_edge():
    before, after = disc(128, "noise"), fill_hidden(disc(128, "noise"))
    steps = [np.abs(np.diff(p.rgb.astype(int), axis=axis)).max() for p in (before, after) for axis in (0, 1)]
    assert min(steps[:2]) > 200 and max(steps[2:]) < 20


def test_nothing_is_done_where_nothing_is_hidden_and_all_hidden_is_one_colour():
    picture = Picture(RNG.integers(0, 255, (5, 7, 3), dtype=np.uint8), np.ones((5, 7), np.uint8))
    assert fill_hidden(picture) is picture
    assert not fill_hidden(Picture(picture.rgb, np.zeros((5, 7), np.uint8))).rgb.any()


def test_grey_stays_grey():
    grey = disc(32, "noise")
    grey = Picture(np.repeat(grey.rgb[:, :, :1], 3, axis=2), grey.alpha, None, grey=True)
    filled = fill_hidden(grey)
    assert filled.grey and (filled.rgb[:, :, 0] == filled.rgb[:, :, 2]).all()


def test_hidden_noise_costs_no_more_than_hidden_black():
    codec = bitfloor.load("mlicv2")
    noise, black = (codec.encode(disc(160, hidden), quality=60) for hidden in ("noise", 0))
    assert noise == black
    assert len(codec.encode(disc(160, "noise"), quality=60, exact=True)) > 4 * len(noise)


def test_edges_do_not_bleed():
    codec = bitfloor.load("mlicv2")
    source = disc(160, 0)
    edge = source.alpha > 0
    edge[1:-1, 1:-1] &= ~(edge[2:, 1:-1] & edge[:-2, 1:-1] & edge[1:-1, 2:] & edge[1:-1, :-2])
    errors = {}
    for exact in (False, True):
        back = codec.decode_picture(codec.encode(source, quality=30, exact=exact))
        errors[exact] = np.abs(back.rgb.astype(int) - source.rgb)[edge].mean()
    assert errors[False] < 4 and errors[True] > 3 * errors[False]


def test_exact_keeps_hidden_colours():
    source, codec = disc(40, "noise"), FakeCodec()
    kept = codec.decode_picture(codec.encode(source, quality=100, exact=True))
    filled = codec.decode_picture(codec.encode(source, quality=100))
    assert np.abs(kept.rgb.astype(int) - source.rgb).max() <= 1
    assert np.abs(filled.rgb.astype(int) - source.rgb).max() > 50


def test_psnr_counts_what_is_seen():
    a = disc(40, 0)
    hidden = a.alpha == 0
    b = Picture(np.where(hidden[:, :, None], 255, a.rgb).astype(np.uint8), a.alpha)
    assert picture_psnr(a, b) == np.inf
    assert picture_psnr(a, b, exact=True) == pytest.approx(10 * np.log10(1 / hidden.mean()))
    c = Picture(np.where(hidden[:, :, None], a.rgb, a.rgb + 1).astype(np.uint8), a.alpha)
    assert picture_psnr(a, c) == pytest.approx(20 * np.log10(255))


@pytest.fixture
def disc_file(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "CODECS", (ENTRY,))
    picture = disc(80, "noise")
    Image.fromarray(np.dstack([picture.rgb, picture.alpha])).save(tmp_path / "disc.png")
    return tmp_path / "disc.png"


def test_a_psnr_is_reached_on_what_is_seen(disc_file, capsys):
    sizes = {}
    for options in ((), ("--exact",)):
        assert cli.main(["encode", str(disc_file), "--psnr", "40", "-f", *options]) == 0
        output = disc_file.with_suffix(".bf")
        sizes[options] = output.stat().st_size
        assert cli.main(["decode", str(output), "-o", str(disc_file.with_name("back.png")), "-f"]) == 0
        back = read_picture(disc_file.with_name("back.png"))
        assert picture_psnr(read_picture(disc_file), back, exact=bool(options)) >= 40
    assert sizes[()] < sizes[("--exact",)]
    capsys.readouterr()


def test_the_limit_of_pixels_from_the_command_line(disc_file, capsys):
    output, back = disc_file.with_suffix(".bf"), disc_file.with_name("back.png")
    assert cli.main(["encode", str(disc_file), "--max-pixels", "6399"]) == 3 and not output.exists()
    assert cli.main(["encode", str(disc_file), "--max-pixels", "6400"]) == 0
    assert cli.main(["decode", str(output), "-o", str(back), "--max-pixels", "6399"]) == 4 and not back.exists()
    assert cli.main(["decode", str(output), "-o", str(back), "--max-pixels", "6400"]) == 0
    err = capsys.readouterr().err
    assert err.count("80x80 are more than the 6,399 pixels allowed") == 2

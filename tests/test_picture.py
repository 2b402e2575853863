"""Pictures of the library's callers, and the sections of a file that keep what pixels do not say."""

import zlib

import numpy as np
import pytest
import torch
from picture_samples import COLOUR, DEEP, RNG, SRGB, kinds
from PIL import Image

from bitfloor.codecs.container import Section
from bitfloor.codecs.media.pictures.alpha import decode_alpha, encode_alpha
from bitfloor.codecs.media.pictures.objects import as_picture, to_pil
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.errors import CorruptStreamError, UsageError

# --- what the library takes and gives ---


def test_arrays_and_tensors():
    assert as_picture(COLOUR[:, :, 0]).grey
    assert (as_picture(COLOUR).alpha == COLOUR[:, :, 3]).all()
    tensor = torch.from_numpy(COLOUR[:, :, :3].copy()).permute(2, 0, 1).float() / 255
    assert (as_picture(tensor).rgb == COLOUR[:, :, :3]).all()
    same = Picture(COLOUR[:, :, :3])
    assert as_picture(same) is same


@pytest.mark.parametrize(
    "source",
    [
        "photo.png",
        COLOUR.astype(np.float32),
        np.zeros((0, 4, 3), np.uint8),
        COLOUR[:, :, :2],
        torch.zeros(4, 4, 3),
        torch.full((3, 2, 2), float("nan")),
        torch.full((3, 2, 2), 255.0),
        Image.new("F", (2, 2)),
    ],
)
def test_other_things_are_no_pictures(source):
    with pytest.raises(UsageError):
        as_picture(source)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pil_images_come_back_as_they_were(mode):
    source = DEEP[:, :, 0] if mode == "I;16" else COLOUR[:, :, : len(mode)] if mode != "L" else COLOUR[:, :, 0]
    image = Image.fromarray(source, mode) if mode == "LA" else Image.fromarray(source)
    back = to_pil(as_picture(image))
    assert back.mode == mode and (np.asarray(back) == np.asarray(image)).all()


# --- sections ---


@pytest.mark.parametrize("picture", list(kinds()))
def test_sections_bring_everything_back(picture):
    back = Picture.from_sections(picture.rgb / np.float64(picture.peak), picture.to_sections())
    assert (back.rgb == picture.rgb).all() and back.rgb.dtype == picture.rgb.dtype
    assert (back.icc, back.grey) == (picture.icc, picture.grey)
    assert (back.alpha is None) == (picture.alpha is None)
    if picture.alpha is not None:
        assert (back.alpha == picture.alpha).all() and back.alpha.dtype == picture.alpha.dtype


def test_an_ordinary_picture_has_no_sections_and_an_opaque_one_two_bytes():
    assert Picture(COLOUR[:, :, :3]).to_sections() == {}
    assert len(Picture(COLOUR[:, :, :3], np.full((5, 7), 255, np.uint8)).to_sections()[Section.ALPHA]) == 2


def test_smooth_alpha_is_small_and_exact():
    y, x = np.mgrid[:300, :400]
    plane = np.clip(255 * (1.5 - np.hypot(y - 150, x - 200) / 100), 0, 255).astype(np.uint8)
    section = encode_alpha(plane)
    assert len(section) < len(zlib.compress(plane.tobytes(), 9))
    assert (decode_alpha(section, 300, 400, plane.dtype) == plane).all()
    wide = np.tile(plane[150], 50)[None]  # WebP stops at 16383
    assert (decode_alpha(encode_alpha(wide), 1, 20000, wide.dtype) == wide).all()


def test_alpha_of_another_size_is_refused_before_decoding():
    section = encode_alpha(np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8) ** 2)
    deep = encode_alpha(DEEP[:, :, 0])
    for body, size, dtype in [
        (section, (64, 65), "u1"),
        (section, (64, 64), "u2"),
        (deep, (7, 6), "u2"),
        (b"", (1, 1), "u1"),
    ]:
        with pytest.raises(CorruptStreamError):
            decode_alpha(body, *size, np.dtype(dtype))


def test_inflating_stops_at_the_size():
    bomb = zlib.compress(bytes(50_000_000), 9)
    with pytest.raises(CorruptStreamError):
        Picture.from_sections(COLOUR[:, :, :3], {Section.ICC: (1000).to_bytes(3, "big") + bomb})
    with pytest.raises(CorruptStreamError):
        Picture.from_sections(COLOUR[:, :, :3], {Section.ALPHA: b"\2" + bomb})


def test_flipped_and_random_sections_never_crash():
    picture = Picture(np.zeros((64, 48, 3), np.uint8), RNG.integers(0, 99, (64, 48), dtype=np.uint8), SRGB)
    deep = Picture(np.zeros((64, 48, 3), np.uint16), RNG.integers(0, 9, (64, 48), dtype=np.uint16))
    refused = 0
    for sections in [picture.to_sections(), deep.to_sections()] * 100:
        key = int(RNG.choice(list(sections)))
        body = bytearray(sections[key])
        match RNG.integers(3):
            case 0:
                body[RNG.integers(len(body))] ^= 1 << int(RNG.integers(8))
            case 1:
                body = body[: RNG.integers(len(body))]
            case _:
                body[1:] = RNG.bytes(len(body) - 1)
        try:
            back = Picture.from_sections(np.zeros((64, 48, 3), np.uint8), sections | {key: bytes(body)})
            assert back.rgb.shape == (64, 48, 3)
        except CorruptStreamError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 80

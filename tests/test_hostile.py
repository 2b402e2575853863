"""Files that damage, chance or malice made: one clear line, the right exit status, the output untouched.

The format's CRC-32 finds damage. Whoever wants to harm computes it anew, so a part of these files has a
right one, and only the decoder stands between them and the memory of the machine.
"""

import resource
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import bitfloor
from bitfloor import weights
from bitfloor.codecs.container import Section, pack, unpack
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.errors import BitfloorError, CorruptStreamError, ModelError
from bitfloor.tools import cli

PHOTO = read_picture(resources.files(weights).joinpath("demo.avif").read_bytes())
PIXELS = np.ascontiguousarray(PHOTO.rgb[200:262, 100:158])
RNG = np.random.default_rng(3)


@pytest.fixture(scope="module", params=["mlicv2", "s2lic"])
def codec(request):
    return bitfloor.load(request.param)


@pytest.fixture(scope="module")
def data(codec):
    alpha = np.add.outer(np.arange(62), np.arange(58)).astype(np.uint8)
    return codec.encode(Picture(PIXELS, alpha), quality=30)


def refused(damaged):
    """The file is refused as damaged, quickly, in one line."""
    start = time.perf_counter()
    with pytest.raises(CorruptStreamError) as caught:
        bitfloor.decode(bytes(damaged))
    assert time.perf_counter() - start < 10
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 20


def with_right_crc(data, *, payload=None, **header):
    """The same file with other parts, its CRC made right again."""
    taken = unpack(data)
    payload = taken.payload if payload is None else bytes(payload)
    return pack(replace(taken.header, **header), payload, taken.latents_check)


def test_the_file_is_good_as_it_is(data):
    assert np.asarray(bitfloor.decode(data)).shape == (62, 58, 4)


def test_cut_anywhere_or_followed_by_something(data):
    for end in range(len(data)):
        refused(data[:end])
    refused(data + b"\0")


def test_every_bit_of_the_first_64_bytes(data):
    for bit in range(64 * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        refused(damaged)


def test_2000_bits_anywhere(data):
    for _ in range(2000):
        damaged = bytearray(data)
        damaged[RNG.integers(len(data))] ^= 1 << int(RNG.integers(8))
        refused(damaged)


def test_500_random_files(data):
    for number in range(500):
        start = data[: RNG.integers(20)] if number % 2 else b""
        refused(start + RNG.bytes(int(RNG.integers(1, 2000))))


def test_payloads_of_chance_with_a_right_crc(data):
    payload = unpack(data).payload
    for number in range(60):
        damaged = bytearray(payload)
        match number % 5:
            case 0:
                damaged[RNG.integers(len(payload))] ^= 1 << int(RNG.integers(8))
            case 1:
                damaged = RNG.bytes(len(payload))
            case 2:
                damaged = damaged[: RNG.integers(len(payload))]
            case 3:
                damaged = b"\xff" * int(RNG.integers(400))
            case 4:
                damaged = bytes(int(RNG.integers(400)))
        refused(with_right_crc(data, payload=damaged, sections={}))


def test_headers_of_chance_with_a_right_crc(data):
    right = unpack(data).header.fields
    for number in range(60):
        fields = list(right)
        fields[number % 3] = int(2 ** RNG.uniform(0, 32))
        if tuple(fields) != right and -(-fields[0] // 64) * -(-fields[1] // 64) != 1:
            refused(with_right_crc(data, fields=tuple(fields)))
    for count in (0, 1, 2, 4, 15):
        refused(with_right_crc(data, fields=(58,) * count))
    for fields in ((0, 62, 9), (58, 0, 9), (0, 0, 0), (2**32 - 1,) * 3):
        refused(with_right_crc(data, fields=fields))


@pytest.mark.parametrize("fields", [(2**16, 2**15, 100), (2**31, 1, 100), (1, 2**31, 100), (2**14, 2**14, 100)])
def test_pixels_that_are_not_there_take_no_memory(data, fields):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(with_right_crc(data, fields=fields))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def test_sections_of_chance_with_a_right_crc(data):
    good = dict(unpack(data).header.sections)
    for number in range(40):
        section = bytearray(good[Section.ALPHA])
        section = section[: RNG.integers(1, len(section))] if number % 2 else bytes([number % 5]) + RNG.bytes(50)
        refused(with_right_crc(data, sections={Section.ALPHA: bytes(section)}))
    for sections in ({Section.ICC: b"\xff\xff\xff\0"}, {Section.ICC: b""}, {Section.DEPTH: b"\x09"}):
        refused(with_right_crc(data, sections=sections))
    unknown = bitfloor.decode(with_right_crc(data, sections=good | {77: b"from the future"}))
    assert (np.asarray(unknown) == np.asarray(bitfloor.decode(data))).all()


def test_another_model_another_codec_another_version(data):
    with pytest.raises(ModelError, match="01020304"):
        bitfloor.decode(with_right_crc(data, fingerprint=b"\1\2\3\4"))
    with pytest.raises(CorruptStreamError, match="codec 99"):
        bitfloor.decode(with_right_crc(data, codec_id=99))
    with pytest.raises(BitfloorError):  # mecb's decoder meets a picture
        bitfloor.decode(with_right_crc(data, codec_id=4))


def test_the_command_line_says_one_line_and_leaves_the_output_alone(data, tmp_path, capsys):
    output = tmp_path / "out.png"
    output.write_bytes(b"mine")
    cases = {
        "cut": (data[:-5], 4),
        "flipped": (data[:30] + bytes([data[30] ^ 4]) + data[31:], 4),
        "random": (RNG.bytes(1000), 4),
        "empty": (b"", 3),
        "model": (with_right_crc(data, fingerprint=b"\1\2\3\4"), 5),
        "codec": (with_right_crc(data, codec_id=99), 4),
        "pixels": (with_right_crc(data, fields=(2**16, 2**15, 100)), 4),
        "payload": (with_right_crc(data, payload=RNG.bytes(900)), 4),
        "alpha": (with_right_crc(data, sections={Section.ALPHA: b"\1\2\3"}), 4),
    }
    for name, (damaged, status) in cases.items():
        path = tmp_path / f"{name}.bf"
        path.write_bytes(damaged)
        assert cli.main(["decode", str(path), "-o", str(output), "-f"]) == status, name
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and err.startswith(f"bitfloor: {path}"), err
    assert output.read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {"out.png", *(f"{name}.bf" for name in cases)}


# --- odd pictures through the real codec ---


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (130, 1), (63, 65), (64, 64), (7, 129)])
def test_any_size(codec, size):
    picture = Picture(np.ascontiguousarray(np.resize(PHOTO.rgb[:130, :200], (*size, 3))))
    for quality in (1, 55.5, 100):
        back = codec.decode_picture(codec.encode_picture(picture, quality))
        assert back.rgb.shape == picture.rgb.shape and back.rgb.dtype == np.uint8


@pytest.mark.parametrize("value", [0, 255, "noise", "checks"])
def test_unusual_pixels(codec, value):
    if value == "noise":
        rgb = RNG.integers(0, 256, (90, 70, 3), dtype=np.uint8)
    elif value == "checks":
        rgb = np.repeat((np.indices((90, 70)).sum(0) % 2 * 255).astype(np.uint8)[:, :, None], 3, axis=2)
    else:
        rgb = np.full((90, 70, 3), value, np.uint8)
    for quality in (1, 100):
        with np.errstate(invalid="raise"):  # NaN would make whatever the processor makes of it
            back = codec.decode_picture(codec.encode_picture(Picture(rgb), quality))
        assert back.rgb.shape == rgb.shape
        assert np.sqrt(np.mean((back.rgb.astype(float) - rgb) ** 2)) < 130  # checks: plain grey would have 127.5
    if isinstance(value, int):
        assert np.abs(back.rgb.astype(int) - rgb).mean() < 12


def test_what_is_kept_beside_the_pixels(codec):
    deep = PHOTO.rgb[:40, :50].astype(np.uint16) * 257
    grey = Picture(np.repeat(deep[:, :, :1], 3, axis=2), deep[:, :, 1].copy(), None, grey=True)
    back = codec.decode_picture(codec.encode_picture(grey, 80))
    assert back.grey and back.rgb.dtype == np.uint16 and (back.alpha == grey.alpha).all()
    assert (back.rgb[:, :, 0] == back.rgb[:, :, 1]).all()
    assert np.abs(back.rgb.astype(int) - grey.rgb).mean() / 257 < 8


def test_encoding_from_the_command_line_to_a_size(tmp_path, capsys):
    from PIL import Image

    path = tmp_path / "photo.png"
    Image.fromarray(PHOTO.rgb[100:292, 50:306]).save(path)
    for option, value in (("--size", 4000), ("--bpp", 0.5)):
        assert cli.main(["encode", str(path), option, str(value), "-f"]) == 0
        limit = value if option == "--size" else value * 192 * 256 / 8
        assert 0.95 * limit <= Path(tmp_path / "photo.bf").stat().st_size <= limit
    assert cli.main(["encode", str(path), "--size", "30", "-f"]) == 6
    assert "smallest" in capsys.readouterr().err

"""EXIF, XMP and resolution: kept through every format with a place for them, upright once, gone with --strip."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import fake_codec
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

import bitfloor.pillow
from bitfloor.codecs import registry
from bitfloor.codecs.media.pictures.exif import exif_of_resolution, resolution_of, upright_exif
from bitfloor.codecs.media.pictures.files import read_picture, write_picture
from bitfloor.codecs.media.pictures.metadata import Metadata
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.errors import CorruptStreamError
from bitfloor.tools import cli

PIXELS = np.random.default_rng(6).integers(0, 256, (12, 20, 3), dtype=np.uint8)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:rights="me"/></x:xmpmeta>'
UPRIGHT_XMP = XMP.replace(b'"6"', b'"1"')
MAKER_NOTE = b"NOTE" + bytes(range(40))
ORIENTATION, MAKE, COPYRIGHT, EXIF_IFD, GPS_IFD = 0x112, 0x10F, 0x8298, 0x8769, 0x8825


def exif(orientation: int = 6) -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION], made[MAKE], made[COPYRIGHT] = orientation, "Camera", "somebody"
    inner = made.get_ifd(EXIF_IFD)
    inner[0xA002], inner[0xA003], inner[0x927C], inner[0x829A] = 20, 12, MAKER_NOTE, TiffImagePlugin.IFDRational(1, 60)
    made.get_ifd(GPS_IFD)[1] = "N"
    return made


def with_thumbnail(plain: bytes, thumbnail: bytes, behind: bytes = b"") -> bytes:
    """`plain` EXIF data with a second directory and a thumbnail added, and then `behind`."""
    order = ">" if plain[6:8] == b"MM" else "<"
    data = bytearray(plain[6:] + bytes(len(plain) % 2))
    (first,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, first)
    struct.pack_into(order + "I", data, first + 2 + 12 * count, len(data))
    at = len(data) + 2 + 24 + 4
    data += struct.pack(order + "H", 2) + struct.pack(order + "HHII", 0x201, 4, 1, at)
    data += struct.pack(order + "HHIII", 0x202, 4, 1, len(thumbnail), 0)
    return b"Exif\0\0" + bytes(data) + thumbnail + behind


def read(data: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(data)
    return found


def file_of(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_applied_once(kind: str, orientation: int) -> None:
    picture = read_picture(file_of(kind, exif=exif(orientation), xmp=XMP) if kind != "PNG" else _png(orientation))
    assert picture.metadata.exif is not None
    found = read(picture.metadata.exif)
    sides = (20, 12) if orientation < 5 else (12, 20)
    assert found[ORIENTATION] == 1 and (picture.width, picture.height) == sides
    assert (found.get_ifd(EXIF_IFD)[0xA002], found.get_ifd(EXIF_IFD)[0xA003]) == sides
    assert found[COPYRIGHT] == "somebody" and found.get_ifd(GPS_IFD)[1] == "N"
    assert found.get_ifd(EXIF_IFD)[0x927C] == MAKER_NOTE
    assert picture.metadata.xmp == UPRIGHT_XMP


def _png(orientation: int) -> bytes:
    from PIL import PngImagePlugin

    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=orientation > 4)
    return file_of("PNG", exif=exif(orientation), pnginfo=texts)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_what_is_written_is_what_pillow_reads(suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = exif(1).tobytes()[6:]
    picture = Picture(PIXELS, metadata=Metadata(plain, UPRIGHT_XMP, (300.0, 150.0)))
    path = tmp_path / f"a{suffix}"
    write_picture(picture, path)
    with Image.open(path) as opened:
        opened.load()
        found = opened.getexif()
        assert (found[MAKE], found[COPYRIGHT]) == ("Camera", "somebody") and found.get(ORIENTATION, 1) == 1
        inner = found.get_ifd(EXIF_IFD)
        assert inner[0x927C] == MAKER_NOTE and float(inner[0x829A]) == 1 / 60 and found.get_ifd(GPS_IFD)[1] == "N"
        xmp = opened.info.get("xmp") or opened.tag_v2[700]  # type: ignore[attr-defined]
        assert xmp == UPRIGHT_XMP
        if suffix in (".png", ".jpg", ".tif"):
            assert opened.info["dpi"] == pytest.approx((300, 150), rel=1e-3)
            assert not caplog.records
        else:
            assert [record.getMessage().count("no resolution") for record in caplog.records] == [1]
    again = read_picture(path)
    assert again.metadata.xmp == UPRIGHT_XMP and again.metadata.exif is not None
    assert read(again.metadata.exif).get_ifd(EXIF_IFD)[0x927C] == MAKER_NOTE
    deep = Picture(PIXELS.astype(np.uint16) * 257, metadata=picture.metadata)
    write_picture(deep, path, overwrite=True)
    assert read(read_picture(path).metadata.exif or b"")[MAKE] == "Camera"


@pytest.mark.parametrize(
    "suffix, lost", [(".ppm", "EXIF data and no XMP data and no resolution"), (".bmp", "EXIF data and no XMP data")]
)
def test_what_a_format_cannot_hold_is_one_warning(
    suffix: str, lost: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture = Picture(PIXELS, metadata=Metadata(exif(1).tobytes()[6:], XMP, (72.0, 72.0)))
    write_picture(picture, tmp_path / f"a{suffix}")
    assert len(caplog.records) == 1 and lost in caplog.text
    write_picture(Picture(PIXELS, metadata=Metadata(xmp=bytes(70_000))), tmp_path / "a.jpg")
    assert "XMP data of this size" in caplog.text


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_resolution_is_read_and_turns_with_the_picture(kind: str) -> None:
    assert read_picture(file_of(kind, dpi=(300, 200))).metadata.dpi == pytest.approx((300, 200), rel=1e-3)
    assert read_picture(file_of(kind)).metadata.dpi in (None, pytest.approx((96, 96), rel=1e-3))
    if kind == "JPEG":
        turned = read_picture(file_of(kind, dpi=(300, 200), exif=exif(6)))
        assert turned.metadata.dpi == (200, 300)


def test_resolution_without_another_place_stands_in_exif(tmp_path: Path) -> None:
    write_picture(Picture(PIXELS, metadata=Metadata(dpi=(240.0, 120.0))), tmp_path / "a.webp")
    with Image.open(tmp_path / "a.webp") as opened:
        assert float(opened.getexif()[0x11A]) == 240
    assert read_picture(tmp_path / "a.webp").metadata.resolution == (240, 120)
    assert resolution_of(exif_of_resolution((72.5, 1.25))) == (72.5, 1.25)
    assert resolution_of(b"") is resolution_of(b"II*\0\xff\xff\xff\xff") is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("behind", [b"", b"maker's data behind the thumbnail"])
def test_thumbnails_go_and_nothing_else_moves(order: str, behind: bytes) -> None:
    made = exif(3)
    made.endian = order
    plain = made.tobytes()
    thumbnail = bytes(np.random.default_rng(1).integers(1, 256, 900, dtype=np.uint8))
    data = with_thumbnail(plain, thumbnail, behind)
    kept = upright_exif(data, 3)
    assert kept is not None and thumbnail[:50] not in kept and kept.endswith(behind or thumbnail[:0])
    assert len(kept) <= len(data) - 6 - (0 if behind else 900)
    assert read(kept)[ORIENTATION] == 1 and read(kept).get_ifd(0x201) == {}
    assert kept.index(MAKER_NOTE) == plain.index(MAKER_NOTE) - 6


def test_broken_exif_and_claims_of_other_parts(caplog: pytest.LogCaptureFixture) -> None:
    broken = read_picture(file_of("JPEG", exif=b"Exif\0\0nonsense"))
    assert broken.metadata.exif is None and "EXIF data are broken" in caplog.text
    for cut in range(6, 150, 7):
        upright_exif(exif().tobytes()[:cut], 6)
    claims = (
        b'<a hdrgm:Version="1.0" GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1"/>'
        b"<xmp:Thumbnails><rdf:Alt>AAAA</rdf:Alt></xmp:Thumbnails>"
    )
    told = read_picture(file_of("JPEG", xmp=claims)).metadata.xmp
    assert told == b'<a GCamera:MotionPhoto="0" GCamera:MotionPhotoVersion="1"/>'


def test_sections_there_and_back() -> None:
    for told in (Metadata(), Metadata(b"II*\0abc", XMP, (300.0, 300.0)), Metadata(dpi=(72.0, 0.5))):
        assert Metadata.from_sections(told.to_sections()) == told
    assert len(Metadata(dpi=(72.0, 72.0)).to_sections()[6]) == 4
    for wrong in ({4: b"\0\0\0"}, {5: b"\0\0\1x"}, {6: b"abc"}):
        with pytest.raises(CorruptStreamError):
            Metadata.from_sections(wrong)


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(registry, "CODECS", (fake_codec.ENTRY, registry.LOSSLESS))
    source, target, back = tmp_path / "a.jpg", tmp_path / "a.bf", tmp_path / "b.jpg"
    source.write_bytes(file_of("JPEG", exif=exif(6), xmp=XMP, dpi=(300, 300)))
    for lossless in ([], ["--lossless"]):
        assert cli.main(["encode", str(source), "-f", *lossless]) == 0
        capsys.readouterr()
        assert cli.main(["info", str(target)]) == 0
        assert "EXIF, XMP, 300 dpi" in capsys.readouterr().out
        assert cli.main(["decode", str(target), "-f", "-o", str(back)]) == 0
        with Image.open(back) as opened:
            assert opened.size == (12, 20) and opened.getexif()[ORIENTATION] == 1 and opened.info["dpi"] == (300, 300)
            assert opened.info["xmp"] == UPRIGHT_XMP
        assert cli.main(["encode", str(source), "-f", "--strip", *lossless]) == 0
        capsys.readouterr()
        assert cli.main(["info", "--json", str(target)]) == 0
        assert json.loads(capsys.readouterr().out)["kept"] == []


def test_pillow_gives_and_takes_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.bf"
    image = Image.fromarray(PIXELS)
    image.save(path, lossless=True, exif=exif(6), xmp=XMP, dpi=(200, 100))
    with Image.open(path) as opened:
        assert opened.size == (12, 20) and opened.info["dpi"] == (100, 200)
        assert opened.getexif()[ORIENTATION] == 1 and opened.getexif()[MAKE] == "Camera"
        opened.save(tmp_path / "b.bf", lossless=True)
        opened.save(tmp_path / "c.bf", lossless=True, exif=None, xmp=None, dpi=None)
        opened.save(tmp_path / "d.bf", lossless=True, strip=True)
    assert (tmp_path / "b.bf").read_bytes() == path.read_bytes()
    for name in ("c.bf", "d.bf"):
        with Image.open(tmp_path / name) as opened:
            assert not {"exif", "xmp", "dpi"} & set(opened.info)
    changed = Image.open(io.BytesIO(file_of("JPEG", exif=exif(1))))
    changed.getexif()[MAKE] = "Another"
    data = bitfloor.encode(changed, lossless=True)
    assert bitfloor.decode(data).getexif()[MAKE] == "Another"

"""`bitfloor integrate` and `bitfloor thumbnail`, in a home of their own, with file(1) where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import bitfloor
from bitfloor.tools.cli import main
from bitfloor.tools.desktop import thumbnailer

OWN_RULE = "0\tstring\tHELLO\tmy own rule\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return folder


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "a b.bf"
    rows, columns = np.mgrid[:60, :90]
    pixels = np.stack([rows * 4, columns * 2, rows + columns], 2).astype(np.uint8)
    path.write_bytes(bitfloor.encode(Image.fromarray(pixels), quality=60, fallback="never"))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix in (".xml", ".thumbnailer", ".magic", ""))
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in files if "mime/packages" in str(p) or "mime" not in str(p)
    }


def test_twice_is_once_and_removing_leaves_nothing_but_the_persons_own(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".magic").write_text(OWN_RULE)
    assert main(["integrate"]) == 0
    said = capsys.readouterr().out
    once = tree(home)
    assert {
        ".magic",
        ".local/share/mime/packages/bitfloor.xml",
        ".local/share/thumbnailers/bitfloor.thumbnailer",
    } == set(once)
    assert all(name in said for name in ("bitfloor.xml", "bitfloor.thumbnailer", ".magic"))
    assert main(["integrate"]) == 0
    assert tree(home) == once
    assert main(["integrate", "--remove"]) == 0
    assert tree(home) == {".magic": OWN_RULE.encode()}
    capsys.readouterr()
    assert main(["integrate", "--remove"]) == 0
    assert "nothing of bitfloor" in capsys.readouterr().out


def test_a_magic_file_that_was_not_there_goes_again(home: Path) -> None:
    assert main(["integrate"]) == 0 and (home / ".magic").exists()
    assert main(["integrate", "--remove"]) == 0 and not (home / ".magic").exists()


def test_the_types_are_told_apart_by_the_codec(home: Path) -> None:
    assert main(["integrate"]) == 0
    root = ElementTree.parse(home / ".local/share/mime/packages/bitfloor.xml").getroot()
    space = {"m": "http://www.freedesktop.org/standards/shared-mime-info"}
    types = {t.get("type"): t for t in root.findall("m:mime-type", space)}
    assert set(types) == {"image/x-bitfloor", "audio/x-bitfloor", "application/x-bitfloor"}
    ids = {name: {m.get("value") for m in t.findall(".//m:match/m:match", space)} for name, t in types.items()}
    assert "1" in ids["image/x-bitfloor"] and ids["audio/x-bitfloor"] == {"3"}


@pytest.mark.skipif(shutil.which("file") is None, reason="file(1) is not installed")
def test_file_names_a_picture(home: Path, picture: Path) -> None:
    assert main(["integrate"]) == 0
    for options, expected in (([], "bitfloor picture (mlicv2)"), (["--mime-type"], "image/x-bitfloor")):
        done = subprocess.run(["file", "-b", *options, picture], capture_output=True, text=True, check=True)
        assert expected in done.stdout, done


def test_a_thumbnail_is_small_and_like_the_picture(picture: Path, tmp_path: Path) -> None:
    target = tmp_path / "t.png"
    assert main(["thumbnail", "--size", "30", "--", str(picture), str(target)]) == 0
    small = Image.open(target)
    assert small.format == "PNG" and small.size == (30, 20)
    expected = bitfloor.decode(picture.read_bytes()).resize((30, 20), Image.Resampling.BOX)
    assert np.abs(np.asarray(small, np.int16) - np.asarray(expected)).mean() < 6
    assert main(["thumbnail", "-f", picture.as_uri(), str(target)]) == 0
    assert Image.open(target).size == (90, 60)


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg", "new.webp", "PICTURE"])
def test_a_thumbnail_replaces_no_file_and_is_called_a_png(name: str, picture: Path, tmp_path: Path) -> None:
    target = picture if name == "PICTURE" else tmp_path / name
    if name.startswith("photo"):
        target.write_bytes(b"a photograph")
    before = target.read_bytes() if target.exists() else None
    assert main(["thumbnail", str(picture), str(target)]) == 2
    assert (target.read_bytes() if target.exists() else None) == before


def test_a_file_manager_gets_its_thumbnail_in_a_file_that_it_made(picture: Path, tmp_path: Path) -> None:
    made = tmp_path / ".thumbnail.AB12CD"
    made.touch()
    entry = dict(line.split("=", 1) for line in thumbnailer("bitfloor").splitlines()[1:])
    words = [{"%s": "30", "%i": str(picture), "%o": str(made)}.get(word, word) for word in entry["Exec"].split()]
    assert main(words[1:]) == 0 and Image.open(made).size == (30, 20)


def test_what_is_no_picture_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.bf").write_bytes(b"nothing of ours")
    assert main(["thumbnail", str(tmp_path / "x.bf"), str(tmp_path / "t.png")]) == 3
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "t.png").exists()


@pytest.mark.parametrize("name", ["", "file://", "file:", "."])
def test_a_name_of_nothing_or_a_folder_has_no_thumbnail(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["thumbnail", name, "t.png"]) in (2, 3)
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1 and "Errno" not in said and ("empty" in said or name == ".")
    assert list(tmp_path.iterdir()) == []

"""What training says of data and options that cannot be trained with, before any step is made."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from PIL import Image
from tiny_model import CONFIG, smooth_picture

from bitfloor.errors import UnreadableInputError
from bitfloor.tools.cli import main
from bitfloor.tools.training.image import ImageTask
from bitfloor.tools.training.loop import CHECKPOINT
from bitfloor.tools.training.pictures import SMALLEST_SIDE, find_pictures

Captured: TypeAlias = "pytest.CaptureFixture[str]"


def pictures_of(folder: Path, *sides: int) -> Path:
    folder.mkdir()
    for number, side in enumerate(sides):
        Image.fromarray(smooth_picture(side, side + 9, number)).save(folder / f"{number}.png")
    return folder


def test_crops_are_no_larger_than_the_pictures_and_this_is_said(tmp_path: Path, capsys: Captured) -> None:
    block = CONFIG.block
    side = SMALLEST_SIDE + block - SMALLEST_SIDE % block + 1  # larger than a block and than the smallest that is taken
    task = ImageTask(CONFIG, [pictures_of(tmp_path / "a", side, side)], batch=1, crop=4 * side // block * block)
    for progress in (0.0, 1.0):
        assert task.batch(np.random.default_rng(0), progress)[0].shape[2:] == (side // block * block,) * 2
    assert f"crops have {side // block * block} instead" in capsys.readouterr().err


def test_later_crops_fit_the_network_too(tmp_path: Path) -> None:
    block = CONFIG.block
    pictures = pictures_of(tmp_path / "a", 4 * block + 64)
    task = ImageTask(CONFIG, [pictures], batch=1, crop=block, late_crop=3 * block // 2 + 1)
    inputs = task.batch(np.random.default_rng(0), 1.0)
    assert np.isfinite(task.loss(task.model, inputs)[0].item())


@pytest.mark.parametrize("content", ["tiny", "broken", "none"])
def test_folders_without_a_picture_to_train_on_are_one_line(content: str, tmp_path: Path, capsys: Captured) -> None:
    folder = pictures_of(tmp_path / "a", *([SMALLEST_SIDE - 20] * 2 if content == "tiny" else []))
    if content == "broken":
        (folder / "x.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableInputError, match="no pictures in" if content == "none" else "can be trained on"):
        ImageTask(CONFIG, [folder], batch=1, crop=CONFIG.block)
    said = capsys.readouterr().err
    assert said.count("left out: ") == {"tiny": 2, "broken": 1, "none": 0}[content]


def test_a_picture_of_any_format_is_found_and_a_file_may_be_named(tmp_path: Path) -> None:
    folder = pictures_of(tmp_path / "a", 100)
    for name in ("b.gif", "c.jp2", "d.jfif", "e.BMP"):
        Image.fromarray(smooth_picture(100, 100)).save(folder / name, "JPEG" if name == "d.jfif" else None)
    (folder / "f.txt").write_text("no picture")
    assert [path.name for path in find_pictures([folder])] == ["0.png", "b.gif", "c.jp2", "d.jfif", "e.BMP"]
    assert find_pictures([folder / "0.png"]) == [folder / "0.png"]


def test_without_held_out_pictures_there_is_no_figure_and_one_line(tmp_path: Path, capsys: Captured) -> None:
    task = ImageTask(CONFIG, [pictures_of(tmp_path / "a", 2 * CONFIG.block + 64)], batch=1, crop=CONFIG.block)
    assert task.held_out == [] and task.validate(task.model, 1.0) == {}
    assert "kept for validation" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [("--steps", "0"), ("--steps", "-1"), ("--batch", "0"), ("--crop", "0"), ("--crop", "100"), ("--codes", "0"),
     ("--neighbours", "0"), ("--device", "typo"), ("--lr", "0"), ("--minutes", "nan"), ("--minutes", "0")],
)  # fmt: skip
def test_numbers_that_train_refuses_in_one_line(options: tuple[str, str], tmp_path: Path, capsys: Captured) -> None:
    folder = pictures_of(tmp_path / "a", 200)
    budget = [] if options[0] in ("--steps", "--minutes") else ["--steps", "1"]
    assert main(["train", str(folder), "-o", str(tmp_path / "out"), *budget, *options]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("bitfloor: ") and "unexpected" not in last
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("place", "options", "said"),
    [("file", (), "is a file: name a folder"), ("file/run", (), "is a file: name a folder"),
     ("new", ("--resume",), "there is no checkpoint"), ("new", ("--restart",), "there is no checkpoint"),
     ("run", (), "add --resume or --restart")],
)  # fmt: skip
def test_a_place_where_no_run_can_begin_is_said_before_data_are_read(
    place: str, options: tuple[str, ...], said: str, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CHECKPOINT).write_text("not read either")
    before = sorted(tmp_path.rglob("*"))
    assert main(["train", str(tmp_path / "empty"), "--steps", "1", "-o", str(tmp_path / place), *options]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in last and "no pictures" not in last
    assert sorted(tmp_path.rglob("*")) == before

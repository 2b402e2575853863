"""`bitfloor view`: one page with a compressed picture and another, checked in a real browser where one is."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import chromium
import numpy as np
import pytest
from PIL import Image

from bitfloor.tools.cli import main


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (150, 1))).convert("RGB").save("ramp.png")
    assert main(["encode", "--lossless", "ramp.png"]) == 0
    Image.new("RGB", (200, 150), (250, 20, 20)).save("red <b>.png")
    return tmp_path


def test_two_pictures_and_what_is_said_of_them(files: Path) -> None:
    assert main(["view", "ramp.bf", "red <b>.png", "-o", "page.html"]) == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("data:image/webp;base64,") == 2 and "red <b>" not in page
    for word in ("http:", "https:", "@import", "fetch("):
        assert word not in page
    size = Path("ramp.bf").stat().st_size
    assert f"ramp.bf: {size:,} bytes, {8 * size / 30000:.3f} bpp" in page and "dB against the other" in page
    assert main(["view", "ramp.bf", "ramp.png", "-o", "same.html"]) == 0
    assert "equal to the other" in Path("same.html").read_text(encoding="utf-8")
    assert main(["view", "ramp.bf", "-o", "page.html"]) != 0  # nothing is overwritten
    assert Path("page.html").read_text(encoding="utf-8") == page
    assert main(["view", "ramp.bf", "-o", "page.html", "-f"]) == 0  # as that error says
    assert Path("page.html").read_text(encoding="utf-8") != page


def test_a_page_is_not_called_a_picture(files: Path) -> None:
    for name in ("page.png", "page.jpg", "page.bf"):
        assert main(["view", "ramp.bf", "-o", name]) == 2 and not Path(name).exists()


def test_a_pipe_has_the_size_of_what_came_out_of_it(files: Path) -> None:
    os.mkfifo("pipe")
    data = Path("ramp.bf").read_bytes()
    writer = threading.Thread(target=Path("pipe").write_bytes, args=(data,))
    writer.start()
    assert main(["view", "pipe", "-o", "page.html"]) == 0
    writer.join()
    assert f"pipe: {len(data):,} bytes" in Path("page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ramp.bf", "small.png"], "ramp.bf 200x150 and small.png 20x20"),
        (["note.txt"], "note.txt is no picture"),
        (["cut.bf"], "cut.bf"),
        (["symbols.bf"], "holds no picture"),
        (["nothing.bf"], "nothing.bf"),
    ],
)
def test_what_cannot_be_shown_is_one_line(
    files: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    Image.new("L", (20, 20)).save("small.png")
    Path("note.txt").write_text("words")
    Path("cut.bf").write_bytes(Path("ramp.bf").read_bytes()[:-9])
    np.save("symbols.npy", np.arange(9))
    assert main(["encode", "symbols.npy", "--codec", "mecb", "--rate", "1", "-o", "symbols.bf"]) == 0
    capsys.readouterr()
    assert main(["view", *arguments, "-o", "page.html"]) != 0
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1 and not Path("page.html").exists()


def test_without_a_browser_the_page_is_named(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
    assert main(["view", "ramp.bf"]) == 0
    err = capsys.readouterr().err
    assert "no browser was found" in err and opened[0].startswith("file:")
    assert Path(err.split("the page is ")[1].splitlines()[0]).is_file()


@pytest.mark.skipif(not chromium.installed(), reason=chromium.WHY_NOT)
def test_in_a_browser_the_slider_divides_the_two(files: Path) -> None:
    main(["view", "ramp.bf", "red <b>.png", "-o", "two.html"])
    main(["view", "ramp.bf", "-o", "one.html"])
    with chromium.Browser(files / "profile") as browser:
        browser.open(Path("two.html"))
        assert browser.run("return document.documentElement.dataset.ready") == "yes" and browser.errors() == []
        assert browser.run("return document.querySelector('h1').textContent") == "ramp.bf and red <b>.png"
        assert browser.run("return document.querySelector('#v-pictures').offsetParent") is None  # one picture only
        reds = []
        for place in (0, 100):
            browser.run("const s = document.querySelector('#v-slider'); s.value = arguments[0]; s.oninput()", place)
            shot = np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB")).astype(int)
            reds.append(int(((shot[..., 0] - shot[..., 1]) > 150).sum()))
        assert min(reds) < 3000 and max(reds) > 20000  # all of the ramp, all of the red
        browser.open(Path("one.html"))
        hidden = browser.run("return ['v-slider', 'v-lefts'].map((i) => document.getElementById(i).offsetParent)")
        assert hidden == [None, None] and browser.errors() == []
        assert browser.run("return document.querySelector('#v-left-img').naturalWidth") == 200

"""No command replaces what it reads by what it makes of it, not even where it may overwrite."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image
from tiny_model import smooth_picture

from bitfloor import weights
from bitfloor.tools.cli import main

COMMANDS = {
    "hide the message": "couple hide m.txt --text t.txt -o m.txt",
    "hide the text": "couple hide m.txt --text t.txt -o t.txt",
    "hide the key": "couple hide m.txt --text t.txt --key-file k.txt -o k.txt",
    "reveal the cover": "couple reveal m.txt --text t.txt -o m.txt",
    "say the text": "say --file m.wav -o m.wav",
    "say the voice": "say words --voice v.wav -o v.wav",
    "view": "view p.html -o p.html",
    "view the other": "view p.png p.html -o p.html",
    "thumbnail": "thumbnail p p",
    "by another name": "couple hide m.txt --text t.txt -o ./link.txt",
}


@pytest.mark.parametrize("line", COMMANDS.values(), ids=COMMANDS)
def test_it_is_refused_in_one_line(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("m.txt", "t.txt", "k.txt", "m.wav", "p.html", "p"):
        Path(name).write_text(f"the content of {name}\n" * 50)
    Path("link.txt").symlink_to("m.txt")
    Image.fromarray(smooth_picture(16, 16)).save("p.png")
    shutil.copy(Path(weights.__file__).parent / "demo.flac", "v.wav")
    before = {path: path.read_bytes() for path in Path().iterdir()}
    assert main([*line.split(), "-f"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "would be replaced by what is made of it" in said[0]
    assert {path: path.read_bytes() for path in Path().iterdir()} == before

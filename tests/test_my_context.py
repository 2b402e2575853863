"""A context that is no part of the package: exact, trained, in real files, found by its entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bitfloor import weights
from bitfloor.entropy_models.exact.check import inexact
from bitfloor.entropy_models.exact.layers import freeze
from bitfloor.entropy_models.latent.checkerboard import ANCHOR, NON_ANCHOR, pack
from bitfloor.entropy_models.latent.known import Known, Place

EXAMPLE = Path(__file__).parent.parent / "examples" / "my_context.py"


def example():  # type: ignore[no-untyped-def]
    spec = spec_from_file_location("my_context", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_exact_and_reads_the_four_anchors() -> None:
    torch.manual_seed(0)
    context = example().Four(width=5).build(Place(3, (), 8))
    freeze(context.double())
    grid = torch.randint(-2000, 2000, (1, 6, 8, 3)) * 2.0**-10
    known = Known(torch.zeros(1, 6, 8, 8, dtype=torch.float64), (), pack(grid.double(), ANCHOR))
    assert inexact(context, known) == []
    told, weight = context(known), context.linear.weight.double()
    for row, column in ((0, 0), (2, 4), (5, 7), (3, 1)):
        near = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        values = [grid[0, r, c].double() if 0 <= r < 6 and 0 <= c < 8 else torch.zeros(3).double() for r, c in near]
        expected = weight @ torch.cat(values) + context.linear.bias.double()
        cell = told[0, row // 2, row % 2, column // 2]
        assert torch.equal(cell, expected), (row, column)
    assert told.shape == (*pack(grid, NON_ANCHOR).shape[:-1], 5)


def part_of_the_photograph(folder: Path) -> Path:
    path = folder / "part.png"
    with Image.open(weights.BOX / "demo.avif") as photograph:
        photograph.convert("RGB").crop((200, 200, 392, 328)).save(path)
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example makes."""
    folder = tmp_path_factory.mktemp("example")
    picture = part_of_the_photograph(folder)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    command = [sys.executable, EXAMPLE, picture, picture]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    (report,) = folder.glob("my-context-*/bench/report.html")
    assert str(report) in done.stdout
    return report.parent.parent


def test_the_report_has_it_beside_a_codec_without_it(out: Path) -> None:
    results = (out / "bench" / "table.md").read_text(encoding="utf-8")
    assert "mlicv2:model=with-four" in results and "mlicv2:model=without" in results
    cards = [json.loads((out / name / f"{name}.json").read_text()) for name in ("without", "with-four")]
    # weights and biases of Four, and of what reads it in the head of every slice
    added = sum((4 * c + 1) * 96 + 97 * 256 for c in (16, 16, 32, 64, 168))
    assert cards[1]["parameters"] - cards[0]["parameters"] == added


def test_other_processes_find_it_by_its_entry_point(out: Path, tmp_path: Path) -> None:
    """A package of one module, installed as pip would: files decode with it, and without it an error names the tag."""
    site = tmp_path / "site"
    (site / "my_context-1.dist-info").mkdir(parents=True)
    (site / "my_context.py").write_bytes(EXAMPLE.read_bytes())
    (site / "my_context-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: my_context\nVersion: 1\n")
    points = "[bitfloor.contexts]\nfour = my_context:Four\n"
    (site / "my_context-1.dist-info" / "entry_points.txt").write_text(points)
    picture = part_of_the_photograph(tmp_path)

    def bitfloor(path: Path, *words: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(path), "BITFLOOR_MODELS": str(out / "with-four")}
        command = [sys.executable, "-m", "bitfloor", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)

    coded = tmp_path / "picture.bf"
    done = bitfloor(site, "encode", picture, "--codec", "mlicv2", "-o", coded, "--model", "with-four", "-q", 70)
    assert done.returncode == 0, done.stderr
    done = bitfloor(site, "decode", coded, "-o", tmp_path / "back.png")
    assert done.returncode == 0, done.stderr
    back, before = (np.asarray(Image.open(path).convert("RGB"), float) for path in (tmp_path / "back.png", picture))
    assert 10 * np.log10(255**2 / np.mean((back - before) ** 2)) > 25
    done = bitfloor(tmp_path, "decode", coded, "-o", tmp_path / "other.png")
    assert done.returncode == 5 and "no contexts part 'four'" in done.stderr

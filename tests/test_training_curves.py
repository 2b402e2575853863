"""The page of curves, read back with an XML parser."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bitfloor.tools.training.curves import POINTS, drawing, read_series, write_page


def figures(page: str) -> dict[str, list[tuple[float, float]]]:
    found = {}
    for match in re.findall(r"<figure>.*?</figure>", page, re.S):
        figure = ElementTree.fromstring(match)
        path = figure.find("svg/path")
        assert path is not None
        points = [tuple(map(float, p.split(","))) for p in path.get("d", "")[1:].split(" L")]
        found[figure.findtext("figcaption") or ""] = points
    return found


def test_a_page_shows_every_figure_of_both_logs(tmp_path: Path) -> None:
    assert write_page(tmp_path) is None
    rows = "".join(f"{step},{step * 2},{1 / step:.6g},{step / 100}\n" for step in range(1, 101))
    (tmp_path / "log.csv").write_text("step,seconds,loss,bpp\n" + rows + "101,20")  # the process was killed here
    (tmp_path / "validation.csv").write_text("step,seconds,psnr0\n50,1,30\n100,2,31\n")
    page = write_page(tmp_path)
    assert page is not None
    found = figures(page.read_text())
    assert set(found) == {"loss (training)", "bpp (training)", "psnr0 (held-out data)"}
    assert len(found["loss (training)"]) == 100
    falling, rising = ([y for _, y in found[f"{n} (training)"]] for n in ("loss", "bpp"))
    assert falling == sorted(falling) and rising == sorted(rising, reverse=True)  # pixels count downwards
    assert [x for x, _ in found["bpp (training)"]] == sorted(x for x, _ in found["bpp (training)"])


def test_long_logs_are_thinned_to_means() -> None:
    series = [(float(n), float(n % 2)) for n in range(10 * POINTS)]
    points = figures(drawing("x", series))["x"]
    assert len(points) == POINTS
    assert len({y for _, y in points}) == 1


@pytest.mark.parametrize("series", [[], [(1.0, 2.0), (2.0, 2.0)], [(1.0, 0.0), (2.0, 1e-3)]])
def test_empty_flat_and_zero_curves_are_drawn(series: list[tuple[float, float]]) -> None:
    for logarithmic in (False, True):
        text = drawing("a < b", series, logarithmic)
        assert ElementTree.fromstring(text).findtext("figcaption") == "a < b"
        assert "nan" not in text and "inf" not in text


def test_values_that_are_no_numbers_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,2\n2,nan\n3,x\n4,1\n")
    assert read_series(path) == {"loss": [(1.0, 2.0), (4.0, 1.0)]}

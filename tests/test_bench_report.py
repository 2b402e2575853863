"""The report, looked at by a real browser that can reach nothing but the file."""

from __future__ import annotations

import io
from pathlib import Path

import chromium
import numpy as np
import pytest
from bench_helpers import save_pictures
from PIL import Image

from bitfloor.tools.bench.viewer import LEVELS, next_quality, target_rates
from bitfloor.tools.cli import main

pytest.importorskip("bjontegaard")


# WCAG 2.1's contrast ratio of some texts on their section's ground
CONTRAST = """
const light = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
const ground = light(getComputedStyle(document.querySelector("section")).backgroundColor);
return ["h2", ".note", "th", "td", "figcaption"].map(
  (s) => ratio(light(getComputedStyle(document.querySelector("section " + s)).color), ground));
"""
TABLE = """
return [...document.querySelectorAll("#bd tbody tr")].map((r) => [...r.cells].map((c) => c.textContent))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    pictures = folder / "pictures"
    pictures.mkdir()
    save_pictures(pictures, 2)
    (pictures / "<!--<script><b>.png").write_bytes(b"not a picture")
    options = ["--metrics", "psnr,ms_ssim", "--viewer", "1", "--repeats", "1", "--published", "always"]
    qualities = ["-q", "10,30,60,90", "-q", "jpeg2000=80,40,20,8"]
    arguments = [
        str(pictures),
        "--codecs",
        "jpeg,webp,jpeg2000",
        *qualities,
        "-o",
        str(folder / "out"),
        *options,
    ]
    assert main(["bench", *arguments, "--anchor", "jpeg"]) == 0
    return folder / "out" / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory):
    if not chromium.installed():
        pytest.skip(chromium.WHY_NOT)
    with chromium.Browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=float)


def test_report_names_nothing_outside_itself(report: Path) -> None:
    text = report.read_text()
    assert text.count("</script>") == 2
    outside = text.replace("http://www.w3.org/2000/svg", "")
    for word in ("http:", "https:", 'src="', "@import", "fetch(", "url(http"):
        assert word not in outside, word


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_drawn_without_errors_in_both_themes(report: Path, browser: chromium.Browser, scheme: str) -> None:
    browser.prefer(scheme)
    browser.open(report)
    assert browser.run("return document.documentElement.dataset.ready") == "yes"
    assert browser.errors() == []
    assert browser.run("return document.querySelectorAll('#rd path').length") >= 3 + 5  # measured and drawn published
    rows = browser.run("return [...document.querySelectorAll('#bd tbody tr')].map((r) => r.cells.length)")
    assert len(rows) >= 30
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    brightness = pixels(browser.screenshot()).mean()
    assert brightness > 200 if scheme == "light" else brightness < 70
    contrast = browser.run(CONTRAST)
    assert min(contrast) >= 4.5  # level AA


def test_numbers_of_the_page_are_those_of_the_run(report: Path, browser: chromium.Browser) -> None:
    import json

    browser.open(report)
    summary = json.loads((report.parent / "summary.json").read_text())
    row = next(r for r in summary["bd"]["jpeg"]["psnr"] if r["test"] == "webp")
    shown = browser.run(TABLE)
    webp = next(cells for cells in shown if cells[0] == "webp")
    assert webp[1] == f"{row['delta']['rate_pchip']:+.2f} %"
    assert any("not a picture" in text or "cannot read" in text for text in browser.run(
        "return [...document.querySelectorAll('#warnings li')].map((e) => e.textContent)"))  # fmt: skip


def test_controls_work(report: Path, browser: chromium.Browser) -> None:
    browser.open(report)
    click = "document.querySelector(arguments[0]).click()"
    browser.run(click, '#metric-tabs button[data-value="ms_ssim_db"]')
    assert "MS-SSIM" in browser.run("return document.querySelector('#rd').textContent")
    before = browser.run("return document.querySelectorAll('#rd path').length")
    browser.run(click, "#legend button")
    assert browser.run("return document.querySelectorAll('#rd path').length") == before - 1
    browser.run("const s = document.querySelector('#anchor'); s.value = 'webp'; s.onchange()")
    names = browser.run("return [...document.querySelectorAll('#bd tbody tr')].map((r) => r.cells[0].textContent)")
    assert "webp" not in names and "jpeg" in names
    browser.run(click, "#theme")
    assert browser.run("return document.documentElement.dataset.theme") in ("light", "dark")


def test_a_narrow_window_shows_letters_as_large_as_a_wide_one(report: Path, tmp_path: Path) -> None:
    if not chromium.installed():
        pytest.skip(chromium.WHY_NOT)
    with chromium.Browser(tmp_path, width=500) as narrow:
        narrow.open(report)
        narrow.run("document.body.style.width = '420px'; dispatchEvent(new Event('resize'))")
        heights = "return [...document.querySelectorAll('#rd text')].map((t) => t.getBoundingClientRect().height)"
        narrow.run("width = 0; dispatchEvent(new Event('resize'))")
        assert min(h for h in narrow.run(heights) if h) >= 11
        plot = "const b = document.querySelector('#rd').getBoundingClientRect(); return b.right <= 420 && b.width > 300"
        assert narrow.run(plot) and narrow.errors() == []


def test_slider_divides_two_codecs_at_nearly_the_same_rate(report: Path, browser: chromium.Browser) -> None:
    browser.open(report)
    texts = browser.run("return ['left', 'right'].map((n) => document.querySelector(`#v-${n}-text`).textContent)")
    rates = [float(text.split(": ")[1].split(" bpp")[0]) for text in texts]
    assert texts[0] != texts[1] and rates[0] == pytest.approx(rates[1], rel=0.12)
    browser.run("document.querySelector('#viewer-section').scrollIntoView()")
    shown = browser.run(
        "return ['left', 'right'].every((n) => { const i = document.querySelector(`#v-${n}-img`); "
        "return i.complete && i.naturalWidth === 192; })"
    )
    assert shown
    move = "const s = document.querySelector('#v-slider'); s.value = arguments[0]; s.oninput()"
    shots = []
    for place in (0, 100):
        browser.run(move, place)
        shots.append(pixels(browser.screenshot()))
    assert np.abs(shots[0] - shots[1]).max() > 8


def test_quality_for_a_rate_is_searched_between_neighbours() -> None:
    assert next_quality([(10, 0.1), (30, 0.4)], 0.2, whole=True) == 20
    assert next_quality([(10, 0.4), (30, 0.1)], 0.2, whole=False) == pytest.approx(20)
    assert next_quality([(10, 0.1), (11, 0.4)], 0.2, whole=True) is None
    assert next_quality([(10, 0.1), (30, 0.4)], 0.5, whole=True) is None
    records = [
        {"codec": c, "status": "ok", "rate": rate}
        for c, rates in (("a", (0.1, 1.0)), ("b", (0.2, 3.0)))
        for rate in rates
    ]
    targets = target_rates(records)
    assert len(targets) == LEVELS and all(0.2 < t < 1.0 for t in targets) and targets == sorted(targets)

"""Bjontegaard deltas against values computed elsewhere, closed forms, and curves that have none."""

from __future__ import annotations

import pytest

pytest.importorskip("bjontegaard")

from bitfloor.tools.bench.bd import BjontegaardError, Points, delta
from bitfloor.tools.bench.published import by_name

# BD-rates in percent by pchip on Kodak, RGB PSNR, worked out independently of this package.
AGAINST_VTM = {
    "JPEG (CompressAI)": 208,
    "JPEG2000 (CompressAI)": 98,
    "WebP (CompressAI)": 78.8,
    "bmshj2018-factorized": 68.1,
    "bmshj2018-hyperprior": 30.5,
    "HM (CompressAI)": 23.3,
    "BPG 4:4:4 (CompressAI)": 22.0,
    "mbt2018-mean": 21.3,
    "AV1 (CompressAI)": 16.2,
    "mbt2018": 11.0,
    "cheng2020-attn": 5.5,
    "cheng2020-checkerboard": 3.9,
    "cheng2020-anchor": 3.7,
    "CHARM": 1.1,
    "Cool-chic 3.4-4.2": 1.0,
    "Cool-chic 5.0": -6.6,
    "TCM-S": -6.7,
    "ELIC": -7.0,
    "WeConvene": -8.4,
    "TCM-M": -9.1,
    "MLIC": -9.8,
    "TCM-L": -11.7,
    "MLIC+": -13.1,
    "CCA": -13.7,
    "FTIC": -14.6,
    "MLIC++": -15.0,
    "LALIC": -15.3,
    "HPCM-Base": -16.0,
    "DCAE": -17.0,
    "HPCM-Large": -20.0,
}
AGAINST_BPG = {
    "WebP (CompressAI)": 44,
    "mbt2018-mean": -3.3,
    "AV1 (CompressAI)": -6.2,
    "mbt2018": -11.3,
    "cheng2020-attn": -17.6,
    "VTM-9.1 (CompressAI)": -18.0,
    "ELIC": -26.6,
    "MLIC++": -33.0,
    "HPCM-Large": -36.8,
}


def points(name: str) -> Points:
    found = by_name(name).points("psnr")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("anchor", "name", "percent"),
    [("VTM-9.1 (CompressAI)", *item) for item in AGAINST_VTM.items()]
    + [("BPG 4:4:4 (CompressAI)", *item) for item in AGAINST_BPG.items()],
)
def test_published_curves_give_the_known_bd_rates(anchor: str, name: str, percent: float) -> None:
    tolerance = 0.5 if percent == int(percent) and abs(percent) > 30 else 0.3  # some are given without a decimal
    assert delta(points(anchor), points(name)).rate_pchip == pytest.approx(percent, abs=tolerance)


def test_constant_factor_and_constant_offset_have_closed_forms() -> None:
    rate, quality = [0.1, 0.22, 0.5, 0.9, 1.7], [28.0, 30.5, 33.0, 35.2, 38.1]
    anchor = Points("a", rate, quality)
    cheaper = delta(anchor, Points("b", [r * 0.8 for r in rate], quality))
    assert cheaper.rate_pchip == pytest.approx(-20, abs=1e-6)
    assert cheaper.rate_akima == pytest.approx(-20, abs=1e-6)
    better = delta(anchor, Points("b", rate, [q + 0.75 for q in quality]))
    assert better.quality_pchip == pytest.approx(0.75, abs=1e-6)
    assert better.quality_akima == pytest.approx(0.75, abs=1e-6)
    assert (better.low, better.high) == (28.75, 38.1)


def test_no_number_without_overlap_points_or_order() -> None:
    rate = [0.1, 0.2, 0.4, 0.8]
    anchor = Points("anchor", rate, [28, 30, 32, 34])
    with pytest.raises(BjontegaardError, match="share 33% of the shorter curve's range of quality"):
        delta(anchor, Points("far", rate, [32, 34, 36, 38]))
    with pytest.raises(BjontegaardError, match="range of rate"):
        delta(anchor, Points("cheap", [r / 8 for r in rate], [28, 30, 32, 34]))
    with pytest.raises(BjontegaardError, match="has 3 points"):
        delta(anchor, Points("short", rate[:3], [28, 30, 32]))
    with pytest.raises(BjontegaardError, match="quality does not rise"):
        delta(anchor, Points("bent", rate, [28, 31, 30, 34]))


def test_order_of_points_does_not_matter_and_infinite_quality_is_left_out() -> None:
    rate, quality = [0.1, 0.2, 0.4, 0.8], [28.0, 30.0, 32.0, 34.0]
    straight = delta(Points("a", rate, quality), Points("b", rate, [q + 1 for q in quality]))
    turned = delta(
        Points("a", rate[::-1], quality[::-1]),
        Points("b", [*rate, 9.0], [*(q + 1 for q in quality), float("inf")]),
    )
    assert turned.rate_pchip == straight.rate_pchip

"""The models in the box: what their files promise, on the bundled photograph. `bitfloor bench` gives Kodak figures."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from bitfloor import weights
from bitfloor.codecs import api
from bitfloor.codecs.image import codec as codec_module
from bitfloor.codecs.image.codec import ImageCodec
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.entropy_models.coding.range_coder import RangeEncoder
from bitfloor.entropy_models.latent.gains import interpolate, state_between
from bitfloor.entropy_models.latent.gaussian import bounded_scales, gaussian_likelihood
from bitfloor.entropy_models.latent.q_index import q_index_of
from bitfloor.entropy_models.latent.symbol_coders import Pass
from bitfloor.tools.exactness import SETTINGS, disagreements, matrix

QUALITIES = (1, 20, 40, 60, 80, 100)


CODECS = ("mlicv2", "s2lic")


@pytest.fixture(scope="module", params=CODECS)
def codec(request: pytest.FixtureRequest) -> ImageCodec:
    loaded = api.load(request.param)
    assert isinstance(loaded, ImageCodec)
    return loaded


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return read_picture(Path(weights.__file__).parent / "demo.avif").rgb[:256, 128:512]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


def test_the_network_stays_small(codec: ImageCodec, photograph: np.ndarray) -> None:
    """5 to 10 million parameters, at most 100 thousand multiplications a pixel for encoding and decoding together."""
    parameters = sum(p.numel() for p in codec.frozen.network.parameters())
    with FlopCounterMode(display=False) as counter:
        codec.decode(codec.encode(photograph, quality=50))
    assert 5e6 <= parameters <= 10e6
    assert 20_000 <= counter.get_total_flops() / 2 / photograph[:, :, 0].size <= 100_000


def test_size_and_psnr_rise_with_quality(codec: ImageCodec, photograph: np.ndarray) -> None:
    files = [codec.encode(photograph, quality=q) for q in QUALITIES]
    values = [psnr(np.asarray(codec.decode(f)), photograph) for f in files]
    assert all(a < b for a, b in pairwise(values))
    assert all(len(a) < len(b) for a, b in pairwise(files))


def test_file_bytes_are_the_ideal_code_length_of_the_tables(
    codec: ImageCodec, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CountingEncoder(RangeEncoder):
        bits = 0.0

        def encode(self, symbols, indexes, tables):  # type: ignore[no-untyped-def]
            CountingEncoder.bits += tables.ideal_bits(symbols, indexes)
            super().encode(symbols, indexes, tables)

    monkeypatch.setattr(codec_module, "RangeEncoder", CountingEncoder)
    for quality in QUALITIES:
        CountingEncoder.bits = 0.0
        size = len(codec.encode(photograph, quality=quality))
        assert size <= 1.005 * CountingEncoder.bits / 8 + 24


class ReplayCoder:
    """Gives the symbols that a file holds and adds up the bits of their continuous likelihoods."""

    def __init__(self, symbols: list[np.ndarray]) -> None:
        self.symbols = iter(symbols)
        self.bits = 0.0

    def code(
        self, place: Pass, means: torch.Tensor, log_scales: torch.Tensor, coded: torch.Tensor | None = None
    ) -> torch.Tensor:
        symbols = torch.from_numpy(next(self.symbols))
        likelihood = gaussian_likelihood(symbols.double(), bounded_scales(log_scales).double())
        self.bits -= float(torch.log2(likelihood).sum())
        return symbols.float()


@torch.inference_mode()
def test_freezing_costs_at_most_three_in_a_thousand(codec: ImageCodec, photograph: np.ndarray) -> None:
    """The same weights in float32 without a grid, with continuous scales, against the frozen path and its tables.

    Both code the same symbols: left to themselves the two paths round a few latents differently, and what that
    does to the rate is chance in both directions.
    """
    network, exact = codec.frozen.network, codec.frozen.exact
    nodes = {k: v.float() for k, v in exact.nodes.named_buffers()}
    for quality in QUALITIES:

        class CountingEncoder(RangeEncoder):
            bits = 0.0

            def encode(self, symbols, indexes, tables):  # type: ignore[no-untyped-def]
                if tables is exact.y_tables:
                    CountingEncoder.bits += tables.ideal_bits(symbols, indexes)
                super().encode(symbols, indexes, tables)

        q_index = torch.tensor([q_index_of(quality)])
        latent = codec._analyse(codec_module.Picture(photograph), q_index)
        embedding = interpolate(nodes["embedding"], q_index)[:, None, None]
        z = network.hyper_analysis(latent, embedding)
        z_hat, *symbols, _ = exact.encode(latent, z, q_index, CountingEncoder())
        replay = ReplayCoder(symbols)
        hyper = network.hyper_synthesis(torch.from_numpy(z_hat).float(), embedding)
        network.context(hyper, state_between(nodes, q_index), replay)
        assert CountingEncoder.bits <= 1.003 * replay.bits, f"quality {quality}"


@pytest.mark.parametrize("effort", [0, 1])
def test_settings_that_break_other_codecs_agree(photograph: np.ndarray, tmp_path: Path, effort: int) -> None:
    """Three settings of the exactness matrix; all: python -m bitfloor.tools.exactness PICTURE."""
    path = tmp_path / "part.png"
    Image.fromarray(photograph[:128, :128]).save(path)
    chosen = [s for s in SETTINGS if s.name in ("2 threads", "aten default", "column-major weights")]
    assert len(chosen) == 3
    hashes = matrix([path], 50, chosen, tmp_path, codecs=CODECS, effort=effort)
    assert [len(row) for row in hashes.values()] == [6, 6, 6]
    assert disagreements(hashes) == []

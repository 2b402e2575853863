"""The model in the box: what its files promise, on the bundled photograph. Kodak figures come from `bitfloor bench`."""

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
from bitfloor.codecs.mlicv2 import codec as codec_module
from bitfloor.codecs.mlicv2.codec import MLICv2Codec
from bitfloor.codecs.mlicv2.frozen import ENTROPY_MODULES
from bitfloor.codecs.mlicv2.model import MLICv2
from bitfloor.codecs.mlicv2.quality import position_of, state_between
from bitfloor.codecs.picture_files import read_picture
from bitfloor.entropy_models.coding.range_coder import RangeEncoder
from bitfloor.entropy_models.latent.gaussian import bounded_scales, gaussian_likelihood
from bitfloor.tools.exactness import SETTINGS, disagreements, matrix

QUALITIES = (1, 20, 40, 60, 80, 100)


@pytest.fixture(scope="module")
def codec() -> MLICv2Codec:
    loaded = api.load("mlicv2")
    assert isinstance(loaded, MLICv2Codec)
    return loaded


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return read_picture(Path(weights.__file__).parent / "demo.avif").rgb[:256, 128:512]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


def test_the_network_stays_small(codec: MLICv2Codec, photograph: np.ndarray) -> None:
    """5 to 10 million parameters, at most 100 thousand multiplications a pixel for encoding and decoding together."""
    parameters = sum(p.numel() for p in codec.frozen.model.parameters())
    with FlopCounterMode(display=False) as counter:
        codec.decode(codec.encode(photograph, quality=50))
    assert 5e6 <= parameters <= 10e6
    assert 20_000 <= counter.get_total_flops() / 2 / photograph[:, :, 0].size <= 100_000


def test_size_and_psnr_rise_with_quality(codec: MLICv2Codec, photograph: np.ndarray) -> None:
    files = [codec.encode(photograph, quality=q) for q in QUALITIES]
    values = [psnr(np.asarray(codec.decode(f)), photograph) for f in files]
    assert all(a < b for a, b in pairwise(values))
    assert all(len(a) < len(b) for a, b in pairwise(files))


def test_file_bytes_are_the_ideal_code_length_of_the_tables(
    codec: MLICv2Codec, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
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

    def code(self, group: int, parity: int, means: torch.Tensor, log_scales: torch.Tensor) -> torch.Tensor:
        symbols = torch.from_numpy(next(self.symbols))
        likelihood = gaussian_likelihood(symbols.double(), bounded_scales(log_scales).double())
        self.bits -= float(torch.log2(likelihood).sum())
        return symbols.float()


@torch.inference_mode()
def test_freezing_costs_at_most_three_in_a_thousand(codec: MLICv2Codec, photograph: np.ndarray) -> None:
    """The same weights in float32 without a grid, with continuous scales, against the frozen path and its tables.

    Both code the same symbols: left to themselves the two paths round a few latents differently, and what that
    does to the rate is chance in both directions.
    """
    frozen = codec.frozen
    plain = MLICv2(frozen.model.config).eval()
    for name in ENTROPY_MODULES:
        state = {k: v.float() for k, v in getattr(frozen.model, name).state_dict().items()}
        getattr(plain, name).load_state_dict(state)
    nodes = {k: v.float() for k, v in frozen.nodes.items()}
    for quality in QUALITIES:

        class CountingEncoder(RangeEncoder):
            bits = 0.0

            def encode(self, symbols, indexes, tables):  # type: ignore[no-untyped-def]
                if tables is frozen.y_tables:
                    CountingEncoder.bits += tables.ideal_bits(symbols, indexes)
                super().encode(symbols, indexes, tables)

        position = torch.tensor([position_of(quality)])
        latent = codec._analyse(codec_module.Picture(photograph), position)
        z_hat, *symbols, _ = codec._encode_tile(latent, position, CountingEncoder())
        state = state_between(nodes["embedding"], nodes["gain"], nodes["inverse_gain"], nodes["log_gain"], position)
        replay = ReplayCoder(symbols)
        hyper = plain.hyper_synthesis(torch.from_numpy(z_hat).float(), state.embedding[:, 0])
        plain.context(hyper, state, replay)
        assert CountingEncoder.bits <= 1.003 * replay.bits, f"quality {quality}"


def test_settings_that_break_other_codecs_agree(photograph: np.ndarray, tmp_path: Path) -> None:
    """Three settings of the exactness matrix; all: python -m bitfloor.tools.exactness PICTURE."""
    path = tmp_path / "part.png"
    Image.fromarray(photograph[:128, :128]).save(path)
    chosen = [s for s in SETTINGS if s.name in ("2 threads", "aten default", "column-major weights")]
    assert len(chosen) == 3
    hashes = matrix([path], 50, chosen, tmp_path)
    assert [len(row) for row in hashes.values()] == [3, 3, 3]
    assert disagreements(hashes) == []

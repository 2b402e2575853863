"""The synthesis in bfloat16: the same latents, and a picture that is hardly another one."""

from importlib.resources import as_file, files

import numpy as np
import pytest
import torch
from PIL import Image

import bitfloor
from bitfloor.codecs.image import narrow_products


@pytest.mark.parametrize("name", ["mlicv2", "s2lic"])
def test_a_picture_differs_by_a_level_or_two(name, monkeypatch):
    with as_file(files("bitfloor.weights") / "demo.avif") as path, Image.open(path) as photo:
        corner = np.asarray(photo.convert("RGB"))[:256, :256]
    codec = bitfloor.load(name)
    data, pictures, latents = codec.encode(corner, quality=90), [], []
    for units in (False, True):
        monkeypatch.setattr(narrow_products, "_has_units", lambda units=units: units)
        pictures.append(np.asarray(codec.decode(data)).astype(int))
        latents.append(codec.decode_latents(data))
    assert all(np.array_equal(*both) for both in zip(*latents, strict=True))
    apart = np.abs(pictures[0] - pictures[1])
    assert 0 < apart.max() <= 3 and np.mean(apart**2) < 0.5  # 51 dB


def test_a_torch_that_cannot_tell_of_units_multiplies_in_float32(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    narrow_products._has_units.cache_clear()
    try:
        assert not narrow_products._has_units()
    finally:
        narrow_products._has_units.cache_clear()

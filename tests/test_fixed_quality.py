"""A network at one quality in CompressAI's protocol: without CompressAI here, inside it in the slow test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_model import CONFIG, S2LIC, small_model, smooth_picture, tiny_network

import bitfloor
from bitfloor.codecs.container import unpack
from bitfloor.codecs.image.codec import ImageCodec
from bitfloor.codecs.image.fixed_quality import FixedQuality
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.pictures.picture import Picture
from bitfloor.errors import ModelError, UsageError
from bitfloor.weights import BOX


def batch(count: int = 2, height: int = 128, width: int = 192) -> torch.Tensor:
    """Pictures (B, 3, H, W) as `torchvision.transforms.ToTensor` gives them."""
    pictures = np.stack([smooth_picture(height, width, seed) for seed in range(count)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def bits(out: dict) -> torch.Tensor:
    return -torch.stack([torch.log2(likelihoods).sum() for likelihoods in out["likelihoods"].values()]).sum()


@pytest.fixture(scope="module")
def shipped() -> FixedQuality:
    return FixedQuality.from_model(quality=60)


def test_strings_are_files_that_decode_to_x_hat(shipped: FixedQuality) -> None:
    x = batch()
    out = shipped.compress(x)
    ((first, second),), shape = out["strings"], out["shape"]
    codec = bitfloor.load("mlicv2")
    assert isinstance(codec, ImageCodec) and shape == (2, 3)
    assert first == codec.encode(smooth_picture(128, 192, 0), quality=60)
    x_hat = shipped.decompress(out["strings"], shape)["x_hat"]
    assert x_hat.shape == x.shape
    decoded = np.asarray(bitfloor.decode(second))
    assert np.array_equal(x_hat[1].mul(255).round().byte().permute(1, 2, 0).numpy(), decoded)


def test_estimates_are_what_the_files_take(shipped: FixedQuality) -> None:
    photograph = read_picture(BOX / "demo.avif").rgb[:256, :384].copy()
    x = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255
    for quality in (10, 50, 90):
        network = FixedQuality(shipped.network, quality).eval()
        network.update()
        with torch.no_grad():
            estimate = network(x)
        out = network.compress(x)
        (data,) = out["strings"][0]
        assert bits(estimate).item() == pytest.approx(8 * (len(data) - unpack(data).overhead), rel=0.02)
        decoded = network.decompress(**out)["x_hat"]
        theirs, ours = (float((x_hat - x).square().mean()) for x_hat in (estimate["x_hat"], decoded))
        assert theirs == pytest.approx(ours, rel=0.03)


def test_update_gives_the_model_again(shipped: FixedQuality) -> None:
    x = batch(1)
    again = FixedQuality.from_state_dict(shipped.state_dict())
    with pytest.raises(ModelError, match=r"call update\(\)"):
        again.compress(x)
    assert again.update() and not again.update() and again.update(force=True)
    coded, before = again.compress(x), shipped.compress(x)
    assert len(coded["strings"][0][0]) == len(before["strings"][0][0])
    assert torch.equal(again.decompress(**coded)["x_hat"], shipped.decompress(**before)["x_hat"])


@pytest.mark.parametrize("config", [CONFIG, S2LIC], ids=["mlicv2", "s2lic"])
def test_a_network_trains_saves_and_codes(config, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A step as CompressAI's trainer takes it, a checkpoint as it writes it, and files of the new weights."""
    kind = type("Network", (FixedQuality,), {"codec": "s2lic" if config == S2LIC else "mlicv2"})
    network, x = kind(tiny_network(config=config), 40), batch()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    network.train()
    out = network(x)
    loss = bits(out) / x[:, 0].numel() + 255**2 * 0.01 * (out["x_hat"] - x).square().mean()
    loss.backward()
    optimizer.step()
    assert network.aux_loss().item() == 0
    network.aux_loss().backward()
    torch.save(network.state_dict(), tmp_path / "checkpoint.pth.tar")
    again = kind.from_state_dict(torch.load(tmp_path / "checkpoint.pth.tar", weights_only=True)).eval()
    network.eval()
    with torch.no_grad():
        assert torch.equal(again(x)["x_hat"], network(x)["x_hat"])
    assert again.update()
    coded = again.compress(x)
    assert again.decompress(**coded)["x_hat"].shape == x.shape
    with pytest.raises(ModelError, match="needs model"):  # before that step it was another network
        other = kind(tiny_network(config=config), 40)
        other.update()
        other.decompress(**coded)


def test_a_model_of_eight_bits_keeps_its_grids(tmp_path: Path) -> None:
    small_model(tmp_path / "small.safetensors")
    loaded = FixedQuality.from_model(tmp_path / "small.safetensors", 30)
    again = FixedQuality.from_state_dict(loaded.state_dict())
    again.update()
    assert again.compress(batch(1)) == loaded.compress(batch(1))


def test_what_cannot_be_coded_is_one_line(shipped: FixedQuality) -> None:
    with pytest.raises(UsageError, match="200x130 has no whole blocks of 64"):
        shipped(torch.zeros(1, 3, 130, 200))
    with pytest.raises(UsageError, match=r"0\.\.1"):
        shipped.compress(batch(1) * 2)
    with pytest.raises(ModelError, match=r"^this is no state of a mlicv2 network: [^\n]*$"):
        FixedQuality.from_state_dict({"weight": torch.zeros(3)})
    assert FixedQuality.from_model(quality=60).compress(torch.zeros(1, 3, 70, 64))["shape"] == (2, 1)


def test_compressai_is_told_of_every_picture_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for CompressAI: its registry, its architectures, its zoo."""
    known: dict[str, type] = {}
    names = ("compressai", "compressai.zoo", "compressai.zoo.image", "compressai.registry")
    fake = {name: types.ModuleType(name) for name in names}
    fake["compressai"].zoo = fake["compressai.zoo"]  # type: ignore[attr-defined]
    fake["compressai.zoo"].image = fake["compressai.zoo.image"]  # type: ignore[attr-defined]
    fake["compressai.zoo"].image_models = {}  # type: ignore[attr-defined]
    fake["compressai.zoo.image"].model_architectures = {}  # type: ignore[attr-defined]
    fake["compressai.registry"].register_model = lambda name: lambda cls: known.setdefault(name, cls)  # type: ignore[attr-defined]
    for name, module in fake.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "bitfloor.compressai", raising=False)
    from bitfloor.compressai import NETWORKS

    monkeypatch.delitem(sys.modules, "bitfloor.compressai")
    assert list(known) == ["bitfloor-mlicv2", "bitfloor-s2lic"] and known == NETWORKS
    assert fake["compressai.zoo.image"].model_architectures == known
    make = fake["compressai.zoo"].image_models["bitfloor-mlicv2"]
    network = make(quality=25, metric="mse", pretrained=True, progress=False)
    assert isinstance(network, known["bitfloor-mlicv2"]) and network.compress(batch(1))["shape"] == (2, 3)
    with pytest.raises(UsageError, match="ms-ssim"):
        make(quality=25, metric="ms-ssim")


@pytest.mark.slow
def test_compressai_measures_what_we_measure(tmp_path: Path) -> None:
    """Run it where CompressAI is (it wants numpy < 2): pip install 'bitfloor[compressai]' pytest, then

    pytest -m slow tests/test_fixed_quality.py

    BITFLOOR_KODAK names a folder of pictures in whole blocks of 64; without it, part of the bundled photograph.
    """
    pytest.importorskip("compressai")
    if "BITFLOOR_KODAK" in os.environ:
        paths = sorted(Path(os.environ["BITFLOOR_KODAK"]).glob("*.png"))[:2]
    else:
        paths = [tmp_path / "demo.png"]
        Image.open(BOX / "demo.avif").convert("RGB").crop((0, 0, 704, 448)).save(paths[0])
    (tmp_path / "in").mkdir()
    for path in paths:
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    torch.save(FixedQuality.from_model(quality=45).state_dict(), tmp_path / "mine.pth.tar")
    runs = {
        "pretrained": (["-q", "20,60"], (20, 60)),
        "checkpoint": (["-p", str(tmp_path / "mine.pth.tar")], (45,)),
    }
    codec = bitfloor.load("mlicv2")
    for source, (options, qualities) in runs.items():
        command = [sys.executable, "-m", "bitfloor.compressai", source, str(tmp_path / "in"), "-a", "bitfloor-mlicv2"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        theirs = json.loads(done.stdout[done.stdout.index("{") :])["results"]
        for number, quality in enumerate(qualities):
            ours = []
            for path in paths:
                rgb = np.asarray(Image.open(path).convert("RGB"))
                data = codec.encode(Picture(rgb), quality=quality)
                mse = np.square(np.asarray(codec.decode(data), float) - rgb).mean()
                ours.append((8 * len(data) / rgb[:, :, 0].size, 10 * np.log10(255**2 / mse)))
            bpp, psnr = np.mean(ours, 0)
            assert theirs["bpp"][number] == pytest.approx(bpp, abs=1e-3)
            assert theirs["psnr-rgb"][number] == pytest.approx(psnr, abs=1e-3)
            print(f"{source} at {quality}: {bpp:.4f} bpp, {psnr:.3f} dB")

"""Networks at the papers' dimensions: their parts counted, and coded with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from tiny_model import smooth_picture

from bitfloor.codecs.image.frozen import save_model
from bitfloor.codecs.image.measure import cost_of
from bitfloor.codecs.image.model import ImageNetwork
from bitfloor.codecs.image.presets import all_presets
from bitfloor.codecs.image.presets.mlicv2 import MLICv2Codec
from bitfloor.codecs.model_file import WithoutValues

# Millions of parameters by part, counted in the authors' code of MLIC++.
MLIC_PLUS_PLUS = {
    "analysis": 4.40,
    "synthesis": 14.70,
    "hyper_analysis": 1.88,
    "hyper_synthesis": 16.69,
    "window": 0.75,
    "deep_channel": 5.81,
    "inter_attention": 4.63,
    "intra_attention": 0.66,
    "entropy parameters": 8.06,
    "residual prediction": 25.9,
}


def count(name: str) -> Counter[str]:
    with WithoutValues():
        network = ImageNetwork(all_presets()[name])
    found: Counter[str] = Counter()
    for path, parameter in network.named_parameters():
        part, *below = path.split(".")
        if part == "context":
            kind = "residual prediction" if "residual" in path else "entropy parameters"
            part = below[3] if below[2] == "contexts" else kind
        found[part] += parameter.numel()
    return found


def test_every_part_of_mlic_plus_plus_has_the_size_of_the_authors() -> None:
    found = count("mlic++-base")
    for part, millions in MLIC_PLUS_PLUS.items():
        assert found[part] / 1e6 == pytest.approx(millions, rel=0.006), part
    assert sum(found.values()) / 1e6 == pytest.approx(83.5, rel=0.002)
    softmax = count("mlic+-base")
    assert softmax == found  # attention over pairs of cells has the same weights


def test_the_parts_of_s2lic() -> None:
    """Hyperprior and residual prediction are those of MLIC++; blocks and ACGC are counted by hand."""
    theirs, found = count("mlic++-base"), count("s2lic-base")
    for part in ("hyper_analysis", "hyper_synthesis", "residual prediction"):
        assert found[part] == theirs[part]
    block = 12 * 192**2 + 12 * 192  # q, k, v, out and an MLP four times as wide; biases without that of k, two norms
    blocks = sum(
        depth * (block + 3 * 512 + 512 * heads + heads)  # the MLP of the position bias, temperatures
        for depth, heads in ((1, 4), (2, 8), (3, 16))
    )

    def dense(inputs: int, outputs: int) -> int:
        widths = (32, 32, 32, 32, outputs)
        return sum(9 * (inputs + 32 * number) * width + width for number, width in enumerate(widths))

    enhance = dense(3, 64) + 2 * (64 * 64 + 64) + 9 * 64 * 64 + 64 + dense(64, 3)
    down = 25 * 3 * 192 + 192 + 2 * (9 * 192 * 192 + 192) + 9 * 192 * 320 + 320
    assert found["analysis"] == blocks + enhance + down
    small = cost_of(all_presets()["s2lic-small"])
    assert small.parameters <= 10e6 and small.macs_per_pixel <= 100e3


def test_costs_are_those_of_the_papers() -> None:
    """MLIC++ takes 1,153 kMAC a pixel; the shipped network stays below 100."""
    cost = cost_of(all_presets()["mlic++-base"])
    assert cost.macs_per_pixel / 1e3 == pytest.approx(1153, rel=0.02)
    assert cost.parameters == sum(count("mlic++-base").values())
    small = cost_of(all_presets()["mlicv2-small"])
    assert 5e6 <= small.parameters <= 10e6 and 20e3 <= small.macs_per_pixel <= 100e3
    mixing = cost_of(all_presets()["mlicv2-base"])
    assert 83e6 <= mixing.parameters <= 85e6
    assert mixing.macs_per_pixel < 0.85 * cost.macs_per_pixel  # a pair of blocks costs half of a residual block


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in all_presets() if name.endswith("-base")])
def test_a_base_network_with_random_weights_codes_pictures(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ImageNetwork(all_presets()[name])
    with torch.no_grad():
        for path, parameter in network.named_parameters():
            if "residual" in path and path.endswith("third.weight"):
                torch.nn.init.normal_(parameter, std=0.05)  # else nothing is predicted
        network.analysis.latent.weight *= 8
    save_model(tmp_path / "base.safetensors", network)
    codec = MLICv2Codec.from_path(tmp_path / "base.safetensors")
    data = codec.encode(smooth_picture(100, 70), quality=60)
    threads = torch.get_num_threads()
    latents = codec.decode_latents(data)
    torch.set_num_threads(threads + 1)
    try:
        again = codec.decode_latents(data)
    finally:
        torch.set_num_threads(threads)
    assert all((a == b).all() for a, b in zip(latents, again, strict=True))
    assert any(a.any() for a in latents[1:-1])
    assert codec.decode(data).size == (70, 100)

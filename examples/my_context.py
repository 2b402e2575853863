"""A context of your own for the entropy model of pictures: trained, in files, in the bench beside a codec without it.

python examples/my_context.py photos/ kodak/ 1         a minute for each of the two networks, then the bench
python examples/my_context.py                          two steps on the photograph of the package: does it work here?
"""

import os
import sys
import tempfile
from pathlib import Path

# --8<-- [start:context]
import msgspec
import torch
import torch.nn.functional as F
from torch import nn

from bitfloor.entropy_models.exact.grid import snap
from bitfloor.entropy_models.exact.layers import ExactLinear
from bitfloor.entropy_models.latent.checkerboard import ANCHOR, NON_ANCHOR, pack, unpack
from bitfloor.entropy_models.latent.contexts.base import ContextConfig


class Four(ContextConfig, msgspec.Struct, frozen=True, tag="four"):
    """What the four anchors beside a cell tell of it, by one exact linear layer."""

    needs = frozenset({"anchors"})  # so it serves the second pass only
    width: int = 96

    def width_at(self, place):
        return self.width

    def build(self, place):
        return FourContext(place.channels, self.width)


class FourContext(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.linear = ExactLinear(4 * channels, width)

    def forward(self, known):
        grid = F.pad(unpack(snap(known.own_anchors), ANCHOR), (0, 0, 1, 1, 1, 1))  # (B, H + 2, W + 2, C)
        up, down, left, right = grid[:, :-2, 1:-1], grid[:, 2:, 1:-1], grid[:, 1:-1, :-2], grid[:, 1:-1, 2:]
        return self.linear(pack(torch.cat((up, down, left, right), -1), NON_ANCHOR))  # (B, H/2, 2, W/2, width)


# --8<-- [end:context]
# --8<-- [start:run]
from msgspec.structs import replace

from bitfloor import weights
from bitfloor.codecs.image.presets import all_presets
from bitfloor.entropy_models.parts import to_json
from bitfloor.tools.cli import main


def run(photos, pictures, budget, out):
    """Train mlicv2-small on with none of its contexts of anchors, and with `Four`; measure both on `pictures`."""
    small = all_presets()["mlicv2-small"]
    channel, inter, *_ = small.slices.contexts
    for name, contexts in (("without", (channel, inter)), ("with-four", (channel, inter, Four()))):
        network = out / f"{name}.json"
        network.write_text(to_json(replace(small, slices=replace(small.slices, contexts=contexts))))
        words = ["--config", network, "--from", "mlicv2-small", "--name", name, "-o", out / name, *budget]
        assert main(["train", *map(str, [photos, *words])]) == 0
    os.environ["BITFLOOR_MODELS"] = f"{out / 'without'}{os.pathsep}{out / 'with-four'}"
    codecs = ["--codecs", "mlicv2:model=without,mlicv2:model=with-four", "--anchor", "mlicv2:model=without"]
    return main(
        ["bench", *map(str, [pictures, *codecs, "-q", "10,40,70,95", "--metrics", "psnr", "-o", out / "bench"])]
    )


# --8<-- [end:run]
if __name__ == "__main__":
    photos, pictures, minutes = [*sys.argv[1:], *[None] * 3][:3]
    photos = photos or weights.BOX / "demo.avif"
    budget = ["--minutes", minutes] if minutes else ["--steps", 2, "--batch", 2]
    out = Path(tempfile.mkdtemp(prefix="my-context-"))
    code = run(photos, pictures or photos, budget, out)
    print(out / "bench" / "report.html")
    sys.exit(code)

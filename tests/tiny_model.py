"""A small picture network with random weights, frozen: quick, and good enough for everything but pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bitfloor.codecs.image.codec import ImageCodec
from bitfloor.codecs.image.config import ImageConfig
from bitfloor.codecs.image.frozen import save_model
from bitfloor.codecs.image.model import ImageNetwork
from bitfloor.codecs.image.presets.mlicv2 import MLICv2Codec
from bitfloor.codecs.image.presets.s2lic import S2LICCodec
from bitfloor.codecs.image.transforms.enhance import Enhance
from bitfloor.codecs.image.transforms.patch import Patch
from bitfloor.codecs.image.transforms.swin_patch import SwinPatch
from bitfloor.entropy_models.latent.contexts.adaptive_channel import AdaptiveChannel
from bitfloor.entropy_models.latent.contexts.channel import Channel
from bitfloor.entropy_models.latent.contexts.deformable_inter import DeformableInter
from bitfloor.entropy_models.latent.contexts.inter import InterGlobal
from bitfloor.entropy_models.latent.contexts.intra import IntraGlobal
from bitfloor.entropy_models.latent.contexts.local import Local
from bitfloor.entropy_models.latent.heads.joint import Joint
from bitfloor.entropy_models.latent.hyperpriors.depthwise import DepthwiseHyper
from bitfloor.entropy_models.latent.slice_model import Slices
from bitfloor.tools.training.eight_bits import EightBits, eight_bits

CONFIG = ImageConfig(
    Patch(widths=(16, 24), analysis_depths=(1, 1), synthesis_depths=(1, 1), linear_path=False),
    DepthwiseHyper(channels=8, width=16),
    Slices((4, 4, 8), (Channel(), InterGlobal(), Local(), IntraGlobal())),
    embedding=4,
)
S2LIC = ImageConfig(
    SwinPatch((16, 24), (2, 1), (2, 2), heads=(2, 4), local=True, enhance=Enhance(8, 4, patch=4)),
    CONFIG.hyper,
    Slices(
        CONFIG.slices.channels,
        (AdaptiveChannel(inner=16, width=12, first=True), DeformableInter(inner=16, width=6, head=8, first=True)),
    ),
    embedding=4,
)
# Some kilobytes, for a model that lies beside the files it decodes.
TINIEST = ImageConfig(
    Patch(widths=(8, 8), analysis_depths=(1, 1), synthesis_depths=(1, 1), linear_path=True),
    DepthwiseHyper(channels=4, width=8),
    Slices(
        (2, 3),
        (
            Channel(inner=8, width=8),
            InterGlobal(inner=8, head=4, width=8),
            Local(heads=2, head=4, convolved=2, width=8),
            IntraGlobal(inner=8, head=4, width=4),
        ),
        Joint(first=16, second=12, residual=6),
    ),
    embedding=3,
)


def tiny_network(seed: int = 0, config: ImageConfig = CONFIG) -> ImageNetwork:
    torch.manual_seed(seed)
    network = ImageNetwork(config)
    for name, parameter in network.named_parameters():
        if "residual_second" in name or name.startswith("q_scale."):
            torch.nn.init.normal_(parameter, std=0.3)
        elif name.endswith("enhance.leave.layers.4.weight"):  # it begins as the identity
            torch.nn.init.normal_(parameter, std=0.03)
    network.analysis.latent.weight.data *= 8
    return network


def tiny_codec(folder: Path, seed: int = 0, config: ImageConfig = CONFIG) -> ImageCodec:
    path = folder / f"tiny-{seed}.safetensors"
    save_model(path, tiny_network(seed, config))
    return (S2LICCodec if config == S2LIC else MLICv2Codec).from_path(path)


def small_model(path: Path, config: ImageConfig = CONFIG, seed: int = 0) -> EightBits:
    """Write the same network with 8 bits a weight."""
    network = tiny_network(seed, config)
    small = eight_bits(network, [smooth_picture(128, 192, number) for number in range(3)])
    save_model(path, network, small.weights)
    return small


def smooth_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """(height, width, 3) uint8: a few waves, so neighbouring pixels resemble each other."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:height, :width]
    waves = [np.sin(row * a + column * b + c) for a, b, c in rng.uniform(-0.2, 0.2, (6, 3))]
    mixed = np.tensordot(rng.normal(size=(3, 6)), np.array(waves), 1)
    return np.clip(128 + 50 * mixed, 0, 255).astype(np.uint8).transpose(1, 2, 0)

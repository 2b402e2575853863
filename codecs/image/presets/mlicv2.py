"""MLICv2 (Jiang et al., arXiv 2504.19119)."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from ....entropy_models.latent.contexts.channel import Channel
from ....entropy_models.latent.contexts.deep_channel import DeepChannel
from ....entropy_models.latent.contexts.hyper_global import HyperGlobal
from ....entropy_models.latent.contexts.inter import InterGlobal
from ....entropy_models.latent.contexts.inter_attention import InterAttention
from ....entropy_models.latent.contexts.intra import IntraGlobal
from ....entropy_models.latent.contexts.intra_attention import IntraAttention
from ....entropy_models.latent.contexts.local import Local
from ....entropy_models.latent.contexts.window import Window
from ....entropy_models.latent.heads.separate import Separate
from ....entropy_models.latent.hyperpriors.convolutional import ConvolutionalHyper
from ....entropy_models.latent.hyperpriors.depthwise import DepthwiseHyper
from ....entropy_models.latent.skip import Skip
from ....entropy_models.latent.slice_model import Slices
from ..codec import ImageCodec
from ..config import ImageConfig
from ..transforms.patch import Patch
from ..transforms.token_mixing import TokenMixing

_SMALL = ImageConfig(
    Patch(widths=(256, 368), analysis_depths=(3, 2), synthesis_depths=(4, 2), linear_path=True),
    DepthwiseHyper(channels=48, width=128),
    Slices((16, 16, 32, 64, 168), (Channel(), InterGlobal(), Local(convolved=32), IntraGlobal()), skip=Skip()),
    lambdas=(0.0007, 0.3),
)

PRESETS = {
    "mlicv2-small": _SMALL,
    "mlicv2-small-visual": msgspec.structs.replace(_SMALL, distortion="visual"),
    # The paper's dimensions, with all that it adds to MLIC++.
    "mlicv2-base": ImageConfig(
        TokenMixing(192),
        ConvolutionalHyper(channels=192, half=320),
        Slices(
            (32,) * 10,
            (
                HyperGlobal(),
                DeepChannel(),
                InterAttention(rope=True, reweight=True),
                Window(rope=True),
                IntraAttention(rope=True, reweight=True),
            ),
            Separate(),
            Skip(log_threshold=-1233, width=48),
        ),
    ),
}


class MLICv2Codec(ImageCodec):
    """The picture codec under this name, for this and every other network that is trained under it."""

    name: ClassVar[str] = "mlicv2"

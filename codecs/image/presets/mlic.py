"""MLIC, MLIC+ (Jiang et al., arXiv 2211.07273) and MLIC++ (arXiv 2307.15421) at the papers' dimensions.

One network here serves every quality, where the papers train one for each: gains and feature scales come with it.
"""

from __future__ import annotations

from ....entropy_models.latent.contexts.deep_channel import DeepChannel
from ....entropy_models.latent.contexts.inter_attention import InterAttention
from ....entropy_models.latent.contexts.intra_attention import IntraAttention
from ....entropy_models.latent.contexts.masked import Masked
from ....entropy_models.latent.contexts.window import Window
from ....entropy_models.latent.heads.separate import Separate
from ....entropy_models.latent.hyperpriors.convolutional import ConvolutionalHyper
from ....entropy_models.latent.slice_model import Slices
from ..config import ImageConfig
from ..transforms.residual import Residual

_HYPER = ConvolutionalHyper(channels=192, half=320)

PRESETS = {
    "mlic-base": ImageConfig(
        Residual(192),
        ConvolutionalHyper(channels=192, half=192),
        Slices((32,) * 6, (DeepChannel(), Masked(), IntraAttention("softmax")), Separate()),
    ),
    "mlic+-base": ImageConfig(
        Residual(192),
        _HYPER,
        Slices(
            (32,) * 10,
            (DeepChannel(), InterAttention("softmax"), Window(), IntraAttention("softmax")),
            Separate(),
        ),
    ),
    "mlic++-base": ImageConfig(
        Residual(192),
        _HYPER,
        Slices((32,) * 10, (DeepChannel(), InterAttention(), Window(), IntraAttention()), Separate()),
    ),
}

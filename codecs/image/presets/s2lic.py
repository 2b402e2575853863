"""S2LIC (Wang et al., arXiv 2403.14471), and crossed with MLICv2.

The authors' release lacks the blocks and the contexts: dimensions that it does not give are read off the paper's
figures or chosen here, as the docstrings of the parts say.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from ....entropy_models.latent.contexts.adaptive_channel import AdaptiveChannel
from ....entropy_models.latent.contexts.deformable_inter import DeformableInter
from ....entropy_models.latent.heads.separate import Separate
from ....entropy_models.latent.hyperpriors.convolutional import ConvolutionalHyper
from ....entropy_models.latent.slice_model import Slices
from ..codec import ImageCodec
from ..config import ImageConfig
from ..transforms.swin import Swin
from ..transforms.swin_patch import SwinPatch
from .mlicv2 import PRESETS as MLICV2

_THEIRS = MLICV2["mlicv2-small"]
_ACGC = (
    AdaptiveChannel(inner=80, width=128, first=True),
    DeformableInter(inner=64, width=48, first=True),
)
_SMALL = msgspec.structs.replace(
    _THEIRS, transform=SwinPatch(local=True), slices=msgspec.structs.replace(_THEIRS.slices, contexts=_ACGC)
)

PRESETS = {
    "s2lic-small": _SMALL,
    "s2lic-base": ImageConfig(
        Swin(),
        ConvolutionalHyper(channels=192, half=320),
        Slices((32,) * 10, (AdaptiveChannel(), DeformableInter()), Separate()),
    ),
    # One system's transform with the other's contexts.
    "s2lic-transform-small": msgspec.structs.replace(_SMALL, slices=_THEIRS.slices),
    "s2lic-contexts-small": msgspec.structs.replace(_SMALL, transform=_THEIRS.transform),
}


class S2LICCodec(ImageCodec):
    """The picture codec under this name, for this and every other network that is trained under it."""

    name: ClassVar[str] = "s2lic"

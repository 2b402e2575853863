"""MLICv2 (Jiang et al., arXiv 2504.19119)."""

from __future__ import annotations

from typing import ClassVar

from ....entropy_models.latent.contexts.channel import Channel
from ....entropy_models.latent.contexts.inter import InterGlobal
from ....entropy_models.latent.contexts.intra import IntraGlobal
from ....entropy_models.latent.contexts.local import Local
from ....entropy_models.latent.hyperpriors.depthwise import DepthwiseHyper
from ....entropy_models.latent.slice_model import Slices
from ..codec import ImageCodec
from ..config import ImageConfig
from ..transforms.patch import Patch

PRESETS = {
    "mlicv2-small": ImageConfig(
        Patch(widths=(256, 368), analysis_depths=(3, 2), synthesis_depths=(4, 2), linear_path=True),
        DepthwiseHyper(channels=48, width=128),
        Slices((16, 16, 32, 64, 168), (Channel(), InterGlobal(), Local(convolved=32), IntraGlobal())),
    )
}


class MLICv2Codec(ImageCodec):
    """The picture codec under this name, for this and every other network that is trained under it."""

    name: ClassVar[str] = "mlicv2"

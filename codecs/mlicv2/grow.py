"""A trained network's weights in one whose last channel group is wider.

A latent of 192 channels for the 768 samples of a 16x16 block is full at high rates: nine tenths of the squared error
are there before anything is rounded. New channels start with random analysis filters, unknown to everything after
them, so that training begins where the narrow network ended. They would be silenced by the rate term long before the
synthesis has learned what they mean; `MLICv2.rate_pressure` spares them until it has.
"""

from __future__ import annotations

from dataclasses import replace

from ...entropy_models.checkerboard import ANCHOR_WINDOW
from ...errors import ModelError
from .model import MLICv2

_KEPT = ("analysis.latent.", "quality.")  # drawn, and set to the nodes' levels; all other new weights are zero
_BLOCKS = {".third.": (0, 2), ".direct.": (1, len(ANCHOR_WINDOW))}  # axis and number of blocks that change each


def grow(narrow: MLICv2, model: MLICv2) -> None:
    """Load the weights of `narrow` into `model`, which may have more channels in its last group.

    Raises ModelError where the two differ in anything else but `direct_channels`.
    """
    groups = (*narrow.config.groups[:-1], max(narrow.config.groups[-1], model.config.groups[-1]))
    if replace(narrow.config, groups=groups, direct_channels=model.config.direct_channels) != model.config:
        raise ModelError(f"cannot start from a model with {narrow.config} where the preset has {model.config}")
    target = model.state_dict()
    for name, old in narrow.state_dict().items():
        new = target[name]
        if not name.startswith(_KEPT):
            new.zero_()
        axis, blocks = next((v for part, v in _BLOCKS.items() if part in name and new.ndim > v[0]), (0, 1))
        for into, part in zip(new.chunk(blocks, axis), old.chunk(blocks, axis), strict=True):
            common = tuple(slice(min(a, b)) for a, b in zip(into.shape, part.shape, strict=True))
            into[common] = part[common]
    spared = model.config.latent - narrow.config.latent
    if spared:
        model.spare_last(spared)

"""Parts of a network that mixed precision must leave alone."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context in which matrix products on the device of `x` are not rounded to bfloat16, whatever surrounds it."""
    if x.device.type == "meta":  # counts operations, has no autocast
        return nullcontext()
    return torch.autocast(x.device.type, enabled=False)

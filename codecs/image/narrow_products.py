"""Matrix products in bfloat16 where the processor has units for it: half the time, for what no file depends on."""

from __future__ import annotations

from functools import cache

import torch


def narrow_products() -> torch.autocast:
    """Inside, layers multiply in bfloat16 where the processor has AVX512-BF16 or AMX, else in float32 as ever.

    Networks are trained like that. Two Kodak pictures lost 0.002 dB at quality 10 and 0.01 dB at 100, at most; samples
    differed by one or two of 255 levels.
    """
    return torch.autocast("cpu", torch.bfloat16, enabled=_has_units())


@cache
def _has_units() -> bool:
    """Whether bfloat16 is faster here; without units torch emulates it, slower than float32.

    torch tells it in names of its own, which a version may lack: then no.
    """
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, bool)() for question in questions)

"""Whether float32 sums can be trusted: backends that round operands to fewer bits must not run an exact layer."""

from __future__ import annotations

from functools import lru_cache

import torch


def single_precision_is_exact(device: torch.device) -> bool:
    """Self-test: float32 products of 8-bit integers, summed to just below 2^24, must come out exactly.

    A backend that rounds operands to TF32 or bfloat16 loses the low bits and fails. The test runs once for each state
    of torch's switches, so that a program may change them (`torch.set_float32_matmul_precision`, autocast) after a
    model was loaded: the layers then take float64.
    """
    switches = (
        torch.get_float32_matmul_precision(),
        torch.backends.cuda.matmul.fp32_precision,
        torch.backends.mkldnn.matmul.fp32_precision,  # type: ignore[attr-defined]
        torch.is_autocast_enabled(device.type),
    )
    return _passes(device, switches)


@lru_cache(maxsize=64)
def _passes(device: torch.device, switches: tuple[object, ...]) -> bool:
    """Products of the two shapes that libraries treat apart, a wide one and a single row."""
    rows = torch.arange(64, device=device)[:, None]
    columns = torch.arange(256, device=device)[None]
    left = ((rows * 131 + columns * 37) % 255 - 127).double()
    right = ((rows * 89 + columns * 53) % 511 - 255).double()
    expected = left @ right.t()
    whole = (left.float() @ right.float().t()).double()
    single = (left[:1].float() @ right.float().t()).double()
    return torch.equal(whole, expected) and torch.equal(single, expected[:1])

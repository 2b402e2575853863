"""Ways to run the same sums in another order: threads, libraries, layouts. All must give equal bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bitfloor.entropy_models.exact.layers import ExactLayer


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _without_mkldnn() -> Iterator[None]:
    with torch.backends.mkldnn.flags(enabled=False):
        yield


def strided(x: Tensor) -> Tensor:
    """The same numbers, laid out with gaps and with the last dimension far apart."""
    wide = torch.zeros((*x.shape[:-1], x.shape[-1] + 1), dtype=x.dtype)
    wide = wide.movedim(-1, 0).contiguous().movedim(0, -1)
    wide[..., :-1] = x
    return wide[..., :-1]


def transpose_weights(module: nn.Module) -> None:
    """Lay out every matrix of the exact layers column by column."""
    for layer in module.modules():
        if isinstance(layer, ExactLayer) and layer.weight.ndim == 2:
            layer.weight.data = layer.weight.data.t().contiguous().t()


def assert_same_in_every_setting(
    run: Callable[..., Tensor], *inputs: Tensor, modules: tuple[nn.Module, ...] = ()
) -> Tensor:
    """Run under every setting, compare bit by bit, return the result."""
    reference = run(*inputs)
    assert torch.isfinite(reference).all() and reference.numel()
    with _threads(2):
        assert torch.equal(run(*inputs), reference), "two threads"
    with _without_mkldnn():
        assert torch.equal(run(*inputs), reference), "without oneDNN"
    floats = [strided(x) if x.dtype.is_floating_point else x for x in inputs]
    assert torch.equal(run(*floats), reference), "strided inputs"
    for module in modules:
        transpose_weights(module)
    assert torch.equal(run(*inputs), reference), "transposed weights"
    return reference

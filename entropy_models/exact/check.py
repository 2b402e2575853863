"""What is inexact in a module: a look at its parts, and a run in which every sum is checked number by number.

    for line in inexact(module, *inputs):
        print(line)         contexts/mine.py:41 forward: aten.exp: no correctly rounded operation; use a table

The run believes no bound. It looks at the numbers that really meet: what power of two they are all multiples of, and
whether the sum of their magnitudes stays below the integers that the type holds. What `freeze` proves for all inputs is
so seen on some, and sums that bypass the exact layers are seen, too.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from .grid import DOUBLE_UNITS, SINGLE_UNITS, snap
from .layers import ExactLayer, FreezeError
from .products import BoundError

# One correctly rounded operation for each number, or none at all.
_ROUNDED_NAMES = """
    add sub rsub mul div neg abs sign sqrt round floor ceil trunc clamp clamp_min clamp_max maximum minimum relu
    eq ne lt le gt ge where masked_fill logical_and logical_or logical_not isfinite isnan amax amin max min argmax
    argmin hardtanh equal
"""
_MOVED_NAMES = """
    view _unsafe_view reshape permute transpose t expand slice select index index_select gather take embedding cat
    stack clone copy _to_copy unsqueeze squeeze split split_with_sizes unbind as_strided constant_pad_nd arange full
    zeros ones empty empty_like zeros_like ones_like full_like new_zeros new_ones new_empty new_full fill zero repeat
    flip roll detach alias lift_fresh scalar_tensor _local_scalar_dense unfold chunk narrow index_put index_copy
    masked_select nonzero sort tril triu diagonal movedim
"""
_ROUNDED, _MOVED = frozenset(_ROUNDED_NAMES.split()), frozenset(_MOVED_NAMES.split())
_HOLDS = {torch.float64: DOUBLE_UNITS, torch.float32: SINGLE_UNITS}
_NOTHING = 1e4  # stands for the exponent of zero, which is a multiple of everything
_HARMLESS = (nn.Identity, nn.ReLU, nn.Flatten, nn.Unflatten, nn.Dropout)
_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential, nn.ParameterList, nn.ParameterDict)
_TORCH = str(Path(torch.__file__).parent)


def inexact(module: nn.Module, *inputs: Any) -> list[str]:
    """What of a frozen module could differ between machines, one line each; an empty list if nothing was found.

    Args:
        module: frozen.
        inputs: what its forward takes, tensors in float64 (or float32 within `grid.float32_path`); without any, only
            its parts are looked at.
    """
    found = _parts(module)
    if inputs:
        watch = _Watch()
        try:
            with torch.no_grad(), watch:
                module(*inputs)
        except (FreezeError, BoundError) as error:
            watch.report(type(error).__name__, str(error))
        found += watch.found
    return found


def _parts(module: nn.Module) -> list[str]:
    """Layers that are not frozen, ordinary layers of torch, and parameters off the grid."""
    found: list[str] = []
    inside: set[int] = set()
    for name, part in module.named_modules():
        kind = type(part).__name__
        if isinstance(part, ExactLayer):
            inside.update((id(part.weight), id(part.bias)))
            if part.dtype is None:
                found.append(f"{name or kind}: has not been frozen")
        elif type(part).__module__.startswith("torch.nn.") and not _is_harmless(part):
            found.append(f"{name or kind}: torch.nn.{kind} is not exact")
    for name, parameter in module.named_parameters():
        if id(parameter) not in inside and not torch.equal(snap(parameter.detach().double()), parameter.double()):
            found.append(f"{name}: a parameter that is not on the grid of activations; freeze the module")
    return found


def _is_harmless(part: nn.Module) -> bool:
    """Whether a module of torch only holds others, or passes numbers on."""
    return type(part) is nn.Module or isinstance(part, _HARMLESS + _CONTAINERS)


class _Watch(TorchDispatchMode):
    """Sees every operation of torch on its way to the library."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        tensors = [a for a in args if isinstance(a, Tensor) and a.is_floating_point()]
        name = operation.overloadpacket.__name__
        if tensors:
            complaint = _complaint(name, args, named)
            if complaint:
                self.report(f"aten.{name}", complaint)
        return operation(*args, **named)

    def report(self, what: str, complaint: str) -> None:
        """Add a line, once, with the place in the code that is neither torch nor this file."""
        frames = [f for f in traceback.extract_stack() if not f.filename.startswith(_TORCH) and f.filename != __file__]
        frame = frames[-1]
        line = f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}: {what}: {complaint}"
        if line not in self.found:
            self.found.append(line)


def _complaint(name: str, args: tuple[Any, ...], named: Mapping[str, Any]) -> str | None:
    """What is wrong with an operation, or None."""
    base = name.rstrip("_") if not name.endswith("__") else name
    if base in _SUMS:
        return _SUMS[base](*args)
    if base in _MOVED:
        return None
    if base not in _ROUNDED:
        return "not a correctly rounded operation; use a table or what entropy_models.exact has for it"
    if base == "div" and isinstance(args[1], (int, float)) and math.frexp(args[1])[0] not in (0.5, -0.5):
        return f"division by the Python number {args[1]}: GPUs multiply by its reciprocal; use grid.divide"
    if named.get("alpha", 1) != 1:
        return "a scaled addition may be fused, and is then rounded once instead of twice"
    return None


def _exponents(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Largest e for which all numbers of x over `dims`, each alone without them, are multiples of 2^e, as float64."""
    mantissa, exponent = torch.frexp(x.double())
    integers = (mantissa * 2.0**53).to(torch.int64)
    lowest = torch.frexp((integers & -integers).double()).exponent - 1
    found = torch.where(x == 0, _NOTHING, (exponent - 53 + lowest).double())
    return found.amin(dims, keepdim=True) if dims else found


def _verdict(magnitude: Tensor, exponent: Tensor, dtype: torch.dtype) -> str | None:
    """A complaint where a sum of that magnitude in units of 2^exponent leaves what the type holds."""
    if dtype not in _HOLDS:
        return f"a sum in {dtype}"
    if not torch.isfinite(magnitude).all():
        return "a sum of numbers that are not finite"
    bits = torch.log2(magnitude.clamp_min(2.0**-1000)) - exponent
    needed = float(bits.max()) if bits.numel() else 0.0
    if needed < math.log2(_HOLDS[dtype]):
        return None
    return f"a sum that may need {needed:.0f} bits; {dtype} holds {math.log2(_HOLDS[dtype]):.0f} (snap its operands)"


def _product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> str | None:
    """(..., M, K) times (..., K, N), plus (..., N)."""
    exponent = _exponents(left, (-1,)) + _exponents(right, (-2,))
    magnitude = left.double().abs() @ right.double().abs()
    if bias is not None:
        exponent = torch.minimum(exponent, _exponents(bias, ()))
        magnitude = magnitude + bias.double().abs()
    return _verdict(magnitude, exponent, left.dtype)


def _sum(x: Tensor, dims: Any = None, *_: Any) -> str | None:
    axes = tuple(range(x.ndim)) if not dims else (dims,) if isinstance(dims, int) else tuple(dims)
    return _verdict(x.double().abs().sum(axes, keepdim=True), _exponents(x, axes), x.dtype) if axes else None


def _added_product(x: Tensor, left: Tensor, right: Tensor) -> str | None:
    """x + left * right, element by element, fused or not."""
    product = torch.minimum(_exponents(x, ()), _exponents(left, ()) + _exponents(right, ()))
    return _verdict(x.double().abs() + left.double().abs() * right.double().abs(), product, x.dtype)


_SUMS: dict[str, Callable[..., str | None]] = {
    "sum": _sum,
    "cumsum": _sum,
    "mm": _product,
    "bmm": _product,
    "addmm": lambda bias, left, right: _product(left, right, bias),
    "baddbmm": lambda bias, left, right: _product(left, right, bias),
    "mv": lambda left, right: _product(left, right[:, None]),
    "addmv": lambda bias, left, right: _product(left, right[:, None], bias[:, None]),
    "dot": lambda left, right: _product(left[None], right[:, None]),
    "addcmul": _added_product,
}

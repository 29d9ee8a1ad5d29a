"""Limits: a tensor's elements kept within bounds."""

from __future__ import annotations

import builtins
from typing import Any

from autodiff.expr import Expr, build
from autodiff.ops import elementwise
from autodiff.ops.base import backward_name
from autodiff.ops.calling import apply
from autodiff.ops.declare import FIRST, declare
from autodiff.ops.pointwise import PointwiseOp
from autodiff.tensor import Tensor


def _one_sided(name: str, instr: str) -> PointwiseOp:
    """clamp with one bound: where both are equal the gradient goes to the input."""
    lower = instr == "maximum"

    def vjp(g: Expr, y: Expr, x: Expr, bound: Expr) -> tuple[Expr, Expr]:
        low, high = (bound, x) if lower else (x, bound)
        return build("where", build("le", low, high), g, 0.0), build(
            "where", build("lt", high, low), g, 0.0
        )

    return declare(
        name,
        2,
        f"input limited {'from below by min' if lower else 'from above by max'}.",
        vjp,
        expand=lambda x, bound: build(instr, x, bound),
        domain=(((-3.0, -0.8), (0.8, 3.0)), ((-0.5, 0.5),)),
        reference=builtins.max if lower else builtins.min,
        grad_name=tuple(backward_name(name, variant) for variant in (0, 1)),  # type: ignore[arg-type]
        tensors=FIRST,
        exact="-x",
    )


CLAMP_MIN = _one_sided("clamp_min", "maximum")
CLAMP_MAX = _one_sided("clamp_max", "minimum")
_CLAMPS = (elementwise.clamp, CLAMP_MIN, CLAMP_MAX)
CLAMPED = [[op.named(f"ClampBackward{1 - tensors}") for op in _CLAMPS] for tensors in (0, 1)]


def clamp(input: Any, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """input clamped to [min, max], numbers or tensors; either may be left out.

    >>> ad.clamp(ad.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if min is None:
        return apply(CLAMPED[isinstance(max, Tensor)][2], (input, max), out)
    both, lower, _ = CLAMPED[isinstance(min, Tensor)]
    if max is None:
        return apply(lower, (input, min), out)
    return apply(both, (input, min, max), out)


def clamp_min(input: Any, min: Any, *, out: Tensor | None = None) -> Tensor:
    """The larger of input and min, element by element.

    >>> ad.clamp_min(ad.tensor([1, 5]), 2)
    tensor([2, 5])
    """
    return apply(CLAMP_MIN, (input, min), out)


def clamp_max(input: Any, max: Any, *, out: Tensor | None = None) -> Tensor:
    """The smaller of input and max, element by element.

    >>> ad.clamp_max(ad.tensor([1, 5]), 2)
    tensor([1, 2])
    """
    return apply(CLAMP_MAX, (input, max), out)

"""Results that are written to a tensor of the caller's: `out=` where no kernel writes there."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from autodiff.changes import changed_of
from autodiff.grad_mode import no_grad
from autodiff.node import mode
from autodiff.ops.assign import copy_
from autodiff.ops.create import empty
from autodiff.ops.guard import must_be
from autodiff.tensor import Tensor


def check_out(function: str, out: Tensor, *given: Tensor) -> None:
    """TypeError where `out` is no tensor; RuntimeError where it, or one given, wants gradients."""
    if not isinstance(out, Tensor):
        raise must_be(function, "out", "Tensor", out)
    if mode.grad and any(x.requires_grad for x in (out, *given)):
        raise RuntimeError(
            f"{function}(): functions with out=... arguments don't support automatic "
            "differentiation, but one of the arguments requires grad."
        )


def fit(function: str, out: Tensor, shape: Sequence[int], *given: Tensor) -> Tensor:
    """`out`, checked, and made to fit as PyTorch does: a warning where it held elements."""
    check_out(function, out, *given)
    if out.shape != tuple(shape):
        if out.numel():
            warnings.warn(
                f"{function}(): an output with one or more elements was resized since it had shape "
                f"{list(out.shape)}, which does not match the required output shape {list(shape)}. "
                "Give an out of the right shape, or one without elements.",
                stacklevel=4,
            )
        out._p = empty(shape, dtype=out.dtype)._p
        out._base = out._base_node = None
        changed_of(out)
    return out


def put(function: str, out: Tensor, y: Tensor) -> Tensor:
    """`out`, with y written to it, made to fit and converted."""
    with no_grad():
        return copy_(fit(function, out, y.shape), y)


def written(
    function: str, out: Tensor | None, y: Tensor, *given: Tensor, converts: bool = False
) -> Tensor:
    """y, or where there is an `out`, that, with y written to it.

    Its dtype is y's, or, where the function `converts`, one that y's can be cast to.
    """
    if out is None:
        return y
    check_out(function, out, *given)
    if out.dtype is not y.dtype and not (converts and out.is_floating_point()):
        names = [x.dtype.title.lower() for x in (y, out)]
        raise RuntimeError(
            f"Expected out tensor to have dtype {names[0]}, but got {names[1]} instead"
        )
    return put(function, out, y)


def written_all(
    function: str, out: Sequence[Tensor] | None, ys: Sequence[Tensor], *given: Tensor
) -> Sequence[Tensor]:
    """The same of several results."""
    if out is None:
        return ys
    if not isinstance(out, (tuple, list)) or len(out) != len(ys):
        raise TypeError(f"{function}(): argument 'out' must be a tuple of {len(ys)} Tensors")
    return [written(function, to, y, *given) for to, y in zip(out, ys, strict=True)]

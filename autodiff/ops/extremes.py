"""Extremes over dimensions: the largest and the smallest elements, and where they are."""

from __future__ import annotations

from typing import Any

from autodiff import dtypes
from autodiff.expr import build, inputs
from autodiff.native import error, ffi, hold, lib
from autodiff.node import mode
from autodiff.ops.base import OUTPUT, Op, OpNode
from autodiff.ops.gather import choice, chosen
from autodiff.ops.guard import must_be
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import _EVERY, KINDS, _dims, _native, _reduce_all, _restore
from autodiff.ops.returned import Chosen, returned
from autodiff.shapes import dim_index, dim_mask
from autodiff.tensor import Tensor, live_node, own, wrap

_MAX, _MIN, _INT64 = KINDS["max"], KINDS["min"], dtypes.int64.code
_ALL = ()  # the dimensions that are reduced, where none is named: of one object alone

_a, _b, _c = inputs(3)
_both_nan = build("logical_and", build("isnan", _a), build("isnan", _b))
_equal = build("logical_or", build("eq", _a, _b), _both_nan)
_hits = {d: PointwiseOp("extreme_hits", _equal.to(d), 2) for d in dtypes.FLOATS}
_part = PointwiseOp("extreme_part", _a * (_b / _c), 3)


def extreme_rule(node: OpNode, g: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor]:
    """Equal extremes share the cotangent."""
    hits = _hits[g.dtype].call(x.detach(), _restore(node, y.detach()))
    counts = hits.sum(dim=_dims(node), keepdim=True) if node.shape else hits
    return (_part.call(_restore(node, g), hits, counts),)


_max = Op("max", _native("max"), extreme_rule, saves=(0, OUTPUT), grad_name="MaxBackward1")
_min = Op("min", _native("min"), extreme_rule, saves=(0, OUTPUT), grad_name="MinBackward1")
_amax = Op("amax", _native("max"), extreme_rule, saves=(0, OUTPUT))
_amin = Op("amin", _native("min"), extreme_rule, saves=(0, OUTPUT))


@returned("max")
class max_result(Chosen):
    """What `max` over a dimension returns."""


@returned("min")
class min_result(Chosen):
    """What `min` over a dimension returns."""


_CHOICES = {"max": choice("max_dim", "MaxBackward0"), "min": choice("min_dim", "MinBackward0")}


def _extreme(name: str, x: Tensor, dim: int, keepdim: bool) -> tuple[Tensor, Tensor]:
    """The extreme values along a dimension and where they are."""
    p = x._p
    if not p.numel and p.ndim and not p.shape[dim]:
        raise _no_place(f"arg{name}", dim)
    out = ffi.new("ad_tensor *[2]")
    kept = keepdim or not p.ndim
    if lib.ad_extremes(KINDS[f"arg{name}"], p, 1 << dim if p.ndim else 0, kept, out):
        raise error(name, p)
    values, places = hold(out[0]), wrap(hold(out[1]))
    if not mode.grad or live_node(x) is None:
        return wrap(values), places
    return chosen(_CHOICES[name], x, values, places, dim, kept), places


def _check_not_empty(name: str, x: Tensor, dim: Any) -> None:
    """Of no elements: that what is reduced is told, and is not what is empty."""
    for d in dim if isinstance(dim, (tuple, list)) else (dim,) * (dim is not None):
        if not x.size(d):
            raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")
    if dim in (None, (), []):
        raise RuntimeError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
        )


def extreme_over(op: Op, kind: int, x: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """The extremes over `dim`, an int or several, or over all."""
    if dim is _ALL and not keepdim:
        y = _reduce_all(kind, x._p)
        if y:
            return op.result(x, y, _EVERY)
    p = x._p
    if not p.numel:
        _check_not_empty(op.name, x, dim)
    args = ((1 << p.ndim) - 1 if dim is _ALL else dim_mask(dim, p.ndim), keepdim, p.dtype)
    y = lib.ad_reduce(kind, p, *args)
    return op.result(x, y, args) if y else op(x, *args)


def _second(name: str, dim: Any, other: Any) -> Any:
    """What is given for the second argument, by position or as `other`."""
    if other is None:
        return dim
    if dim is not None or not isinstance(other, Tensor):
        given = ", ".join(type(a).__name__ for a in (dim, other))
        raise TypeError(f"{name}() takes a dim, or a Tensor as other: got ({given})")
    return other


def _max_or_min(name: str, x: Tensor, dim: Any, keepdim: Any) -> Any:
    if type(keepdim) is not bool or (keepdim and isinstance(dim, Tensor)):
        given = ", ".join(type(a).__name__ for a in (x, dim, keepdim))
        raise TypeError(f"{name}() received an invalid combination of arguments - got ({given})")
    if dim is None:
        return max(x) if name == "max" else min(x)
    if isinstance(dim, Tensor):
        return x.maximum(dim) if name == "max" else x.minimum(dim)
    result = max_result if name == "max" else min_result
    return result(*_extreme(name, x, dim_index(dim, x.ndim), keepdim))


def max(
    input: Tensor, dim: Any = None, keepdim: Any = False, *, other: Tensor | None = None
) -> Any:
    """The largest element; with `dim`, (values, indices) along it; with a tensor, `maximum`.

    A nan is the largest. RuntimeError or IndexError where there are no elements.

    >>> ad.tensor([1, 3, 2]).max()
    tensor(3)
    >>> ad.tensor([[1, 3], [5, 4]]).max(dim=1)
    torch.return_types.max(
    values=tensor([3, 5]),
    indices=tensor([1, 0]))
    """
    if dim is None and other is None and keepdim is False:
        return extreme_over(_max, _MAX, input, _ALL, False)
    return _max_or_min("max", input, _second("max", dim, other), keepdim)


def min(
    input: Tensor, dim: Any = None, keepdim: Any = False, *, other: Tensor | None = None
) -> Any:
    """The smallest element; with `dim`, (values, indices) along it; with a tensor, `minimum`.

    A nan is the smallest. RuntimeError or IndexError where there are no elements.

    >>> ad.tensor([2, 1, 3]).min()
    tensor(1)
    >>> ad.tensor([[1, 3], [5, 4]]).min(dim=1)
    torch.return_types.min(
    values=tensor([1, 4]),
    indices=tensor([0, 1]))
    """
    if dim is None and other is None and keepdim is False:
        return extreme_over(_min, _MIN, input, _ALL, False)
    return _max_or_min("min", input, _second("min", dim, other), keepdim)


def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The largest elements over `dim` (an int, a tuple, or all); equal ones share the gradient.

    RuntimeError or IndexError where there are none.

    >>> ad.tensor([[1, 3], [5, 4]]).amax(1)
    tensor([3, 5])
    """
    return extreme_over(_amax, _MAX, input, dim, keepdim)


def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The smallest elements over `dim` (an int, a tuple, or all); equal ones share the gradient.

    RuntimeError or IndexError where there are none.

    >>> ad.tensor([[1, 3], [5, 4]]).amin(1)
    tensor([1, 4])
    """
    return extreme_over(_amin, _MIN, input, dim, keepdim)


def arg_reduce(kind: str, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    """argmax or argmin, int64: along a dimension, or the flat index of all."""
    if dim is not None and not hasattr(dim, "__index__"):
        raise must_be(kind, "dim", "int", dim)
    p = x._p
    mask = dim_mask(dim, p.ndim)
    if not p.numel and (dim is None or (p.ndim and not p.shape[dim_index(dim, p.ndim)])):
        raise _no_place(kind, dim)
    return own(lib.ad_reduce(KINDS[kind], p, mask, keepdim, _INT64), kind, p)


def _no_place(kind: str, dim: int | None) -> Exception:
    where = "input.numel() == 0" if dim is None else f"dimension {dim} to have non-zero size"
    return IndexError(f"{kind}(): Expected reduction dim to be specified or non-empty: {where}")


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element, the first of equals; a nan counts as largest. int64.

    Without `dim`, of the elements as one vector. IndexError where there are none.

    >>> ad.tensor([[1, 3], [5, 4]]).argmax(1)
    tensor([1, 0])
    """
    return arg_reduce("argmax", input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element, the first of equals; a nan counts as smallest. int64.

    Without `dim`, of the elements as one vector. IndexError where there are none.

    >>> ad.tensor([[1, 3], [5, 4]]).argmin(1)
    tensor([0, 1])
    """
    return arg_reduce("argmin", input, dim, keepdim)

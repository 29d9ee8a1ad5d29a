"""Copies of a tensor that keep its elements, and their order or another."""

from __future__ import annotations

from typing import Any

from autodiff.formats import contiguous_format, memory_format
from autodiff.native import lib
from autodiff.node import mode
from autodiff.ops.base import Op
from autodiff.ops.views import permute
from autodiff.shapes import inverse
from autodiff.tensor import Tensor, live_node, own


def _as_it_came(node: Any, g: Tensor) -> tuple[Tensor]:
    return (g,)


_clone: Op = Op("clone", lib.ad_clone, _as_it_came, shaped=False)
_copy_contiguous: Op = Op(
    "contiguous", lib.ad_contiguous, _as_it_came, shaped=False, grad_name="CloneBackward0"
)
_clone_at_once = _clone.direct(lib.ad_clone, always=())
_contiguous_at_once = _copy_contiguous.direct(lib.ad_contiguous)


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy of the tensor, through which gradients pass.

    >>> x = ad.ones(2)
    >>> y = x.clone().zero_()
    >>> x
    tensor([1., 1.])
    """
    if memory_format is None and (y := _clone_at_once(input)) is not None:
        return y  # type: ignore[no-any-return]
    return _clone.call(input if memory_format is None else in_format(input, memory_format))


def row_major(x: Tensor) -> Tensor:
    """A copy in row-major order, whatever the tensor's is."""
    return _clone(x) if x._p.contiguous else _copy_contiguous(x, x._p.dtype)


def copied(x: Tensor, order_kept: bool = False) -> Tensor:
    """The same, in x's own place in the graph: to be written to before anybody sees it."""
    p = x._p
    kept = order_kept or p.contiguous
    y = own(lib.ad_clone(p) if kept else lib.ad_contiguous(p, p.dtype), "clone", p)
    if mode.grad:
        y._node = live_node(x)
    return y


def contiguous(x: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself where its elements lie in row-major order, else a copy that does.

    With `channels_last` the order is that of images' rows, columns and then channels.

    >>> ad.zeros(2, 3).t().contiguous().stride()
    (2, 1)
    """
    if memory_format is not None and memory_format is not contiguous_format:
        return in_format(x, memory_format)
    p = x._p
    if p.contiguous:
        return x
    y = _contiguous_at_once(x, p.dtype)
    return _copy_contiguous.call(x, p.dtype) if y is None else y


def in_format(x: Tensor, form: Any) -> Tensor:
    """The tensor with its elements in a format's order; itself where they are."""
    if not isinstance(form, memory_format):
        kind = type(form).__name__
        raise TypeError(f"argument 'memory_format' must be torch.memory_format, not {kind}")
    order = form.order_of(x.ndim)
    if order is None:
        return contiguous(x) if form.name == "contiguous_format" else x
    there = permute(x, order)
    if there._p.contiguous:
        return x
    return permute(contiguous(there), inverse(order))

"""Dimensions moved, split and merged, windows, and views taken in place."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.changes import changed_of
from autodiff.grad_mode import inference_mode
from autodiff.native import NULL, ffi, lib, take_failure
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode
from autodiff.ops.clones import contiguous
from autodiff.ops.history import check_writable, move_retained
from autodiff.ops.regions import _region_put, as_strided
from autodiff.ops.transposes import t
from autodiff.ops.views import _permute, _view, reshape, squeeze, transpose, unsqueeze, viewed
from autodiff.shapes import contiguous_strides, dim_index, distinct_dims, inverse, sizes_of
from autodiff.tensor import Tensor

# ---- dimensions ----


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """The dimensions `source` at the places `destination`; the others keep their order. A view.

    >>> ad.zeros(2, 3, 4).movedim(0, -1).shape
    torch.Size([3, 4, 2])
    """
    n = input._p.ndim
    if type(source) is type(destination) is int and n:
        order = list(range(n))
        order.insert(dim_index(destination, n), order.pop(dim_index(source, n)))
        return _permute(input, order)
    if type(source) is type(destination) is int:
        moved, places = [dim_index(source, n)], [dim_index(destination, n)]
    else:
        kinds = [type(v).__name__ for v in (source, destination)]
        if (kinds[0] in ("tuple", "list")) != (kinds[1] in ("tuple", "list")):
            raise TypeError(
                f"movedim(): source and destination must both be int or tuple of ints, not {kinds}"
            )
        given = [v if isinstance(v, (tuple, list)) else (v,) for v in (source, destination)]
        if len(given[0]) != len(given[1]):
            raise RuntimeError(
                "movedim: Invalid source or destination dims: source "
                f"({list(given[0])} dims) should contain the same number of dims as destination "
                f"({list(given[1])} dims)"
            )
        moved, places = (distinct_dims(dims, n, "movedim") for dims in given)
    order = [d for d in range(n) if d not in moved]
    for place, d in sorted(zip(places, moved, strict=True)):
        order.insert(place, d)
    return _permute(input, order if n else [])


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two dimensions swapped: `transpose` by NumPy's name.

    >>> ad.zeros(2, 3).swapaxes(0, 1).shape
    torch.Size([3, 2])
    """
    return transpose(input, axis0, axis1)


def ravel(input: Tensor) -> Tensor:
    """The elements as a vector, row by row: a view of contiguous ones, else a copy.

    >>> ad.tensor([[1, 2], [3, 4]]).ravel()
    tensor([1, 2, 3, 4])
    """
    x = contiguous(input)
    return viewed(x, [x._p.numel])


def reshape_as(x: Tensor, other: Tensor) -> Tensor:
    """The tensor reshaped to another's shape.

    >>> ad.arange(4).reshape_as(ad.zeros(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return reshape(x, other.shape)


def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One dimension as several of these sizes, of which one may be -1. A view.

    >>> ad.zeros(2, 12).unflatten(1, (3, -1)).shape
    torch.Size([2, 3, 4])
    """
    shape = list(input.shape)
    d, wanted = dim_index(dim, len(shape)), sizes_of((sizes,), "unflatten")
    if not shape:
        raise RuntimeError("unflatten: a tensor without dimensions has none to split")
    split = [*shape[:d], *wanted, *shape[d + 1 :]]
    try:
        p = lib.ad_view(input._p, len(split), split) if wanted and input._p.numel else NULL
        if p:
            return _view.result(input, p, (split,))
    except OverflowError:
        pass  # an integer past 64 bits, which is refused below
    if not wanted or -1 in wanted or math.prod(wanted) != shape[d]:
        wanted = _unflattened(input, d, shape[d], wanted)
    shape[d : d + 1] = wanted
    return viewed(input, shape)


def _unflattened(input: Tensor, d: int, size: int, wanted: list[int]) -> list[int]:
    """The sizes of a dimension that is split, with the one that is inferred."""
    if not wanted:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = math.prod(s for s in wanted if s != -1)
    whole = known == size if -1 not in wanted else known and size % known == 0
    if wanted.count(-1) > 1:
        raise RuntimeError(f"only one dimension can be inferred, got sizes {wanted}")
    if not whole:
        raise RuntimeError(
            f"unflatten: Provided sizes {wanted} don't multiply up to the size of dim {d} ({size}) "
            "in the input tensor"
        )
    return [size // known if s == -1 else s for s in wanted]


def _unfold_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    """What a window holds goes back to where a contiguous tensor has it."""
    shape, (d, _, step) = node.shape, node.args
    rows = contiguous_strides(shape)
    along = rows[d] if rows else 1
    windows = [r * step if k == d else r for k, r in enumerate(rows)]
    return (_region_put(g, shape, rows, g.shape, [*windows, along], (0,)),)


_unfold: Op = Op("unfold", lib.ad_unfold, _unfold_rule, view=True)


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` along a dimension, `step` apart, their elements in a new last one.

    A view: windows that overlap share elements.

    >>> ad.arange(5).unfold(0, 3, 1).tolist()
    [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    """
    p = x._p
    if type(dimension) is type(size) is type(step) is int:
        try:
            y = lib.ad_unfold(p, dimension, size, step)
        except OverflowError:
            y = NULL
        if y:
            return _unfold.result(x, y, (dimension, size, step))
        take_failure()  # which is worded below, or there is none
    d = dim_index(dimension, p.ndim)
    limit = p.shape[d] if p.ndim else 1
    width, by = operator.index(size), operator.index(step)
    if width < 0:
        raise RuntimeError(f"size is {width} but must be >= 0")
    if width > limit:
        raise RuntimeError(
            f"maximum size for tensor at dimension {d} is {limit} but size is {width}"
        )
    if by <= 0:
        raise RuntimeError(f"step is {by} but must be > 0")
    if by > 2**40:
        raise ValueError(f"unfold(): a step of {by} is too large")
    return _unfold(x, d, width, by)


# ---- views taken in place ----


def _taken(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method that makes its tensor what a view of it would be."""

    def method(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not mode.grad and x._node is not None:
            if x._node is x._acc:
                x._p = function(x, *args, **kwargs)._p  # a leaf stays one
                changed_of(x)
                return x
            with inference_mode(False):  # what has a history keeps it
                y = function(x, *args, **kwargs)
        else:
            y = function(x, *args, **kwargs)
        if mode.grad:
            check_writable(x, name)
        if y._node is not None and y._node is not x._node:
            title = y._node.name()  # PyTorch has nodes of their own, numbered on from the others
            y._node.title = f"{title[:-1]}{int(title[-1]) + (3 if name == 'squeeze_' else 1)}"
        old, x._p, x._node = x._node, y._p, y._node
        move_retained(x, old)
        if x._base is not None:
            x._base_node = y._base_node
        changed_of(x)
        return x

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Make the tensor itself the view that `{function.__name__}` takes of it."
    return method


TAKEN = {
    f"{f.__name__}_": _taken(f"{f.__name__}_", f)
    for f in (as_strided, squeeze, swapaxes, t, transpose, unsqueeze)
}


def _regroup_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    parts, order = node.args[0], list(node.args[1])
    turned = [parts[d] for d in order]
    back = inverse(order)
    return (regroup(g, turned, back, node.shape),)


regroup: Op = Op(
    "regroup",
    lambda p, parts, order, shape: lib.ad_regroup(p, len(parts), parts, order, len(shape), shape),
    _regroup_rule,
)
"""A copy: the dimensions as `parts`, these in another order, and taken together as `result`."""


def regrouping(
    parts: Sequence[int], order: Sequence[int], result: Sequence[int]
) -> tuple[Any, ...]:
    """What `regroup` is to do, for one who keeps it: converted, which takes as long as a copy."""
    return ffi.new("int64_t[]", parts), ffi.new("int64_t[]", order), ffi.new("int64_t[]", result)

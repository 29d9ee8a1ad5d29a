"""Copies of a tensor with another in a part of it; indices of several dimensions; reductions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import int32, int64
from autodiff.native import error, lib
from autodiff.ops.assign import copy_
from autodiff.ops.base import Op, OpNode, called
from autodiff.ops.cast import to_dtype
from autodiff.ops.diagonals import diagonal
from autodiff.ops.guard import strict
from autodiff.ops.regions import as_strided
from autodiff.ops.scatter import reduced_at
from autodiff.ops.slices import fits_along
from autodiff.ops.views import select
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, own, wrap

_View = Callable[[Tensor], Tensor]


def _check_shape(part: Tensor, src: Tensor) -> None:
    if part.shape != src.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(part.shape)}"
        )


def _placed_forward(p: Any, src: Any, view: _View, *_: Any) -> Any:
    y = fresh(lib.ad_clone(p), "select_scatter", p)
    part = view(wrap(y))
    _check_shape(part, wrap(src))
    if lib.ad_copy(part._p, src):
        raise error("select_scatter", part._p, src)
    return lib.ad_alias(y)


def _placed_rule(node: OpNode, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Nothing is left of what was written over; what was written has its part's cotangent."""
    view, shape, d = node.args
    zeros = g.new_zeros(shape)
    gx = _placed.on((g, zeros), view, shape, g.dtype) if node.needs(0) else None
    return gx, to_dtype(view(g), d) if node.needs(1) else None


_placed: Op = Op("select_scatter", _placed_forward, _placed_rule, shaped=False)
_sliced, _diagonal = map(_placed.named, ("SliceScatterBackward0", "DiagonalScatterBackward0"))


def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of input with src at an index of a dimension.

    >>> ad.select_scatter(ad.zeros(2, 2), ad.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    return _placed.on((input, src), lambda y: select(y, dim, index), src.shape, src.dtype)


def slice_scatter(
    input: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """A copy of input with src in a slice of a dimension.

    >>> ad.slice_scatter(ad.zeros(3), ad.ones(2), start=1)
    tensor([0., 1., 1.])
    """
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    d = dim_index(dim, input.ndim)
    places = (slice(None),) * d + (slice(start, end, step),)
    return _sliced.on((input, src), lambda y: y[places], src.shape, src.dtype)


def diagonal_scatter(
    input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Tensor:
    """A copy of input with src on a diagonal.

    >>> ad.diagonal_scatter(ad.zeros(2, 2), ad.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    def view(y: Tensor) -> Tensor:
        return diagonal(y, offset, dim1, dim2)

    return _diagonal.on((input, src), view, src.shape, src.dtype)


@called("AsStridedScatterBackward0")
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None
) -> Tensor:
    """A copy of input with src in its `as_strided` view.

    >>> ad.as_strided_scatter(ad.zeros(2, 2), ad.ones(2), (2,), (3,))
    tensor([[1., 0.],
            [0., 1.]])
    """
    y = input.contiguous().clone()
    part = as_strided(y, size, stride, storage_offset)
    _check_shape(part, src)
    copy_(part, src)
    return y


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The index of each dimension of a shape, of indices of its flattened elements.

    >>> ad.unravel_index(ad.tensor([5, 7]), (3, 4))
    (tensor([1, 1]), tensor([1, 3]))
    """
    if indices.is_floating_point() or indices.dtype.category == 0:
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype!r}")
    sizes = [shape] if isinstance(shape, int) else shape
    if not isinstance(sizes, Sequence) or not all(isinstance(n, int) for n in sizes):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {shape!r}")
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    found, rest = [], indices.to(int64)
    for n in reversed(sizes):
        found.append(rest % n)
        rest = rest.floor_divide(n)
    return tuple(reversed(found))


def _check_index_reduce(input: Tensor, d: int, index: Tensor, source: Tensor) -> None:
    if index.ndim > 1:
        raise IndexError(f"index_reduce_(): Index is supposed to be a vector, not {index.ndim}D")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            "index_reduce_(): self and source expected to have the same dtype, but got "
            f"{input.dtype!r} and {source.dtype!r}"
        )
    if index.dtype.code not in (int32.code, int64.code):
        raise RuntimeError(f"index_reduce_(): Expected dtype int32/int64, got {index.dtype!r}")
    wanted = [*input.shape[:d], index.numel(), *input.shape[d + 1 :]] if input.ndim else []
    if list(source.shape) != wanted or (input.ndim == 0 and index.numel() != 1):
        raise RuntimeError(
            f"index_reduce_(): source must have the size {wanted}, by input and index, but has "
            f"{list(source.shape)}"
        )


@called("IndexReduceBackward0")
@strict
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """input with source's slices reduced into it, each at its index of a dimension: "prod",
    "mean", "amax" or "amin", with what was there unless not `include_self`.

    >>> ad.index_reduce(ad.tensor([1.0, 2.0]), 0, ad.tensor([0, 0]), ad.tensor([3.0, 5.0]), "prod")
    tensor([15.,  2.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    d = dim_index(dim, input.ndim)
    x, at, values = input._p, index._p, source._p
    plain = at.dtype == int64.code and at.ndim == 1 and values.dtype == x.dtype and x.ndim > 0
    if not (plain and fits_along(input.shape, source.shape, d, at.numel)):
        _check_index_reduce(input, d, index, source)
    at = to_dtype(index, int64)._p
    steps = [0] * values.ndim  # all of a slice go where the index says
    if steps and at.ndim:
        steps[d] = at.strides[0]
    q = lib.ad_as_strided(at, len(steps), source.shape, steps, lib.ad_offset(at))
    try:
        places = own(q, "index_reduce", at)
        return reduced_at(input, d, places, source, reduce, include_self)
    except RuntimeError as failure:
        if "out of bounds" in str(failure):
            raise IndexError(f"index_reduce(): {failure}") from None
        raise

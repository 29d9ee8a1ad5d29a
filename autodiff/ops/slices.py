"""Slices of a dimension at positions of an index: taken, and added to."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from autodiff import dtypes
from autodiff.native import error, lib
from autodiff.ops.base import titled
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import copied
from autodiff.ops.create import scalar
from autodiff.ops.gather import (
    Indices,
    _get,
    _put_added,
    index_along,
    remembered,
    write_along,
    write_at,
)
from autodiff.ops.views import reshape, unsqueeze, zeros_p
from autodiff.shapes import Size, dim_index
from autodiff.tensor import Tensor, wrap

__all__ = ["index_add", "index_add_", "index_select", "tally"]

_INT64 = dtypes.int64.code

_SELECTED = "IndexSelectBackward0"
_selected = _get.named(_SELECTED)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """A copy of the slices of one dimension at the positions `index`, an int vector.

    IndexError out of range.

    >>> ad.tensor([[1, 2], [3, 4]]).index_select(1, ad.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    p, places = input._p, index._p
    if places.ndim == 1 and places.dtype == _INT64 and p.ndim:
        d = dim_index(dim, p.ndim)
        y = lib.ad_index_get(p, d, 1, [places])
        if not y:
            raise error(_selected.name, p)
        return _selected.result(input, y, remembered(input, d, index))
    if places.ndim > 1:
        raise IndexError(
            f"index_select(): Index is supposed to be a vector, got {index.ndim} dimensions"
        )
    if index.dtype not in (dtypes.int32, dtypes.int64):
        raise RuntimeError(
            f"index_select(): Expected dtype int32 or int64 for index, got {index.dtype!r}"
        )
    flat = _vector(index)
    d = dim_index(dim, p.ndim)
    if p.ndim == 0:
        return titled(reshape(index_along(reshape(input, 1), 0, flat), ()), _SELECTED)
    return titled(index_along(input, d, flat), _SELECTED)


def _vector(index: Tensor) -> Tensor:
    """An index of int32 or int64, of at most one dimension, as an int64 vector."""
    if index.dtype is not dtypes.int64:
        index = to_dtype(index, dtypes.int64)
    return index if index._p.ndim else reshape(index, 1)


@lru_cache
def fits_along(shape: Size, other: Size, d: int, n: int) -> bool:
    """Whether the other shape is the same with n for dimension d."""
    return other == (*shape[:d], n, *shape[d + 1 :])


def index_add_(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """Add the slices of `source`, times alpha, at the given positions of a dimension, in place.

    Where a position repeats, its slices are added in their order.
    """
    p, places, added = x._p, index._p, source._p
    d = dim_index(dim, p.ndim)
    at_hand = places.dtype == _INT64 and places.ndim == 1 and added.dtype == p.dtype
    if not (at_hand and p.ndim and fits_along(x.shape, source.shape, d, places.numel)):
        _check_index_add(x, d, index, source)
    elif alpha == 1:
        return write_along(x, d, index, source, True, _put_added)
    flat = _vector(index)
    scaled = source if alpha == 1 else source * alpha
    if p.ndim == 0:
        write_at(unsqueeze(x, 0), Indices([flat]), reshape(scaled, 1), True, _put_added)
        return x
    return write_at(x, Indices([flat], d), scaled, True, _put_added)


def _check_index_add(x: Tensor, d: int, index: Tensor, source: Tensor) -> None:
    if index.ndim > 1:
        raise IndexError(
            f"index_add_(): Index is supposed to be a vector, but got dim: {index.ndim}"
        )
    if index.dtype not in (dtypes.int32, dtypes.int64):
        raise RuntimeError(
            f"index_add_(): Expected dtype int32/int64 for index but got: {index.dtype!r}"
        )
    if source.dtype is not x.dtype:
        raise RuntimeError(
            f"index_add_(): self ({x.dtype!r}) and source ({source.dtype!r}) must have the same "
            "scalar type"
        )
    count = source.shape[d] if d < source.ndim else 1
    if index.numel() != count:
        raise RuntimeError(
            f"index_add_(): Number of indices ({index.numel()}) should be equal to "
            f"source.size(dim): ({count}), for dim: {d}"
        )
    rest = [list(y.shape[:d]) + list(y.shape[d + 1 :]) for y in (x, source)]
    if x.ndim != source.ndim or rest[0] != rest[1]:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(x.shape)} source.shape = {list(source.shape)}"
        )


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """The tensor with the slices of `source`, times alpha, added at positions of a dimension.

    Where a position repeats, its slices are added in their order. IndexError out of range.

    >>> ad.zeros(2).index_add(0, ad.tensor([0, 0, 1]), ad.tensor([1.0, 2.0, 3.0]))
    tensor([3., 3.])
    """
    return index_add_(copied(input), dim, index, source, alpha=alpha)


_ONES = {d: scalar(1, d) for d in dtypes.ALL}


def tally(places: Tensor, n: int, d: dtypes.dtype = dtypes.int64) -> Tensor:
    """How often an int64 tensor names each of n places, as numbers of a dtype. IndexError."""
    counts = zeros_p(d.code, [n])
    if lib.ad_index_put(counts, 0, 1, [places._p], _ONES[d]._p, 1):
        raise error("index_add_", counts, places._p)
    return wrap(counts)

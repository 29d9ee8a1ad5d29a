"""Sorting and the largest or smallest k along a dimension: choices by order."""

from __future__ import annotations

import operator

from autodiff import dtypes
from autodiff.native import error, lib
from autodiff.node import mode
from autodiff.ops.base import Op
from autodiff.ops.gather import choice, chosen
from autodiff.ops.returned import Chosen, returned
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, live_node, wrap

_pair = tuple.__new__  # of a named tuple, without the call that names its fields
_sorted, _next = lib.ad_sort, lib.ad_next
_ALL = -1  # how many to sort
_BOOL = dtypes.bool.code
_sort, _topk = choice("sort", "SortBackward0"), choice("topk", "TopkBackward0")


@returned("sort")
class sort_result(Chosen):
    """What `sort` returns."""


@returned("topk")
class topk_result(Chosen):
    """What `topk` returns."""


def in_order(x: Tensor, dim: int, descending: bool) -> tuple[Tensor, Tensor]:
    """`sort`, of arguments that are checked."""
    return _ordered(_sort, x, dim, _ALL, descending)


def _ordered(op: Op, x: Tensor, dim: int, k: int, descending: bool) -> tuple[Tensor, Tensor]:
    """The first k along a dimension, equal ones in the order they came in, and their places."""
    p = _sorted(x._p, dim, k, descending)
    if not p:
        raise error(op.name, x._p)
    index = wrap(_next())
    if (x._node is None and x._base is None) or not mode.grad or live_node(x) is None:
        return wrap(p), index
    return chosen(op, x, p, index, dim, True), index


def sort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False
) -> sort_result:
    """The elements along a dimension in order, and where they were; nans count as largest.

    Equal elements keep their order, with or without `stable`.

    >>> ad.tensor([3, 1, 2]).sort()
    torch.return_types.sort(
    values=tensor([1, 2, 3]),
    indices=tensor([1, 2, 0]))
    """
    at = dim_index(dim, input._p.ndim)
    return _pair(sort_result, _ordered(_sort, input, at, _ALL, descending))


def argsort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False
) -> Tensor:
    """Where the elements of `sort` come from: int64.

    >>> ad.tensor([3, 1, 2]).argsort(descending=True)
    tensor([0, 2, 1])
    """
    at = dim_index(dim, input._p.ndim)
    return in_order(input.detach(), at, descending)[1]


def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> topk_result:
    """The k largest (or smallest) elements along a dimension, and where they are.

    They are in order, with or without `sorted`; of equal ones the first are taken. RuntimeError for
    a k above the size.

    >>> ad.tensor([3, 1, 2]).topk(2)
    torch.return_types.topk(
    values=tensor([3, 2]),
    indices=tensor([0, 2]))
    """
    if k is True or k is False:
        raise TypeError("topk(): argument 'k' must be int, not bool")
    p = input._p
    if p.dtype == _BOOL:
        raise RuntimeError("topk does not support bool dtypes on CPU")
    n, count = p.ndim, k if type(k) is int else operator.index(k)
    at = dim_index(dim, n)
    size = p.shape[at] if n else 1
    if not 0 <= count <= size:
        raise RuntimeError(f"selected index k out of range: {count} of {size}")
    # a number is itself, whichever k
    return _pair(topk_result, _ordered(_topk, input, at, count if n else 1, largest))

"""Places of values in sorted rows, and the distinct elements of a tensor."""

from __future__ import annotations

from typing import Any

from autodiff import dtypes
from autodiff.native import NULL, error, ffi, hold, lib, refuse_any, take_failure
from autodiff.ops.comparing import result_type
from autodiff.ops.create import arange, full, scalar
from autodiff.ops.gather import gather, index_along
from autodiff.ops.guard import must_be
from autodiff.ops.out import put
from autodiff.ops.rearrange import movedim
from autodiff.ops.sorting import argsort, in_order
from autodiff.ops.views import reshape
from autodiff.shapes import dim_index
from autodiff.tensor import TENSOR_TYPES, Tensor, own, wrap


def _flags(name: str, **flags: Any) -> None:
    for flag, value in flags.items():
        if not isinstance(value, bool):
            raise must_be(name, flag, "bool", value)


def _places(
    name: str, rows: Tensor, values: Any, out_int32: bool, right: bool, out: Tensor | None
) -> Tensor:
    """The places of values, as a tensor, in rows; both in the dtype that they promote to."""
    d = result_type(rows, values)
    if d is dtypes.bool:
        raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool'")
    if d is not dtypes.float64:
        d = dtypes.float32 if d.is_floating_point else dtypes.int64
    given = values if isinstance(values, Tensor) else full((), values, dtype=d)
    p = lib.ad_searchsorted(rows.detach().to(d)._p, given.detach().to(d)._p, right)
    found = own(p, name, rows._p, given._p)
    if out_int32:
        found = found.to(dtypes.int32)
    if out is None:
        return found
    if isinstance(out, Tensor) and out.dtype is not found.dtype:
        raise RuntimeError(
            f"torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or "
            f"Long(int64) depending on whether out_int32 flag is True, but we got output tensor's "
            f"dtype {out.dtype.title} and out_int32 flag is {out_int32}"
        )
    return put(name, out, found)


def _check_operands(name: str, **given: Any) -> None:
    for what, x in given.items():
        if not isinstance(x, Tensor):
            raise must_be(name, what, "Tensor", x)


def _check_rows(rows: Tensor, values: Any) -> None:
    shape = values.shape if isinstance(values, Tensor) else ()
    if not shape and rows.ndim != 1:
        raise RuntimeError(
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
            f"dimension is 1, but we got boundaries tensor dim({rows.ndim}) and input value's "
            "dim(0) numel(1)"
        )
    if rows.ndim == 0 or (rows.ndim > 1 and rows.shape[:-1] != shape[:-1]):
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {list(rows.shape)} and input value tensor {list(shape)}"
        )


def _in_order(rows: Tensor, sorter: Tensor) -> Tensor:
    """The rows as `sorter` sorts them."""
    _check_operands("searchsorted", sorter=sorter)
    if sorter.shape != rows.shape:
        raise RuntimeError(
            "torch.searchsorted(): boundary and sorter must have the same size, but got boundary "
            f"tensor {list(rows.shape)} and got sorter tensor {list(sorter.shape)}"
        )
    if sorter.dtype is not dtypes.int64:
        raise RuntimeError(
            "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype "
            f"{sorter.dtype.title}"
        )
    outside = (sorter < 0) | (sorter >= rows.shape[-1])
    refuse_any(outside._p, RuntimeError, "torch.searchsorted(): sorter index out of range")
    return gather(rows.detach(), -1, sorter)


def _beside(row: Tensor, value: Any) -> Tensor | None:
    """A number in the dtype of one row of floats; None of another number, or for other rows."""
    fits = row._p.ndim == 1 and row._p.dtype in _FLOATS and type(value) in (float, int)
    return scalar(value, row.dtype) if fits else None


_FLOATS = frozenset([dtypes.float32.code, dtypes.float64.code])


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Where in sorted rows (..., n) values (..., m), or in one row any values, would be put in:
    before equal elements, or behind them if `right`. `sorter` is the order of unsorted rows.

    >>> ad.searchsorted(ad.tensor([1.0, 3.0, 5.0]), ad.tensor([3.0, 4.0])).tolist()
    [1, 2]
    """
    plain = out_int32 is False and side is None and sorter is None and out is None
    if plain and type(right) is bool and isinstance(sorted_sequence, Tensor):
        given = input if isinstance(input, Tensor) else _beside(sorted_sequence, input)
        p = NULL if given is None else lib.ad_searchsorted(sorted_sequence._p, given._p, right)
        if p:
            return own(p, "searchsorted")
        take_failure()  # which is worded below, or there is none
    _check_operands("searchsorted", sorted_sequence=sorted_sequence)
    _flags("searchsorted", out_int32=out_int32, right=right)
    if side not in (None, "left", "right"):
        raise RuntimeError(
            f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    if not isinstance(input, (Tensor, bool, int, float)):
        raise must_be("searchsorted", "input", "Tensor or number", input)
    _check_rows(sorted_sequence, input)
    rows = sorted_sequence if sorter is None else _in_order(sorted_sequence, sorter)
    return _places("searchsorted", rows, input, out_int32, right or side == "right", out)


def bucketize(
    input: Any,
    boundaries: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Which of the intervals between sorted `boundaries` each value is in: a boundary belongs to
    the one below, or above if `right`.

    >>> ad.bucketize(ad.tensor([1.0, 4.0]), ad.tensor([1.0, 3.0])).tolist()
    [0, 2]
    """
    if (
        type(input) in TENSOR_TYPES
        and type(boundaries) in TENSOR_TYPES
        and (right is out_int32 is False and out is None and boundaries._p.ndim == 1)
    ):
        p = lib.ad_searchsorted(boundaries._p, input._p, False)
        if p:
            return own(p, "bucketize")
        take_failure()  # as above
    _check_operands("bucketize", boundaries=boundaries)
    _flags("bucketize", out_int32=out_int32, right=right)
    if boundaries.ndim != 1:
        raise RuntimeError(
            f"bucketize(): boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})"
        )
    return _places("bucketize", boundaries, input, out_int32, right, out)


# ---- distinct elements ----


def _runs(x: Tensor, order: Tensor | None, inverse: bool, counts: bool) -> list[Any]:
    """Where slices of the first dimension differ from those before; of which run each of them is,
    slice i being number order[i]; how long the runs are.
    """
    out = ffi.new("ad_tensor *[3]")
    if lib.ad_runs(x._p, NULL if order is None else order._p, inverse, counts, out):
        raise error("unique", x._p)
    return [wrap(hold(p)) if p else None for p in out]


def _wanted(x: Tensor, runs: list[Any], at: int, shape: Any) -> Any:
    """What was asked for: a slice of each run alone, or a tuple."""
    starts, within, counts = runs
    values = movedim(index_along(x, 0, starts), 0, at) if at else index_along(x, 0, starts)
    found = [values]
    found += [] if within is None else [within if len(shape) == 1 else reshape(within, shape)]
    found += [] if counts is None else [counts]
    return tuple(found) if len(found) > 1 else values


def _slices(name: str, x: Tensor, dim: int) -> tuple[int, Tensor]:
    """The dimension from the front, and x with it first."""
    at = dim_index(dim, x.ndim)
    if not x.ndim:
        raise IndexError(f"{name}(): Dimension specified as {dim} but tensor has no dimensions")
    if not x.numel() and (x.shape[at] or any(n == 0 for d, n in enumerate(x.shape) if d != at)):
        raise RuntimeError(
            f"{name}(): There are 0 sized dimensions, and they aren't selected, so unique cannot "
            "be applied"
        )
    return at, movedim(x, at, 0)


def _lexicographic(rows: Tensor) -> Tensor:
    """The order of the rows of a matrix: by the first column, equal ones by the second..."""
    order = arange(rows.shape[0])
    for column in range(rows.shape[1] - 1, -1, -1):
        keys = index_along(rows.select(1, column), 0, order)
        order = index_along(order, 0, argsort(keys, stable=True))
    return order


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements, or slices along `dim`, in order, with or without `sorted`.

    With `return_inverse` also which one each element is (of input's shape), with `return_counts`
    how often each is there. A nan is unlike all others.

    >>> ad.unique(ad.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    if {type(sorted), type(return_inverse), type(return_counts)} != {bool}:
        _flags("unique", sorted=sorted, return_inverse=return_inverse, return_counts=return_counts)
    if dim is None:
        at, shape = 0, input.shape
        flat = input if input._p.ndim == 1 else reshape(input, -1)
        x, order = in_order(flat, 0, False)
    else:
        at, there = _slices("unique", input, dim)
        shape = there.shape[:1]
        order = (
            _lexicographic(reshape(there.detach(), [*shape, -1])) if there.numel() else arange(0)
        )
        x = index_along(there, 0, order)
    runs = _runs(x, order, return_inverse, return_counts)
    return _wanted(x, runs, at, shape)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements, or slices along `dim`, without those that repeat the one before; `unique` tells
    what else is returned.

    >>> ad.unique_consecutive(ad.tensor([1, 1, 2, 1])).tolist()
    [1, 2, 1]
    """
    name = "unique_consecutive"
    _flags(name, return_inverse=return_inverse, return_counts=return_counts)
    at, x = (0, reshape(input, -1)) if dim is None else _slices(name, input, dim)
    runs = _runs(x, None, return_inverse, return_counts)
    return _wanted(x, runs, at, input.shape if dim is None else x.shape[:1])

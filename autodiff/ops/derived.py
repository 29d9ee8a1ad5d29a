"""Counts, extremes, norms and differences: compositions of members of the families."""

from __future__ import annotations

import operator
from typing import Any

from autodiff import dtypes
from autodiff.changes import changes
from autodiff.dtypes import dtype
from autodiff.expr import build, inputs
from autodiff.named import NamedTuple
from autodiff.native import describe, error, lib, looked_at, take_failure
from autodiff.ops.arithmetic import sub
from autodiff.ops.base import Op, called
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import clone
from autodiff.ops.declare import FUNCTIONS, where
from autodiff.ops.extremes import _MAX, _MIN, _amax, _amin, extreme_over
from autodiff.ops.gather import nonzero
from autodiff.ops.guard import strict
from autodiff.ops.join import cat
from autodiff.ops.norms import matrix_norm, vector_norm
from autodiff.ops.numbers import number_of
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import _native, _prepared, _restore
from autodiff.ops.reductions import sum as total
from autodiff.ops.returned import returned
from autodiff.ops.views import _slice, zeros_p
from autodiff.shapes import dim_index, dim_mask
from autodiff.tensor import Tensor, own, wrap

__all__ = [
    "aminmax", "argwhere", "bincount", "count_nonzero", "diff", "dist", "nansum", "norm",
]  # fmt: skip


_g, _x = inputs(2)
_PRESENT = PointwiseOp("where_present", where(build("isnan", _x), 0.0, _g), 2)
_nansum: Op = Op("nansum", _native("nansum"), saves=(0,),
        rule=lambda node, g, x: (_PRESENT.call(_restore(node, g), x),))  # fmt: skip
_UNEQUAL, _NOUGHT = FUNCTIONS["ne"].op.call, number_of(0)


@returned("aminmax")
class aminmax_result(NamedTuple):
    """What `aminmax` returns."""

    min: Tensor
    max: Tensor


def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements over `dim` (an int, a tuple, or None for all) are not 0: int64.

    >>> ad.count_nonzero(ad.tensor([[0, 1], [2, 3]]), dim=1)
    tensor([1, 2])
    """
    return total(_UNEQUAL(input, _NOUGHT), dim)


@called("NansumBackward0")
def nansum(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Tensor:
    """The sum over `dim` of the elements that are not nan.

    >>> ad.nansum(ad.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    if not input.is_floating_point() or not (dtype is None or dtype.is_floating_point):
        return total(input, dim, keepdim, dtype=dtype)
    x = _prepared(input, dtype)
    return _nansum(x, dim_mask(dim, x._p.ndim), keepdim, x._p.dtype)


_LEAST, _MOST = (op.named("AminmaxBackward0") for op in (_amin, _amax))


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> aminmax_result:
    """The smallest and the largest elements, of all or along `dim`; equal ones share gradients.

    >>> ad.aminmax(ad.tensor([2, 1, 3]))
    torch.return_types.aminmax(
    min=tensor(1),
    max=tensor(3))
    """
    over = () if dim is None else operator.index(dim)
    least = extreme_over(_LEAST, _MIN, input, over, keepdim)
    return aminmax_result(least, extreme_over(_MOST, _MAX, input, over, keepdim))


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The n-th differences of neighbours along a dimension: input[i + 1] - input[i], n times.

    >>> ad.diff(ad.tensor([1, 3, 2])).tolist()
    [2, -1]
    """
    if input.ndim == 0:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if operator.index(n) < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    if n >= 2**63:
        raise ValueError(f"diff(): argument 'n' does not fit 64 bits: {n}")
    at = dim_index(dim, input.ndim)
    if not n:
        return clone(input)
    x = input
    if not prepend is append is None:
        x = cat([part for part in (prepend, input, append) if part is not None], at)
    p = x._p
    minus = FUNCTIONS["logical_xor" if p.dtype == dtypes.bool.code else "sub"].op.call
    for size in range(p.shape[at], max(p.shape[at] - n, 0), -1):
        x = minus(_slice(x, at, 1, size, 1), _slice(x, at, 0, size - 1, 1))
    return x


def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not 0: (count, dimensions) int64.

    >>> ad.argwhere(ad.tensor([[0, 1], [2, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    found: Tensor = nonzero(input)
    return found


@strict
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` rows of `nonzero`; where there are fewer, `fill_value` follows.

    >>> ad.nonzero_static(ad.tensor([0, 1, 2]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    if size < 0:
        raise RuntimeError(f"nonzero_static(): size must not be negative, but it is {size}")
    if size >= 2**63:
        raise ValueError(f"nonzero_static(): argument 'size' does not fit 64 bits: {size}")
    found = nonzero(input)[:size]
    rest = found.new_full((size - found.shape[0], input.ndim), fill_value)
    return cat((found, rest))


@called("DistBackward0")
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other, all elements as one vector.

    >>> ad.dist(ad.tensor([3.0, 0.0]), ad.tensor([0.0, 4.0]))
    tensor(5.)
    """
    return vector_norm(sub(input, other), p)


def norm(
    input: Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    out: Tensor | None = None,
    dtype: dtype | None = None,
) -> Tensor:
    """(the sum of |input|^p)^(1/p) over `dim`, or all; "fro" is p = 2, "nuc" of two
    dimensions the sum of the singular values.

    >>> ad.norm(ad.tensor([3.0, 4.0])).item()
    5.0
    """
    dims = (dim,) if hasattr(dim, "__index__") else dim
    if isinstance(p, str) and not (p == "fro" and (dims is None or len(dims) <= 2)):
        dims = tuple(range(input.ndim)) if dims is None else dims
        return matrix_norm(input, p, dims, keepdim, dtype=dtype, out=out)
    order = 2 if p is None or isinstance(p, str) else p
    return vector_norm(input, order, dims, keepdim, dtype=dtype, out=out)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number from 0 on is in a vector of integers; with weights, their sums.

    >>> ad.bincount(ad.tensor([0, 2, 2])).tolist()
    [1, 0, 2]
    """
    if input.is_floating_point() or input.dtype is dtypes.bool:
        kind = dtypes.SCALAR_NAMES[input._p.dtype]
        raise NotImplementedError(f'"bincount_cpu" not implemented for {kind!r}')
    if changes.recorder is not None:
        looked_at()
    places: Tensor = to_dtype(input, dtypes.int64)
    counts = lib.ad_bincount(places._p, max(operator.index(minlength), 0))
    if not counts:
        failure = take_failure()
        if failure[0] in (lib.AD_BAD_DIM, lib.AD_BAD_ARG):
            raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
        raise describe(failure, "bincount", input._p)
    found = own(counts, "bincount")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    if weights is None:
        return found
    if weights._p.dtype != dtypes.float32.code:
        weights = to_dtype(weights, dtypes.float64)
    sums = zeros_p(weights._p.dtype, found.shape)
    if lib.ad_index_put(sums, 0, 1, [places._p], weights._p, True):
        raise error("bincount", sums, weights._p)
    return wrap(sums)

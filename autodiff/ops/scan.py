"""Running sums."""

from __future__ import annotations

from autodiff import dtypes
from autodiff.dtypes import dtype
from autodiff.native import lib
from autodiff.ops.base import Op
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor

_cumsum: Op = Op(
    "cumsum",
    lambda p, dim, reverse: lib.ad_cumsum(p, dim, reverse),
    lambda node, g: (_cumsum(g, node.args[0], not node.args[1]),),
    shaped=False,
)


def cumsum(input: Tensor, dim: int, *, dtype: dtype | None = None) -> Tensor:
    """The running sums along a dimension. Integers are summed as int64 unless `dtype` is given.

    >>> ad.tensor([1, 2, 3]).cumsum(0)
    tensor([1, 3, 6])
    """
    at = dim_index(dim, input.ndim)
    if dtype is dtypes.bool:
        raise NotImplementedError("\"cumsum_out_cpu\" not implemented for 'Bool'")
    if dtype is not None and dtype.is_floating_point:
        return _cumsum(input.to(dtype), at, False)
    if input.is_floating_point() and dtype is None:
        return _cumsum(input, at, False)
    sums = _cumsum(input.to(dtypes.int64 if dtype is None else dtype).to(dtypes.int64), at, False)
    return sums if dtype is None else sums.to(dtype)

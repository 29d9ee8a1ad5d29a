"""Conversions between dtypes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autodiff import dtypes
from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.expr import Expr, inputs
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.views import in_format
from autodiff.tensor import Tensor

CONVERSIONS = {  # to each dtype, from any
    d: PointwiseOp(f"to_{d.name}", inputs(1)[0].to(d), 1, "ToCopyBackward0").call
    for d in dtypes.ALL
}
_DTYPE = dtypes.dtype


def to_dtype(x: Any, d: dtype) -> Any:
    """x converted to a dtype; itself where it has it already."""
    if isinstance(x, Expr):
        return x.to(d)
    return x if x._p.dtype == d.code else CONVERSIONS[d](x)


def to(
    x: Tensor,
    *args: Any,
    device: Any = None,
    dtype: dtype | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """x in the dtype given, or in that of another tensor; itself where nothing changes.

    >>> ad.tensor([1, 2]).to(ad.float64)
    tensor([1., 2.], dtype=torch.float64)
    """
    wanted: Any = args[0] if len(args) == 1 and dtype is device is None else None
    if type(wanted) is not _DTYPE:
        wanted = _wanted((dtype, *args, device))
    y = x if wanted is None or x._p.dtype == wanted.code else CONVERSIONS[wanted](x)
    y = y.clone() if copy and y is x else y
    return y if memory_format is None else in_format(y, memory_format)


def _wanted(given: Iterable[Any]) -> dtype | None:
    """The dtype that arguments of `to` ask for, the last of them."""
    wanted: dtype | None = None
    for arg in given:
        if isinstance(arg, dtypes.dtype):
            wanted = arg
        elif isinstance(arg, Tensor):
            wanted = arg.dtype
        elif isinstance(arg, type) and arg in dtypes.PYTHON:
            wanted = dtypes.PYTHON[arg]
        elif isinstance(arg, str):
            check_device("to", arg)
        elif arg is not None and not isinstance(arg, bool):
            raise TypeError(f"to() received an invalid argument of type {type(arg).__name__}")
    return wanted

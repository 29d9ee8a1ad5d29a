"""Conversions between dtypes."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from autodiff import dtypes
from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.expr import Expr, inputs
from autodiff.ops.calls import quick_call
from autodiff.ops.clones import in_format
from autodiff.ops.guard import must_be, no_flag
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.written import MISSING
from autodiff.shortcuts import unless
from autodiff.tensor import Tensor

_OPS = {
    d: PointwiseOp(f"to_{d.name}", inputs(1)[0].to(d), 1, "ToCopyBackward0") for d in dtypes.ALL
}
CONVERSIONS = {d: op.call for d, op in _OPS.items()}  # to each dtype, from any
_DTYPE = dtypes.dtype
T = TypeVar("T", Tensor, Expr)


def to_dtype(x: T, d: dtype) -> T:
    """x converted to a dtype; itself where it has it already."""
    if isinstance(x, Expr):
        return x.to(d)
    return x if x._p.dtype == d.code else CONVERSIONS[d](x)


# The same of tensors, which look for themselves whether there is anything to do.
AT_ONCE = {
    d: quick_call(op, unless(d.code), functools.partial(to_dtype, d=d)) for d, op in _OPS.items()
}


def _to(
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
    wanted, copy = parsed(args, device, dtype, copy)
    if non_blocking is not False or copy is not False:
        for name, flag in (("non_blocking", non_blocking), ("copy", copy)):
            if flag is not True and flag is not False:
                raise no_flag("to", name, flag)
    y = x if wanted is None or x._p.dtype == wanted.code else CONVERSIONS[wanted](x)
    y = y.clone() if copy and y is x else y
    return y if memory_format is None else in_format(y, memory_format)


def to(x: Tensor, given: Any = MISSING, /, *more: Any, **rest: Any) -> Tensor:
    """`_to` in the fewest steps: to take all its parameters is as long as a conversion."""
    if not more and not rest:
        if type(given) is _DTYPE:
            return AT_ONCE[given](x)  # type: ignore[no-any-return]
        if type(given) is Tensor:
            return AT_ONCE[given.dtype](x)  # type: ignore[no-any-return]
        if isinstance(given, str) and given == "cpu":
            return x
    elif given is MISSING and len(rest) == 1:
        if type(wanted := rest.get("dtype")) is _DTYPE:
            return AT_ONCE[wanted](x)  # type: ignore[no-any-return]
        if isinstance(device := rest.get("device"), str) and device == "cpu":
            return x
    return _to(x, *(() if given is MISSING else (given, *more)), **rest)


functools.update_wrapper(to, _to).__name__ = to.__qualname__ = "to"


# Arguments of `to` by their kinds, and by which keyword there may be besides.
_LETTERS = {type(None): "n", bool: "b", dtypes.dtype: "d", str: "v", Tensor: "t"}
_FORMS = re.compile(";v?d?|[vn];d?|[vn]?[dn]b?b?;|tb?b?;")


def _kind(arg: Any) -> str:
    for kind, letter in _LETTERS.items():
        if isinstance(arg, kind):
            return letter
    return "d" if isinstance(arg, type) and arg in dtypes.PYTHON else "?"


def parsed(args: Sequence[Any], device: Any, dtype: Any, copy: Any) -> tuple[dtype | None, Any]:
    """The dtype that arguments of `to` ask for, and whether for a copy."""
    form = "".join(map(_kind, args)) + ";" + "v" * (device is not None) + "d" * (dtype is not None)
    if not _FORMS.fullmatch(form):
        given = ", ".join(type(arg).__name__ for arg in args)
        raise TypeError(f"to() takes a dtype, a device or a tensor, each once, not ({given})")
    for name, value, kind in (("dtype", dtype, "d"), ("device", device, "v")):
        if value is not None and _kind(value) != kind:
            raise must_be("to", name, name, value)
    wanted: Any = None
    for arg in (dtype, *args, device):
        if isinstance(arg, str):
            check_device("to", arg)
        elif isinstance(arg, Tensor):
            wanted = arg.dtype
        elif arg is not None and not isinstance(arg, bool):
            wanted = dtypes.PYTHON.get(arg, arg)
    return wanted, args[-1] if "bb" in form else copy

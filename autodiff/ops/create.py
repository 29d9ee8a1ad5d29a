"""Tensors from nothing: of one value, of the shape of another, of a range."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from autodiff import dtypes
from autodiff.changes import changes
from autodiff.descriptor import fresh
from autodiff.dtypes import dtype, get_default_dtype
from autodiff.grad_mode import inference_mode
from autodiff.native import describe, error, lib, take_failure
from autodiff.node import mode
from autodiff.ops.numbers import number_of
from autodiff.shapes import MAX_DIMS, sizes_of
from autodiff.tensor import Tensor, own, tensor_of

Dtype = dtype | None
R = TypeVar("R")


def made_once(make: Callable[..., R]) -> Callable[..., R]:
    """The function, which makes tensors of plain arguments, remembering what it made.

    What a recording or inference mode sees made belongs to it, and is made afresh.
    """
    known = lru_cache(make)

    def made(*args: Any) -> R:
        belongs = changes.recorder is not None or mode.inference
        return make(*args) if belongs else known(*args)

    return made


def _finish(x: Tensor, requires_grad: bool) -> Tensor:
    return x.requires_grad_() if requires_grad else x


def _refused(name: str, sizes: Sequence[int]) -> NoReturn:
    """What is wrong with the sizes, or else, where there is no new descriptor."""
    failure = take_failure()
    for size in sizes:
        if size < 0:
            raise RuntimeError(
                f"{name}(): Trying to create tensor with negative dimension {size}: {sizes}"
            )
    if len(sizes) > MAX_DIMS:
        raise RuntimeError(
            f"{name}(): at most {MAX_DIMS} dimensions are supported, got {len(sizes)}"
        )
    raise describe(failure, name)


def _filled(name: str, sizes: list[int], value: Any, d: dtype) -> Tensor:
    make = lib.ad_full_f64 if type(value) is float else lib.ad_full_i64
    p = make(d.code, len(sizes), sizes, value)
    return tensor_of(p) if p else _refused(name, sizes)


def unset(name: str, sizes: Sequence[int], d: dtype) -> Tensor:
    """A tensor whose elements are not set, made by the function of this name."""
    p = lib.ad_empty(d.code, len(sizes), sizes)
    return tensor_of(p) if p else _refused(name, sizes)


def renewed(name: str, x: Tensor, sizes: Sequence[int]) -> Tensor:
    """`unset` memory in place of a tensor's, which is no more of inference mode than that was."""
    with inference_mode(mode.inference and x.is_inference()):
        return unset(name, list(sizes), x.dtype)


def empty(
    *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """A tensor whose elements are not set: sizes or one sequence; the default dtype if none.

    >>> ad.empty(2, 3).shape
    torch.Size([2, 3])
    """
    x = unset("empty", sizes_of(sizes, "empty", size), dtype or get_default_dtype())
    return x.requires_grad_() if requires_grad else x


def zeros(
    *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of zeros: sizes or one sequence of them; the default dtype if none is given.

    >>> ad.zeros(2, 2)
    tensor([[0., 0.],
            [0., 0.]])
    """
    x = _filled("zeros", sizes_of(sizes, "zeros", size), 0, dtype or get_default_dtype())
    return x.requires_grad_() if requires_grad else x


def ones(*sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones: sizes or one sequence of them; the default dtype if none is given.

    >>> ad.ones(2, dtype=ad.int64)
    tensor([1, 1])
    """
    x = _filled("ones", sizes_of(sizes, "ones", size), 1, dtype or get_default_dtype())
    return x.requires_grad_() if requires_grad else x


def full(size: Any, fill_value: Any, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one value; its dtype follows the value's: bool, int64 or the default dtype.

    >>> ad.full((2,), 7)
    tensor([7, 7])
    """
    value = fill_value
    if type(value) not in _REAL:
        value = value.item() if isinstance(value, Tensor) else dtypes.plain(value)
    d = dtype or dtypes.of_value(value)
    sizes = sizes_of((size,), "full")
    x = _filled("full", sizes, exact(value, d, sizes), d)
    return x.requires_grad_() if requires_grad else x


def scalar(value: Any, d: dtype, filled: Sequence[int] | None = None) -> Tensor:
    """A number as a 0-d tensor. RuntimeError where the dtype cannot hold it (`exact`)."""
    return _filled("full", [], exact(value, d, filled), d)


ROUNDED_ONCE = frozenset([dtypes.float32, dtypes.float64])  # a float written to one of these


def exact(value: Any, d: dtype, filled: Sequence[int] | None = None) -> Any:
    """A number as the native fill takes it. RuntimeError where the dtype cannot hold it.

    One element of 16 bits that is filled, its shape being given, becomes infinite, as PyTorch's.
    """
    if type(value) not in _REAL:
        value = dtypes.plain(value)
        if not isinstance(value, (bool, int, float)):
            raise TypeError(f"a number was expected, not {type(value).__name__}")
    if d.is_floating_point:
        value = float(value)
        if _MOST[d] < abs(value) < math.inf and not (
            filled is not None and d in dtypes.HALVES and math.prod(filled) == 1
        ):
            raise RuntimeError(f"value cannot be converted to {d!r} without overflow: {value}")
        return value
    if d is dtypes.bool:
        return int(value != 0)
    if isinstance(value, float) and not math.isfinite(value):
        raise RuntimeError(f"value cannot be converted to type {d.name} without overflow: {value}")
    low, high = _RANGES[d.name]
    if not low <= int(value) <= high:
        kind = ValueError if d is dtypes.int64 and isinstance(value, int) else RuntimeError
        raise kind(f"value cannot be converted to type {d.name} without overflow: {value}")
    return int(value)


_REAL = frozenset([float, int])
_MOST = {  # what is above is rounded to inf
    d: about.max * (1 + about.eps / 4) for d, about in ((d, dtypes.finfo(d)) for d in dtypes.FLOATS)
}
_RANGES = {
    "uint8": (-255, 255),
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}


def empty_like(input: Tensor, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """An unset tensor of the input's shape, order of strides and dtype.

    >>> ad.empty_like(ad.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    p = input._p
    code = p.dtype if dtype is None else dtype.code
    if p.contiguous:
        return _finish(own(lib.ad_empty(code, p.ndim, p.shape), "empty_like", p), requires_grad)
    pattern = fresh(lib.ad_clone(p), "empty_like", p)
    flat = fresh(lib.ad_empty(code, 1, [p.numel]), "empty_like")
    q = lib.ad_as_strided(flat, p.ndim, p.shape, pattern.strides, 0)
    return _finish(own(q, "empty_like", p), requires_grad)


def zeros_like(input: Tensor, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the input's shape and dtype.

    >>> ad.zeros_like(ad.tensor([1, 2]))
    tensor([0, 0])
    """
    x = _like(input, 0, dtype)
    return x.requires_grad_() if requires_grad else x


def ones_like(input: Tensor, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """Ones of the input's shape and dtype.

    >>> ad.ones_like(ad.tensor([1.5, 2.5]))
    tensor([1., 1.])
    """
    x = _like(input, 1, dtype)
    return x.requires_grad_() if requires_grad else x


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """One value in the input's shape and dtype.

    >>> ad.full_like(ad.tensor([1, 2]), 7)
    tensor([7, 7])
    """
    d = dtype or input.dtype
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    value = exact(value, d, input.shape)
    x = _like(input, value, d)
    return x.requires_grad_() if requires_grad else x


def _like(input: Tensor, value: Any, d: Dtype) -> Tensor:
    """A number, as `exact` gives it, in the input's shape, its order of strides, and its dtype."""
    p = input._p
    code = p.dtype if d is None else d.code
    make = lib.ad_full_f64 if type(value) is float else lib.ad_full_i64
    if p.contiguous:
        return own(make(code, p.ndim, p.shape, value), "full_like", p)
    x = empty_like(input, dtype=d)
    if lib.ad_copy(x._p, fresh(make(code, 0, [], value), "full_like")):
        raise error("full_like", x._p)
    return x


def new_zeros(
    x: Tensor, *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of the tensor's dtype.

    >>> ad.tensor([1, 2]).new_zeros(2)
    tensor([0, 0])
    """
    y = _filled("zeros", sizes_of(sizes, "zeros", size), 0, dtype or x.dtype)
    return y.requires_grad_() if requires_grad else y


def new_ones(
    x: Tensor, *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """Ones of the tensor's dtype.

    >>> ad.tensor([1, 2]).new_ones(2)
    tensor([1, 1])
    """
    y = _filled("ones", sizes_of(sizes, "ones", size), 1, dtype or x.dtype)
    return y.requires_grad_() if requires_grad else y


def new_empty(
    x: Tensor, *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """An unset tensor of the tensor's dtype.

    >>> ad.tensor([1, 2]).new_empty(2, 3).shape
    torch.Size([2, 3])
    """
    y = unset("empty", sizes_of(sizes, "empty", size), dtype or x.dtype)
    return y.requires_grad_() if requires_grad else y


def new_full(
    x: Tensor, size: Any, fill_value: Any, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """One value in the tensor's dtype.

    >>> ad.tensor([1, 2]).new_full((2,), 7)
    tensor([7, 7])
    """
    return full(size, fill_value, dtype=dtype or x.dtype, requires_grad=requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """An n x m matrix (n x n without m) of zeros with ones on the diagonal; the default dtype.

    >>> ad.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    columns = n if m is None else m
    x = _filled("eye", sizes_of((n, columns), "eye"), 0, dtype or get_default_dtype())
    if lib.ad_copy(fresh(lib.ad_diagonal(x._p, 0, 0, 1), "eye"), number_of(1)._p):
        raise error("eye")
    return x.requires_grad_() if requires_grad else x


def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Dtype = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below end; of integers int64, else the default dtype.

    What is given alone is the end. RuntimeError for a step of 0, or one that leads away from it.

    >>> ad.arange(3)
    tensor([0, 1, 2])
    >>> ad.arange(0, 1, 0.25)
    tensor([0.0000, 0.2500, 0.5000, 0.7500])
    """
    if end is None or start is None:
        start, end = 0, start if end is None else end
    if end is None:
        raise TypeError("arange() missing 1 required positional argument: 'end'")
    first, last = start, end
    bounds = [first, last, step]
    whole = type(first) is type(last) is type(step) is int
    if not whole:
        bounds = [v.item() if isinstance(v, Tensor) else v for v in bounds]
        whole = True
        for v in bounds:  # generators take as long as the rest
            whole = whole and isinstance(v, int)
            if not math.isfinite(v):
                raise RuntimeError(f"unsupported range: {bounds[0]} -> {bounds[1]}")
    first, last, by = bounds
    d = dtype or (dtypes.int64 if whole else get_default_dtype())
    if d is dtypes.int64 and not whole:
        first, last, by = bounds = [int(v) for v in bounds]
        whole = True
    if by == 0:
        raise RuntimeError("step must be nonzero")
    if (by > 0) != (first <= last) and first != last:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign: {bounds}")
    n = max(0, -((first - last) // by)) if whole else math.ceil((last - first) / by)
    if not whole and not d.is_floating_point:  # it has as many elements as the range of numbers
        first, by, whole = int(first), int(by), True
    make = lib.ad_arange_i64 if whole else lib.ad_arange_f64
    try:
        return _finish(own(make(d.code, n, first, by), "arange"), requires_grad)
    except OverflowError:
        raise RuntimeError(f"arange: {bounds} do not fit 64 bits") from None


def ends_of(start: Any, end: Any, steps: int, d: dtype) -> list[float]:
    """The first and the last number. RuntimeError where the dtype cannot hold one."""
    if not steps:
        return [0.0, 0.0]
    used = (start, end) if steps > 1 else (start, start)
    return [float(exact(v.item() if isinstance(v, Tensor) else v, d)) for v in used]


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """`steps` evenly spaced numbers from start to end, both included; the default dtype.

    RuntimeError where the dtype cannot hold one of both.

    >>> ad.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    if operator.index(steps) < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    for value in (start, end):
        if isinstance(value, str):
            raise TypeError(f"linspace(): a number was expected, not {type(value).__name__}")
    d = dtype or get_default_dtype()
    x = own(lib.ad_linspace(d.code, steps, *ends_of(start, end, steps, d)), "linspace")
    return x.requires_grad_() if requires_grad else x

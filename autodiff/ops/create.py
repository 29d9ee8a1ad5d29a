"""Tensors from nothing, from Python objects and from foreign memory."""

from __future__ import annotations

import array
import math
import operator
import sys
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.dtypes import dtype, get_default_dtype
from autodiff.native import error, ffi, forget, keep, lib
from autodiff.ops.base import fresh
from autodiff.ops.cast import to_dtype
from autodiff.shapes import MAX_DIMS, contiguous_strides, sizes_of
from autodiff.tensor import Tensor, own, wrap

Dtype = dtype | None


def _finish(x: Tensor, requires_grad: bool) -> Tensor:
    return x.requires_grad_() if requires_grad else x


def _checked(sizes: list[int], name: str) -> list[int]:
    for size in sizes:
        if size < 0:
            raise RuntimeError(
                f"{name}(): Trying to create tensor with negative dimension {size}: {sizes}"
            )
    if len(sizes) > MAX_DIMS:
        raise RuntimeError(
            f"{name}(): at most {MAX_DIMS} dimensions are supported, got {len(sizes)}"
        )
    return sizes


def _filled(name: str, sizes: list[int], value: Any, d: dtype) -> Tensor:
    _checked(sizes, name)
    make = lib.ad_full_f64 if isinstance(value, float) else lib.ad_full_i64
    return own(make(d.code, len(sizes), sizes, value), name)


def empty(
    *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """A tensor whose elements are not set: sizes or one sequence; the default dtype if none.

    >>> ad.empty(2, 3).shape
    torch.Size([2, 3])
    """
    wanted, d = _checked(sizes_of(sizes, "empty", size), "empty"), dtype or get_default_dtype()
    return _finish(own(lib.ad_empty(d.code, len(wanted), wanted), "empty"), requires_grad)


def zeros(
    *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of zeros: sizes or one sequence of them; the default dtype if none is given.

    >>> ad.zeros(2, 2)
    tensor([[0., 0.],
            [0., 0.]])
    """
    x = _filled("zeros", sizes_of(sizes, "zeros", size), 0, dtype or get_default_dtype())
    return _finish(x, requires_grad)


def ones(*sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones: sizes or one sequence of them; the default dtype if none is given.

    >>> ad.ones(2, dtype=ad.int64)
    tensor([1, 1])
    """
    x = _filled("ones", sizes_of(sizes, "ones", size), 1, dtype or get_default_dtype())
    return _finish(x, requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one value; its dtype follows the value's: bool, int64 or the default dtype.

    >>> ad.full((2,), 7)
    tensor([7, 7])
    """
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    d = dtype or dtypes.of_value(value)
    return _finish(_filled("full", sizes_of((size,), "full"), _exact(value, d), d), requires_grad)


def _exact(value: Any, d: dtype) -> Any:
    """A number as the native fill takes it. RuntimeError where the dtype cannot hold it."""
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"a number was expected, not {type(value).__name__}")
    if d.is_floating_point:
        return float(value)
    if d is dtypes.bool:
        return int(value != 0)
    if isinstance(value, float) and not math.isfinite(value):
        raise RuntimeError(f"value cannot be converted to type {d.name} without overflow: {value}")
    low, high = _RANGES[d.name]
    if not low <= int(value) <= high:
        kind = ValueError if d is dtypes.int64 else RuntimeError  # as PyTorch has it
        raise kind(f"value cannot be converted to type {d.name} without overflow: {value}")
    return int(value)


_RANGES = {
    "uint8": (-255, 255),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}


def empty_like(input: Tensor, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """An unset tensor of the input's shape, order of strides and dtype.

    >>> ad.empty_like(ad.ones(2, 3)).shape
    torch.Size([2, 3])
    """
    if input._p.contiguous:
        return empty(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)
    d = dtype or input.dtype
    pattern = fresh(lib.ad_clone(input._p), "empty_like", input._p)
    flat = fresh(lib.ad_empty(d.code, 1, [input._p.numel]), "empty_like")
    strides = ffi.unpack(pattern.strides, pattern.ndim)
    p = lib.ad_as_strided(flat, len(strides), list(input.shape), strides, 0)
    return _finish(own(p, "empty_like", input._p), requires_grad)


def zeros_like(input: Tensor, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the input's shape and dtype.

    >>> ad.zeros_like(ad.tensor([1, 2]))
    tensor([0, 0])
    """
    return full_like(input, 0, dtype=dtype, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """Ones of the input's shape and dtype.

    >>> ad.ones_like(ad.tensor([1.5, 2.5]))
    tensor([1., 1.])
    """
    return full_like(input, 1, dtype=dtype, requires_grad=requires_grad)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """One value in the input's shape and dtype.

    >>> ad.full_like(ad.tensor([1, 2]), 7)
    tensor([7, 7])
    """
    d = dtype or input.dtype
    if input._p.contiguous:
        return full(input.shape, fill_value, dtype=d, requires_grad=requires_grad)
    x = empty_like(input, dtype=d)
    if lib.ad_copy(x._p, full((), fill_value, dtype=d)._p):
        raise error("full_like", x._p)
    return _finish(wrap(x._p), requires_grad)


def new_zeros(
    x: Tensor, *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """Zeros of the tensor's dtype.

    >>> ad.tensor([1, 2]).new_zeros(2)
    tensor([0, 0])
    """
    return zeros(*sizes, size=size, dtype=dtype or x.dtype, requires_grad=requires_grad)


def new_ones(
    x: Tensor, *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """Ones of the tensor's dtype.

    >>> ad.tensor([1, 2]).new_ones(2)
    tensor([1, 1])
    """
    return ones(*sizes, size=size, dtype=dtype or x.dtype, requires_grad=requires_grad)


def new_empty(
    x: Tensor, *sizes: Any, size: Any = None, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """An unset tensor of the tensor's dtype.

    >>> ad.tensor([1, 2]).new_empty(2, 3).shape
    torch.Size([2, 3])
    """
    return empty(*sizes, size=size, dtype=dtype or x.dtype, requires_grad=requires_grad)


def new_full(
    x: Tensor, size: Any, fill_value: Any, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """One value in the tensor's dtype.

    >>> ad.tensor([1, 2]).new_full((2,), 7)
    tensor([7, 7])
    """
    return full(size, fill_value, dtype=dtype or x.dtype, requires_grad=requires_grad)


def new_tensor(x: Tensor, data: Any, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """`tensor(data)` in the tensor's dtype.

    >>> ad.tensor([1, 2]).new_tensor([3.0, 4.0])
    tensor([3, 4])
    """
    return tensor(data, dtype=dtype or x.dtype, requires_grad=requires_grad)


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
    diagonal = fresh(lib.ad_as_strided(x._p, 1, [min(n, columns)], [columns + 1], 0), "eye")
    if lib.ad_copy(diagonal, ones((), dtype=x.dtype)._p):
        raise error("eye")
    return _finish(wrap(x._p), requires_grad)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """start, start + step, ... below end; of integers int64, else the default dtype.

    RuntimeError for a step of 0, or one that leads away from the end.

    >>> ad.arange(3)
    tensor([0, 1, 2])
    >>> ad.arange(0, 1, 0.25)
    tensor([0.0000, 0.2500, 0.5000, 0.7500])
    """
    first, last = (0, start) if end is None else (start, end)
    bounds = [v.item() if isinstance(v, Tensor) else v for v in (first, last, step)]
    first, last, by = bounds
    whole = all(isinstance(v, int) for v in bounds)
    if not all(math.isfinite(v) for v in bounds):
        raise RuntimeError(f"unsupported range: {first} -> {last}")
    d = dtype or (dtypes.int64 if whole else get_default_dtype())
    if d is dtypes.int64 and not whole:
        first, last, by = bounds = [int(v) for v in bounds]
        whole = True
    if by == 0:
        raise RuntimeError("step must be nonzero")
    if (by > 0) != (first <= last) and first != last:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign: {bounds}")
    n = max(0, -((first - last) // by)) if whole else math.ceil((last - first) / by)
    make = lib.ad_arange_i64 if whole else lib.ad_arange_f64
    try:
        return _finish(own(make(d.code, n, first, by), "arange"), requires_grad)
    except OverflowError:
        raise RuntimeError(f"arange: {bounds} do not fit 64 bits") from None


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Dtype = None, requires_grad: bool = False
) -> Tensor:
    """`steps` evenly spaced numbers from start to end, both included; the default dtype.

    >>> ad.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    if operator.index(steps) < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    for value in (start, end):
        if isinstance(value, str):
            raise TypeError(f"linspace(): a number was expected, not {type(value).__name__}")
    d = dtype or get_default_dtype()
    x = own(lib.ad_linspace(d.code, steps, float(start), float(end)), "linspace")
    return _finish(x, requires_grad)


# ---- from Python objects ----


def _length(data: Any) -> int | None:
    """The length of a sequence, None of a number or a tensor without dimensions."""
    if isinstance(data, (list, tuple, range)):
        return len(data)
    if isinstance(data, Tensor) or hasattr(data, "__array_interface__"):
        return len(data) if data.ndim else None
    return None


def _shape_of(data: Any) -> list[int]:
    shape: list[int] = []
    while (size := _length(data)) is not None:
        shape.append(size)
        if size == 0 or len(shape) > MAX_DIMS:
            break
        data = data[0]
    return shape


class _Elements:
    """The numbers of nested sequences, row by row, and the dtype that holds them all."""

    def __init__(self, data: Any) -> None:
        self.shape = _shape_of(data)
        if len(self.shape) > MAX_DIMS:
            raise ValueError(
                f"tensor(): at most {MAX_DIMS} dimensions are supported: too many levels"
            )
        self.values: list[Any] = []
        self.dtype: dtype | None = None
        self.visit(data, 0)

    def visit(self, data: Any, depth: int) -> None:
        """Append the numbers of one part. ValueError where the sequences are ragged."""
        if depth == len(self.shape):
            self.append(data, depth)
            return
        size = _length(data)
        if size is None:
            raise _not_a_number(data, depth)
        if size != self.shape[depth]:
            raise ValueError(
                f"expected sequence of length {self.shape[depth]} at dim {depth} (got {size})"
            )
        for item in data:
            self.visit(item, depth + 1)

    def append(self, data: Any, depth: int) -> None:
        """Append one number."""
        value, d = data, None
        if isinstance(data, Tensor):
            value, d = data.item(), data.dtype
        elif hasattr(data, "__array_interface__") and _length(data) is None:
            value, d = data.item(), _TYPES.get(data.__array_interface__["typestr"][1:])
        if not isinstance(value, (bool, int, float)):
            raise _not_a_number(value, depth)
        d = d or dtypes.of_value(value)
        if d is not self.dtype:
            self.dtype = d if self.dtype is None else dtypes.promote_types(self.dtype, d)
        self.values.append(value)


def _not_a_number(value: Any, depth: int) -> Exception:
    if isinstance(value, (list, tuple, range)):
        return TypeError(
            f"tensor(): nested sequences differ in depth at dim {depth}: got {value!r}"
        )
    if isinstance(value, (bool, int, float)):
        return TypeError(f"not a sequence: {value!r} at dim {depth}, beside sequences")
    if isinstance(value, str):
        return TypeError(f"new(): invalid data type '{type(value).__name__}'")
    return RuntimeError(f"Could not infer dtype of {type(value).__name__}")


def _from_values(values: list[Any], shape: Sequence[int], d: dtype) -> Tensor:
    try:
        if d.is_floating_point:
            raw = array.array("d", values)
        else:
            raw = array.array("q", [_exact(v, d) for v in values])
    except OverflowError:
        raise ValueError(f"tensor(): an int does not fit {d.name}") from None
    wide = dtypes.float64 if d.is_floating_point else dtypes.int64
    x = own(lib.ad_empty(wide.code, len(shape), list(shape)), "tensor")
    if values:
        lib.ad_raw(x._p)
        ffi.memmove(x._p.data, ffi.from_buffer(raw), 8 * len(values))
    return x if d is wide else own(lib.ad_contiguous(x._p, d.code), "tensor")


def _copy_of(x: Tensor, d: Dtype) -> Tensor:
    same = d is None or d is x.dtype
    p = lib.ad_clone(x._p) if same else lib.ad_contiguous(x._p, (d or x.dtype).code)
    return own(p, "tensor", x._p)


def tensor(data: Any, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """A copy of data (numbers, nested sequences, arrays, tensors) as a leaf tensor.

    Without dtype: bool of bools, int64 of ints, the default dtype as soon as there is a float.
    ValueError for sequences of several lengths, RuntimeError for integers that require grad.

    >>> ad.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> ad.tensor([1, 2.5], requires_grad=True)
    tensor([1.0000, 2.5000], requires_grad=True)
    """
    if isinstance(data, Tensor):
        x = _copy_of(data, dtype)
    elif _has_memory(data):
        x = _copy_of(_view_of(data), dtype)
    else:
        found = _Elements(data)
        x = _from_values(found.values, found.shape, dtype or found.dtype or get_default_dtype())
    return _finish(x, requires_grad)


def as_tensor(data: Any, dtype: Dtype = None) -> Tensor:
    """data as a tensor, sharing memory and history where nothing needs to be converted.

    >>> x = ad.ones(2)
    >>> ad.as_tensor(x) is x
    True
    """
    if isinstance(data, Tensor):
        return data if dtype is None or dtype is data.dtype else to_dtype(data, dtype)
    if _has_memory(data):
        x = _view_of(data)
        return x if dtype is None or dtype is x.dtype else to_dtype(x, dtype)
    return tensor(data, dtype=dtype)


# ---- from foreign memory ----

_TYPES = {
    "b1": dtypes.bool,
    "u1": dtypes.uint8,
    "i4": dtypes.int32,
    "i8": dtypes.int64,
    "f2": dtypes.float16,
    "f4": dtypes.float32,
    "f8": dtypes.float64,
}
_FOREIGN_ORDER = ">" if sys.byteorder == "little" else "<"
_FORMATS = {"?": "b1", "B": "u1", "i": "i4", "l": "i8", "q": "i8", "e": "f2", "f": "f4", "d": "f8"}


def _has_memory(data: Any) -> bool:
    if hasattr(data, "__array_interface__"):
        return True
    return isinstance(data, (memoryview, array.array, bytes, bytearray))


def from_numpy(ndarray: Any) -> Tensor:
    """A tensor that shares the array's memory. TypeError for anything else.

    >>> import numpy as np
    >>> ad.from_numpy(np.arange(3.0))
    tensor([0., 1., 2.], dtype=torch.float64)
    """
    if not hasattr(ndarray, "__array_interface__"):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return _view_of(ndarray)


def _view_of(data: Any) -> Tensor:
    if hasattr(data, "__array_interface__"):
        about = data.__array_interface__
        address, readonly = about["data"]
        return _wrap_memory(
            data, about["typestr"], about["shape"], about.get("strides"), address, readonly
        )
    view = memoryview(data)
    kind = _FORMATS.get(view.format)
    if kind is None or not view.c_contiguous:
        raise TypeError(
            f"can't convert a buffer of format {view.format!r}: supported are contiguous buffers "
            f"of {', '.join(_FORMATS)}"
        )
    raw = ffi.from_buffer(view)
    address = int(ffi.cast("intptr_t", raw))
    return _wrap_memory((view, raw), f"={kind}", view.shape or (), None, address, view.readonly)


def _wrap_memory(
    owner: Any, typestr: str, shape: Any, strides: Any, address: int, readonly: bool
) -> Tensor:
    d = _TYPES.get(typestr[1:])
    if d is None:
        raise TypeError(
            f"can't convert an array of type {typestr}: the supported types are "
            f"{', '.join(known.name for known in dtypes.ALL)}"
        )
    if typestr[0] == _FOREIGN_ORDER:
        raise ValueError(
            f"can't convert an array of type {typestr}: its byte order is not this machine's"
        )
    size = d.itemsize
    steps = [s * size for s in contiguous_strides(shape)] if strides is None else list(strides)
    if any(s < 0 for s in steps):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array with array.copy().)"
        )
    if any(s % size for s in steps) or address % size:
        raise ValueError(
            f"given array strides {steps} are not multiples of the element size {size}, or its "
            "memory is "
            "not aligned: make a copy of it with array.copy()"
        )
    if 0 in shape:
        return zeros(list(shape), dtype=d)
    end = size + sum((n - 1) * s for n, s in zip(shape, steps, strict=True))
    at, past = ffi.cast("void *", address), ffi.cast("void *", address + end)
    handle = keep(owner)
    p = lib.ad_wrap(
        d.code,
        len(shape),
        list(shape),
        [s // size for s in steps],
        at,
        at,
        past,
        readonly,
        handle,
        lib.ad_release_owner,
    )
    if not p:
        failure = error("from_numpy")
        forget(handle)
        raise failure
    return own(p, "from_numpy")

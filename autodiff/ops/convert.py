"""Tensors of Python's numbers and sequences, of arrays and of buffers."""

from __future__ import annotations

import array
import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.changes import changes
from autodiff.dtypes import dtype, get_default_dtype
from autodiff.native import ffi, lib
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import exact
from autodiff.ops.dlpack import from_dlpack
from autodiff.ops.foreign import TYPES, has_memory, is_array, view_of
from autodiff.shapes import MAX_DIMS
from autodiff.shortcuts import of_lists
from autodiff.tensor import Tensor, own

Dtype = dtype | None


_SEQUENCES = frozenset([list, tuple, range])
_NUMBERS = frozenset([float, int, bool])


def _length(data: Any) -> int | None:
    """The length of a sequence, None of a number or a tensor without dimensions."""
    if isinstance(data, (list, tuple, range)):
        return len(data)
    if type(data) in _NUMBERS:
        return None
    if isinstance(data, Tensor):
        return None if data.numel() == 1 else len(data)  # of one element, a number
    if hasattr(data, "__array_interface__"):
        return len(data) if data.ndim else None
    if not hasattr(data, "__getitem__") or isinstance(data, (str, bytes, Mapping)):
        return None
    return len(data) if hasattr(data, "__len__") else None  # a deque, say


def _shape_of(data: Any) -> list[int]:
    shape: list[int] = []
    while (size := _length(data)) is not None:
        shape.append(size)
        if size == 0 or len(shape) > MAX_DIMS:
            break
        data = data[0]
    if shape and isinstance(data, str):  # itself a sequence without end
        raise ValueError("too many dimensions 'str'")
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
        if not self.take_plain(data):
            self.visit(data, 0)

    def take_plain(self, data: Any) -> bool:
        """Take plain numbers of plain sequences, all at once; False where there are others."""
        level = [data]
        for size in self.shape:
            if not _SEQUENCES.issuperset(map(type, level)) or set(map(len, level)) != {size}:
                return False
            level = list(itertools.chain.from_iterable(level))
        kinds = set(map(type, level))
        if not kinds <= _NUMBERS:
            return False
        self.values = level
        kind = float if float in kinds else int if int in kinds else bool if kinds else None
        self.dtype = None if kind is None else dtypes.of_value(kind())
        return True

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
            value, d = data.item(), TYPES.get(data.__array_interface__["typestr"][1:])
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
    if isinstance(value, (str, bytes)):
        return TypeError(f"new(): invalid data type '{type(value).__name__}'")
    return RuntimeError(f"Could not infer dtype of {type(value).__name__}")


def _integers(values: list[Any], d: dtype) -> array.array[int]:
    """Numbers as an integer dtype has them; errors as `exact` words them."""
    if d is dtypes.int64 or (d is dtypes.bool and float not in set(map(type, values))):
        try:
            return array.array("q", map(int, values))
        except (OverflowError, ValueError):
            pass
    return array.array("q", [exact(v, d) for v in values])


_INTEGERS = ffi.typeof("int64_t[]")


def _from_values(values: list[Any], shape: Sequence[int], d: dtype) -> Tensor:
    try:
        if d.is_floating_point:
            p = lib.ad_values_f64(d.code, len(shape), shape, len(values), values)
        else:
            raw = ffi.from_buffer(_INTEGERS, _integers(values, d))
            p = lib.ad_values_i64(d.code, len(shape), shape, len(values), raw)
    except OverflowError:
        raise ValueError(f"tensor(): an int does not fit {d.name}") from None
    return own(p, "tensor")


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
    x: Tensor | None = None
    if changes.recorder is None:
        x = of_lists(data, get_default_dtype().code, -1 if dtype is None else dtype.code)
    if x is not None:
        return x.requires_grad_() if requires_grad else x
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach()."
            "clone() or sourceTensor.detach().clone().requires_grad_(True), rather than "
            "torch.tensor(sourceTensor): no gradient gets through it.",
            stacklevel=3,
        )
        x = _copy_of(data, dtype)
    elif type(data) is not list and has_memory(data):
        x = _copy_of(view_of(data), dtype)
    elif type(data) is not list and hasattr(data, "__dlpack__"):  # another library's tensor
        x = _copy_of(from_dlpack(data), dtype)
    else:
        found = _Elements(data)
        x = _from_values(found.values, found.shape, dtype or found.dtype or get_default_dtype())
    return x.requires_grad_() if requires_grad else x


def as_tensor(data: Any, dtype: Dtype = None) -> Tensor:
    """data as a tensor, sharing memory and history where nothing needs to be converted.

    >>> x = ad.ones(2)
    >>> ad.as_tensor(x) is x
    True
    """
    if isinstance(data, Tensor):
        return data if dtype is None or dtype is data.dtype else to_dtype(data, dtype)
    array = has_memory(data)
    if array or hasattr(data, "__dlpack__"):
        x = view_of(data) if array else from_dlpack(data)
        return x if dtype is None or dtype is x.dtype else to_dtype(x, dtype)
    return tensor(data, dtype=dtype)


def from_numpy(ndarray: Any) -> Tensor:
    """A tensor that shares the array's memory. TypeError for anything else.

    >>> import numpy as np
    >>> ad.from_numpy(np.arange(3.0))
    tensor([0., 1., 2.], dtype=torch.float64)
    """
    if not is_array(ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return view_of(ndarray)


def new_tensor(x: Tensor, data: Any, *, dtype: Dtype = None, requires_grad: bool = False) -> Tensor:
    """`tensor(data)` in the tensor's dtype.

    >>> ad.tensor([1, 2]).new_tensor([3.0, 4.0])
    tensor([3, 4])
    """
    return tensor(data, dtype=dtype or x.dtype, requires_grad=requires_grad)

"""Tensors over the memory of arrays and buffers, which live as long as the tensors do."""

from __future__ import annotations

import array
import math
import sys
from typing import Any

from autodiff import dtypes
from autodiff.native import ADDRESS, NULL, describe, ffi, forget, keep, lib, take_failure
from autodiff.ops.create import zeros
from autodiff.shapes import contiguous_strides
from autodiff.tensor import Tensor, own

TYPES = {
    "b1": dtypes.bool,
    "u1": dtypes.uint8,
    "i1": dtypes.int8,
    "i2": dtypes.int16,
    "i4": dtypes.int32,
    "i8": dtypes.int64,
    "f2": dtypes.float16,
    "f4": dtypes.float32,
    "f8": dtypes.float64,
}
_FOREIGN_ORDER = ">" if sys.byteorder == "little" else "<"
_FORMATS = {
    "?": dtypes.bool,
    "B": dtypes.uint8,
    "b": dtypes.int8,
    "h": dtypes.int16,
    "i": dtypes.int32,
    "l": dtypes.int64,
    "q": dtypes.int64,
    "e": dtypes.float16,
    "f": dtypes.float32,
    "d": dtypes.float64,
}
BUFFERS = (memoryview, array.array, bytes, bytearray)
_INTERFACE = "__array_interface__"
_CHARS = ffi.typeof("char *")
_wrap, _drop, _take = lib.ad_wrap, lib.ad_release_owner, lib.ad_capsule_take


def is_array(data: Any) -> bool:
    """Whether data has the array interface."""
    return hasattr(type(data), _INTERFACE) or hasattr(data, _INTERFACE)  # slow to make, of an array


def has_memory(data: Any) -> bool:
    """Whether data is an array or a buffer."""
    return is_array(data) or isinstance(data, BUFFERS)


def view_of(data: Any) -> Tensor:
    """A tensor over the memory of an array or a buffer. TypeError for types that have no dtype."""
    if (export := getattr(data, "__dlpack__", None)) is not None:  # the fastest way
        try:
            capsule = export()
        except BufferError:  # of what is read-only, say
            pass
        else:
            if p := _take(id(capsule)):
                return own(p, "from_numpy")
    try:
        view = memoryview(data)
    except (BufferError, TypeError, ValueError):  # NumPy has types that buffers have not
        view = None
    d = _FORMATS.get(view.format) if view is not None and view.c_contiguous else None
    if view is not None and d is not None:
        raw = ffi.from_buffer(data)  # of the view, garbage collection may clear it before its user
        return _wrap_memory(raw, d, view.shape or (), None, raw, view.nbytes, view.readonly)
    about = getattr(data, _INTERFACE, None)
    if about is None:
        raise TypeError(
            f"can't convert a buffer of format {view and view.format!r}: supported are contiguous "
            f"buffers of {', '.join(_FORMATS)}"
        )
    return _of_interface(data, about)


def _of_interface(owner: Any, about: dict[str, Any]) -> Tensor:
    """The same of what has strides, by the array interface."""
    typestr, shape, strides = about["typestr"], about["shape"], about.get("strides")
    address, readonly = about["data"]
    d = TYPES.get(typestr[1:])
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
    if strides is None:
        steps, extent = None, size * math.prod(shape)
    else:
        steps, extent = _steps(strides, size), size
        extent += sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    return _wrap_memory(owner, d, shape, steps, ffi.cast(_CHARS, address), extent, readonly)


def _steps(strides: Any, size: int) -> list[int]:
    """Strides of bytes in elements. ValueError where they are no such."""
    if any(s < 0 for s in strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array with array.copy().)"
        )
    if any(s % size for s in strides):
        raise _misplaced(strides, size)
    return [s // size for s in strides]


def _misplaced(strides: Any, size: int) -> ValueError:
    return ValueError(
        f"given array strides {list(strides)} are not multiples of the element size {size}, or its "
        "memory is not aligned: make a copy of it with array.copy()"
    )


def _wrap_memory(
    owner: Any, d: dtypes.dtype, shape: Any, steps: Any, at: Any, extent: int, readonly: bool
) -> Tensor:
    """A tensor of `extent` bytes that `owner` has; without steps, they are row-major."""
    if 0 in shape:
        return zeros(list(shape), dtype=d)
    handle = keep(owner)
    p = _wrap(
        d.code, len(shape), shape, steps or NULL, at, at, at + extent, readonly, handle, _drop
    )
    if not p:
        failure = take_failure()
        forget(handle)
        _check_place(d, shape, steps, at)
        raise describe(failure, "from_numpy")
    return own(p, "from_numpy")


def _check_place(d: dtypes.dtype, shape: Any, steps: Any, at: Any) -> None:
    if int(ffi.cast(ADDRESS, at)) % d.itemsize:
        raise _misplaced(contiguous_strides(shape) if steps is None else steps, d.itemsize)
    if at == NULL:
        raise ValueError(f"can't convert an array of shape {tuple(shape)}: it has no memory")

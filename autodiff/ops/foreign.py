"""Tensors over the memory of arrays and buffers, which live as long as the tensors do."""

from __future__ import annotations

import array
import math
import sys
from typing import Any

from autodiff import dtypes
from autodiff.native import ADDRESS, error, ffi, forget, keep, lib
from autodiff.ops.create import zeros
from autodiff.shapes import contiguous_strides
from autodiff.tensor import Tensor, own

__all__ = ["BUFFERS", "TYPES", "has_memory", "view_of"]

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


def has_memory(data: Any) -> bool:
    """Whether data is an array or a buffer."""
    if hasattr(type(data), _INTERFACE) or hasattr(data, _INTERFACE):  # slow to make, of an array
        return True
    return isinstance(data, BUFFERS)


def view_of(data: Any) -> Tensor:
    """A tensor over the memory of an array or a buffer. TypeError for types that have no dtype."""
    try:
        view = memoryview(data)
    except (BufferError, TypeError, ValueError):  # NumPy has types that buffers have not
        view = None
    d = _FORMATS.get(view.format) if view is not None and view.c_contiguous else None
    if view is not None and d is not None:
        raw, shape = ffi.from_buffer(data), view.shape or ()
        steps = contiguous_strides(shape)
        return _wrap_memory(raw, d, shape, steps, raw, view.nbytes, view.readonly)
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
        steps, extent = contiguous_strides(shape), size * math.prod(shape)
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
    owner: Any, d: dtypes.dtype, shape: Any, steps: list[int], at: Any, extent: int, readonly: bool
) -> Tensor:
    if int(ffi.cast(ADDRESS, at)) % d.itemsize:
        raise _misplaced(steps, d.itemsize)
    if 0 in shape:
        return zeros(list(shape), dtype=d)
    if at == ffi.NULL:
        raise ValueError(f"can't convert an array of shape {tuple(shape)}: it has no memory")
    handle, past = keep(owner), at + extent
    p = lib.ad_wrap(
        d.code, len(shape), shape, steps, at, at, past, readonly, handle, lib.ad_release_owner
    )
    if not p:
        failure = error("from_numpy")
        forget(handle)
        raise failure
    return own(p, "from_numpy")

"""Tensors of bytes."""

from __future__ import annotations

from typing import Any

from autodiff import dtypes
from autodiff.native import ffi, lib
from autodiff.tensor import Tensor, own


def filled(d: dtypes.dtype, shape: list[int], raw: Any) -> Tensor:
    """A tensor of a copy of bytes. ValueError where they are not as many as the shape needs."""
    x = own(lib.ad_empty(d.code, len(shape), shape), "load")
    if x.nbytes != len(raw):
        raise ValueError(f"a tensor of {d.name} {shape} has {x.nbytes} bytes, not {len(raw)}")
    if d is dtypes.bool and bytes(raw).translate(None, b"\0\1"):
        raise ValueError("a bool tensor holds bytes that are neither 0 nor 1")
    ffi.memmove(x._p.data, raw, len(raw))
    return x

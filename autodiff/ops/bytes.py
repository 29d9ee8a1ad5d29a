"""The same bytes as elements of another dtype."""

from __future__ import annotations

from autodiff.dtypes import bool as boolean
from autodiff.dtypes import dtype
from autodiff.native import describe, lib, take_failure
from autodiff.tensor import Tensor, own

_NO_ELEMENTS = {
    1: "self.dim() cannot be 0 to view {a} as {b} (different element sizes)",
    2: "self.stride(-1) must be 1 to view {a} as {b} (different element sizes), but got {n}",
    3: "self.size(-1) must be divisible by {k} to view {a} as {b} (different element sizes), but "
    "got {n}",
    4: "self.storage_offset() must be divisible by {k} to view {a} as {b} (different element "
    "sizes), but got {n}",
    5: "self.stride({d}) must be divisible by {k} to view {a} as {b} (different element sizes), "
    "but got {n}",
    6: "view: the memory of {a} elements is not aligned to those of {b}: make a clone() first",
}


def reinterpreted(x: Tensor, d: dtype, are_bools: bool = False) -> Tensor:
    """A view of x's bytes as elements of dtype d. RuntimeError where they cannot be.

    Bytes are no bools but where the caller knows that they are.
    """
    if d is boolean and x.dtype is not boolean and not are_bools:
        raise RuntimeError("view: bytes that are neither 0 nor 1 are no bools; use to()")
    p = lib.ad_view_dtype(x._p, d.code)
    if p:
        return own(p, "view")
    failure = take_failure()
    status, a, b, c = failure
    if status != lib.AD_BAD_ARG:
        raise describe(failure, "view", x._p)
    names = {"a": x.dtype.title, "b": d.title}
    k = d.itemsize // x.itemsize
    raise RuntimeError(_NO_ELEMENTS[a].format(n=b, d=c, k=k, **names))

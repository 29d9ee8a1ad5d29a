"""Copies and pickles of tensors: leaves, with what users set on them."""

from __future__ import annotations

import copy
from typing import Any, SupportsIndex, TypeVar

from autodiff import dtypes
from autodiff.descriptor import fresh
from autodiff.native import ffi, lib, looked_at
from autodiff.ops.storage import whole
from autodiff.tensor import Tensor, as_subclass, own

T = TypeVar("T", bound=Tensor)


def _laid_out(storage: Any, shape: tuple[int, ...], strides: tuple[int, ...], at: int) -> Tensor:
    """A tensor of a storage's elements."""
    return own(lib.ad_as_strided(storage, len(shape), shape, strides, at), "as_strided", storage)


def _attributes(x: Tensor) -> dict[str, Any]:
    """What users set on a tensor of a class that has room for it."""
    return getattr(x, "__dict__", {})


def copied(self: Tensor) -> Tensor:
    """A leaf of the same memory."""
    found = as_subclass(type(self), self).requires_grad_(self.requires_grad)
    if own_attributes := _attributes(self):
        vars(found).update(own_attributes)
    return found


def deep_copied(self: Tensor, memo: dict[Any, Any]) -> Tensor:
    """A leaf with a copy of the values and of `.grad`. RuntimeError where this is no leaf.

    What is copied together shares memory as before: the storage is copied once, and whole.
    """
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment. Take detach() of the others first."
        )
    found = memo.get(id(self))
    if found is None:
        key = ("storage", lib.ad_storage_id(self._p), self._p.dtype)
        storage = memo.get(key)
        if storage is None:
            storage = memo[key] = fresh(lib.ad_clone(whole(self)), "clone", self._p)
        data = _laid_out(storage, self.shape, self.stride(), self.storage_offset())
        found = memo[id(self)] = as_subclass(type(self), data)
        found.requires_grad_(self.requires_grad)
        if self.grad is not None:
            found.grad = copy.deepcopy(self.grad, memo)
        if own_attributes := _attributes(self):
            vars(found).update(copy.deepcopy(own_attributes, memo))
    return found


def reduced(self: Tensor, protocol: SupportsIndex) -> tuple[Any, ...]:
    """How to make a tensor like this again: `unpickled`, and what it takes."""
    x = own(lib.ad_clone(self._p), "pickle", self._p)  # which keeps the order of dimensions
    looked_at()
    raw = bytes(ffi.buffer(x._p.data, x.nbytes)) if x.nbytes else b""
    about = (type(self), x.dtype, tuple(x.shape), raw, self.requires_grad, x.stride())
    return unpickled, about, _attributes(self) or None


def unpickled(
    cls: type[T],
    dtype: dtypes.dtype,
    shape: tuple[int, ...],
    raw: bytes,
    requires_grad: bool,
    strides: tuple[int, ...],
) -> T:
    """A leaf of pickled bytes. ValueError where they do not fit the shape."""
    x = own(lib.ad_empty(dtype.code, 1, [len(raw) // dtype.itemsize]), "unpickle")
    lib.ad_raw(x._p)
    ffi.memmove(x._p.data, raw, x.nbytes)
    y = as_subclass(cls, _laid_out(x._p, shape, strides, 0))
    y.requires_grad_(requires_grad)
    return y

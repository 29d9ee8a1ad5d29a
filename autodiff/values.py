"""A tensor's values as objects of Python and NumPy."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

from autodiff import dtypes
from autodiff.changes import changes, recorder_here
from autodiff.descriptor import Described, fresh
from autodiff.native import Held, ffi, lib, looked_at
from autodiff.node import mode
from autodiff.shortcuts import to_lists

_unpack, _buffer = ffi.unpack, ffi.buffer
_BOOL, _FLOAT = dtypes.bool.code, dtypes.float32.code
_OF_GRAD = (
    "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
    "Consider using tensor.detach() first."
)
_warned: list[bool] = []  # once in a program, as PyTorch does
_FORMATS: Any = "?Bbhiq  fd"  # of memoryviews; those of 16 bits are taken as float32
_TYPESTR = ("|b1", "|u1", "|i1", "<i2", "<i4", "<i8", "<f2", "", "<f4", "<f8")
_numpy: Any = None  # imported once it is asked for; what it has of our dtypes, by their codes
_kinds: list[Any] = []


def _learnt() -> list[Any]:
    global _numpy
    import numpy

    _numpy = numpy
    _kinds[:] = [numpy.dtype(each) if each else None for each in _TYPESTR]
    return _kinds


def _interface(p: Any, kind: Any) -> Any:
    """What NumPy makes an array of that keeps the descriptor."""
    at = p.address, bool(lib.ad_readonly(p))
    shape, steps = (tuple(_unpack(sizes, p.ndim)) for sizes in (p.shape, p.strides))
    about = {"version": 3, "shape": shape, "typestr": kind.str, "data": at}
    about["strides"] = tuple([step * kind.itemsize for step in steps])
    return SimpleNamespace(owner=p, __array_interface__=about)


def _flag(x: Valued) -> bool:
    """A bool's value; one that a recorded call made cannot be followed."""
    looked_at()
    return bool(lib.ad_item_i64(x._p))


class Valued(Described):
    """The part of a tensor that gives its values away."""

    __slots__ = ()
    requires_grad: bool

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number. RuntimeError for others.

        >>> ad.tensor([1.5]).item()
        1.5
        """
        p = self._p
        if p.numel != 1:
            raise RuntimeError(
                f"a Tensor with {p.numel} elements cannot be converted to Scalar "
                f"(shape {list(self.shape)})"
            )
        if changes.recorder is not None:
            if p.dtype == _BOOL and (recorder := recorder_here()):
                return recorder.look_at(self, _flag)
            looked_at()
        if p.dtype >= dtypes.FIRST_FLOAT:
            return lib.ad_item_f64(p)
        value = lib.ad_item_i64(p)
        return value != 0 if p.dtype == _BOOL else value

    def tolist(self) -> Any:
        """The values as nested lists, or as a number for a 0-d tensor.

        >>> ad.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        p = self._p
        n = p.ndim
        if n == 0:
            return self.item()
        if changes.recorder is not None:
            looked_at()
        lists = to_lists(self)
        if lists is not None:
            return lists
        d, count = p.dtype, p.numel
        if not count:
            return _hollow(self.shape)
        if d in dtypes.HALF_CODES:
            d = _FLOAT
        if d != p.dtype or not p.contiguous:
            p = fresh(lib.ad_contiguous(p, d), "tolist", p)
        memory = _buffer(p.data, count * dtypes.ALL[d].itemsize)
        return memoryview(memory).cast(_FORMATS[d], _unpack(p.shape, n)).tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """A NumPy array that shares this tensor's memory; RuntimeError where it requires grad,
        unless by `force` or while nothing is recorded (no_grad).

        >>> ad.tensor([1, 2]).numpy()
        array([1, 2])
        """
        if not force and self.requires_grad and mode.grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        p = self._p
        kind = (_kinds or _learnt())[p.dtype]
        if kind is None:
            raise TypeError("Got unsupported ScalarType BFloat16")
        if changes.recorder is not None:
            looked_at()
        if not p.numel:
            return _numpy.empty(self.shape, kind)
        return _numpy.asarray(_interface(p, kind) if Held is ffi.CData else p)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"an array of {dtype} is a copy of a tensor of {self.dtype!r}")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __len__(self) -> int:
        if self._p.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._p.shape[0]  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        if self._p.numel != 1:
            what = "no values" if self._p.numel == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
        return bool(self.item())

    def _several(self) -> ValueError:
        return ValueError(
            "only one element tensors can be converted to Python scalars, this one has "
            f"{self._p.numel} elements"
        )

    def __float__(self) -> float:
        if not _warned and mode.grad and self.requires_grad:
            _warned.append(True)
            warnings.warn(_OF_GRAD, UserWarning, stacklevel=2)
        p = self._p
        if p.numel != 1:
            raise self._several()
        value: float = lib.ad_item_f64(p) if changes.recorder is None else float(self.item())
        return value

    def __int__(self) -> int:
        if self._p.numel != 1:
            raise self._several()
        return int(self.item())

    def __index__(self) -> int:
        value = self.item() if self._p.numel == 1 else None
        if not isinstance(value, int):
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(value)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self._p.ndim == 0 else object.__format__(self, spec)


def _hollow(shape: tuple[int, ...]) -> list[Any]:
    """Nested lists of no elements."""
    return [_hollow(shape[1:]) for _ in range(shape[0])]

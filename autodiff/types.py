"""`autodiff.types`: what programs annotate arguments with."""

from __future__ import annotations

from autodiff.devices import device as _device_of
from autodiff.dtypes import dtype as _dtype  # noqa: F401 - PyTorch's names
from autodiff.shapes import Size
from autodiff.tensor import Tensor as Tensor

__all__ = ["Device", "Number", "Tensor"]

Number = int | float | bool
Device = _device_of | str | int | None
_int, _float, _bool = int, float, bool
_size = Size | list[int] | tuple[int, ...]

"""Padding of the last dimensions, as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.nn.functional.padding import pad
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d",
    "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d",
    "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """Pads the last dimensions: by as much on all sides, or by (left, right, top, bottom ...)."""

    _mode = "constant"
    _dims = 1
    padding: tuple[int, ...]

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        given: Any = padding
        self.padding = tuple(given) if hasattr(given, "__iter__") else (given,) * (2 * self._dims)

    def forward(self, input: Tensor) -> Tensor:
        return pad(input, self.padding, self._mode, getattr(self, "value", None))

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _CircularPad(_Pad):
    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        low = self._dims + 1
        if input.dim() not in (low, low + 1):
            raise ValueError(f"expected {low}D or {low + 1}D input (got {input.dim()}D input)")
        return super().forward(input)


class ConstantPad1d(_ConstantPad):
    """Pads the last dimension with a value.

    >>> nn.ConstantPad1d((1, 2), 9.0)(ad.zeros(1, 1))
    tensor([[9., 0., 9., 9.]])
    """


class ConstantPad2d(_ConstantPad):
    """Pads the last two dimensions with a value."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three dimensions with a value."""

    _dims = 3


class ZeroPad1d(_Pad):
    """Pads the last dimension with zeros.

    >>> nn.ZeroPad1d(1)(ad.ones(1, 1))
    tensor([[0., 1., 0.]])
    """


class ZeroPad2d(_Pad):
    """Pads the last two dimensions with zeros.

    >>> nn.ZeroPad2d((1, 1, 2, 0))(ad.ones(1, 3, 3)).shape
    torch.Size([1, 5, 5])
    """

    _dims = 2


class ZeroPad3d(_Pad):
    """Pads the last three dimensions with zeros."""

    _dims = 3


class ReflectionPad1d(_Pad):
    """Pads the last dimension with what is on the other side of its ends.

    >>> nn.ReflectionPad1d(1)(ad.arange(3.0).view(1, 3))
    tensor([[1., 0., 1., 2., 1.]])
    """

    _mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """Pads the last two dimensions with what is on the other side of their ends."""

    _dims = 2


class ReflectionPad3d(ReflectionPad1d):
    """Pads the last three dimensions with what is on the other side of their ends."""

    _dims = 3


class ReplicationPad1d(_Pad):
    """Pads the last dimension with its ends.

    >>> nn.ReplicationPad1d(1)(ad.arange(3.0).view(1, 3))
    tensor([[0., 0., 1., 2., 2.]])
    """

    _mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """Pads the last two dimensions with their ends."""

    _dims = 2


class ReplicationPad3d(ReplicationPad1d):
    """Pads the last three dimensions with their ends."""

    _dims = 3


class CircularPad1d(_CircularPad):
    """Pads the last dimension with what comes from its other end.

    >>> nn.CircularPad1d(1)(ad.arange(3.0).view(1, 3))
    tensor([[2., 0., 1., 2., 0.]])
    """


class CircularPad2d(_CircularPad):
    """Pads the last two dimensions with what comes from their other ends."""

    _dims = 2


class CircularPad3d(_CircularPad):
    """Pads the last three dimensions with what comes from their other ends."""

    _dims = 3

"""Padding of the last dimensions, as modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.nn.module import Module
from autodiff.ops.create import tensor
from autodiff.ops.indexing import index_select
from autodiff.ops.join import cat
from autodiff.ops.views import narrow
from autodiff.tensor import Tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

# Of a mode, the element that is at position i of a dimension of n, i being outside of it too.
_SOURCES: dict[str, Callable[[int, int], int]] = {
    "reflect": lambda i, n: -i if i < 0 else 2 * (n - 1) - i if i >= n else i,
    "replicate": lambda i, n: min(max(i, 0), n - 1),
    "circular": lambda i, n: i % n,
}


def _check(x: Tensor, padding: Sequence[int], mode: str) -> None:
    """Refuse what a mode does not take."""
    if len(padding) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    dims = len(padding) // 2
    if mode == "constant":
        if dims > x.ndim:
            raise RuntimeError(
                "Padding length should be less than or equal to two times the input dimension but "
                f"got padding length {len(padding)} and input of dimension {x.ndim}"
            )
    elif x.ndim not in (dims + 1, dims + 2):
        raise NotImplementedError(
            f"Padding size {len(padding)} is not supported for {x.ndim}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    for k in range(dims):
        d = x.ndim - 1 - k
        before, after, n = padding[2 * k], padding[2 * k + 1], x.shape[d]
        if mode == "reflect" and max(before, after) >= n:
            raise RuntimeError(
                "Argument #4: Padding size should be less than the corresponding input dimension, "
                f"but got: padding ({before}, {after}) at dimension {d} of input {list(x.shape)}"
            )
        if mode == "circular" and max(before, after) > n:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if n + before + after < 0 or (mode != "constant" and (n < 1 or n + before + after < 1)):
            raise RuntimeError(
                f"narrow(): length must be non-negative. Padding ({before}, {after}) leaves "
                f"nothing at dimension {d} of input {list(x.shape)}"
            )


def _padded(x: Tensor, padding: Sequence[int], mode: str, value: float) -> Tensor:
    """x with so many elements more before and after, of the last dimension first; less than 0
    takes them away.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"pad(): argument 'input' must be Tensor, not {type(x).__name__}")
    _check(x, padding, mode)
    for k in range(len(padding) // 2):
        d, before, after = x.ndim - 1 - k, padding[2 * k], padding[2 * k + 1]
        n = x.shape[d]
        if mode != "constant":
            first = max(0, -before) if mode == "circular" else 0  # what is left comes around
            size = n - first - max(0, -after) if mode == "circular" else n
            at = [first + _SOURCES[mode](i - first, size) for i in range(-before, n + after)]
            x = index_select(x, d, tensor(at, dtype=dtypes.int64))
            continue
        start, end = max(0, -before), n - max(0, -after)
        parts = [narrow(x, d, start, end - start)]
        left, right = (
            [x.new_full([more if j == d else size for j, size in enumerate(x.shape)], value)]
            for more in (max(0, before), max(0, after))
        )
        x = cat([*left, *parts, *right], d) if max(before, after) > 0 else parts[0]
    return x


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
        return _padded(input, self.padding, self._mode, getattr(self, "value", 0.0))

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
    """Pads the last dimension with a value."""


class ConstantPad2d(_ConstantPad):
    """Pads the last two dimensions with a value."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three dimensions with a value."""

    _dims = 3


class ZeroPad1d(_Pad):
    """Pads the last dimension with zeros."""


class ZeroPad2d(_Pad):
    """Pads the last two dimensions with zeros."""

    _dims = 2


class ZeroPad3d(_Pad):
    """Pads the last three dimensions with zeros."""

    _dims = 3


class ReflectionPad1d(_Pad):
    """Pads the last dimension with what is on the other side of its ends."""

    _mode = "reflect"


class ReflectionPad2d(ReflectionPad1d):
    """Pads the last two dimensions with what is on the other side of their ends."""

    _dims = 2


class ReflectionPad3d(ReflectionPad1d):
    """Pads the last three dimensions with what is on the other side of their ends."""

    _dims = 3


class ReplicationPad1d(_Pad):
    """Pads the last dimension with its ends."""

    _mode = "replicate"


class ReplicationPad2d(ReplicationPad1d):
    """Pads the last two dimensions with their ends."""

    _dims = 2


class ReplicationPad3d(ReplicationPad1d):
    """Pads the last three dimensions with their ends."""

    _dims = 3


class CircularPad1d(_CircularPad):
    """Pads the last dimension with what comes from its other end."""


class CircularPad2d(_CircularPad):
    """Pads the last two dimensions with what comes from their other ends."""

    _dims = 2


class CircularPad3d(_CircularPad):
    """Pads the last three dimensions with what comes from their other ends."""

    _dims = 3

"""Inverses of max pooling as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from autodiff.nn.convolution import each
from autodiff.nn.functional import unpooling
from autodiff.nn.functional.convolution import Ints
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]


class _MaxUnpool(Module):
    _nd: ClassVar[int]

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0) -> None:
        super().__init__()
        self.kernel_size = each(kernel_size, self._nd)
        self.stride = each(kernel_size if stride is None else stride, self._nd)
        self.padding = each(padding, self._nd)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        function = getattr(unpooling, f"max_unpool{self._nd}d")
        y: Tensor = function(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )
        return y

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """`functional.max_unpool1d` with its arguments.

    >>> found = nn.MaxPool1d(2, return_indices=True)(ad.tensor([[1.0, 4.0, 3.0, 2.0]]))
    >>> nn.MaxUnpool1d(2)(*found)
    tensor([[0., 4., 3., 0.]])
    """

    _nd = 1


class MaxUnpool2d(_MaxUnpool):
    """`functional.max_unpool2d` with its arguments."""

    _nd = 2


class MaxUnpool3d(_MaxUnpool):
    """`functional.max_unpool3d` with its arguments."""

    _nd = 3

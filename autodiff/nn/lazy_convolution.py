"""Convolutions that learn their input's channels at their first call."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import dtype
from autodiff.nn.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from autodiff.nn.functional.convolution import Ints
from autodiff.nn.lazy import LazyModuleMixin
from autodiff.nn.parameter import UninitializedParameter
from autodiff.tensor import Tensor

__all__ = [
    "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]  # fmt: skip


class _LazyConvolution(LazyModuleMixin):
    def _begin(self, out_channels: int, bias: bool, dtype: dtype | None) -> None:
        """Take what is known, after `__init__` for no channels."""
        values: Any = self
        values.out_channels = out_channels
        values.weight = UninitializedParameter(dtype=dtype)
        if bias:
            values.bias = UninitializedParameter(dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw new initial values, where the shapes are known."""
        values: Any = self
        if not self.has_uninitialized_params() and values.in_channels:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Take the number of channels from an input, and draw initial values."""
        if not self.has_uninitialized_params():
            return
        x: Any = self
        if input.ndim not in (x._nd + 1, x._nd + 2):
            raise RuntimeError(
                f"Expected {x._nd + 1}D (unbatched) or {x._nd + 2}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}"
            )
        n, m = input.shape[-x._nd - 1], x.out_channels
        if n % x.groups:
            raise ValueError("in_channels must be divisible by groups")
        x.in_channels = n
        first, second = (n, m) if x.transposed else (m, n)
        shape = (first, second // x.groups, *x.kernel_size)
        self._materialize({"weight": shape, "bias": (m,)})
        self.reset_parameters()

    def _note_sizes(self) -> None:
        x: Any = self
        shape = x.weight.shape
        x.in_channels = shape[0] if x.transposed else shape[1] * x.groups


class _LazyForward(_LazyConvolution):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: str | Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        given = (stride, padding, dilation, groups, False, padding_mode, device, dtype)
        super().__init__(0, 0, kernel_size, *given)  # type: ignore[call-arg]
        self._begin(out_channels, bias, dtype)


class _LazyTransposed(_LazyConvolution):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        given = (stride, padding, output_padding, groups, False, dilation, padding_mode)
        super().__init__(0, 0, kernel_size, *given, device, dtype)  # type: ignore[call-arg]
        self._begin(out_channels, bias, dtype)


class LazyConv1d(_LazyForward, Conv1d):
    """A Conv1d whose in_channels are those of its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyForward, Conv2d):
    """A Conv2d whose in_channels are those of its first input.

    >>> layer = nn.LazyConv2d(8, 3)
    >>> layer(ad.ones(1, 3, 5, 5)).shape
    torch.Size([1, 8, 3, 3])
    >>> layer
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyForward, Conv3d):
    """A Conv3d whose in_channels are those of its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    """A ConvTranspose1d whose in_channels are those of its first input.

    >>> nn.LazyConvTranspose1d(2, 3)(ad.ones(1, 4, 5)).shape
    torch.Size([1, 2, 7])
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    """A ConvTranspose2d whose in_channels are those of its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    """A ConvTranspose3d whose in_channels are those of its first input."""

    cls_to_become = ConvTranspose3d

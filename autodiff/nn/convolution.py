"""Convolutions as modules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.nn import init
from autodiff.nn.functional import convolution
from autodiff.nn.functional.convolution import Ints
from autodiff.nn.functional.padding import pad
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.ops.create import empty
from autodiff.tensor import Tensor

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

MODES = ("zeros", "reflect", "replicate", "circular")


def each(value: Any, nd: int) -> tuple[Any, ...]:
    """A value for each dimension, from one or from as many."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * nd


class _Convolution(Module):
    """What convolutions share: their numbers, parameters, initial values and text."""

    weight: Parameter
    bias: Parameter | None
    _nd: ClassVar[int]
    _turned: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints,
        padding: str | Ints,
        dilation: Ints,
        output_padding: Ints,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: str | None,
        dtype: dtype | None,
    ) -> None:
        name = type(self).__name__
        super().__init__()
        nd = self._nd
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = each(kernel_size, nd), each(stride, nd)
        self.padding: Any = padding if isinstance(padding, str) else each(padding, nd)
        self.dilation, self.output_padding = each(dilation, nd), each(output_padding, nd)
        self.padding_mode, self.transposed = padding_mode, self._turned
        self._check(name)
        check_device(name, device)
        first, second = (in_channels, out_channels) if self._turned else (out_channels, in_channels)
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check(self, name: str) -> None:
        if self._turned and self.padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {name}')
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        if self.out_channels % self.groups:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {self.padding!r}, should be one of {{'same', 'valid'}}"
                )
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in MODES:
            raise ValueError(
                f"padding_mode must be one of {set(MODES)}, but got "
                f"padding_mode={self.padding_mode!r}"
            )

    def reset_parameters(self) -> None:
        """Draw new initial values, uniform on +-1/sqrt(elements of a window)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(self.weight.shape[1:])
        if self.bias is not None:
            bound = 1 / math.sqrt(fan_in) if fan_in else 0
            init.uniform_(self.bias, -bound, bound)

    def _widths(self) -> list[int]:
        """The padding before and after each dimension, the last one first."""
        if self.padding == "valid":
            return [0, 0] * self._nd
        if self.padding == "same":
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [width for t in total[::-1] for width in (t // 2, t - t // 2)]
        return [p for p in self.padding[::-1] for _ in range(2)]

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution by a given weight and bias, as subclasses that change these ask for."""
        function = getattr(convolution, f"conv{self._nd}d")
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = pad(input, self._widths(), self.padding_mode), 0
        y: Tensor = function(input, weight, bias, self.stride, padding, self.dilation, self.groups)
        return y

    def extra_repr(self) -> str:
        nd = self._nd
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        usual = {"padding": (0,) * nd, "dilation": (1,) * nd, "output_padding": (0,) * nd}
        for name, default in {**usual, "groups": 1}.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        text += ", bias=False" * (self.bias is None)
        return text + f", padding_mode={self.padding_mode}" * (self.padding_mode != "zeros")


class _Forward(_Convolution):
    def __init__(
        self,
        in_channels: int,
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
        given = (stride, padding, dilation, 0, groups, bias, padding_mode, device, dtype)
        super().__init__(in_channels, out_channels, kernel_size, *given)


class Conv1d(_Forward):
    """`functional.conv1d` with a weight and a bias (out_channels).

    The weight is (out_channels, in_channels / groups, kernel_size). Both start uniform on
    +-1/sqrt(elements of a window), with PyTorch's numbers for the same seed. `padding_mode` is
    zeros, reflect, replicate or circular.

    >>> nn.Conv1d(3, 8, kernel_size=3, padding="same")(ad.zeros(1, 3, 10)).shape
    torch.Size([1, 8, 10])
    """

    _nd = 1


class Conv2d(_Forward):
    """`functional.conv2d` with parameters; see `Conv1d`.

    >>> nn.Conv2d(3, 8, 3, stride=2, padding=1)(ad.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 8, 16, 16])
    """

    _nd = 2


class Conv3d(_Forward):
    """`functional.conv3d` with parameters; see `Conv1d`."""

    _nd = 3


class _Transposed(_Convolution):
    _turned = True

    def __init__(
        self,
        in_channels: int,
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
        given = (stride, padding, dilation, output_padding, groups, bias, padding_mode)
        super().__init__(in_channels, out_channels, kernel_size, *given, device, dtype)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        function = getattr(convolution, f"conv_transpose{self._nd}d")
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        how = (self.stride, self.padding, extra, self.groups, self.dilation)
        y: Tensor = function(input, self.weight, self.bias, *how)
        return y

    def _extra(self, input: Tensor, output_size: Sequence[int]) -> list[int]:
        """The output padding that makes the result of this size."""
        nd, wanted = self._nd, list(output_size)
        if len(wanted) == input.ndim:
            wanted = wanted[-nd:]
        if len(wanted) != nd:
            raise ValueError(
                f"ConvTranspose{nd}D: for {input.ndim}D input, output_size must have {nd} or "
                f"{input.ndim} elements (got {len(wanted)})"
            )
        steps = (self.stride, self.padding, self.dilation, self.kernel_size)
        numbers = zip(input.shape[-nd:], *steps, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in numbers]
        most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
        if any(not a <= n <= b for a, n, b in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"requested an output size of {tuple(wanted)}, but valid sizes range from {least} "
                f"to {most} (for an input of {list(input.shape[-nd:])})"
            )
        return [n - a for n, a in zip(wanted, least, strict=True)]


class ConvTranspose1d(_Transposed):
    """`functional.conv_transpose1d` with a weight and a bias (out_channels).

    The weight is (in_channels, out_channels / groups, kernel_size). Called with an output_size,
    it finds the output padding for that.

    >>> nn.ConvTranspose1d(8, 3, kernel_size=2, stride=2)(ad.zeros(1, 8, 5)).shape
    torch.Size([1, 3, 10])
    """

    _nd = 1


class ConvTranspose2d(_Transposed):
    """`functional.conv_transpose2d` with parameters; see `ConvTranspose1d`.

    >>> nn.ConvTranspose2d(8, 3, 3, stride=2)(ad.zeros(1, 8, 4, 4), output_size=(10, 10)).shape
    torch.Size([1, 3, 10, 10])
    """

    _nd = 2


class ConvTranspose3d(_Transposed):
    """`functional.conv_transpose3d` with parameters; see `ConvTranspose1d`."""

    _nd = 3

"""Pooling, and inverses of max pooling, as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from autodiff.nn._declared import calls, options
from autodiff.nn.convolution import each
from autodiff.nn.functional import fractional, pooling, unpooling
from autodiff.nn.functional.convolution import Ints
from autodiff.nn.functional.pooling import Sizes
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip


@options
class _MaxPool(Module):
    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    kernel_size: Ints
    stride: Ints | None = None
    padding: Ints = 0
    dilation: Ints = 1
    return_indices: bool = False
    ceil_mode: bool = False

    def _settle(self) -> None:
        if self.stride is None:
            self.stride = self.kernel_size


@options
class _AvgPool(Module):
    _shown = ("kernel_size", "stride", "padding")

    kernel_size: Ints
    stride: Ints | None = None
    padding: Ints = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    def _settle(self) -> None:
        if self.stride is None:
            self.stride = self.kernel_size


@options
class _LPPool(Module):
    norm_type: float
    kernel_size: Ints
    stride: Ints | None = None
    ceil_mode: bool = False


@options
class _AdaptiveAvgPool(Module):
    output_size: Sizes


@options
class _AdaptiveMaxPool(Module):
    _shown = ("output_size",)

    output_size: Sizes
    return_indices: bool = False


@calls(pooling.max_pool1d)
class MaxPool1d(_MaxPool):
    """`functional.max_pool1d` with its arguments.

    >>> nn.MaxPool1d(2)(ad.arange(4.0).view(1, 4))
    tensor([[1., 3.]])
    """


@calls(pooling.max_pool2d)
class MaxPool2d(_MaxPool):
    """`functional.max_pool2d` with its arguments.

    >>> nn.MaxPool2d(2)(ad.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3, 4, 4])
    """


@calls(pooling.max_pool3d)
class MaxPool3d(_MaxPool):
    """`functional.max_pool3d` with its arguments."""


@calls(pooling.avg_pool1d)
class AvgPool1d(_AvgPool):
    """`functional.avg_pool1d` with its arguments.

    >>> nn.AvgPool1d(2)(ad.arange(4.0).view(1, 4))
    tensor([[0.5000, 2.5000]])
    """

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        stride = kernel_size if stride is None else stride
        kernel, steps, around = (each(value, 1) for value in (kernel_size, stride, padding))
        super().__init__(kernel, steps, around, ceil_mode, count_include_pad)


@calls(pooling.avg_pool2d)
class AvgPool2d(_AvgPool):
    """`functional.avg_pool2d` with its arguments."""


@calls(pooling.avg_pool3d)
class AvgPool3d(_AvgPool):
    """`functional.avg_pool3d` with its arguments."""


class _FractionalMaxPool(Module):
    _options = ("kernel_size", "output_size", "output_ratio", "return_indices", "_random_samples")
    _nd = 2

    def __init__(
        self,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        nd, name = self._nd, type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
                if output_size is None
                else "only one of output_size and output_ratio may be specified"
            )
        self.kernel_size = each(kernel_size, nd)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else each(output_size, nd)
        self.output_ratio = None if output_ratio is None else each(output_ratio, nd)
        if not all(0 < ratio < 1 for ratio in self.output_ratio or ()):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")


@calls(fractional.fractional_max_pool2d)
class FractionalMaxPool2d(_FractionalMaxPool):
    """`functional.fractional_max_pool2d` with its arguments.

    >>> nn.FractionalMaxPool2d(2, output_ratio=0.5)(ad.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3, 4, 4])
    """


@calls(fractional.fractional_max_pool3d)
class FractionalMaxPool3d(_FractionalMaxPool):
    """`functional.fractional_max_pool3d` with its arguments."""

    _nd = 3


@calls(pooling.lp_pool1d)
class LPPool1d(_LPPool):
    """`functional.lp_pool1d` with its arguments.

    >>> nn.LPPool1d(2, 2)(ad.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """


@calls(pooling.lp_pool2d)
class LPPool2d(_LPPool):
    """`functional.lp_pool2d` with its arguments."""


@calls(pooling.lp_pool3d)
class LPPool3d(_LPPool):
    """`functional.lp_pool3d` with its arguments."""


@calls(pooling.adaptive_avg_pool1d)
class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """`functional.adaptive_avg_pool1d` with its arguments.

    >>> nn.AdaptiveAvgPool1d(2)(ad.arange(4.0).view(1, 4))
    tensor([[0.5000, 2.5000]])
    """


@calls(pooling.adaptive_avg_pool2d)
class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """`functional.adaptive_avg_pool2d` with its arguments."""


@calls(pooling.adaptive_avg_pool3d)
class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """`functional.adaptive_avg_pool3d` with its arguments."""


@calls(pooling.adaptive_max_pool1d)
class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """`functional.adaptive_max_pool1d` with its arguments.

    >>> nn.AdaptiveMaxPool1d(2)(ad.arange(4.0).view(1, 4))
    tensor([[1., 3.]])
    """


@calls(pooling.adaptive_max_pool2d)
class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """`functional.adaptive_max_pool2d` with its arguments."""


@calls(pooling.adaptive_max_pool3d)
class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """`functional.adaptive_max_pool3d` with its arguments."""


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

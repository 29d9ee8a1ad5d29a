"""Pooling as modules."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, ClassVar

from autodiff.nn.convolution import each
from autodiff.nn.functional import fractional, pooling
from autodiff.nn.functional.convolution import Ints
from autodiff.nn.functional.pooling import Sizes
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]


class _Pool(Module):
    """A function of an input and of numbers that the module keeps, and shows."""

    _home: ClassVar[Any] = pooling
    _function: ClassVar[str]
    _shown: ClassVar[str]
    _passed: ClassVar[str]  # in the order in which the function takes them
    _numbers: ClassVar[Any]  # those of a module

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "_passed"):
            cls._numbers = staticmethod(attrgetter("__class__", *cls._passed.split()))

    def forward(self, input: Tensor) -> Any:
        return getattr(self._home, self._function)(input, *self._numbers(self)[1:])

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._shown.split())


class _MaxPool(_Pool):
    _shown = "kernel_size stride padding dilation ceil_mode"
    _passed = f"{_shown} return_indices"

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode


class _AvgPool(_Pool):
    _shown = "kernel_size stride padding"
    _passed = f"{_shown} ceil_mode count_include_pad divisor_override"

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override


class _LPPool(_Pool):
    _shown = _passed = "norm_type kernel_size stride ceil_mode"

    def __init__(
        self,
        norm_type: float,
        kernel_size: Ints,
        stride: Ints | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride = norm_type, kernel_size, stride
        self.ceil_mode = ceil_mode


class _AdaptiveAvgPool(_Pool):
    _shown = _passed = "output_size"

    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self.output_size = output_size


class _AdaptiveMaxPool(_Pool):
    _shown = "output_size"
    _passed = f"{_shown} return_indices"

    def __init__(self, output_size: Sizes, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices


class MaxPool1d(_MaxPool):
    """`functional.max_pool1d` with its arguments.

    >>> nn.MaxPool1d(2)(ad.arange(4.0).view(1, 4))
    tensor([[1., 3.]])
    """

    _function = "max_pool1d"


class MaxPool2d(_MaxPool):
    """`functional.max_pool2d` with its arguments.

    >>> nn.MaxPool2d(2)(ad.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3, 4, 4])
    """

    _function = "max_pool2d"


class MaxPool3d(_MaxPool):
    """`functional.max_pool3d` with its arguments."""

    _function = "max_pool3d"


class AvgPool1d(_AvgPool):
    """`functional.avg_pool1d` with its arguments.

    >>> nn.AvgPool1d(2)(ad.arange(4.0).view(1, 4))
    tensor([[0.5000, 2.5000]])
    """

    _function = "avg_pool1d"
    _passed = f"{_AvgPool._shown} ceil_mode count_include_pad"

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


class AvgPool2d(_AvgPool):
    """`functional.avg_pool2d` with its arguments."""

    _function = "avg_pool2d"


class AvgPool3d(_AvgPool):
    """`functional.avg_pool3d` with its arguments."""

    _function = "avg_pool3d"


class _FractionalMaxPool(_Pool):
    _home: ClassVar[Any] = fractional
    _shown = ""
    _passed = "kernel_size output_size output_ratio return_indices _random_samples"

    def __init__(
        self,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        nd, name = int(self._function[-2]), type(self).__name__
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


class FractionalMaxPool2d(_FractionalMaxPool):
    """`functional.fractional_max_pool2d` with its arguments.

    >>> nn.FractionalMaxPool2d(2, output_ratio=0.5)(ad.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 3, 4, 4])
    """

    _function = "fractional_max_pool2d"


class FractionalMaxPool3d(_FractionalMaxPool):
    """`functional.fractional_max_pool3d` with its arguments."""

    _function = "fractional_max_pool3d"


class LPPool1d(_LPPool):
    """`functional.lp_pool1d` with its arguments.

    >>> nn.LPPool1d(2, 2)(ad.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """

    _function = "lp_pool1d"


class LPPool2d(_LPPool):
    """`functional.lp_pool2d` with its arguments."""

    _function = "lp_pool2d"


class LPPool3d(_LPPool):
    """`functional.lp_pool3d` with its arguments."""

    _function = "lp_pool3d"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """`functional.adaptive_avg_pool1d` with its arguments.

    >>> nn.AdaptiveAvgPool1d(2)(ad.arange(4.0).view(1, 4))
    tensor([[0.5000, 2.5000]])
    """

    _function = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """`functional.adaptive_avg_pool2d` with its arguments."""

    _function = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """`functional.adaptive_avg_pool3d` with its arguments."""

    _function = "adaptive_avg_pool3d"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """`functional.adaptive_max_pool1d` with its arguments.

    >>> nn.AdaptiveMaxPool1d(2)(ad.arange(4.0).view(1, 4))
    tensor([[1., 3.]])
    """

    _function = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """`functional.adaptive_max_pool2d` with its arguments."""

    _function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """`functional.adaptive_max_pool3d` with its arguments."""

    _function = "adaptive_max_pool3d"

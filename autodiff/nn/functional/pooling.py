"""Pooling: the greatest element, the mean or the norm of each window."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.nn.functional.convolution import Ints, ints
from autodiff.nn.functional.integers import averages, is_integer, maxima
from autodiff.nn.functional.pools import cover_of, means_of, pool_of
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.pooling import greatest, windows
from autodiff.ops.reductions import mean
from autodiff.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
]

Sizes = int | None | Sequence[int | None]


def _max_pool(op: str, places: bool, x: Tensor, *given: Any) -> Any:
    pool = pool_of(op, x, *given)
    found = maxima(x, pool) if is_integer(x._p.dtype) else greatest(x, pool.plan)
    return found if places else found[0]


def _avg_pool(op: str, x: Tensor, *given: Any) -> Tensor:
    sums = means_of(op, x, *given)
    if is_integer(x._p.dtype):
        kernel, stride, padding, ceil, padded, divisor = given
        pool = pool_of(op, x, kernel, stride, padding, 1, ceil)
        return averages(x, pool, padded, divisor)
    return windows(x, sums)


def _adaptive_avg(nd: int, x: Tensor, sizes: Any) -> Tensor:
    cover = cover_of(f"adaptive_avg_pool{nd}d", x, sizes)
    return mean(x, range(-nd, 0), True) if cover.whole else windows(x, cover.means)


def _adaptive_max(nd: int, x: Tensor, sizes: Any, places: bool) -> Any:
    found = greatest(x, cover_of(f"adaptive_max_pool{nd}d", x, sizes).plan)
    return found if places else found[0]


def _lp_pool(nd: int, x: Tensor, p: float, kernel: Any, stride: Any, ceil: bool) -> Tensor:
    check_tensors(f"lp_pool{nd}d", input=x)
    size = 1
    for k in ints(f"lp_pool{nd}d", "kernel_size", kernel, nd):
        size *= k
    y = _avg_pool(f"avg_pool{nd}d", x.pow(p), kernel, stride, 0, ceil, True, None)
    root: Tensor = (y.sign() * y.abs().relu() * size).pow(1.0 / p)
    return root


def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The greatest element of each window of `kernel_size` along the last dimension.

    The input is (c, l) or (n, c, l); windows start `stride` apart, kernel_size by default, and
    reach `padding` past both ends; their elements are `dilation` apart. `ceil_mode` keeps a last
    window that leaves the input. With return_indices also the places, int64. Equal elements count
    as their first, nans as the greatest.

    >>> F.max_pool1d(ad.arange(4.0).view(1, 4), 2, return_indices=True)
    (tensor([[1., 3.]]), tensor([[1, 3]]))
    """
    return _max_pool(
        "max_pool1d", return_indices, input, kernel_size, stride, padding, dilation, ceil_mode
    )


def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool1d` over the last two dimensions; places count in row-major order."""
    return _max_pool(
        "max_pool2d", return_indices, input, kernel_size, stride, padding, dilation, ceil_mode
    )


def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool1d` over the last three dimensions; places count in row-major order."""
    return _max_pool(
        "max_pool3d", return_indices, input, kernel_size, stride, padding, dilation, ceil_mode
    )


def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of `kernel_size` along the last dimension.

    Windows lie as in `max_pool1d`. Padding counts as zeros, or with count_include_pad=False not at
    all.

    >>> F.avg_pool1d(ad.arange(4.0).view(1, 4), 2)
    tensor([[0.5000, 2.5000]])
    """
    return _avg_pool(
        "avg_pool1d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )


def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool1d` over the last two dimensions; divisor_override takes the count's place."""
    padded, by = count_include_pad, divisor_override
    return _avg_pool("avg_pool2d", input, kernel_size, stride, padding, ceil_mode, padded, by)


def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool1d` over the last three dimensions; divisor_override takes the count's place."""
    padded, by = count_include_pad, divisor_override
    return _avg_pool("avg_pool3d", input, kernel_size, stride, padding, ceil_mode, padded, by)


def adaptive_avg_pool1d(input: Tensor, output_size: Sizes) -> Tensor:
    """The means of windows that cover the last dimension, `output_size` of them; None: as many as
    there are elements.

    >>> F.adaptive_avg_pool1d(ad.arange(4.0).view(1, 4), 2)
    tensor([[0.5000, 2.5000]])
    """
    return _adaptive_avg(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """`adaptive_avg_pool1d` over the last two dimensions."""
    return _adaptive_avg(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """`adaptive_avg_pool1d` over the last three dimensions."""
    return _adaptive_avg(3, input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The greatest elements of windows that cover the last dimension, `output_size` of them; with
    return_indices also where they are.

    >>> F.adaptive_max_pool1d(ad.arange(4.0).view(1, 4), 2)
    tensor([[1., 3.]])
    """
    return _adaptive_max(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """`adaptive_max_pool1d` over the last two dimensions."""
    return _adaptive_max(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """`adaptive_max_pool1d` over the last three dimensions."""
    return _adaptive_max(3, input, output_size, return_indices)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The sum of the powers `norm_type` of each window's elements, to the power 1 / norm_type.

    >>> F.lp_pool1d(ad.tensor([[3.0, 4.0]]), 2, 2)
    tensor([[5.]])
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool1d` over the last two dimensions."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool1d` over the last three dimensions."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def with_indices(pool: Callable[..., Any]) -> Callable[..., tuple[Tensor, Tensor]]:
    """The form of a pool that gives the places whatever `return_indices` says."""
    name = f"{pool.__name__}_with_indices"
    at = pool.__code__.co_varnames.index("return_indices")

    @functools.wraps(pool)
    def call(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        kwargs.pop("return_indices", None)
        y, places = pool(*args[:at], *args[at + 1 :], **kwargs, return_indices=True)
        return y, places

    call.__name__ = call.__qualname__ = name
    return call


max_pool1d_with_indices = with_indices(max_pool1d)
max_pool2d_with_indices = with_indices(max_pool2d)
max_pool3d_with_indices = with_indices(max_pool3d)
adaptive_max_pool1d_with_indices = with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = with_indices(adaptive_max_pool3d)

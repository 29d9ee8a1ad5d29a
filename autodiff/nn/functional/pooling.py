"""Pooling: the greatest element, the mean or the norm of each window."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.nn.functional.convolution import Ints, ints
from autodiff.nn.functional.integers import averages, maxima
from autodiff.nn.functional.pools import cover_of, pool_of
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.pooling import greatest, summed
from autodiff.ops.reductions import mean
from autodiff.ops.written import member_of
from autodiff.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "avg_pool1d", "avg_pool2d",
    "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool1d_with_indices",
    "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices",
]  # fmt: skip

Sizes = int | None | Sequence[int | None]


def _max_pool(
    op: str,
    nd: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    pool = pool_of(op, input, kernel_size, stride, padding, dilation, ceil_mode)
    if not pool.exact:
        return greatest(input, pool.plan or pool.made(), return_indices)
    found = maxima(input, pool)
    return found if return_indices else found[0]


def _avg_pool(
    op: str,
    nd: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    padded, divisor = count_include_pad, divisor_override
    pool = pool_of(op, input, kernel_size, stride, padding, 1, ceil_mode, padded, divisor)
    return averages(input, pool) if pool.exact else summed(input, pool.sums)


def _adaptive_avg_pool(op: str, nd: int, input: Tensor, output_size: Sizes) -> Tensor:
    cover = cover_of(op, input, output_size)
    return mean(input, range(-nd, 0), True) if cover.whole else summed(input, cover.means)


def _adaptive_max_pool(
    op: str, nd: int, input: Tensor, output_size: Sizes, return_indices: bool = False
) -> Any:
    cover = cover_of(op, input, output_size)
    return greatest(input, cover.plan or cover.made(), return_indices)


def _lp_pool(
    op: str,
    nd: int,
    input: Tensor,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    check_tensors(op, input=input)
    if math.isinf(norm_type):
        sign = math.copysign(1.0, norm_type)
        far: Tensor = _max_pool(op, nd, input.abs() * sign, kernel_size, stride, 0, 1, ceil_mode)
        return far * sign
    size = math.prod(ints(op, "kernel_size", kernel_size, nd))
    y = _avg_pool(f"avg_pool{nd}d", nd, input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    root: Tensor = (y.sign() * y.abs().relu() * size).pow(1.0 / norm_type)
    return root


@member_of(_max_pool)
def max_pool1d() -> None:
    """The largest element of each window of `kernel_size` along the last dimension.

    The input is (c, l) or (n, c, l); windows start `stride` apart, kernel_size by default, and
    reach `padding` past both ends; their elements are `dilation` apart. `ceil_mode` keeps a last
    window that leaves the input. With return_indices also the places, int64. Equal elements count
    as their first, nans as the greatest.

    >>> F.max_pool1d(ad.arange(4.0).view(1, 4), 2, return_indices=True)
    (tensor([[1., 3.]]), tensor([[1, 3]]))
    """


@member_of(_max_pool)
def max_pool2d() -> None:
    """`max_pool1d` over the last two dimensions; places count in row-major order."""


@member_of(_max_pool)
def max_pool3d() -> None:
    """`max_pool1d` over the last three dimensions; places count in row-major order."""


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
    padded = count_include_pad
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, padded)


@member_of(_avg_pool)
def avg_pool2d() -> None:
    """`avg_pool1d` over the last two dimensions; divisor_override takes the count's place."""


@member_of(_avg_pool)
def avg_pool3d() -> None:
    """`avg_pool1d` over the last three dimensions; divisor_override takes the count's place."""


@member_of(_adaptive_avg_pool)
def adaptive_avg_pool1d() -> None:
    """The means of windows that cover the last dimension, `output_size` of them; None: as many as
    there are elements.

    >>> F.adaptive_avg_pool1d(ad.arange(4.0).view(1, 4), 2)
    tensor([[0.5000, 2.5000]])
    """


@member_of(_adaptive_avg_pool)
def adaptive_avg_pool2d() -> None:
    """`adaptive_avg_pool1d` over the last two dimensions."""


@member_of(_adaptive_avg_pool)
def adaptive_avg_pool3d() -> None:
    """`adaptive_avg_pool1d` over the last three dimensions."""


@member_of(_adaptive_max_pool)
def adaptive_max_pool1d() -> None:
    """The largest elements of windows that cover the last dimension, `output_size` of them; with
    return_indices also where they are.

    >>> F.adaptive_max_pool1d(ad.arange(4.0).view(1, 4), 2)
    tensor([[1., 3.]])
    """


@member_of(_adaptive_max_pool)
def adaptive_max_pool2d() -> None:
    """`adaptive_max_pool1d` over the last two dimensions."""


@member_of(_adaptive_max_pool)
def adaptive_max_pool3d() -> None:
    """`adaptive_max_pool1d` over the last three dimensions."""


@member_of(_lp_pool)
def lp_pool1d() -> None:
    """The sum of the powers `norm_type` of each window's elements, to the power 1 / norm_type.

    >>> F.lp_pool1d(ad.tensor([[3.0, 4.0]]), 2, 2)
    tensor([[5.]])
    """


@member_of(_lp_pool)
def lp_pool2d() -> None:
    """`lp_pool1d` over the last two dimensions."""


@member_of(_lp_pool)
def lp_pool3d() -> None:
    """`lp_pool1d` over the last three dimensions."""


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

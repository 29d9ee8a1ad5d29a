"""Convolutions and pools of integers, which the kernels of floats do not take: exact, by views of
the windows. Nothing is differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autodiff import dtypes
from autodiff.ops.arithmetic import div
from autodiff.ops.contraction import matmul
from autodiff.ops.convolution import Geometry
from autodiff.ops.create import arange
from autodiff.ops.padding import padded as pad
from autodiff.tensor import Tensor

if TYPE_CHECKING:
    from autodiff.nn.functional.pools import Pool

_LEAST = -(2**63)


def is_integer(dtype: int) -> bool:
    """Whether a dtype's code is that of integers, which bools are not."""
    return dtypes.bool.code < dtype < dtypes.FIRST_FLOAT


def _windows(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    before: Sequence[int],
    apart: Sequence[int],
    result: Sequence[int],
    value: int = 0,
) -> Tensor:
    """(..., *result, kernel's elements) of images (..., *sizes), around which `value` is."""
    nd, lead = len(kernel), x.ndim - len(kernel)
    reach = [d * (k - 1) + 1 for d, k in zip(apart, kernel, strict=True)]
    around: list[int] = []
    for d in reversed(range(nd)):
        last = (result[d] - 1) * stride[d] + reach[d]
        around += [before[d], max(0, last - x.shape[lead + d] - before[d])]
    y = pad(x, tuple(around), "constant", value)
    for d in range(nd):
        y = y.unfold(lead + d, reach[d], stride[d]).narrow(lead + d, 0, result[d])[..., :: apart[d]]
    return y.flatten(-nd)


def convolved(x: Tensor, w: Tensor, bias: Tensor | None, g: Geometry) -> Tensor:
    """The convolution of images (n, c, *sizes) with weights, wrapping as integers do."""
    nd, n, groups = len(g.kernel), x.shape[0], g.groups
    stride, before, apart = (g.steps[i * nd : (i + 1) * nd] for i in range(3))
    taps = _windows(x, g.kernel, stride, before, apart, g.result)
    count, points, size = w.shape[1], math.prod(g.result), math.prod(g.kernel)
    rows = taps.reshape(n, groups, count, points, size).transpose(2, 3).flatten(3)
    y = matmul(w.reshape(groups, w.shape[0] // groups, count * size), rows.transpose(2, 3))
    y = y.reshape(n, w.shape[0], *g.result)
    return y if bias is None else y + bias.reshape(-1, *[1] * nd)


def transposed(y: Tensor, w: Tensor, bias: Tensor | None, g: Geometry) -> Tensor:
    """The transposed convolution: one of y with zeros between, by the taps in reverse order."""
    nd, groups = len(g.kernel), g.groups
    stride, before, apart = (g.steps[i * nd : (i + 1) * nd] for i in range(3))
    sizes = [(n - 1) * s + 1 for n, s in zip(g.result, stride, strict=True)]
    x = y.new_zeros([*y.shape[:2], *sizes])
    between = (..., *(slice(None, None, s) for s in stride))
    x[between] = y
    taps = w.reshape(groups, -1, *w.shape[1:]).transpose(1, 2).flip(*range(3, nd + 3)).flatten(0, 1)
    around = [d * (k - 1) - p for d, k, p in zip(apart, g.kernel, before, strict=True)]
    return convolved(
        x, taps, bias, Geometry([1] * nd, around, apart, groups, sizes, g.kernel, g.image)
    )


def _of(pool: Pool, x: Tensor, value: int = 0) -> Tensor:
    return _windows(x, pool.kernel, pool.stride, pool.padding, pool.dilation, pool.result, value)


def maxima(x: Tensor, pool: Pool) -> Any:
    """The greatest element of each window, and where it is in the image."""
    values, at = _of(pool, x.long(), _LEAST).max(-1)
    places: Any = 0
    for d, size in enumerate(pool.image):
        tap = at // math.prod(pool.kernel[d + 1 :]) % pool.kernel[d]
        first = arange(pool.result[d]) * pool.stride[d] - pool.padding[d]
        first = first.reshape(-1, *[1] * (len(pool.image) - d - 1))
        places = places * size + first + tap * pool.dilation[d]
    return values.to(x.dtype), places


def averages(x: Tensor, pool: Pool) -> Tensor:
    """The mean of each window, rounded towards 0."""
    total = _of(pool, x).sum(-1)
    if pool.divisor is not None:
        return div(total, pool.divisor, rounding_mode="trunc")
    ones, before = x.new_ones(pool.image), pool.padding
    if pool.padded:
        ones = x.new_ones([n + 2 * p for n, p in zip(pool.image, before, strict=True)])
        before = (0,) * len(before)
    counts = _windows(ones, pool.kernel, pool.stride, before, pool.dilation, pool.result).sum(-1)
    return div(total, counts, rounding_mode="trunc")

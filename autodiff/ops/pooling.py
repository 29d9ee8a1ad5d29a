"""Pooling: the greatest elements of windows, and their sums, as convolutions with ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autodiff.native import lib
from autodiff.ops.convolution import Geometry, convolve
from autodiff.ops.create import full
from autodiff.ops.gather import gather
from autodiff.ops.views import reshape
from autodiff.tensor import Tensor, own

__all__ = ["Windows", "greatest", "sums"]

Windows = Sequence[tuple[int, int]]  # where each starts and ends


def greatest(
    x: Tensor, windows: Sequence[Windows], dilation: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The greatest element of each window over the last dimensions of x, and where it is in them.

    The place is that in row-major order: of the first of equal elements, or the last nan.
    """
    plan = [len(windows), *dilation, *map(len, windows)]
    for each in windows:
        plan += [start for start, _ in each] + [end for _, end in each]
    places = own(lib.ad_max_pool(x._p, len(plan), plan), "max_pool", x._p)
    lead = x.shape[: x.ndim - len(windows)]
    values = gather(_flat(x, lead), len(lead), _flat(places, lead))
    return reshape(values, places.shape), places


def _flat(x: Tensor, lead: Sequence[int]) -> Tensor:
    return reshape(x, [*lead, math.prod(x.shape[len(lead) :])])


def sums(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    result: Sequence[int],
) -> Tensor:
    """The sums over windows of the last dimensions of x, of these sizes, zeros around x."""
    nd = len(kernel)
    lead, image = x.shape[: x.ndim - nd], x.shape[x.ndim - nd :]
    ones = full([1, 1, *kernel], 1.0, dtype=x.dtype)
    geometry = Geometry(stride, padding, (1,) * nd, 1, image, kernel, result)
    y = convolve(reshape(x, [math.prod(lead), 1, *image]), ones, None, geometry)
    return reshape(y, [*lead, *result])

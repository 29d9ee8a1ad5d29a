"""Inverses of max pooling: elements put back where they were found, among zeros."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff.dtypes import int64
from autodiff.nn.functional.convolution import Ints, ints
from autodiff.nn.functional.pools import MOST
from autodiff.nn.functional.reduction import check_floating, check_tensors
from autodiff.ops.base import called
from autodiff.ops.create import zeros
from autodiff.ops.scatter import scatter
from autodiff.ops.views import reshape
from autodiff.ops.written import member_of
from autodiff.tensor import Tensor

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]


def _sizes(image: Sequence[int], numbers: Sequence[Sequence[int]], wanted: Any) -> list[int]:
    """The sizes of the result: wanted ones must be less than a stride from the usual ones."""
    kernel, stride, padding = numbers
    each = zip(image, kernel, stride, padding, strict=True)
    usual = [(n - 1) * s + k - 2 * p for n, k, s, p in each]
    if wanted is None:
        return usual
    nd, given = len(usual), list(wanted)
    given = given[2:] if len(given) == nd + 2 else given
    if len(given) != nd:
        raise ValueError(
            f"output_size should be a sequence containing {nd} or {nd + 2} elements, but it has a "
            f"length of '{len(given)}'"
        )
    for d, (n, m, s) in enumerate(zip(given, usual, stride, strict=True)):
        if type(n) is not int:
            raise TypeError(f"output_size must be tuple of ints, not {type(n).__name__}")
        if not m - s < n < m + s:
            raise ValueError(
                f'invalid output_size "{tuple(given)}" (dim {d} must be between {m - s} and '
                f"{m + s})"
            )
    return given


def _check(op: str, nd: int, x: Tensor, indices: Tensor) -> None:
    """RuntimeError where these are not what a pool over nd dimensions gives."""
    check_tensors(op, input=x, indices=indices)
    if indices.dtype is not int64:
        name = indices.dtype.title
        raise RuntimeError(f"elements in indices should be type int64 but got: {name}")
    if x.ndim not in (nd + 1, nd + 2):
        raise RuntimeError(
            f"Input to {op} should be a {nd + 1}d or {nd + 2}d Tensor, but got a tensor with "
            f"{x.ndim} dimensions."
        )
    if x.shape != indices.shape:
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({list(x.shape)}) but got indices tensor with shape: {list(indices.shape)}"
        )
    if 0 in x.shape[-nd - 1 :]:
        raise RuntimeError(
            f"{op}: Expected input to have non-zero size for non-batch dimensions, but got "
            f"{list(x.shape)}"
        )
    check_floating(op, x)


def _max_unpool(
    op: str,
    nd: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    _check(op, nd, input, indices)
    given = kernel_size if stride is None or stride == [] or stride == () else stride
    names = {"kernel_size": kernel_size, "stride": given, "padding": padding}
    numbers = [ints(op, name, value, nd) for name, value in names.items()]
    if min(numbers[1]) < 1:
        raise ValueError(f"strides should be greater than zero, but got stride: {numbers[1]}")
    image, lead = input.shape[-nd:], input.shape[:-nd]
    sizes = _sizes(image, numbers, output_size)
    if min(sizes) < 1 or math.prod(sizes) > MOST**2:
        raise RuntimeError(f"{op}: the result cannot be of size {sizes}")
    flat = zeros(*lead, math.prod(sizes), dtype=input.dtype)
    count = [*lead, math.prod(image)]
    try:
        y = scatter(flat, len(lead), reshape(indices, count), reshape(input, count))
    except RuntimeError:
        low, high = (int(v.item()) for v in (indices.min(), indices.max()))
        volume = "x".join(map(str, [*sizes, 1][: max(nd, 2)]))
        if low >= 0 and high < math.prod(sizes):
            raise
        bad = low if low < 0 else high
        raise RuntimeError(
            f"Found an invalid max index: {bad} (output volumes are of size {volume})"
        ) from None
    return reshape(y, [*lead, *sizes])


@called("SqueezeBackward1")
@member_of(_max_unpool)
def max_unpool1d() -> None:
    """The elements that `max_pool1d` found put back at the places it tells, among zeros.

    `output_size` chooses among the sizes that pooling makes alike. RuntimeError where an index is
    outside.

    >>> found = F.max_pool1d(ad.tensor([[1.0, 4.0, 3.0, 2.0]]), 2, return_indices=True)
    >>> F.max_unpool1d(*found, 2)
    tensor([[0., 4., 3., 0.]])
    """


@called("MaxUnpool2DBackward0")
@member_of(_max_unpool)
def max_unpool2d() -> None:
    """`max_unpool1d` over the last two dimensions."""


@called("MaxUnpool3DBackward0")
@member_of(_max_unpool)
def max_unpool3d() -> None:
    """`max_unpool1d` over the last three dimensions."""

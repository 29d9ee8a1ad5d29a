"""Elements several times over."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.descriptor import fresh
from autodiff.native import describe, ffi, lib, take_failure
from autodiff.ops.base import Op
from autodiff.ops.create import full
from autodiff.ops.reductions import sum as total_of
from autodiff.ops.slices import index_select
from autodiff.ops.views import _view, expand, reshape
from autodiff.shapes import MAX_DIMS, Size, dim_index, sizes_of
from autodiff.tensor import Tensor, own, wrap


def _repeated(p: Any, sizes: Sequence[int]) -> Any:
    """A copy of a view in which repetitions are dimensions of no stride."""
    lead = len(sizes) - p.ndim
    shape = [1] * lead + ffi.unpack(p.shape, p.ndim)
    strides = [1] * lead + ffi.unpack(p.strides, p.ndim)
    spread = []
    for times, n, stride in zip(sizes, shape, strides, strict=True):
        if times != 1:
            spread.append((times, 0))
        if n != 1:
            spread.append((n, stride))
    if len(spread) > MAX_DIMS:  # one dimension after the other
        for d, times in enumerate(sizes):
            if times != 1:
                rows = [math.prod(shape[:d]), 1, shape[d], math.prod(shape[d + 1 :])]
                flat = reshape(wrap(p), rows)._p
                p = fresh(_repeated(flat, [1, times, 1, 1]), "repeat", p)
                shape[d] *= times
        return lib.ad_view(p, len(shape), shape)
    dims, steps = [n for n, _ in spread], [step for _, step in spread]
    view = fresh(lib.ad_as_strided(p, len(dims), dims, steps, lib.ad_offset(p)), "repeat", p)
    copy = fresh(lib.ad_contiguous(view, p.dtype), "repeat", p)
    whole = [times * n for times, n in zip(sizes, shape, strict=True)]
    return lib.ad_view(copy, len(whole), whole)


def _repeat_rule(node: Any, g: Tensor) -> tuple[Tensor]:
    (sizes,) = node.args
    if not g._p.numel:
        return (g.new_zeros(node.shape),)
    for d in range(len(sizes) - 1, -1, -1):
        times = sizes[d]
        if times != 1:  # one after the other: there may be no room for more dimensions
            shape = g.shape
            lead, n, rest = shape[:d].numel(), shape[d] // times, shape[d + 1 :].numel()
            folded = total_of(reshape(g, [lead, times, n, rest]), 1)
            g = reshape(folded, [*shape[:d], n, *shape[d + 1 :]])
    return (g if g.shape == node.shape else reshape(g, node.shape),)


_repeat: Op = Op("repeat", _repeated, _repeat_rule)


def repeat(x: Tensor, *times: Any, repeats: Any = None) -> Tensor:
    """A copy that has the tensor so many times along each dimension; more may lead.

    >>> ad.tensor([1, 2]).repeat(2, 2).tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    sizes = sizes_of(times, "repeat", repeats)
    if len(sizes) < x.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor: got {sizes} for {x.ndim} dimensions"
        )
    if any(size >= 2**63 for size in sizes):
        raise TypeError(f"repeat(): an integer does not fit 64 bits: {sizes}")
    if Size(sizes).numel() * x._p.numel >= 2**60:
        raise RuntimeError(f"Storage size calculation overflowed with repeats {sizes}")
    if any(size < 0 for size in sizes):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats are {sizes}")
    return _repeat(x, sizes)


def tile(input: Tensor, *times: Any, dims: Any = None) -> Tensor:
    """`repeat`, where leading dimensions that are not named are repeated once.

    >>> ad.tensor([1, 2]).tile(2)
    tensor([1, 2, 1, 2])
    """
    sizes = sizes_of(times, "tile", dims)
    return repeat(input, [1] * (input.ndim - len(sizes)) + sizes)


def _spread(repeats: Tensor, output_size: int | None) -> Tensor:
    """The index of what is repeated, for each element of the result."""
    if repeats.dtype not in (dtypes.int32, dtypes.int64):
        raise NotImplementedError(f"repeats has to be Long or Int tensor, got {repeats.dtype!r}")
    if repeats.ndim != 1:
        raise RuntimeError(
            f"repeat_interleave only accept 1D vector as repeat, got {repeats.ndim} dimensions"
        )
    p = lib.ad_repeat_counts(repeats._p)
    if not p:
        failure = take_failure()
        if failure[0] == lib.AD_BAD_ARG:
            raise RuntimeError("repeats can not be negative")
        raise describe(failure, "repeat_interleave", repeats._p)
    places = own(p, "repeat_interleave")
    total = places._p.numel
    if output_size is not None and output_size != total:
        raise RuntimeError(
            f"allocated size does not match required size: output_size={output_size}, repeats add "
            f"up to {total}"
        )
    return places


# Each slice of a dimension so many times, in a dimension of its own.
_repeat_each = Op("repeat_interleave", lib.ad_repeat_each,
        lambda node, g: (total_of(g, node.args[0] + 1),), grad_name="CloneBackward0")  # fmt: skip


def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (of the dimension, else of all as one vector) so many times in a row.

    `repeats` is an int, or an int tensor with a number for each. Without repeats, `input` is the
    numbers, and the result is the index of what is repeated.

    >>> ad.tensor([1, 2]).repeat_interleave(ad.tensor([1, 3])).tolist()
    [1, 2, 2, 2]
    """
    if repeats is None:
        if dim is not None:
            raise TypeError("repeat_interleave(): repeats must be int or Tensor, not NoneType")
        return _spread(input, output_size)
    if dim is None:
        x, d = reshape(input, -1), 0
    else:
        d = dim_index(dim, input.ndim)
        x = input if input.ndim else reshape(input, 1)
    size = x._p.shape[d]
    if not isinstance(repeats, Tensor):
        times = operator.index(repeats)
        if times < 0:
            raise RuntimeError(f"Repeats must be non-negative, got {times}")
        if times * max(x._p.numel, 1) >= 2**60:
            raise RuntimeError(f"Storage size calculation overflowed with {times} repeats")
        if x.ndim < MAX_DIMS:
            shape = x.shape
            whole = (*shape[:d], shape[d] * times, *shape[d + 1 :])
            return _view.call(_repeat_each.call(x, d, times), whole)
        repeats = full([1], times)
    counts = reshape(repeats, 1) if repeats.ndim == 0 else repeats
    if counts.ndim == 1 and counts.shape[0] == 1:
        counts = expand(counts, size)
    if counts.ndim == 1 and counts.shape[0] != size:
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{counts.shape[0]} and input.size({d}) = {size}"
        )
    return index_select(x, d, _spread(counts, output_size))

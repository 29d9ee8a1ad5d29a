"""Reductions of consecutive parts of a dimension."""

from __future__ import annotations

import math
from typing import Any

from autodiff.dtypes import int32, int64
from autodiff.ops.base import called
from autodiff.ops.create import arange, full
from autodiff.ops.derived import diff
from autodiff.ops.embedded import index_reduce
from autodiff.ops.repetition import repeat_interleave
from autodiff.ops.slices import index_add
from autodiff.tensor import Tensor

_STARTS = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "amax": -math.inf, "amin": math.inf}
_KINDS = {"max": "amax", "min": "amin"}


def _sizes(data: Tensor, lengths: Tensor | None, offsets: Tensor | None, axis: int) -> Tensor:
    """The lengths of the parts, which must fill the dimension."""
    given = offsets if lengths is None else lengths
    if given is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if given.dtype not in (int32, int64):
        kind = given.dtype.title
        raise NotImplementedError(f"segment_reduce(): lengths of {kind}: they must be integers")
    if given.ndim != axis + 1 or given.shape[:-1] != data.shape[:axis] or data.ndim <= axis:
        raise RuntimeError(
            f"segment_reduce(): lengths or offsets of shape {list(given.shape)} do not fit data of "
            f"shape {list(data.shape)} and axis {axis}"
        )
    sizes = diff(given) if lengths is None else given
    if bool((sizes < 0).any()):
        raise RuntimeError("lengths contains negative value!")
    if bool((sizes.sum(-1) != data.shape[axis]).any()):
        raise RuntimeError(
            "segment_reduce(): Expected all rows of lengths along axis to sum to "
            f"data.size(lengths.dim()-1) = {data.shape[axis]}: {sizes.sum(-1).tolist()}"
        )
    return sizes


@called("SegmentReduceBackward0")
def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: Any = None,
) -> Tensor:
    """The "sum", "mean", "prod", "max" or "min" of each part of a dimension.

    The parts have `lengths`, or begin and end at `offsets`; either has a dimension more than stand
    before `axis`, with which it shares its sizes. `initial` joins each reduction; without it an
    empty part gives 0, nan, 1, -inf or inf. RuntimeError where lengths are negative or do not sum
    to the dimension's size, which `unsafe` does not change.

    >>> ad.segment_reduce(ad.tensor([1.0, 2.0, 5.0]), "sum", lengths=ad.tensor([2, 1]))
    tensor([3., 5.])
    """
    reduce = _KINDS.get(reduce, reduce)
    if reduce not in _STARTS:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    if not data.is_floating_point():
        raise NotImplementedError(f'"segment_reduce" not implemented for {data.dtype.title!r}')
    sizes = _sizes(data, lengths, offsets, axis)
    x, counts = data.flatten(0, axis), sizes.flatten()
    shape = counts.shape[0], *x.shape[1:]
    y = full(shape, _STARTS[reduce] if initial is None else float(initial), dtype=data.dtype)
    index = repeat_interleave(arange(counts.shape[0]), counts)
    if reduce in ("sum", "mean"):
        y = index_add(y, 0, index, x)
    else:
        y = index_reduce(y, 0, index, x, reduce)
    if reduce == "mean":
        least = int(initial is not None)  # then an empty part is what it began as
        y = y / counts.clamp(min=least).reshape(-1, *[1] * (x.ndim - 1)).to(y.dtype)
    return y.reshape(*sizes.shape, *x.shape[1:])

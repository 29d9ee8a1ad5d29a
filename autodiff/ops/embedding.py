"""Rows of a table by number, alone or reduced in bags."""

from __future__ import annotations

import functools
from typing import Any

from autodiff import dtypes
from autodiff.expr import build, inputs
from autodiff.grad_mode import no_grad
from autodiff.native import NULL, lib, refusal, refuse_any, take_failure
from autodiff.ops import arithmetic
from autodiff.ops.base import Op, OpNode
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import arange, full
from autodiff.ops.declare import where
from autodiff.ops.gather import Indices, _get_forward, _scatter, index_along
from autodiff.ops.numbers import operand
from autodiff.ops.placing import index_copy_
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.scan import cumsum
from autodiff.ops.scatter import scatter_reduce
from autodiff.ops.slices import index_add_, tally
from autodiff.ops.views import _slice, expand, reshape, unsqueeze
from autodiff.tensor import Tensor, wrap

_END = 2**62


def _rows_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    indices, weight = node.args
    scaled = g if weight is None else g * unsqueeze(weight, -1)
    return (_scatter(scaled, indices, node.shape),)


# The rows that an index names; the cotangent of each is multiplied by a number of its own.
_rows: Op = Op("embedding", lambda p, indices, _: _get_forward(p, indices), _rows_rule)


_a, _b = inputs(2)
_beyond = PointwiseOp("bags_end", where(build("gt", _a, _b), _a, 0), 2)
_mean = PointwiseOp("bag_mean", _a / build("maximum", _b, 1), 2, "DivBackward0")
_row = PointwiseOp("row_number", where(build("lt", _a, 0), _b, _a), 2)


def _positions(name: str, input: Tensor, weight: Tensor) -> Tensor:
    """The numbers of rows as int64, those that are negative past the end."""
    if input.dtype not in (dtypes.int32, dtypes.int64):
        raise _no_numbers(name, input)
    if weight.ndim != 2:
        raise RuntimeError(f"{name}(): 'weight' must be 2-D, got {weight.ndim}-D")
    size = weight._p.shape[0]  # where the rows are read, no number may be of it
    return to_dtype(_row.call(input, operand(size)), dtypes.int64)


def _no_numbers(name: str, x: Tensor) -> Exception:
    bits = x.dtype is dtypes.bool and name == "embedding_bag"
    refused = NotImplementedError if bits else RuntimeError  # as PyTorch's
    return refused(
        "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
        f"Long, Int; but got torch.{x.dtype.title}Tensor instead (while checking "
        f"arguments for {name})"
    )


def _row_number(padding_idx: int, weight: Tensor) -> int | None:
    if weight._p.ndim != 2:
        return None  # which is refused
    n = weight.shape[0]
    if not -n <= padding_idx < n:
        raise AssertionError(f"Padding_idx must be within num_embeddings: {padding_idx} of {n}")
    return padding_idx % n


def _renormed(weight: Tensor, flat: Tensor, max_norm: float, norm_type: float) -> None:
    """Rows that are used and longer than max_norm are made as long, in place."""
    with no_grad():
        rows = weight[flat]
        if norm_type == float("inf"):
            norms = rows.abs().amax(1)
        else:
            norms = (rows.abs() ** norm_type).sum(1) ** (1 / norm_type)
        factor = arithmetic.where(norms > max_norm, max_norm / (norms + 1e-7), full((), 1.0))
        index_copy_(weight, 0, flat, rows * unsqueeze(to_dtype(factor, weight.dtype), 1))


def rows_of(
    name: str,
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None,
    max_norm: float | None,
    norm_type: float,
    by_frequency: bool,
) -> Tensor:
    """The rows of weight that input names, in its shape. IndexError where one is not there."""
    padding = None if padding_idx is None else _row_number(padding_idx, weight)
    if max_norm is None and not by_frequency:
        y = lib.ad_lookup(weight._p, input._p)
        if y:
            if weight._node is None and weight._base is None:
                return _rows.result(weight, y, (None, None))
            scale = None if padding is None else to_dtype(input != padding, weight.dtype)
            return _rows.result(weight, y, (Indices([input]), scale))
        take_failure()  # which is worded below, or there is none
    places = _positions(name, input, weight)
    try:
        if max_norm is not None:
            _renormed(weight, reshape(places, -1), max_norm, norm_type)
        scale = None
        if by_frequency:
            flat = reshape(places, -1)
            scale = 1 / tally(flat, weight.shape[0], weight.dtype)[places]
        if padding is not None:
            seen = to_dtype(places != padding, weight.dtype)
            scale = seen if scale is None else scale * seen
        return _rows(weight, Indices([places]), scale)
    except IndexError as failure:
        kind = IndexError if name == "embedding" else RuntimeError  # as PyTorch has it
        raise kind(
            f"index out of range in self: {name} of size {list(weight.shape)} with numbers "
            f"from {input.min().item()} to {input.max().item()}"
        ) from failure


def bags_of(input: Tensor, offsets: Any, include_last_offset: bool) -> tuple[Tensor, int]:
    """The bag of each number, and how many bags there are: with the last offset, one more, of what
    is past it.
    """
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        return _bags_of_rows(*input.shape), input.shape[0]
    if input.ndim != 1:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}"
        )
    if not isinstance(offsets, Tensor):
        raise ValueError(f"offsets has to be a 1D Tensor but got {type(offsets).__name__}")
    if offsets.ndim != 1:
        raise ValueError(f"offsets has to be a 1D Tensor, got {offsets.ndim} dimensions")
    if offsets.is_floating_point():
        raise _no_numbers("embedding_bag", offsets)
    if include_last_offset and not offsets.shape[0]:
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    starts, count = offsets.to(dtypes.int64), input.shape[0]
    first, last, negative = _refusals(count)
    refuse_any(_slice(starts, 0, 0, 1, 1)._p, *first)
    refuse_any(_beyond.call(_slice(starts, 0, -1, _END, 1), operand(count))._p, *last)
    refuse_any(starts.clamp(max=0)._p, *negative)
    return _bags_from(starts, count), starts.shape[0]


def _bags_of_rows(n: int, length: int) -> Tensor:
    return reshape(expand(unsqueeze(arange(n), 1), n, length), -1)


def _bags_from(starts: Tensor, count: int) -> Tensor:
    """The bag of each of so many numbers."""
    return cumsum(_slice(tally(starts, count + 1), 0, 0, count, 1), 0) - 1


@functools.lru_cache
def _refusals(count: int) -> tuple[tuple[type[Exception], str], ...]:
    """What is said of offsets that are none of so many numbers."""
    return (
        (
            RuntimeError,
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            "position 0. However, got {n}",
        ),
        (RuntimeError, f"offsets[-1] can not be greater than input's length: got {{n}} of {count}"),
        (IndexError, "embedding_bag: offset {n} is negative"),
    )


def _bags_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    """What was added to a bag gets its cotangent; of means, a share."""
    indices, mean = node.args
    index, *starts = map(wrap, indices.checked())
    bags = _bags_from(starts[0], index._p.numel) if starts else _bags_of_rows(*index.shape)
    if mean:
        g = _mean.call(g, unsqueeze(tally(bags, g.shape[0], g.dtype), 1))
    return (_scatter(index_along(g, 0, bags), Indices([reshape(index, -1)]), node.shape),)


_bags: Op = Op("embedding_bag", lib.ad_bags, _bags_rule)


def sums_of_bags(weight: Tensor, index: Tensor, starts: Tensor | None, mean: bool) -> Tensor | None:
    """The sums or means of bags of plain rows; None of what is not at hand, or is refused."""
    given, p = [index] if starts is None else [index, starts], NULL
    reasons = [0] * 3
    if starts is not None:
        p, reasons = starts._p, [refusal(*each) for each in _refusals(index._p.numel)]
    y = lib.ad_bags(weight._p, index._p, p, mean, reasons)
    if y:
        kept = weight._node is not None or weight._base is not None
        return _bags.result(weight, y, (Indices(given) if kept else None, mean))
    take_failure()  # it is worded where bags are made of rows
    return None


def reduce_bags(rows: Tensor, bags: Tensor, n: int, mode: str, kept: Tensor | None) -> Tensor:
    """The sum, mean or largest of the rows of each bag, of those that are kept; zeros of none."""
    nothing = rows.new_zeros(n, rows.shape[1])
    if mode == "max":
        if kept is not None:
            rows = rows.masked_fill(unsqueeze(kept == 0, 1), float("-inf"))
        index = expand(unsqueeze(bags, 1), rows.shape)
        y = scatter_reduce(nothing, 0, index, rows, "amax", include_self=False)
        return y if kept is None else y.masked_fill(y == float("-inf"), 0)
    if kept is not None:
        rows = rows * unsqueeze(kept, 1)
    total = index_add_(nothing, 0, bags, rows)
    if mode == "sum":
        return total
    if kept is None:
        counts = tally(bags, n, rows.dtype)
    else:
        counts = index_add_(rows.new_zeros(n), 0, bags, kept)
    return _mean.call(total, unsqueeze(counts, 1))

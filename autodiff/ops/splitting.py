"""Tensors in pieces along a dimension: views."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.ops.base import Op
from autodiff.ops.views import _select, _slice
from autodiff.shapes import dim_index, sizes_of
from autodiff.tensor import Tensor

_unbound = _select.named("UnbindBackward0")
_unbound.numbered = 1
_split, _split_with_sizes = map(_slice.named, ("SplitBackward0", "SplitWithSizesBackward0"))


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, which is dropped: views. IndexError of a 0-d tensor.

    >>> ad.tensor([[1, 2], [3, 4]]).unbind()
    (tensor([1, 2]), tensor([3, 4]))
    """
    p = input._p
    if p.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    d = dim_index(dim, p.ndim)
    return _unbound.each(input, [(d, i) for i in range(p.shape[d])])


def _along(name: str, x: Tensor, dim: int) -> int:
    n = x._p.ndim
    d = dim_index(dim, n)
    if not n:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")
    return d


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor in pieces of one size (the last may be smaller) or of the given sizes: views.

    RuntimeError where the sizes do not sum to the dimension's.

    >>> ad.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    d = _along("split", tensor, dim)
    size = tensor._p.shape[d]
    step = dtypes.plain(split_size_or_sections)
    if isinstance(step, Tensor) and not step.ndim:
        step = operator.index(step)
    if isinstance(step, int):
        if step < 0 or (step == 0 and size > 0):
            raise RuntimeError(f"split expects split_size be positive, but got split_size={step}")
        return _evenly(tensor, d, size, step)
    return _sections(tensor, d, size, list(split_size_or_sections))


def _sections(x: Tensor, d: int, size: int, sections: list[int]) -> tuple[Tensor, ...]:
    """Pieces of these sizes. RuntimeError where they do not make up the dimension's."""
    if sum(sections) != size or min(sections, default=0) < 0:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's "
            f"size at dimension {d}), but got split_sizes={sections}"
        )
    return _pieces(_split_with_sizes, x, d, sections)


def _evenly(x: Tensor, d: int, size: int, step: int) -> tuple[Tensor, ...]:
    """Pieces of this size, the last of what is left; one of nothing."""
    step = min(step, size) or 1
    return _split.each(x, [(d, i, i + step, 1) for i in range(0, size or 1, step)])


def _pieces(cut: Op, x: Tensor, d: int, sections: Sequence[int]) -> tuple[Tensor, ...]:
    calls, start = [], 0
    for length in sections:
        calls.append((d, start, start + length, 1))
        start += length
    return cut.each(x, calls)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor in at most `chunks` pieces of equal size, the last may be smaller: views.

    >>> ad.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    chunks = operator.index(chunks)
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = _along("chunk", input, dim)
    size = input._p.shape[d]
    if size == 0:
        return _pieces(_split_with_sizes, input, d, [0] * chunks)
    step = -(-size // chunks)
    return _evenly(input, d, size, step)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor in pieces of the given sizes along a dimension, as views.

    >>> ad.arange(3).split_with_sizes([1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    sections, d = sizes_of((split_sizes,), "split_with_sizes"), _along("split", input, dim)
    return _sections(input, d, input._p.shape[d], sections)


_PIECES = 2**24  # which take a few seconds to make


def _bounds(indices_or_sections: Any, size: int) -> list[int]:
    """Where the pieces of tensor_split end."""
    if type(indices_or_sections) is not int and isinstance(indices_or_sections, Tensor):
        if indices_or_sections.dtype is not dtypes.int64 or indices_or_sections.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional tensor of int64, but got {indices_or_sections.ndim} dims of "
                f"{indices_or_sections.dtype!r}"
            )
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, (tuple, list)):
        return [*map(operator.index, indices_or_sections), size]
    sections = operator.index(indices_or_sections)
    if sections <= 0:
        raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
    if sections > _PIECES:
        raise ValueError(f"tensor_split(): {sections} pieces are more than {_PIECES}")
    small, larger = divmod(size, sections)
    return [small * (k + 1) + min(k + 1, larger) for k in range(sections)]


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor in so many pieces of nearly equal size, or cut at the given indices. Views.

    >>> [piece.tolist() for piece in ad.arange(5).tensor_split(3)]
    [[0, 1], [2, 3], [4]]
    """
    p = input._p
    if p.ndim == 0:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    d = dim_index(dim, p.ndim)
    ends = _bounds(indices_or_sections, p.shape[d])
    return _slice.each(input, [(d, a, b, 1) for a, b in zip([0, *ends], ends, strict=False)])


def _split_along(name: str, x: Tensor, sections: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    if x._p.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension"
            f"{'s' * (least > 1)}, but got a tensor with {x.ndim} dimensions!"
        )
    if isinstance(sections, int) and (sections <= 0 or x._p.shape[dim] % sections):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{x.shape[dim]} is not divisible by the split_size {sections}!"
        )
    return tensor_split(x, sections, dim)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """The tensor in equal pieces, or cut at indices, by columns (of a vector, by elements).

    >>> ad.tensor([[1, 2], [3, 4]]).hsplit(2)
    (tensor([[1],
            [3]]), tensor([[2],
            [4]]))
    """
    return _split_along("hsplit", input, indices_or_sections, int(input._p.ndim > 1), 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """The tensor in equal pieces, or cut at indices, by rows.

    >>> ad.tensor([[1, 2], [3, 4]]).vsplit(2)
    (tensor([[1, 2]]), tensor([[3, 4]]))
    """
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """The tensor in equal pieces, or cut at indices, along the third dimension.

    >>> [part.shape for part in ad.zeros(1, 2, 4).dsplit([1])]
    [torch.Size([1, 2, 1]), torch.Size([1, 2, 3])]
    """
    return _split_along("dsplit", input, indices_or_sections, 2, 3)

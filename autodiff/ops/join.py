"""Joining tensors: cat and stack."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.native import NULL, lib
from autodiff.ops.base import Op, OpNode, has_history
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import full
from autodiff.ops.guard import kind_of
from autodiff.ops.views import _select, _slice
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, own


def _cat_rule(node: OpNode, g: Tensor) -> list[Tensor | None]:
    dim, sizes = node.args[0], node.args[2]
    grads: list[Tensor | None] = []
    start = 0
    for i, (size, d, skipped) in enumerate(sizes):
        if not node.needs(i):
            grads.append(None)
        elif skipped:
            grads.append(full([0], 0.0, dtype=d))
        else:
            grads.append(to_dtype(_slice(g, dim, start, start + size, 1), d))
        start += size
    return grads


def _cat_forward(*args: Any) -> Any:
    *ps, dim, d, _ = args
    return lib.ad_cat(len(ps), ps, dim, d)


_cat: Op = Op("cat", _cat_forward, _cat_rule, shaped=False)
_LIKE_ALL = -1  # the dtype that all have, in place of one


def listed(name: str, tensors: Any) -> list[Any]:
    """The elements of what is no list; TypeError for a tensor, whose rows are not meant."""
    if isinstance(tensors, Tensor):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"
        )
    return list(tensors)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along a dimension, in the dtype that holds them all.

    RuntimeError where other sizes differ; empty vectors are left out.

    >>> ad.cat([ad.tensor([[1, 2]]), ad.tensor([[3, 4]])], dim=1)
    tensor([[1, 2, 3, 4]])
    """
    given = tensors if type(tensors) in (list, tuple) else listed("cat", tensors)
    found = joined(given, dim)
    return _cat_any(list(given), dim) if found is None else found


def joined(given: Sequence[Any], dim: int) -> Tensor | None:
    """Tensors of one dtype, of equal sizes but in a dimension, joined; None of others."""
    try:
        ps = [x._p for x in given]
        p = lib.ad_cat(len(ps), ps, dim, _LIKE_ALL) if type(dim) is int else NULL
    except (AttributeError, TypeError, OverflowError):
        return None
    if not p:
        return None
    if not has_history(given):
        return own(p, "cat")
    d = dim % ps[0].ndim
    dtype = given[0].dtype
    sizes = [(q.shape[d], dtype, False) for q in ps]
    return _cat.result_of(given, p, (d, dtype.code, sizes))


def cat_to(out: Tensor, tensors: Sequence[Tensor], dim: int) -> bool:
    """Whether plain tensors were joined where the result is to be, without another of it."""
    return _join_to(out, tensors, dim, False)


def stack_to(out: Tensor, tensors: Sequence[Tensor], dim: int) -> bool:
    """The same along a new dimension."""
    return _join_to(out, tensors, dim, True)


def _join_to(out: Tensor, tensors: Sequence[Tensor], dim: int, stacked: bool) -> bool:
    try:
        return not lib.ad_join_to(out._p, len(tensors), [x._p for x in tensors], dim, stacked)
    except (AttributeError, TypeError, OverflowError):
        return False


def _cat_any(given: list[Tensor], dim: int) -> Tensor:
    """The same of tensors of several dtypes, or of empty ones; words what is wrong."""
    if not given:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for i, x in enumerate(given):
        if not isinstance(x, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {kind_of(x)}")
        if x.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    legacy = [x.ndim == 1 and x.numel() == 0 for x in given]
    like = next((x for x, skip in zip(given, legacy, strict=True) if not skip), given[0])
    d = dim_index(dim, like.ndim)
    promoted = given[0].dtype
    for i, (x, skip) in enumerate(zip(given, legacy, strict=True)):
        if x.ndim != like.ndim and not skip:
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {like.ndim} and {x.ndim} "
                f"in cat of {', '.join(str(list(y.shape)) for y in given)}"
            )
        promoted = dtypes.promote_types(promoted, x.dtype)
        skip = skip and like.ndim != 1
        sizes_of_both = [] if skip else list(zip(like.shape, x.shape, strict=True))
        for wanted, size in sizes_of_both[:d] + sizes_of_both[d + 1 :]:
            if size != wanted:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {d}. Expected size {wanted} "
                    f"but got size {size} for tensor number {i} in the list: cat of "
                    f"{', '.join(str(list(y.shape)) for y in given)}"
                )
    sizes = [
        (0, x.dtype, True) if skip and like.ndim != 1 else (x.shape[d], x.dtype, False)
        for x, skip in zip(given, legacy, strict=True)
    ]
    return _cat.on(given, d, promoted.code, sizes)


def _stack_forward(*args: Any) -> Any:
    *ps, dim, d, _ = args
    return lib.ad_stack(len(ps), ps, dim, d)


def _stack_rule(node: OpNode, g: Tensor) -> list[Tensor | None]:
    dim, _, dtypes_ = node.args
    return [
        to_dtype(_select(g, dim, i), d) if node.needs(i) else None for i, d in enumerate(dtypes_)
    ]


_stack: Op = Op("stack", _stack_forward, _stack_rule, shaped=False)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension, in the dtype that holds them all.

    RuntimeError for other shapes.

    >>> ad.stack([ad.tensor([1, 2]), ad.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    given = tensors if type(tensors) in (list, tuple) else listed("stack", tensors)
    found = stacked(given, dim)
    return _stack_any(given, dim) if found is None else found


def stacked(given: Sequence[Any], dim: int) -> Tensor | None:
    """Tensors of one dtype and shape, joined along a new dimension; None of others."""
    try:
        ps = [x._p for x in given]
        p = lib.ad_stack(len(ps), ps, dim, _LIKE_ALL) if type(dim) is int else NULL
    except (AttributeError, TypeError, OverflowError):
        return None
    if not p:
        return None
    if not has_history(given):
        return own(p, "stack")
    d = dim % (ps[0].ndim + 1)
    return _stack.result_of(given, p, (d, ps[0].dtype, [given[0].dtype] * len(ps)))


def _stack_any(given: Sequence[Tensor], dim: int) -> Tensor:
    """The same of tensors of several dtypes; words what is wrong."""
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    d, codes = dim_index(dim, given[0].ndim + 1), [x.dtype for x in given]
    for i, x in enumerate(given):
        if x.shape != given[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(given[0].shape)} at "
                f"entry 0 and {list(x.shape)} at entry {i}"
            )
    promoted = functools.reduce(dtypes.promote_types, codes)
    return _stack.on(given, d, promoted.code, codes)

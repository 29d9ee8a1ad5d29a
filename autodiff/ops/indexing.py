"""The index expression x[...], as NumPy and PyTorch have it: read, and written to."""

from __future__ import annotations

from numbers import Real
from typing import Any

from autodiff import dtypes
from autodiff.changes import recorder_here
from autodiff.native import lib, take_failure
from autodiff.ops.assign import copy_
from autodiff.ops.base import called, is_told_by_none, is_untold
from autodiff.ops.cast import to_dtype
from autodiff.ops.convert import as_tensor
from autodiff.ops.create import ROUNDED_ONCE, exact, scalar
from autodiff.ops.elementwise import where_
from autodiff.ops.gather import broadcast_indices, index_along, write_at
from autodiff.ops.masked import write_masked
from autodiff.ops.numbers import number_of
from autodiff.ops.subscript import (
    ALL,
    BOOL,
    END,
    advanced,
    at_integer,
    at_once,
    basic,
    by_places,
    is_mask,
    is_places,
    is_scalar,
    together,
)
from autodiff.ops.views import _select_at_once, _slice, alias, expand, reshape, select
from autodiff.tensor import TENSOR_TYPES, Tensor, live_node, own

_select_p, _select_two, _unsqueeze_p = lib.ad_select, lib.ad_select_two, lib.ad_unsqueeze
_view_at, _copy_at = lib.ad_view_at, lib.ad_copy_at


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index]: a view for ints, slices, None and Ellipsis; a copy for index tensors and masks."""
    kind = type(index)
    if kind is int and -END < index < END:  # in the fewest steps
        y: Tensor | None = _select_at_once(x, 0, index)
        if y is not None:
            return y
    if kind is tuple and (x._node if x._base is None else live_node(x)) is None:  # no step is told
        p = _at_once(x._p, index)
        if p:
            return _slice.result(x, p, index)
    if kind in TENSOR_TYPES:
        if is_places(x, index):
            return index_along(x, 0, index)
        if is_mask(x, index):
            return _at_mask(x, index)
        if is_scalar(index) and x._p.ndim:
            return at_integer(x, 0, index, x)
    else:
        found = at_once(x, index, kind)
        if found is not None:
            return found
    if kind is int and x._p.ndim:
        return at_integer(x, 0, index, x)
    if kind is int:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim "
            "tensor to a number"
        )
    y, left = by_places(x, index) or basic(x, index)
    if not left:
        return y if y is not x else alias(x)
    y, first, tensors = together(y, left)
    return index_along(y, first, *tensors)


def _at_once(p: Any, index: tuple[Any, ...]) -> Any:
    """The descriptor of the view that ints, slices, None and `...` take; None of another index."""
    if len(index) == 2:  # mostly one step, or known as one call
        i, j = index
        plain = type(j) is int and -END < j < END
        if plain and type(i) is int and -END < i < END:
            return _select_two(p, i, j)
        at = p.ndim - plain if i is Ellipsis else 1 if type(i) is slice and i == ALL else -1
        if at >= 0 and plain:
            return _select_p(p, at, j)
        if at >= 0 and j is None:
            return _unsqueeze_p(p, at)
    items = _plain_items(index, p.ndim)
    try:
        if items is None:
            return None
        if len(items) == 4 and not items[3]:
            return _select_p(p, items[0], items[1])
        return _view_at(p, len(items) // 4, items)
    except OverflowError:  # an integer past 64 bits
        return None


def _at_mask(x: Tensor, mask: Tensor) -> Tensor:
    """The elements where a mask of x's shape is true."""
    places = own(lib.ad_nonzero(mask._p, True), "nonzero", mask._p)
    if is_untold(x, x):
        return own(lib.ad_take(x._p, places._p), "index", x._p)
    return index_along(x if mask._p.ndim == 1 else reshape(x, -1), 0, places)


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, in place; value is broadcast and converted."""
    given = value if isinstance(value, Tensor) else _as_value(value, x.dtype)
    kind = type(index)
    if index is Ellipsis or (kind is slice and index == ALL and x._p.ndim):
        copy_(x, _without_leading_ones(given, x._p.ndim))
        return
    if is_untold(x, given) or is_told_by_none(x, given):
        if kind in TENSOR_TYPES:
            if is_places(x, index):
                if not lib.ad_index_put(x._p, 0, 1, [index._p], given._p, 0):
                    return
                take_failure()  # to be met again
            elif given._p.number and is_mask(x, index):
                where_.write(x, (index, given, x))
                return
        elif (items := _plain_items(index if kind is tuple else (index,), x._p.ndim)) is not None:
            try:
                if not _copy_at(x._p, len(items) // 4, items, given._p):
                    return
                take_failure()
            except OverflowError:
                pass  # an integer past 64 bits
    view = at_once(x, index, kind)
    if view is not None:
        copy_(view, _without_leading_ones(given, view._p.ndim))
        return
    if _set_masked(x, index, given):
        return
    found = by_places(x, index)
    if found is None:
        _check_mask(index, given)
    y, left = found or basic(x, index)
    if not left:
        copy_(y, _without_leading_ones(given, y.ndim))
        return
    y, indices = advanced(y, left)
    ndim = indices.ps[0].ndim + y._p.ndim - len(indices.ps)
    write_at(y, indices, _without_leading_ones(given, ndim), False)


def _plain_items(index: tuple[Any, ...], ndim: int) -> list[int] | None:
    """The steps of an index of ints, slices, None and one `...` as the native library takes them;
    None of another index, and of one of too many items.
    """
    items: list[int] = []
    dim, left, dots = 0, ndim - len(index), False
    for item in index:
        kind = type(item)
        if kind is int:
            items += (dim, item, 0, 0)
            continue
        if kind is slice:
            if item != ALL:
                start, stop, step = item.start, item.stop, item.step
                start = 0 if start is None else start
                stop = END if stop is None else stop
                step = 1 if step is None else step
                if not (type(start) is type(stop) is type(step) is int) or step < 1:
                    return None
                items += (dim, start, stop, step)
        elif item is None:
            left += 1
            items += (dim, 0, 0, -1)
        elif item is Ellipsis and not dots:
            dots = True
            dim += ndim - len(index) + sum([i is None for i in index])
            left += 1
        else:
            return None
        dim += 1
    return items if left >= 0 else None


def _check_mask(index: Any, value: Tensor) -> None:
    """RuntimeError where one value is written by a mask of bytes, as PyTorch has it."""
    items = index if isinstance(index, tuple) else (index,)
    tensors = [item for item in items if isinstance(item, Tensor) and not is_scalar(item)]
    if len(tensors) == 1 == value._p.numel and tensors[0].ndim and tensors[0].dtype is dtypes.uint8:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype torch.uint8: give "
            "mask.bool()"
        )


def _set_masked(x: Tensor, index: Any, value: Tensor) -> bool:
    """Write a value where a mask of bools, perhaps after some `:`, holds, if that is the same for
    each place: no count of the places is needed, so that it can be recorded.
    """
    first, mask = 0, index
    if type(index) is tuple and index:
        first, mask = len(index) - 1, index[-1]
    if type(mask) not in TENSOR_TYPES or mask._p.dtype != BOOL:
        return False
    if first and not all(type(i) is slice and i == ALL for i in index[:-1]):
        return False
    n, sizes = mask._p.ndim, x.shape
    after = len(sizes) - first - n
    if not n or mask.shape != (sizes[first : first + n] if first or after else sizes):
        return False
    if recorder_here() is not None and not first and _set_rows(x, mask, value, after):
        return True
    if value._p.ndim:
        value = _without_leading_ones(value, after)
        rest = sizes[len(sizes) - value._p.ndim :]
        if value._p.ndim > after or any(
            given not in (1, size) for given, size in zip(value.shape, rest, strict=True)
        ):
            return False
    if after:
        mask = reshape(mask, [*mask.shape, *[1] * after])
    if not value._p.number:
        value = to_dtype(value, x.dtype)
    where_.into(x, (mask, value, x))
    return True


def _set_rows(x: Tensor, mask: Tensor, value: Tensor, after: int) -> bool:
    """Write several values where a mask holds, if they are as many as its true places."""
    value = _without_leading_ones(value, after + 1)
    rest = x.shape[x.ndim - after :] if after else ()
    if value._p.ndim != after + 1 or value.shape[0] == 1 or x.dtype is not value.dtype:
        return False
    if any(given not in (1, size) for given, size in zip(value.shape[1:], rest, strict=True)):
        return False
    write_masked(
        x,
        mask,
        expand(value, [value.shape[0], *rest]),
        False,
        f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to "
        "indexing result: the mask is true at another number of places",
    )
    return True


_REAL = frozenset([float, int])
_NUMBERS = frozenset([float, int, bool])
_AS_NUMBERS = ROUNDED_ONCE | {dtypes.int64}


def _as_value(value: Any, d: dtypes.dtype) -> Tensor:
    if type(value) in _REAL and d in ROUNDED_ONCE and -1e4 < value < 1e4:
        return number_of(float(value))
    if type(value) not in _NUMBERS and isinstance(value, Real) and hasattr(value, "item"):
        value = value.item()  # NumPy's, which as memory would be foreign to a recording
    if type(value) in _NUMBERS and d not in dtypes.HALVES:  # which may round it to inf
        return number_of(exact(value, d)) if d in _AS_NUMBERS else scalar(value, d)
    try:
        return as_tensor(value, dtype=d)
    except RuntimeError as failure:
        if "infer dtype" in str(failure):
            raise TypeError(f"can't assign a {type(value).__name__} to a {d!r} tensor") from None
        raise


def _without_leading_ones(x: Tensor, ndim: int) -> Tensor:
    while x._p.ndim > ndim and x._p.shape[0] == 1:
        x = select(x, 0, 0)
    return x


@called("MaskedSelectBackward0")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where mask, of bools, is true, as a vector; the two broadcast.

    >>> x = ad.tensor([1, 2, 3])
    >>> ad.masked_select(x, x > 1)
    tensor([2, 3])
    """
    if mask._p.dtype != BOOL:
        raise RuntimeError(f"masked_select(): expected a bool mask, got {mask.dtype!r}")
    if is_mask(input, mask):
        return _at_mask(input, mask)
    try:
        values, where = broadcast_indices([input, mask])
    except IndexError as failure:
        raise RuntimeError(f"masked_select(): {failure}") from None
    return getitem(values, where)

"""The index expression x[...], as NumPy and PyTorch have it."""

from __future__ import annotations

import operator
import warnings
from numbers import Real
from typing import Any

from autodiff import dtypes
from autodiff.changes import recorder_here
from autodiff.native import lib, take_failure
from autodiff.ops.assign import copy_
from autodiff.ops.base import called, is_untold
from autodiff.ops.cast import to_dtype
from autodiff.ops.convert import _from_values, as_tensor, tensor
from autodiff.ops.create import exact, full, scalar
from autodiff.ops.elementwise import where_
from autodiff.ops.gather import (
    Indices,
    broadcast_indices,
    index_along,
    write_at,
)
from autodiff.ops.masked import write_masked
from autodiff.ops.numbers import number_of
from autodiff.ops.views import (
    _select,
    _slice,
    alias,
    expand,
    permute,
    reshape,
    select,
    unsqueeze,
)
from autodiff.tensor import TENSOR_TYPES, Tensor, own

_INT64, _BOOL = dtypes.int64.code, dtypes.bool.code


def _as_index(item: Any) -> Tensor:
    """A list, range, array or tensor as an int64 or bool tensor."""
    if isinstance(item, (list, tuple, range)):
        x = tensor(list(item), dtype=None if len(item) else dtypes.int64)
    else:
        x = as_tensor(item)
    if x.dtype is dtypes.bool or x.dtype is dtypes.int64:
        return x.detach()
    if x.is_floating_point() or x.dtype in (dtypes.int8, dtypes.int16):
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, got {x.dtype!r}"
        )
    if x.dtype is dtypes.uint8 and x.ndim:
        warnings.warn(_OF_BYTES, UserWarning, stacklevel=5)
    return to_dtype(x.detach(), dtypes.bool if x.dtype is dtypes.uint8 else dtypes.int64)  # type: ignore[no-any-return]


_OF_BYTES = (
    "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."
)


def _is_array(item: Any) -> bool:
    return isinstance(item, (Tensor, list, tuple, range)) or hasattr(item, "__array_interface__")


def _consumed(item: Any) -> int:
    """How many dimensions an index item takes up."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if isinstance(item, Tensor) and item.dtype in (dtypes.bool, dtypes.uint8):
        return item.ndim
    return 1


def _is_several(index: Any) -> bool:
    """Whether an index is an item for each dimension: a tuple, or a list that looks like one.

    A short list of more than numbers is a tuple to PyTorch, as it once was to NumPy.
    """
    if isinstance(index, tuple):
        return True
    if not isinstance(index, list) or len(index) >= 32:
        return False
    if not any(isinstance(i, _ITEMS) or i is None or i is Ellipsis for i in index):
        return False
    warnings.warn(_DEPRECATED, UserWarning, stacklevel=5)
    return True


_ITEMS = (Tensor, list, tuple, range, slice)
_DEPRECATED = (
    "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed; "
    "use x[tuple(seq)] instead of x[seq], or x[torch.tensor(seq)] to index one dimension"
)


def _items(x: Tensor, index: Any) -> list[Any]:
    """The index with lists made tensors and Ellipsis spelled out."""
    items = list(index) if _is_several(index) else [index]
    items = [_as_index(i) if _is_array(i) and not _is_scalar(i) else i for i in items]
    missing = x.ndim - sum(map(_consumed, items))
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if missing < 0:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    for k in reversed(dots):  # all but the first stand for no dimension
        items[k : k + 1] = [slice(None)] * (missing if k == dots[0] else 0)
    return items


def _is_scalar(item: Any) -> bool:
    if isinstance(item, Tensor):
        return item.ndim == 0 and item.dtype not in (dtypes.bool, dtypes.uint8)
    return getattr(item, "shape", None) == () and not isinstance(item, (list, tuple, range))


def slice_dim(x: Tensor, dim: int, s: slice) -> Tensor:
    """The view that a slice of one dimension takes."""
    start, stop, step = s.start, s.stop, s.step
    step = 1 if step is None else operator.index(step)
    if step <= 0:
        raise ValueError("step must be greater than zero")
    if start is None and stop is None and step == 1:
        return x
    size = x._p.shape[dim]
    first = 0 if start is None else operator.index(start)
    last = size if stop is None else operator.index(stop)
    limit = 2**62
    return _slice(x, dim, max(-limit, min(first, limit)), max(-limit, min(last, limit)), step)


def _mask_indices(x: Tensor, dim: int, mask: Tensor) -> list[Tensor]:
    """The positions of a mask's true elements, an index tensor for each of its dimensions."""
    for d, size in enumerate(mask.shape):
        if x.shape[dim + d] != size:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {d} does not match the shape "
                f"of the indexed tensor {list(x.shape)} at index {dim + d}"
            )
    found = own(lib.ad_nonzero(mask._p, False), "nonzero", mask._p)
    return [_select(found, 1, d) for d in range(mask.ndim)]


def _basic(x: Tensor, index: Any) -> tuple[Tensor, dict[int, Tensor]]:
    """The view that ints, slices and None take, and the index tensors left by dimension."""
    y, dim = x, 0
    left: dict[int, Tensor] = {}
    for item in _items(x, index):
        if item is None:
            y = unsqueeze(y, dim)
            dim += 1
        elif isinstance(item, bool):
            y = unsqueeze(y, dim)
            left[dim] = full([int(item)], 0, dtype=dtypes.int64)
            dim += 1
        elif isinstance(item, slice):
            y = slice_dim(y, dim, item)
            dim += 1
        elif isinstance(item, Tensor) and not _is_scalar(item):
            each = _mask_indices(y, dim, item) if item.dtype is dtypes.bool else [item]
            if item.dtype is dtypes.bool and item.ndim == 0:
                y = unsqueeze(y, dim)
                each = [full([int(bool(item))], 0, dtype=dtypes.int64)]
            for one in each:
                left[dim] = one
                dim += 1
        else:
            y = _integer(y, dim, item, x)
    return y, left


def _integer(y: Tensor, dim: int, item: Any, x: Tensor) -> Tensor:
    if isinstance(item, Tensor) and item.is_floating_point():
        _as_index(item)  # raises
    try:
        i = operator.index(item)
    except TypeError:
        if isinstance(item, (str, bytes)):
            raise TypeError(f"new(): invalid data type {type(item).__name__!r}") from None
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            f"valid indices (got {type(item).__name__})"
        ) from None
    size = y._p.shape[dim]
    if not -size <= i < size:
        raise IndexError(
            f"index {i} is out of bounds for dimension {dim} with size {size} "
            f"(tensor of shape {list(x.shape)})"
        )
    return _select(y, dim, i)


def _together(y: Tensor, left: dict[int, Tensor]) -> tuple[Tensor, int, list[Tensor]]:
    """y with its indexed dimensions together, the first of them, and the indices of those.

    Where they are neighbours their result stays in place. Otherwise it comes first.
    """
    dims = list(left)  # which come in order
    tensors = [*left.values()]
    if len(dims) > 1:
        tensors = broadcast_indices(tensors)
    if dims[-1] - dims[0] != len(dims) - 1:
        rest = [d for d in range(y.ndim) if d not in left]
        return permute(y, [*dims, *rest]), 0, tensors
    return y, dims[0], tensors


def _advanced(y: Tensor, left: dict[int, Tensor]) -> tuple[Tensor, Indices]:
    """The same, the indices as a write takes them."""
    y, first, tensors = _together(y, left)
    return y, Indices(tensors, first)


def is_places(x: Tensor, index: Any) -> bool:
    """Whether an index is one tensor of positions in x's first dimension."""
    is_index = isinstance(index, Tensor) and index._p.dtype == _INT64
    return is_index and bool(index._p.ndim and x._p.ndim)


def is_mask(x: Tensor, index: Any) -> bool:
    """Whether an index is one tensor of bools for each of x's elements."""
    if not isinstance(index, Tensor) or index._p.dtype != _BOOL or not index._p.ndim:
        return False
    key = _shape_key(index._p)
    return key == _shape_key(x._p) if key else index.shape == x.shape


def _plain(x: Tensor, dim: int, item: Any) -> Tensor | None:
    """The view that an int in bounds or a slice takes; None where it is neither."""
    kind = type(item)
    try:
        if kind is int:
            p = _select_p(x._p, dim, item)
            return _select.result(x, p, (dim, item)) if p else None
        if kind is slice:
            start, stop, step = item.start, item.stop, item.step
            start = 0 if start is None else start
            stop = _END if stop is None else stop
            step = 1 if step is None else step
            plain = type(start) is type(stop) is type(step) is int
            if plain and step > 0 and (start, stop, step) != _WHOLE:
                p = _slice_p(x._p, dim, start, stop, step)
                return _slice.result(x, p, (dim, start, stop, step)) if p else None
    except OverflowError:
        pass  # an integer past 64 bits
    return None


_shape_key = lib.ad_shape_key
_select_p, _select_two, _slice_p = lib.ad_select, lib.ad_select_two, lib.ad_slice
_END = 2**62
_WHOLE = (0, _END, 1)
_ALL = slice(None)
_PLAIN = frozenset([int, slice])


def _plainly(x: Tensor, items: tuple[Any, ...]) -> Tensor | None:
    """The same for one item a dimension, of which some may be `:`, and for None and `...`."""
    if len(items) == 2 and items[0] is Ellipsis and type(items[1]) is int:
        return _plain(x, x._p.ndim - 1, items[1])
    y, dim = x, 0
    for k, item in enumerate(items):
        if type(item) is slice and item == _ALL and dim < y._p.ndim:
            dim += 1
            continue
        if item is None:
            y = unsqueeze(y, dim)
            dim += 1
            continue
        if item is Ellipsis:
            rest = [other for other in items[k + 1 :] if other is not None]
            dim, least = y._p.ndim - len(rest), dim
            if dim < least or not _PLAIN.issuperset(map(type, rest)):
                return None
            continue
        found = _plain(y, dim, item)
        if found is None:
            return None
        y = found
        dim += type(item) is slice
    return None if y is x else y


def _at_once(x: Tensor, index: Any, kind: type) -> Tensor | None:
    """The view that an index of such items takes; None where it is another."""
    if kind is int or kind is slice:
        return _plain(x, 0, index)
    if index is None:
        return unsqueeze(x, 0)
    if kind is not tuple or (index and type(index[-1]) in TENSOR_TYPES):
        return None
    return _plainly(x, index)


def _placed(x: Tensor, index: Any) -> tuple[Tensor, dict[int, Tensor]] | None:
    """The same as `_basic` of positions, `:`, ints in bounds and slices; None of another index.

    Positions are int64 tensors, or lists of ints.
    """
    items = index if type(index) is tuple else (index,)
    if len(items) > x._p.ndim:
        return None
    y, dim = x, 0
    left: dict[int, Tensor] = {}
    for item in items:
        kind = type(item)
        if kind in TENSOR_TYPES:
            p = item._p
            if p.dtype != _INT64 or not p.ndim:
                return None
            left[dim] = item
        elif kind is list:
            if set(map(type, item)) != _INTS:
                return None
            left[dim] = _from_values(item, [len(item)], dtypes.int64)
        elif kind is not slice or item != _ALL:
            found = _plain(y, dim, item)
            if found is None:
                return None
            y = found
            dim -= kind is int
        dim += 1
    return (y, left) if left else None


_INTS = {int}


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index]: a view for ints, slices, None and Ellipsis; a copy for index tensors and masks."""
    kind = type(index)
    if kind is int and -_END < index < _END:  # in the fewest steps
        p = _select_p(x._p, 0, index)
        if p:
            return _select.result(x, p, (0, index))
    if kind is tuple and len(index) == 2 and x._node is None and x._base is None:
        i, j = index
        if type(i) is int is type(j) and -_END < i < _END and -_END < j < _END:
            p = _select_two(x._p, i, j)
            if p:
                return _select.result(x, p, index)
    found = _at_once(x, index, kind)
    if found is not None:
        return found
    if kind is int and x._p.ndim:
        return _integer(x, 0, index, x)
    if kind is int:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim "
            "tensor to a number"
        )
    if is_places(x, index):
        return index_along(x, 0, index)
    if is_mask(x, index):
        return _at_mask(x, index)
    y, left = _placed(x, index) or _basic(x, index)
    if not left:
        return y if y is not x else alias(x)
    y, first, tensors = _together(y, left)
    return index_along(y, first, *tensors)


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
    if kind in TENSOR_TYPES and is_places(x, index) and is_untold(x, given):
        if not lib.ad_index_put(x._p, 0, 1, [index._p], given._p, 0):
            return
        take_failure()  # to be met again
    whole = index is Ellipsis or (kind is slice and index == _ALL and x._p.ndim)
    view = x if whole else _at_once(x, index, kind)
    if view is not None:
        copy_(view, _without_leading_ones(given, view._p.ndim))
        return
    if _set_masked(x, index, given):
        return
    found = _placed(x, index)
    if found is None:
        _check_mask(index, given)
    y, left = found or _basic(x, index)
    if not left:
        copy_(y, _without_leading_ones(given, y.ndim))
        return
    y, indices = _advanced(y, left)
    ndim = indices.ps[0].ndim + y._p.ndim - len(indices.ps)
    write_at(y, indices, _without_leading_ones(given, ndim), False)


def _check_mask(index: Any, value: Tensor) -> None:
    """RuntimeError where one value is written by a mask of bytes, as PyTorch has it."""
    items = index if isinstance(index, tuple) else (index,)
    tensors = [item for item in items if isinstance(item, Tensor) and not _is_scalar(item)]
    if len(tensors) == 1 == value._p.numel and tensors[0].ndim and tensors[0].dtype is dtypes.uint8:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype torch.uint8: give "
            "mask.bool()"
        )


def _set_masked(x: Tensor, index: Any, value: Tensor) -> bool:
    """Write a value where a mask of bools, perhaps after some `:`, holds, if that is the same for
    each place: no count of the places is needed, so that it can be recorded.
    """
    if value._p.number and type(index) in TENSOR_TYPES and is_mask(x, index):
        where_.into(x, (index, value, x))
        return True
    first, mask = 0, index
    if type(index) is tuple and index:
        first, mask = len(index) - 1, index[-1]
    if type(mask) not in TENSOR_TYPES or mask._p.dtype != _BOOL:
        return False
    if first and not all(type(i) is slice and i == _ALL for i in index[:-1]):
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


_NUMBERS = frozenset([float, int, bool])
_REAL = frozenset([dtypes.float32, dtypes.float64])  # a float is rounded to these but once


def _as_value(value: Any, d: dtypes.dtype) -> Tensor:
    if type(value) not in _NUMBERS and isinstance(value, Real) and hasattr(value, "item"):
        value = value.item()  # NumPy's, which as memory would be foreign to a recording
    if type(value) in _NUMBERS and d not in dtypes.HALVES:  # which may round it to inf
        return number_of(exact(value, d)) if d in _REAL else scalar(value, d)
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
    if mask._p.dtype != _BOOL:
        raise RuntimeError(f"masked_select(): expected a bool mask, got {mask.dtype!r}")
    if is_mask(input, mask):
        return _at_mask(input, mask)
    try:
        values, where = broadcast_indices([input, mask])
    except IndexError as failure:
        raise RuntimeError(f"masked_select(): {failure}") from None
    return getitem(values, where)

"""What an index x[...] asks for: the view it takes, and tensors that index what is left of it."""

from __future__ import annotations

import operator
import warnings
from typing import Any

from autodiff import dtypes
from autodiff.native import lib
from autodiff.ops.cast import to_dtype
from autodiff.ops.convert import _from_values, as_tensor, tensor
from autodiff.ops.create import full
from autodiff.ops.gather import Indices, broadcast_indices
from autodiff.ops.views import _select, _select_at_once, _slice, _slice_at_once, permute, unsqueeze
from autodiff.tensor import TENSOR_TYPES, Tensor, own

INT64, BOOL = dtypes.int64.code, dtypes.bool.code
END = 2**62  # beyond any dimension
ALL = slice(None)
_WHOLE = (0, END, 1)
_PLAIN, _INTS = frozenset([int, slice]), {int}
_shape_key, _select_p, _slice_p = lib.ad_shape_key, lib.ad_select, lib.ad_slice


def _as_index(item: Any) -> Tensor:
    """A list, range, array or tensor as an int64 or bool tensor."""
    if isinstance(item, (list, tuple, range)):
        if item and isinstance(item[0], str):
            raise TypeError("new(): invalid data type 'str'")
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
    return to_dtype(x.detach(), dtypes.bool if x.dtype is dtypes.uint8 else dtypes.int64)


_OF_BYTES = (
    "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."
)


def _is_array(item: Any) -> bool:
    return isinstance(item, (Tensor, list, tuple, range)) or hasattr(item, "__array_interface__")


def consumed(item: Any) -> int:
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


def items_of(x: Tensor, index: Any) -> list[Any]:
    """The index with lists made tensors and Ellipsis spelled out."""
    items = list(index) if _is_several(index) else [index]
    items = [_as_index(i) if _is_array(i) and not is_scalar(i) else i for i in items]
    missing = x.ndim - sum(map(consumed, items))
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if missing < 0:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    for k in reversed(dots):  # all but the first stand for no dimension
        items[k : k + 1] = [slice(None)] * (missing if k == dots[0] else 0)
    return items


def is_scalar(item: Any) -> bool:
    """Whether an item of an index stands for one integer."""
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
    return _slice(x, dim, max(-END, min(first, END)), max(-END, min(last, END)), step)


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


def basic(x: Tensor, index: Any) -> tuple[Tensor, dict[int, Tensor]]:
    """The view that ints, slices and None take, and the index tensors left by dimension."""
    y, dim = x, 0
    left: dict[int, Tensor] = {}
    for item in items_of(x, index):
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
        elif isinstance(item, Tensor) and not is_scalar(item):
            each = _mask_indices(y, dim, item) if item.dtype is dtypes.bool else [item]
            if item.dtype is dtypes.bool and item.ndim == 0:
                y = unsqueeze(y, dim)
                each = [full([int(bool(item))], 0, dtype=dtypes.int64)]
            for one in each:
                left[dim] = one
                dim += 1
        else:
            y = at_integer(y, dim, item, x)
    return y, left


def at_integer(y: Tensor, dim: int, item: Any, x: Tensor) -> Tensor:
    """y at one index of a dimension, which x names so. IndexError where there is none."""
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


def together(y: Tensor, left: dict[int, Tensor]) -> tuple[Tensor, int, list[Tensor]]:
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


def advanced(y: Tensor, left: dict[int, Tensor]) -> tuple[Tensor, Indices]:
    """The same, the indices as a write takes them."""
    y, first, tensors = together(y, left)
    return y, Indices(tensors, first)


def is_places(x: Tensor, index: Any) -> bool:
    """Whether an index is one tensor of positions in x's first dimension."""
    is_index = isinstance(index, Tensor) and index._p.dtype == INT64
    return is_index and bool(index._p.ndim and x._p.ndim)


def is_mask(x: Tensor, index: Any) -> bool:
    """Whether an index is one tensor of bools for each of x's elements."""
    if not isinstance(index, Tensor) or index._p.dtype != BOOL or not index._p.ndim:
        return False
    key = _shape_key(index._p)
    return key == _shape_key(x._p) if key else index.shape == x.shape


def _plain(x: Tensor, dim: int, item: Any) -> Tensor | None:
    """The view that an int in bounds or a slice takes; None where it is neither."""
    kind = type(item)
    try:
        if kind is int:
            y: Tensor | None = _select_at_once(x, dim, item)
            if y is not None:
                return y
            p = _select_p(x._p, dim, item)
            return _select.result(x, p, (dim, item)) if p else None
        if kind is slice:
            start, stop, step = item.start, item.stop, item.step
            start = 0 if start is None else start
            stop = END if stop is None else stop
            step = 1 if step is None else step
            plain = type(start) is type(stop) is type(step) is int
            if plain and step > 0 and (start, stop, step) != _WHOLE:
                y = _slice_at_once(x, dim, start, stop, step)
                if y is not None:
                    return y
                p = _slice_p(x._p, dim, start, stop, step)
                return _slice.result(x, p, (dim, start, stop, step)) if p else None
    except OverflowError:
        pass  # an integer past 64 bits
    return None


def _plainly(x: Tensor, items: tuple[Any, ...]) -> Tensor | None:
    """The same for one item a dimension, of which some may be `:`, and for None and `...`."""
    if len(items) == 2 and items[0] is Ellipsis:
        if items[1] is None:
            return unsqueeze(x, -1)
        if type(items[1]) is int:
            return _plain(x, x._p.ndim - 1, items[1])
    y, dim = x, 0
    for k, item in enumerate(items):
        if type(item) is slice and item == ALL and dim < y._p.ndim:
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


def at_once(x: Tensor, index: Any, kind: type) -> Tensor | None:
    """The view that an index of such items takes; None where it is another."""
    if kind is int or kind is slice:
        return _plain(x, 0, index)
    if index is None:
        return unsqueeze(x, 0)
    if kind is not tuple:
        return None
    if index and (type(index[-1]) in TENSOR_TYPES or type(index[0]) in TENSOR_TYPES):
        return None
    return _plainly(x, index)


def by_places(x: Tensor, index: Any) -> tuple[Tensor, dict[int, Tensor]] | None:
    """The same as `basic` of positions, `:`, ints in bounds and slices; None of another index.

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
            if p.dtype != INT64 or not p.ndim:
                return None
            left[dim] = item
        elif kind is list:
            if set(map(type, item)) != _INTS:
                return None
            left[dim] = _from_values(item, [len(item)], dtypes.int64)
        elif kind is not slice or item != ALL:
            found = _plain(y, dim, item)
            if found is None:
                return None
            y = found
            dim -= kind is int
        dim += 1
    return (y, left) if left else None

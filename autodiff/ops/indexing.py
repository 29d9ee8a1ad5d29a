"""Gather and scatter: indexing as NumPy and PyTorch have it, concatenation, and in-place writes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.native import error, lib
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode, fresh
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import arange, as_tensor, full, tensor
from autodiff.ops.history import check_writable, rebase
from autodiff.ops.views import (
    _select,
    _slice,
    alias,
    expand,
    permute,
    reshape,
    select,
    unsqueeze,
    zeros_p,
)
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, live_node, own


class Indices:
    """Index tensors of one shape, as a gather or scatter keeps them for backward."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.ps = [x._p for x in tensors]
        self.shape = tensors[0].shape
        self.versions = self._versions()

    def _versions(self) -> list[int]:
        return [lib.ad_version(p) for p in self.ps]

    def checked(self) -> list[Any]:
        """The descriptors; RuntimeError where an index was written to since."""
        if self._versions() != self.versions:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                "inplace "
                "operation: an index tensor was written to before backward"
            )
        return self.ps


# ---- gather and scatter over the leading dimensions ----


def _get_forward(p: Any, indices: Indices) -> Any:
    return lib.ad_index_get(p, len(indices.ps), indices.checked())


def _scatter_forward(g: Any, indices: Indices, shape: Sequence[int]) -> Any:
    z = zeros_p(g.dtype, shape)
    if lib.ad_index_put(z, len(indices.ps), indices.checked(), g, 1):
        raise error("index_put", z, g)
    return lib.ad_alias(z)


def _clear_forward(g: Any, indices: Indices) -> Any:
    y = fresh(lib.ad_clone(g), "index_put", g)
    if lib.ad_index_put(y, len(indices.ps), indices.checked(), zeros_p(g.dtype, []), 0):
        raise error("index_put", y)
    return lib.ad_alias(y)


_get: Op = Op(
    "index",
    _get_forward,
    lambda node, g: (_scatter(g, node.args[0], node.shape),),
)
_scatter: Op = Op("index_scatter", _scatter_forward, lambda node, g: (_get(g, node.args[0]),))
_clear: Op = Op("index_clear", _clear_forward, lambda node, g: (_clear(g, node.args[0]),))


def _put_rule(node: OpNode, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """x with values written at indices: x's cotangent is cleared there, kept if they were added."""
    indices, accumulate, shape, d = node.args
    gx = gv = None
    if node.needs(0):
        gx = g if accumulate else _clear(g, indices)
    if node.needs(1):
        gv = to_dtype(_get(g, indices).sum_to_size(shape), d)
    return gx, gv


_put: Op = Op("index_put", lambda *_: None, _put_rule, grad_name="IndexPutBackward0")


def index_put_(
    x: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False
) -> Tensor:
    """Write (or add) values at index tensors of the leading dimensions, in place."""
    return _write_at(x, Indices(_broadcast(list(indices))), values, accumulate)


def _bad_values(x: Tensor, indices: Indices, values: Tensor, failure: Exception) -> Exception:
    target = [*indices.shape, *x.shape[len(indices.ps) :]]
    given = [1] * (len(target) - values.ndim) + list(values.shape)
    if len(given) == len(target) and all(n in (1, m) for n, m in zip(given, target, strict=True)):
        return failure
    return RuntimeError(
        f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to "
        "indexing "
        f"result of shape {target}"
    )


def _write_at(x: Tensor, indices: Indices, values: Tensor, accumulate: bool) -> Tensor:
    if mode.grad:
        check_writable(x, "index_put_")
    edges = [live_node(x), live_node(values)]
    node = None
    if mode.grad and any(edges):
        args = (indices, accumulate, values.shape, values.dtype)
        node = _put.record((x, values), edges, args, x._p)
    if lib.ad_index_put(x._p, len(indices.ps), indices.ps, values._p, accumulate):
        raise _bad_values(x, indices, values, error("index_put_", x._p, values._p))
    if node is not None:
        rebase(x, node)
    return x


# ---- the index expression ----


def _broadcast(tensors: list[Tensor]) -> list[Tensor]:
    shapes = [x.shape for x in tensors]
    if all(shape == shapes[0] for shape in shapes):
        return tensors
    ndim = max(map(len, shapes))
    out = [1] * ndim
    for shape in shapes:
        for d, size in enumerate(shape, ndim - len(shape)):
            if size != 1 and out[d] not in (1, size):
                raise IndexError(
                    "shape mismatch: indexing tensors could not be broadcast together with shapes "
                    + ", ".join(str(list(s)) for s in shapes)
                )
            out[d] = size if size != 1 else out[d]
    return [expand(x, out) for x in tensors]


def _as_index(item: Any) -> Tensor:
    """A list, range, array or tensor as an int64 or bool tensor."""
    if isinstance(item, (list, tuple, range)):
        x = tensor(list(item), dtype=None if len(item) else dtypes.int64)
    else:
        x = as_tensor(item)
    if x.dtype is dtypes.bool or x.dtype is dtypes.int64:
        return x.detach()
    if x.is_floating_point():
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, got {x.dtype!r}"
        )
    return to_dtype(x.detach(), dtypes.bool if x.dtype is dtypes.uint8 else dtypes.int64)  # type: ignore[no-any-return]


def _is_array(item: Any) -> bool:
    return isinstance(item, (Tensor, list, tuple, range)) or hasattr(item, "__array_interface__")


def _consumed(item: Any) -> int:
    """How many dimensions an index item takes up."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if isinstance(item, Tensor) and item.dtype in (dtypes.bool, dtypes.uint8):
        return item.ndim
    return 1


def _items(x: Tensor, index: Any) -> list[Any]:
    """The index with lists made tensors and Ellipsis spelled out."""
    items = list(index) if isinstance(index, tuple) else [index]
    items = [_as_index(i) if _is_array(i) and not _is_scalar(i) else i for i in items]
    missing = x.ndim - sum(map(_consumed, items))
    dots = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if missing < 0:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    if dots:
        items[dots[0] : dots[0] + 1] = [slice(None)] * missing
    return items


def _is_scalar(item: Any) -> bool:
    if isinstance(item, Tensor):
        return item.ndim == 0 and item.dtype not in (dtypes.bool, dtypes.uint8)
    return getattr(item, "shape", None) == () and not isinstance(item, (list, tuple, range))


def _slice_dim(x: Tensor, dim: int, s: slice) -> Tensor:
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
                "of "
                f"the indexed tensor {list(x.shape)} at index {dim + d}"
            )
    found = own(lib.ad_nonzero(mask._p), "nonzero", mask._p)
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
            y = _slice_dim(y, dim, item)
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
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
            "valid "
            f"indices (got {type(item).__name__})"
        ) from None
    size = y._p.shape[dim]
    if not -size <= i < size:
        raise IndexError(
            f"index {i} is out of bounds for dimension {dim} with size {size} "
            f"(tensor of shape {list(x.shape)})"
        )
    return _select(y, dim, i)


def _advanced(y: Tensor, left: dict[int, Tensor]) -> tuple[Tensor, Indices]:
    """y with its indexed dimensions in front, and the indices of those.

    Where they are neighbours their result stays in place: the dimensions before them are indexed
    too, by all their positions in order. Otherwise the result comes first.
    """
    dims = sorted(left)
    tensors = _broadcast([left[d] for d in dims])
    if dims != list(range(dims[0], dims[0] + len(dims))):
        rest = [d for d in range(y.ndim) if d not in left]
        return permute(y, [*dims, *rest]), Indices(tensors)
    lead = y.shape[: dims[0]]
    if lead:
        n, inner = len(lead), tensors[0].ndim
        shape = [*lead, *tensors[0].shape]
        along = [[1] * i + [size] + [1] * (n - 1 - i + inner) for i, size in enumerate(lead)]
        before = [
            expand(reshape(arange(size), s), shape) for size, s in zip(lead, along, strict=True)
        ]
        tensors = [*before, *[expand(x, shape) for x in tensors]]
    return y, Indices(tensors)


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index]: a view for ints, slices, None and Ellipsis; a copy for index tensors and masks."""
    kind = type(index)
    if kind is int and x._p.ndim:
        return _integer(x, 0, index, x)
    if kind is int:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim "
            "tensor "
            "to a number"
        )
    y, left = _basic(x, index)
    if not left:
        return y if y is not x else alias(x)
    return _get(*_advanced(y, left))


def setitem(x: Tensor, index: Any, value: Any) -> None:
    """x[index] = value, in place; value is broadcast and converted."""
    y, left = _basic(x, index)
    given = value if isinstance(value, Tensor) else _as_value(value, x.dtype)
    if not left:
        copy_(y, _without_leading_ones(given, y.ndim))
        return
    y, indices = _advanced(y, left)
    ndim = len(indices.shape) + y.ndim - len(indices.ps)
    _write_at(y, indices, _without_leading_ones(given, ndim), False)


def _as_value(value: Any, d: dtypes.dtype) -> Tensor:
    try:
        return as_tensor(value, dtype=d)
    except RuntimeError as failure:
        if "infer dtype" in str(failure):
            raise TypeError(f"can't assign a {type(value).__name__} to a {d!r} tensor") from None
        raise


def _without_leading_ones(x: Tensor, ndim: int) -> Tensor:
    while x.ndim > ndim and x.shape[0] == 1:
        x = select(x, 0, 0)
    return x


# ---- in-place copies ----


def _copy_rule(node: OpNode, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Nothing of what was written over is left: its cotangent is zero."""
    shape, d = node.args
    over = g.new_zeros(g.shape) if node.needs(0) else None
    return over, to_dtype(g.sum_to_size(shape), d) if node.needs(1) else None


_copy: Op = Op("copy", lambda *_: None, _copy_rule, grad_name="CopyBackwards")


def copy_(x: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Write src over x, broadcast and converted."""
    if mode.grad:
        check_writable(x, "copy_")
    before = live_node(x)
    edges = [before if x._base is None else None, live_node(src)]  # a base clears its own part
    wants = mode.grad and (edges[1] is not None or before is not None)
    if lib.ad_copy(x._p, src._p):
        raise error("copy_", x._p, src._p)
    if wants and x.is_floating_point():
        rebase(x, _copy.record((x, src), edges, (src.shape, src.dtype), x._p))
    return x


def fill_(x: Tensor, value: Any) -> Tensor:
    """Write one value over all of x."""
    given = value if isinstance(value, Tensor) else full((), value, dtype=x.dtype)
    if given.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {given.ndim} "
            "dimensions."
        )
    return copy_(x, given)


def zero_(x: Tensor) -> Tensor:
    """Write zeros over all of x."""
    return fill_(x, 0)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input with value where mask is true."""
    if mask.dtype is not dtypes.bool:
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype!r}"
        )
    given = value if isinstance(value, Tensor) else full((), value, dtype=input.dtype)
    found: Tensor = given.where(mask, input)
    return found


def masked_fill_(x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """Write value where mask is true."""
    return copy_(x, masked_fill(x, mask, value))


# ---- by name ----


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of one dimension at the given positions."""
    if index.ndim > 1:
        raise IndexError(
            f"index_select(): Index is supposed to be a vector, got {index.ndim} dimensions"
        )
    if index.dtype not in (dtypes.int32, dtypes.int64):
        raise RuntimeError(
            f"index_select(): Expected dtype int32 or int64 for index, got {index.dtype!r}"
        )
    flat = reshape(_as_index(index), -1)
    d = dim_index(dim, input.ndim)
    if input.ndim == 0:
        return reshape(_get(reshape(input, 1), Indices([flat])), ())
    return _get(*_advanced(input, {d: flat}))


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on: index has input's dimensions."""
    if index.dtype is not dtypes.int64:
        raise RuntimeError(f"gather(): Expected dtype int64 for index, got {index.dtype!r}")
    if index.ndim != input.ndim:
        raise RuntimeError(
            "Index tensor must have the same number of dimensions as input tensor: got "
            f"{index.ndim} and {input.ndim}"
        )
    if input.ndim == 0:
        return reshape(gather(reshape(input, 1), 0, reshape(index, 1)), ())
    at = dim_index(dim, input.ndim)
    each = []
    for d, size in enumerate(index.shape):
        if d != at and size > input.shape[d]:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index.shape)} to be no "
                f"larger than self {list(input.shape)} apart from dimension {at}"
            )
        lines = [1] * index.ndim
        lines[d] = size
        each.append(index if d == at else expand(reshape(arange(size), lines), index.shape))
    try:
        return _get(input, Indices([x.detach() for x in each]))
    except IndexError as failure:
        raise RuntimeError(f"gather(): {failure}") from None


def take_along_dim(input: Tensor, indices: Tensor, dim: int) -> Tensor:
    """`gather` with the other dimensions broadcast."""
    at = dim_index(dim, input.ndim)
    shape = [
        max(a, b) if a != 0 != b else 0 for a, b in zip(input.shape, indices.shape, strict=True)
    ]
    shape[at] = indices.shape[at]
    source = list(shape)
    source[at] = input.shape[at]
    return gather(expand(input, source), at, expand(indices, shape))


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The positions of nonzero elements: (count, ndim) int64, or a tensor for each dimension."""
    found = own(lib.ad_nonzero(input._p), "nonzero", input._p)
    if not as_tuple:
        return found
    return tuple(_select(found, 1, d) for d in range(input.ndim))


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where mask is true, as a vector."""
    try:
        values, where = _broadcast([input, mask])
    except IndexError as failure:
        raise RuntimeError(f"masked_select(): {failure}") from None
    return getitem(values, where)


# ---- concatenation ----


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


_cat: Op = Op("cat", _cat_forward, _cat_rule)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along a dimension; their other sizes must be equal."""
    given = list(tensors)
    if not given:
        raise ValueError("expected a non-empty list of Tensors")
    for i, x in enumerate(given):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(x).__name__}"
            )
        if x.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    legacy = [x.ndim == 1 and x.numel() == 0 for x in given]
    like = next((x for x, skip in zip(given, legacy, strict=True) if not skip), given[0])
    d = dim_index(dim, like.ndim)
    promoted = given[0].dtype
    for x, skip in zip(given, legacy, strict=True):
        promoted = dtypes.promote_types(promoted, x.dtype)
        skip = skip and like.ndim != 1
        if not skip and [*x.shape[:d], *x.shape[d + 1 :]] != [
            *like.shape[:d],
            *like.shape[d + 1 :],
        ]:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {d}: cat of "
                f"{', '.join(str(list(y.shape)) for y in given)}"
            )
    sizes = [
        (0, x.dtype, True) if skip and like.ndim != 1 else (x.shape[d], x.dtype, False)
        for x, skip in zip(given, legacy, strict=True)
    ]
    return _cat.on(given, d, promoted.code, sizes)


def _stack_forward(*args: Any) -> Any:
    *ps, dim, d, _ = args
    rows = [fresh(lib.ad_unsqueeze(p, dim), "stack", p) for p in ps]
    return lib.ad_cat(len(rows), rows, dim, d)


def _stack_rule(node: OpNode, g: Tensor) -> list[Tensor | None]:
    dim, _, dtypes_ = node.args
    return [
        to_dtype(_select(g, dim, i), d) if node.needs(i) else None for i, d in enumerate(dtypes_)
    ]


_stack: Op = Op("stack", _stack_forward, _stack_rule)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    given = list(tensors)
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    for i, x in enumerate(given):
        if x.shape != given[0].shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(given[0].shape)} at "
                "entry 0 "
                f"and {list(x.shape)} at entry {i}"
            )
    promoted = given[0].dtype
    for x in given:
        promoted = dtypes.promote_types(promoted, x.dtype)
    d = dim_index(dim, given[0].ndim + 1)
    return _stack.on(given, d, promoted.code, [x.dtype for x in given])

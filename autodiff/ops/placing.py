"""Writing at places along a dimension, in the whole tensor, or where a mask is true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.changes import recorder_here
from autodiff.descriptor import fresh
from autodiff.native import error, lib, take_failure
from autodiff.node import mode
from autodiff.ops.assign import masked_fill
from autodiff.ops.base import Op, OpNode, is_untold
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import clone, copied
from autodiff.ops.create import scalar
from autodiff.ops.gather import (
    Indices,
    _clear,
    _get,
    _put_rule,
    _scatter,
    broadcast_indices,
    remembered,
    write_along,
    write_at,
)
from autodiff.ops.guard import must_be
from autodiff.ops.history import check_writable, rebase
from autodiff.ops.masked import write_masked
from autodiff.ops.slices import _vector, fits_along
from autodiff.ops.subscript import BOOL, INT64, advanced, basic, by_places, is_mask, is_places
from autodiff.ops.views import _slice, expand, reshape, unsqueeze
from autodiff.shapes import dim_index
from autodiff.tensor import Tensor, live_node, own

_index_copy: Op = Op("index_copy", lambda *_: None, _put_rule, shaped=False)


def _fill_rule(node: OpNode, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """As `_put_rule`, of one value: what was filled has it once, however often it was named."""
    indices, _, shape, d = node.args
    gx = gv = None
    if node.needs(0):
        gx = _clear(g, indices)
    if node.needs(1):
        kept = _clear(g.new_ones(g.shape), indices) != 0
        gv = to_dtype(masked_fill(g, kept, 0).sum_to_size(shape), d)
    return gx, gv


_index_fill: Op = Op("index_fill", lambda *_: None, _fill_rule, shaped=False)


def _put_at_rule(node: OpNode, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """As `_put_rule`, of the tensor as one vector."""
    places, accumulate = node.args
    flat = reshape(g, -1)
    gx = gv = None
    if node.needs(0):
        gx = g if accumulate else reshape(_clear(flat, places), node.shape)
    if node.needs(1):
        gv = _get(flat, places)
    return gx, gv


_put_at, _masked_scatter = (
    Op(name, lambda *_: None, _put_at_rule) for name in ("put", "masked_scatter")
)

# ---- along a dimension ----


def _check_dtype(name: str, index: Tensor, kind: type[Exception]) -> None:
    if index.dtype is not dtypes.int64:
        raise kind(f"{name}: Expected dtype int64 for index, but got {index.dtype!r}")


def _check_index(name: str, index: Tensor, kind: type[Exception]) -> Tensor:
    if index.ndim > 1:
        raise IndexError(f"{name}: Index should have dimension 1 or 0 (got {index.ndim})")
    _check_dtype(name, index, kind)
    return _vector(index)


def index_copy_(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`index_copy`, written over the tensor."""
    p, q, places = x._p, source._p, index._p
    d = dim_index(dim, p.ndim)
    alike = places.dtype == INT64 and places.ndim == 1 and q.dtype == p.dtype and p.ndim > 0
    if alike and fits_along(x.shape, source.shape, d, places.numel):
        return write_along(x, d, index, source, False, _index_copy)
    flat = _check_index("index_copy_()", index, RuntimeError)
    if source.dtype is not x.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{x.dtype!r} and (source) {source.dtype!r}"
        )
    if x.ndim != source.ndim and x.ndim and source.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must "
            f"match. Source dimensionality ({source.ndim}), destination dimensionality ({x.ndim})"
        )
    rest = [[*y.shape[:d], *y.shape[d + 1 :]] for y in (x, source)]
    if rest[0] != rest[1]:
        raise RuntimeError(
            "index_copy_(): Source/destination tensor must have same slice shapes. Destination "
            f"slice shape: {rest[0]} at dimension {d} and source slice shape: {rest[1]} at "
            f"dimension {d}."
        )
    count = source.shape[d] if source.ndim else 1
    if flat._p.numel != count:
        raise IndexError(
            f"index_copy_(): Number of indices ({flat._p.numel}) should be equal to "
            f"source.size(dim) ({count})"
        )
    if x.ndim == 0:
        write_at(unsqueeze(x, 0), Indices([flat]), reshape(source, -1), False, _index_copy)
        return x
    values = source if source.ndim else reshape(source, 1)
    return write_at(x, Indices([flat], d), values, False, _index_copy)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy with the slices of `source` written at the given positions of a dimension.

    >>> zeros = ad.zeros(3)
    >>> zeros.index_copy(0, ad.tensor([2, 0]), ad.tensor([5.0, 6.0])).tolist()
    [6.0, 0.0, 5.0]
    """
    return index_copy_(copied(input), dim, index, source)


def index_fill_(x: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`index_fill`, written over the tensor."""
    p, places = x._p, index._p
    d = dim_index(dim, p.ndim)
    given = value if isinstance(value, Tensor) else scalar(value, x.dtype)
    if places.dtype == INT64 and places.ndim == 1 and p.ndim > 0 == given._p.ndim:
        return write_along(x, d, index, given, False, _index_fill)
    flat = _check_index("index_fill_()", index, IndexError)
    if given._p.ndim:
        raise RuntimeError(
            f"Only supports 0-dimensional value tensor but got tensor with {given.ndim} dimensions."
        )
    target = x if x.ndim else unsqueeze(x, 0)
    write_at(target, Indices([flat], d), given, False, _index_fill)
    return x


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy with one value at the given positions of a dimension.

    >>> ad.zeros(3).index_fill(0, ad.tensor([2, 0]), 5.0).tolist()
    [5.0, 0.0, 5.0]
    """
    return index_fill_(copied(input, True), dim, index, value)


# ---- at index tensors ----


def index_put_(
    x: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """Write (or add) values at index tensors or masks of the leading dimensions, in place.

    A None among them stands for all of a dimension.
    """
    if not indices:
        kind = type(indices).__name__
        raise TypeError(f"index_put_(): at least one index tensor is needed, not {kind}")
    if values._p.dtype != x._p.dtype:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{x.dtype!r} for the destination and {values.dtype!r} for the source."
        )
    if len(indices) == 1 and is_places(x, indices[0]):
        return write_at(x, Indices([indices[0]]), values, accumulate)  # type: ignore[list-item]
    items: list[Any] = []
    for item in indices:
        if item is not None and not isinstance(item, Tensor):
            raise must_be("index_put_", "indices", "tuple of Tensors", item)
        items.append(slice(None) if item is None else item)
    y, left = by_places(x, tuple(items)) or basic(
        x, tuple([reshape(i, 1) if _is_number(i) else i for i in items])
    )
    if not left:
        raise TypeError("index_put_(): at least one index tensor is needed")
    write_at(*advanced(y, left), values, accumulate)
    return x


def _is_number(item: Any) -> bool:
    """Whether an index is a number as a tensor, and no truth value."""
    return isinstance(item, Tensor) and item.ndim == 0 and item.dtype is not dtypes.bool


def index_put(
    input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """A copy with values written (or added) at index tensors or masks of the leading dimensions.

    >>> zeros, places = ad.zeros(3), (ad.tensor([1, 1]),)
    >>> zeros.index_put(places, ad.tensor([5.0, 6.0]), accumulate=True).tolist()
    [0.0, 11.0, 0.0]
    """
    return index_put_(copied(input, True), indices, values, accumulate)


# ---- in the whole tensor ----


def _take_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    return (reshape(_scatter(g, node.args[0], [node.shape.numel()]), node.shape),)


_take: Op = Op("take", lambda p, places: lib.ad_take(p, *places.checked()), _take_rule)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions of the tensor as one vector, in the shape of the index.

    >>> ad.tensor([[1, 2], [3, 4]]).take(ad.tensor([3, 0])).tolist()
    [4, 1]
    """
    p, places = input._p, index._p
    if places.dtype != INT64:
        _check_dtype("take()", index, RuntimeError)
    if p.numel == 0 and places.numel:
        raise IndexError("take(): tried to take from a tensor of size 0")
    y = lib.ad_take(p, places)
    if not y:
        raise error("take", p)
    return _take.result(input, y, remembered(input, 0, index))


def put_(x: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`put`, written over the tensor."""
    p, places, values = x._p, index._p, source._p
    n = places.numel
    if (
        n == values.numel
        and places.dtype == INT64
        and values.dtype == p.dtype
        and 0 not in (n, p.numel)
        and _is_written(x, places, source, accumulate)
    ):
        return x
    _check_dtype("put_()", index, RuntimeError)
    if source.dtype is not x.dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{x.dtype!r} and source.dtype = {source.dtype!r}"
        )
    if index._p.numel != source._p.numel:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"sizes {list(source.shape)} and {list(index.shape)}"
        )
    if index._p.numel == 0:
        return x
    if x._p.numel == 0:
        raise IndexError("put_(): Trying to put elements into a tensor of size 0")
    return _put_flat(x, reshape(index.detach(), -1), reshape(source, -1), accumulate, _put_at)


def _is_written(x: Tensor, places: Any, source: Tensor, accumulate: bool) -> bool:
    """Whether the first values were written (or added) at places, and no history has to know."""
    if not is_untold(x, source):
        return False
    if not lib.ad_put(x._p, places, source._p, accumulate):
        return True
    take_failure()  # to be met again
    return False


def _put_flat(x: Tensor, index: Tensor, values: Tensor, accumulate: bool, op: Op) -> Tensor:
    """Write (or add) values at positions of all of x, row by row."""
    node = None
    if mode.grad:
        check_writable(x, f"{op.name}_")
        edges = [live_node(x), live_node(values)]
        if edges[0] is not None or edges[1] is not None:
            node = op.record((x, values), edges, (Indices([index]), accumulate), x._p)
    target, at = x._p, [index._p]
    flat = lib.ad_view(target, 1, [target.numel])
    if flat:
        target = fresh(flat, op.name)
    else:
        take_failure()
        at = [c._p for c in _coordinates(x, index)]
    if lib.ad_index_put(target, 0, len(at), at, values._p, accumulate):
        raise error(f"{op.name}_", x._p, index._p)
    if node is not None:
        rebase(x, node)
    return x


def _coordinates(x: Tensor, places: Tensor) -> list[Tensor]:
    """Positions in all of x, row by row, as an index tensor for each dimension."""
    n = x._p.numel
    zeros = expand(places.new_zeros(1), (n,))  # of no memory: what reads it checks the positions
    places = (places + _take(zeros, Indices([places]))) % n
    found: list[Tensor] = []
    for size in reversed(x.shape):
        found.insert(0, places % size)
        places = places // size
    return found


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with values written (or added) at positions of the tensor as one vector.

    >>> zeros = ad.zeros(2, 2)
    >>> zeros.put(ad.tensor([3, 0]), ad.tensor([5.0, 6.0])).tolist()
    [[6.0, 0.0], [0.0, 5.0]]
    """
    return put_(clone(input), index, source, accumulate)


# ---- where a mask is true ----


def _few(size: int) -> str:
    return f"masked_scatter: number of elements of source ({size}) < number of ones in mask"


def masked_scatter_(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`masked_scatter`, written over the tensor."""
    return _scatter_masked(x, mask if mask.shape == x.shape else expand(mask, x.shape), source)


def _scatter_masked(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The same, for a mask of x's shape."""
    if mask._p.dtype != BOOL:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype!r}"
        )
    if source._p.dtype != x._p.dtype:
        raise RuntimeError(
            "masked_scatter_: expected self and source to have same dtypes but got "
            f"{x.dtype!r} and {source.dtype!r}"
        )
    size = source._p.numel
    if recorder_here() is not None:
        write_masked(x, mask, reshape(source, -1), True, _few(size))
        return x
    places = own(lib.ad_nonzero(mask._p, True), "masked_scatter_", mask._p)
    count = places._p.numel
    if count > size:
        raise RuntimeError(f"{_few(size)} ({count})")
    if _is_written(x, places._p, source, False):
        return x
    if mode.grad and live_node(source) is None:
        check_writable(x, "masked_scatter_")
        edge = live_node(x)
        if not lib.ad_put(x._p, places._p, source._p, False):
            if edge is not None:
                args = (Indices([places]), False)
                rebase(x, _masked_scatter.record((x, source), [edge, None], args, x._p))
            return x
        take_failure()  # of what does not lie in rows
    values = _slice(reshape(source, -1), 0, 0, count, 1)
    return _put_flat(x, places, values, False, _masked_scatter)


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy with the elements of source, in order, where mask is true.

    >>> mask = ad.tensor([True, False, True])
    >>> ad.zeros(3).masked_scatter(mask, ad.tensor([5.0, 6.0, 7.0])).tolist()
    [5.0, 0.0, 6.0]
    """
    if is_mask(input, mask):
        return _scatter_masked(copied(input), mask, source)
    try:
        wide, where = broadcast_indices([input, mask])
    except IndexError as failure:
        raise RuntimeError(f"masked_scatter(): {failure}") from None
    return _scatter_masked(copied(wide), where, source)

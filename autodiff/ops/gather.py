"""Gather and scatter: reading and writing at index tensors, each the other's adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.descriptor import fresh
from autodiff.native import describe, error, ffi, hold, lib, take_failure
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode, has_history, is_untold
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import clone
from autodiff.ops.history import check_writable, rebase
from autodiff.ops.views import _select, expand, reshape, unsqueeze, zeros_p
from autodiff.shapes import Size, broadcast, dim_index
from autodiff.tensor import Tensor, live_node, own, wrap

_shape_key = lib.ad_shape_key


class Indices:
    """Index tensors of one shape, as a gather or scatter keeps them for backward.

    They index the dimensions from `first` on.
    """

    __slots__ = ("first", "ps", "version")

    def __init__(self, tensors: Sequence[Tensor], first: int = 0) -> None:
        self.ps = [x._p for x in tensors]
        self.first = first
        self.version = lib.ad_version(self.ps[0]) if len(self.ps) == 1 else self._version()

    @property
    def shape(self) -> Size:
        """The shape of each."""
        return wrap(self.ps[0]).shape

    def _version(self) -> int:
        return sum(map(lib.ad_version, self.ps))

    def checked(self) -> list[Any]:
        """The descriptors; RuntimeError where an index was written to since."""
        if self._version() != self.version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                "inplace operation: an index tensor was written to before backward"
            )
        return self.ps


def remembered(x: Tensor, dim: int, index: Tensor, *more: Tensor) -> tuple[Indices, ...]:
    """Indices of x from a dimension on, for backward: nothing where x has no history."""
    return () if x._node is None and x._base is None else (Indices([index, *more], dim),)


# ---- gather and scatter over neighbouring dimensions ----


def _get_forward(p: Any, indices: Indices) -> Any:
    return lib.ad_index_get(p, indices.first, len(indices.ps), indices.checked())


def _scatter_forward(g: Any, indices: Indices, shape: Sequence[int]) -> Any:
    z = zeros_p(g.dtype, shape)
    if lib.ad_index_put(z, indices.first, len(indices.ps), indices.checked(), g, 1):
        raise error("index_put", z, g)
    return lib.ad_alias(z)


def _clear_forward(g: Any, indices: Indices) -> Any:
    y = fresh(lib.ad_clone(g), "index_put", g)
    zero, ps = zeros_p(g.dtype, []), indices.checked()
    if lib.ad_index_put(y, indices.first, len(ps), ps, zero, 0):
        raise error("index_put", y)
    return lib.ad_alias(y)


def index_along(x: Tensor, dim: int, index: Tensor, *more: Tensor) -> Tensor:
    """What int64 tensors of one shape name in the dimensions of x from `dim` on."""
    p, ps = x._p, [index._p]
    if more:
        ps += [each._p for each in more]
    y = lib.ad_index_get(p, dim, len(ps), ps)
    if not y:
        raise error(_get.name, p)
    return _get.result(x, y, remembered(x, dim, index, *more))


def rows_of(xs: Sequence[Tensor], index: Tensor, start: int, end: int) -> list[Tensor]:
    """The rows of tensors that a stretch of a one-dimensional int64 index names."""
    if has_history(xs):
        part = index[start:end]
        return [index_along(x, 0, part) for x in xs]
    ps = [x._p for x in xs]
    out = ffi.new("ad_tensor *[]", len(ps))
    if lib.ad_index_rows(len(ps), ps, index._p, start, end, out):
        raise error(_get.name, *ps)
    return [wrap(hold(p)) for p in out]


_get: Op = Op("index", _get_forward,
        lambda node, g: (_scatter(g, node.args[0], node.shape),))  # fmt: skip
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


_put: Op = Op("index_put", lambda *_: None, _put_rule, shaped=False)
_put_added: Op = Op("index_add", lambda *_: None, _put_rule, shaped=False)


def _bad_values(x: Tensor, indices: Indices, values: Tensor, failure: Exception) -> Exception:
    first, end = indices.first, indices.first + len(indices.ps)
    target = [*x.shape[:first], *indices.shape, *x.shape[end:]]
    given = [1] * (len(target) - values.ndim) + list(values.shape)
    if len(given) == len(target) and all(n in (1, m) for n, m in zip(given, target, strict=True)):
        return failure
    return RuntimeError(
        f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to "
        f"indexing result of shape {target}"
    )


def write_at(
    x: Tensor, indices: Indices, values: Tensor, accumulate: bool, op: Op = _put
) -> Tensor:
    """Write (or add) values at the indices, in place."""
    node = None
    if mode.grad and not is_untold(x, values):
        if x._node is not None or x._base is not None:
            check_writable(x, f"{op.name}_")
        edges = [live_node(x), live_node(values)]
        if edges[0] is not None or edges[1] is not None:
            args = (indices, accumulate, values.shape, values.dtype)
            node = op.record((x, values), edges, args, x._p)
    at = indices.ps
    if lib.ad_index_put(x._p, indices.first, len(at), at, values._p, accumulate):
        raise _bad_values(x, indices, values, error(f"{op.name}_", x._p, values._p))
    if node is not None:
        rebase(x, node)
    return x


def write_along(
    x: Tensor, dim: int, index: Tensor, values: Tensor, accumulate: bool, op: Op
) -> Tensor:
    """The same at what one int64 tensor names along a dimension: no history is quicker."""
    if is_untold(x, values):
        if not lib.ad_index_put(x._p, dim, 1, [index._p], values._p, accumulate):
            return x
        take_failure()  # to be met again
    return write_at(x, Indices([index], dim), values, accumulate, op)


def broadcast_indices(tensors: list[Tensor]) -> list[Tensor]:
    """The tensors expanded to one shape. IndexError where they do not broadcast."""
    keys = [_shape_key(x._p) for x in tensors]
    if keys[0] and keys.count(keys[0]) == len(keys):
        return tensors
    shapes = [x.shape for x in tensors]
    if shapes.count(shapes[0]) == len(shapes):
        return tensors
    found = broadcast(shapes)
    if found is None:
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes "
            + ", ".join(str(list(s)) for s in shapes)
        )
    return [x if x.shape == found else expand(x, found) for x in tensors]


# ---- along one dimension ----


def _add_along_forward(g: Any, indices: Indices, shape: Sequence[int]) -> Any:
    z = zeros_p(g.dtype, shape)
    if lib.ad_scatter_add(z, indices.first, indices.checked()[0], g):
        raise error("scatter_add", z, g)
    return lib.ad_alias(z)


_along: Op = Op("gather", lambda p, indices: lib.ad_gather(p, indices.first, indices.checked()[0]),
        lambda node, g: (_add_along(g, node.args[0], node.shape),))  # fmt: skip
_add_along: Op = Op(
    "scatter_add", _add_along_forward, lambda node, g: (_along(g, node.args[0]),), shaped=False
)


def _chosen_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    """The cotangent of elements chosen along a dimension, which may have been dropped since."""
    indices, kept = node.args
    return (_add_along(g if kept else unsqueeze(g, indices.first), indices, node.shape),)


def choice(name: str, grad_name: str) -> Op:
    """An operation that chooses elements along a dimension; `chosen` records its calls."""
    return Op(name, lambda *_: None, _chosen_rule, grad_name=grad_name)


def chosen(op: Op, x: Tensor, values: Any, index: Tensor, dim: int, kept: bool) -> Tensor:
    """The result of a choice: these values, of the places that `index` names.

    Unless `kept`, both are without the dimension.
    """
    if not x._p.ndim:
        return clone(x)  # of a number there is no choice
    y = wrap(values)
    if mode.grad and (edge := live_node(x)) is not None:
        if not kept:
            index = own(lib.ad_unsqueeze(index._p, dim), op.name, index._p)
        y._node = op.record((x,), (edge,), (Indices([index], dim), kept), values)
    return y


# ---- by name ----


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on: index has input's dimensions.

    The result has the shape of index, which is int64. RuntimeError out of range. Gradients are
    dense, also with `sparse_grad`.

    >>> ad.tensor([[1, 2], [3, 4]]).gather(1, ad.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """
    p, places = input._p, index._p
    at = dim_index(dim, p.ndim)
    if p.ndim == places.ndim > 0:
        y = lib.ad_gather(p, at, places)
        if y:
            return _along.result(input, y, remembered(input, at, index))
        failure = take_failure()
        if (converted := as_places(index)) is not index:
            return gather(input, dim, converted)
        _check_gather(input, at, index)
        if failure[0] == lib.AD_BAD_INDEX:
            raise RuntimeError(f"gather(): {describe(failure, 'gather', p)}")
        if places.numel:
            raise describe(failure, "gather", p)
    index = as_places(index)
    _check_gather(input, at, index)
    row = gather(reshape(input, -1), 0, reshape(index, -1))  # a number is a row of one
    return reshape(row, index.shape)


def as_places(index: Tensor) -> Tensor:
    """An index that functions by name take beside one of int64: of int32, or empty of any dtype."""
    p = index._p
    if p.dtype != _INT64 and (p.numel == 0 or p.dtype == _INT32):
        index = to_dtype(index, dtypes.int64)
    return index


_INT32, _INT64 = dtypes.int32.code, dtypes.int64.code


def _check_gather(input: Tensor, dim: int, index: Tensor) -> None:
    if index.dtype is not dtypes.int64:
        raise RuntimeError(f"gather(): Expected dtype int64 for index, got {index.dtype!r}")
    if not index.numel():  # fits any input
        return
    dims = (index.ndim, input.ndim)
    if dims[0] != dims[1] and (0 not in dims or max(dims) > 1):
        raise RuntimeError(
            "Index tensor must have the same number of dimensions as input tensor: got "
            f"{dims[0]} and {dims[1]}"
        )
    for d, (size, limit) in enumerate(zip(index.shape, input.shape, strict=False)):
        if d != dim and size > limit:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(index.shape)} to be no "
                f"larger than self {list(input.shape)} apart from dimension {dim}"
            )


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with the other dimensions broadcast; without dim, of the flattened tensors.

    >>> x = ad.tensor([[3, 1, 2]])
    >>> ad.take_along_dim(x, x.argsort(), 1)
    tensor([[1, 2, 3]])
    """
    if dim is None:
        return gather(reshape(input, -1), 0, reshape(indices, -1))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "take_along_dim(): input and indices should have the same number of dimensions, but "
            f"got {input.ndim} and {indices.ndim} dimensions"
        )
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(
            f"take_along_dim(): dtype of indices should be Long but got {indices.dtype!r}"
        )
    sizes, places = list(input.shape), list(indices.shape)
    at = dim_index(dim, len(sizes))
    shape = [max(a, b) if a != 0 != b else 0 for a, b in zip(sizes, places, strict=True)]
    shape[at] = places[at]
    source = list(shape)
    source[at] = sizes[at]
    wide = input if source == sizes else expand(input, source)
    try:
        return gather(wide, at, indices if shape == places else expand(indices, shape))
    except RuntimeError:
        if not (indices < 0).any():
            raise
    counted = (indices + input.shape[at]).where(indices < 0, indices)  # from the end
    return gather(wide, at, expand(counted, shape))


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The positions of nonzero elements: (count, ndim) int64, or a tensor for each dimension.

    >>> ad.tensor([[0, 1], [2, 0]]).nonzero()
    tensor([[0, 1],
            [1, 0]])
    """
    x = unsqueeze(input, 0) if as_tuple and not input.ndim else input
    found = own(lib.ad_nonzero(x._p, False), "nonzero", x._p)
    if not as_tuple:
        return found
    return _select.each(found, [(1, d) for d in range(x.ndim)])

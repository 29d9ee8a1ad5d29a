"""Gather and scatter: reading and writing at index tensors, each the other's adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.native import error, lib
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode, fresh
from autodiff.ops.cast import to_dtype
from autodiff.ops.create import arange
from autodiff.ops.history import check_writable, rebase
from autodiff.ops.views import (
    _select,
    expand,
    reshape,
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
                "inplace operation: an index tensor was written to before backward"
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
    if not indices:
        raise TypeError("index_put_(): at least one index tensor is needed")
    return write_at(x, Indices(broadcast_indices(list(indices))), values, accumulate)


def _bad_values(x: Tensor, indices: Indices, values: Tensor, failure: Exception) -> Exception:
    target = [*indices.shape, *x.shape[len(indices.ps) :]]
    given = [1] * (len(target) - values.ndim) + list(values.shape)
    if len(given) == len(target) and all(n in (1, m) for n, m in zip(given, target, strict=True)):
        return failure
    return RuntimeError(
        f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to "
        f"indexing result of shape {target}"
    )


def write_at(x: Tensor, indices: Indices, values: Tensor, accumulate: bool) -> Tensor:
    """`index_put_`, the indices being made."""
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


def broadcast_indices(tensors: list[Tensor]) -> list[Tensor]:
    """The tensors expanded to one shape. IndexError where they do not broadcast."""
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


# ---- by name ----


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on: index has input's dimensions."""
    if index.dtype is not dtypes.int64:
        raise RuntimeError(f"gather(): Expected dtype int64 for index, got {index.dtype!r}")
    at = dim_index(dim, input.ndim)
    if 0 in (index.ndim, input.ndim) and index.ndim + input.ndim < 2:  # a number is a row of one
        row = gather(reshape(input, -1), 0, reshape(index, -1))
        return reshape(row, index.shape)
    if index.ndim != input.ndim:
        raise RuntimeError(
            "Index tensor must have the same number of dimensions as input tensor: got "
            f"{index.ndim} and {input.ndim}"
        )
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


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with the other dimensions broadcast; without dim, of the flattened tensors."""
    if dim is None:
        return gather(reshape(input, -1), 0, reshape(indices, -1))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "take_along_dim(): input and indices should have the same number of dimensions, but "
            f"got {input.ndim} and {indices.ndim} dimensions"
        )
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

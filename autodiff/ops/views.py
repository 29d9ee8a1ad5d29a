"""The view family: other shapes and strides of the same memory, and their adjoints."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import dtype as DType
from autodiff.native import describe, error, lib, take_failure
from autodiff.ops.base import Op, OpNode
from autodiff.ops.bytes import reinterpreted
from autodiff.shapes import MAX_DIMS, dim_index, dim_mask, inverse, sizes_of
from autodiff.tensor import Tensor

# ---- adjoints: a cotangent put back where a view was taken ----


def zeros_p(dtype: int, shape: Sequence[int]) -> Any:
    """A descriptor of zeros."""
    return fresh(lib.ad_full_i64(dtype, len(shape), list(shape), 0), "zeros")


def _embed_forward(g: Any, shape: Sequence[int], take: Callable[[Any], Any], _: Any) -> Any:
    z = zeros_p(g.dtype, shape)
    region = fresh(take(z), "embed", z)
    if lib.ad_copy(region, g):
        raise error("embed", region, g)
    return lib.ad_alias(z)


# g, in zeros of `shape`, at the view that `take` takes of a descriptor and `again` of a tensor.
_embed: Op = Op(
    "embed", _embed_forward, lambda node, g: (node.args[2](g),), grad_name="SliceBackward0"
)


# ---- views ----

_view: Op = Op("view", lambda p, shape: lib.ad_view(p, len(shape), shape),
        lambda node, g: (reshape(g, node.shape),), view=True)  # fmt: skip
_unsafe_view: Op = Op(  # of a copy that nobody else sees
    "_unsafe_view",
    lambda p, shape: lib.ad_view(p, len(shape), shape),
    lambda node, g: (reshape(g, node.shape),),
    grad_name="UnsafeViewBackward0",
)
_expand: Op = Op("expand", lambda p, shape: lib.ad_expand(p, len(shape), shape),
        lambda node, g: (g.sum_to_size(node.shape),), view=True)  # fmt: skip
_permute: Op = Op(
    "permute",
    lambda p, dims: lib.ad_permute(p, len(dims), dims),
    lambda node, g: (permute(g, inverse(node.args[0])),),
    view=True,
    shaped=False,
)
_transpose: Op = Op("transpose", lib.ad_transpose, lambda node, g: (_transpose(g, *node.args),),
        view=True, shaped=False)  # fmt: skip


def _part(name: str, native: Callable[..., Any]) -> Op:
    """An op that gives a part of its operand; its cotangent is that of the part, among zeros."""

    def rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
        args = node.args
        return (_embed(g, node.shape, lambda p: native(p, *args), lambda h: op(h, *args)),)

    op = Op(name, native, rule, view=True)
    return op


_select, _slice = _part("select", lib.ad_select), _part("slice", lib.ad_slice)
_squeeze: Op = Op("squeeze", lib.ad_squeeze, lambda node, g: (reshape(g, node.shape),), view=True,
        grad_name=lambda node: f"SqueezeBackward{_dims_named(node.shape, *node.args)}")  # fmt: skip


def _dims_named(shape: Sequence[int], mask: int) -> int:
    """PyTorch's variant of squeeze: of all dimensions, of one, of several."""
    return 0 if mask == (1 << len(shape)) - 1 else min(mask.bit_count(), 2)


_unsqueeze: Op = Op("unsqueeze", lib.ad_unsqueeze,
        lambda node, g: (_squeeze(g, 1 << node.args[0]),), view=True, shaped=False)  # fmt: skip
_alias: Op = Op("alias", lib.ad_alias, lambda node, g: (g,), view=True, shaped=False)


_view_at_once, _expand_at_once = _view.direct(lib.ad_view), _expand.direct(lib.ad_expand)
_permute_at_once = _permute.direct(lib.ad_permute)
_transpose_at_once = _transpose.direct(lib.ad_transpose, dims=2)
_slice_at_once = _slice.direct(lib.ad_slice)
_unsqueeze_at_once = _unsqueeze.direct(lib.ad_unsqueeze)
_select_at_once = _select.direct(lib.ad_select, dims=1)


def view(x: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same elements in another shape, sharing memory; one size may be -1.

    Given a dtype instead, the same bytes as elements of it, without a gradient: where those are of
    another size, the last dimension shrinks or grows. RuntimeError where the element counts differ
    or the strides cannot express it without a copy.

    >>> ad.arange(6).view(2, 3)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if len(shape) == 1 and isinstance(shape[0], DType):
        (dtype,), shape = shape, ()
    if dtype is not None and not shape:
        return reinterpreted(x, dtype)
    return viewed(x, sizes_of(shape, "view", size))


def viewed(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """`view` in a shape of plain ints."""
    y: Tensor | None = _view_at_once(x, sizes)
    if y is not None:
        return y
    p = lib.ad_view(x._p, len(sizes), sizes)
    if p:
        return _view.result(x, p, (sizes,))
    raise _bad_shape(x, sizes, error("view", x._p))


def _bad_shape(x: Tensor, sizes: Sequence[int], failure: Exception) -> Exception:
    if isinstance(failure, MemoryError):
        return failure
    if bad := [size for size in sizes if size < -1]:
        return RuntimeError(f"invalid shape dimension {bad[0]} in {list(sizes)}")
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1:
        return RuntimeError(f"only one dimension can be inferred, got shape {list(sizes)}")
    if -1 in sizes and known == 0:
        return RuntimeError(
            f"cannot reshape tensor of {x.numel()} elements into shape {list(sizes)} because the "
            "unspecified dimension size -1 can be any value and is ambiguous"
        )
    if (-1 in sizes and x.numel() % known) or (-1 not in sizes and known != x.numel()):
        return RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {x.numel()}")
    return RuntimeError(str(failure))


def reshape(input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """The same elements in another shape: a view where the strides allow it, else a copy.

    One size may be -1, which stands for what is left. RuntimeError for other numbers of elements.

    >>> ad.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    wanted = sizes_of(sizes, "reshape", shape)
    y: Tensor | None = _view_at_once(input, wanted)
    if y is not None:
        return y
    p = lib.ad_view(input._p, len(wanted), wanted)
    if p:
        return _view.result(input, p, (wanted,))
    failure = take_failure()
    if failure[0] != lib.AD_NO_VIEW:
        raise _bad_shape(input, wanted, describe(failure, "reshape", input._p))
    return _unsafe_view(input.contiguous(), wanted)


def _check_room(name: str, ndim: int) -> None:
    if ndim > MAX_DIMS:
        raise RuntimeError(f"{name}(): at most {MAX_DIMS} dimensions are supported, got {ndim}")


def expand(x: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """The tensor repeated along dimensions of size 1 (and new leading ones) without copying.

    A view; -1 keeps a size. RuntimeError where another size would change.

    >>> ad.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return expanded(x, sizes_of(sizes, "expand", size))


def expanded(x: Tensor, wanted: Sequence[int]) -> Tensor:
    """`expand` to a shape of plain ints."""
    y: Tensor | None = _expand_at_once(x, wanted)
    if y is not None:
        return y
    try:
        return _expand.call(x, wanted)
    except (RuntimeError, IndexError):
        _check_room("expand", len(wanted))
        if len(wanted) < x.ndim:
            raise RuntimeError(
                f"expand({x.type()}{{{list(x.shape)}}}, size={list(wanted)}): the number of sizes "
                f"provided ({len(wanted)}) must be greater or equal to the number of dimensions in "
                f"the tensor ({x.ndim})"
            ) from None
        raise RuntimeError(_unexpanded(wanted, list(x.shape))) from None


def _unexpanded(wanted: Sequence[int], sizes: Sequence[int]) -> str:
    """Why a tensor cannot be expanded to `wanted`, of at least as many sizes."""
    new = len(wanted) - len(sizes)
    for d in reversed(range(len(wanted))):
        n, size = wanted[d], sizes[d - new] if d >= new else 1
        if n < 0 and d < new:
            return (
                f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing "
                f"dimension {d}: target sizes {list(wanted)}, tensor sizes {list(sizes)}"
            )
        if n != size and (size != 1 or n < -1) and (n != -1):
            return (
                f"The expanded size of the tensor ({n}) must match the existing size ({size}) at "
                f"non-singleton dimension {d}.  Target sizes: {list(wanted)}.  Tensor sizes: "
                f"{list(sizes)}"
            )
    return "numel: integer multiplication overflow"


def permute(input: Tensor, *sizes: Any, dims: Any = None) -> Tensor:
    """The dimensions in the order `dims`, which names each once: a view. RuntimeError else.

    >>> ad.zeros(2, 3, 4).permute(2, 0, 1).shape
    torch.Size([4, 2, 3])
    """
    order = sizes_of(sizes, "permute", dims)
    y: Tensor | None = _permute_at_once(input, order)
    if y is not None:
        return y
    n = input._p.ndim
    if len(order) != n:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the "
            f"desired ordering of dimensions i.e. input.dim() = {n} is not equal to "
            f"len(dims) = {len(order)}"
        )
    try:
        p = lib.ad_permute(input._p, n, order)
        if p:
            return _permute.result(input, p, (order,))
        take_failure()  # which is met again below, or a dimension counts from the end
    except OverflowError:
        pass  # an integer past 64 bits
    order = [dim_index(d, n) for d in order]
    if len(set(order)) < n:
        raise RuntimeError(f"permute(): duplicate dims are not allowed, got {order}")
    return _permute(input, order)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped: a view.

    >>> ad.zeros(2, 3).transpose(0, 1).shape
    torch.Size([3, 2])
    """
    y: Tensor | None = _transpose_at_once(input, dim0, dim1)
    if y is not None:
        return y
    d0, d1 = dim_index(dim0, input._p.ndim), dim_index(dim1, input._p.ndim)
    return _transpose.call(input, d0, d1) if input._p.ndim else _alias.call(input)


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one index of a dimension, which is dropped: a view. IndexError out of range.

    >>> ad.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """
    y: Tensor | None = _select_at_once(input, dim, index)
    if y is not None:
        return y
    if input._p.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d = dim_index(dim, input._p.ndim)
    i = operator.index(index)
    size = input._p.shape[d]
    if not -size <= i < size:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(input.shape)} at "
            f"dimension {d}"
        )
    return _select.call(input, d, i)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` indices of a dimension from `start` on: a view. RuntimeError out of range.

    >>> ad.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """
    if input._p.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    d = dim_index(dim, input._p.ndim)
    size = input._p.shape[d]
    if not -size <= start <= size:
        raise IndexError(
            f"narrow(): start out of range (expected to be in range of [{-size}, {size}], but got "
            f"{start})"
        )
    first = start + size if start < 0 else start
    if length < 0 or first + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return _slice(input, d, first, first + length, 1)


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Dimensions of size 1 dropped, all of them or those named: a view. Others stay.

    >>> ad.zeros(1, 2, 1).squeeze().shape
    torch.Size([2])
    """
    if dim is None:
        mask = (1 << input._p.ndim) - 1
    else:
        named = not isinstance(dim, (tuple, list)) or len(dim) > 0
        mask = dim_mask(dim, input._p.ndim) if named else 0
    return _squeeze.call(input, mask)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A dimension of size 1 inserted before `dim`, -1 being after the last: a view.

    >>> ad.zeros(2).unsqueeze(0).shape
    torch.Size([1, 2])
    """
    if type(dim) is int:
        y: Tensor | None = _unsqueeze_at_once(input, dim if dim >= 0 else dim + input._p.ndim + 1)
        if y is not None:
            return y
    n = input._p.ndim + 1
    if n > MAX_DIMS:
        _check_room("unsqueeze", n)
    return _unsqueeze.call(input, dim_index(dim, n))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim merged into one: a view where strides allow it.

    >>> ad.zeros(2, 3, 4).flatten(1).shape
    torch.Size([2, 12])
    """
    q = input._p
    if start_dim == 0 and end_dim == -1 and q.ndim > 1:
        sizes = [q.numel]
        y: Tensor | None = _view_at_once(input, sizes)
        return reshape(input, sizes) if y is None else y
    sizes = list(input.shape)
    n = len(sizes)
    start, end = dim_index(start_dim, n), dim_index(end_dim, n)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if n == 0:
        return reshape(input, 1)
    if start == end:
        return input
    sizes[start : end + 1] = [math.prod(sizes[start : end + 1])]
    y = _view_at_once(input, sizes)
    return reshape(input, sizes) if y is None else y


def alias(x: Tensor) -> Tensor:
    """Another tensor of the same memory, as a view.

    >>> x = ad.zeros(2)
    >>> y = x.alias().fill_(1)
    >>> x
    tensor([1., 1.])
    """
    return _alias(x)

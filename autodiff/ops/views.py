"""The view family: other shapes and strides of the same memory, and their adjoints."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from autodiff.dtypes import SCALAR_NAMES, dtype, int64
from autodiff.dtypes import bool as boolean
from autodiff.native import describe, error, lib, take_failure
from autodiff.node import Node
from autodiff.ops import history
from autodiff.ops.base import Op, fresh
from autodiff.shapes import MAX_DIMS, Size, dim_index, sizes_of
from autodiff.tensor import Tensor, own
from autodiff.tensor import late as tensor_late

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


def _same(node: Any, g: Tensor) -> tuple[Tensor]:
    return (g,)


# ---- views ----

_view: Op = Op(
    "view",
    lambda p, shape: lib.ad_view(p, len(shape), shape),
    lambda node, g: (reshape(g, node.shape),),
    view=True,
)
_unsafe_view: Op = Op(  # of a copy that nobody else sees
    "_unsafe_view",
    lambda p, shape: lib.ad_view(p, len(shape), shape),
    lambda node, g: (reshape(g, node.shape),),
    grad_name="UnsafeViewBackward0",
)
_expand: Op = Op(
    "expand",
    lambda p, shape: lib.ad_expand(p, len(shape), shape),
    lambda node, g: (g.sum_to_size(node.shape),),
    view=True,
)
_permute: Op = Op(
    "permute",
    lambda p, dims: lib.ad_permute(p, len(dims), dims),
    lambda node, g: (permute(g, sorted(range(len(node.args[0])), key=node.args[0].__getitem__)),),
    view=True,
    shaped=False,
)
_transpose: Op = Op(
    "transpose",
    lib.ad_transpose,
    lambda node, g: (_transpose(g, *node.args),),
    view=True,
    shaped=False,
)
_t: Op = Op(
    "t",
    lib.ad_transpose,
    lambda node, g: (_t(g, 0, 1),),
    view=True,
    shaped=False,
    grad_name="TBackward0",
)
_reversed: Op = Op(  # .T of a matrix
    "reversed_dims",
    lib.ad_transpose,
    lambda node, g: (_reversed(g, 0, 1),),
    view=True,
    shaped=False,
    grad_name="PermuteBackward0",
)
_select: Op = Op(
    "select",
    lib.ad_select,
    lambda node, g: (
        _embed(
            g, node.shape, lambda p: lib.ad_select(p, *node.args), lambda h: _select(h, *node.args)
        ),
    ),
    view=True,
)
_slice: Op = Op(
    "slice",
    lib.ad_slice,
    lambda node, g: (
        _embed(
            g, node.shape, lambda p: lib.ad_slice(p, *node.args), lambda h: _slice(h, *node.args)
        ),
    ),
    view=True,
)
_squeeze: Op = Op("squeeze", lib.ad_squeeze, lambda node, g: (reshape(g, node.shape),), view=True)
_unsqueeze: Op = Op(
    "unsqueeze",
    lib.ad_unsqueeze,
    lambda node, g: (_squeeze(g, 1 << node.args[0]),),
    view=True,
    shaped=False,
)
_alias: Op = Op("alias", lib.ad_alias, _same, view=True, shaped=False)


def view(x: Tensor, *shape: Any, size: Any = None) -> Tensor:
    """The same elements in another shape, sharing memory; one size may be -1.

    Given a dtype instead, the same bytes as elements of it, without a gradient: where those are of
    another size, the last dimension shrinks or grows. RuntimeError where the element counts differ
    or the strides cannot express it without a copy.

    >>> ad.arange(6).view(2, 3)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if len(shape) == 1 and isinstance(shape[0], dtype):
        return _reinterpreted(x, shape[0])
    sizes = sizes_of(shape, "view", size)
    p = lib.ad_view(x._p, len(sizes), sizes)
    if p:
        return _view.result(x, p, (sizes,))
    raise _bad_shape(x, sizes, error("view", x._p))


_NO_ELEMENTS = {
    1: "self.dim() cannot be 0 to view {a} as {b} (different element sizes)",
    2: "self.stride(-1) must be 1 to view {a} as {b} (different element sizes), but got {n}",
    3: "self.size(-1) must be divisible by {k} to view {a} as {b} (different element sizes), but "
    "got {n}",
    4: "self.storage_offset() must be divisible by {k} to view {a} as {b} (different element "
    "sizes), but got {n}",
    5: "self.stride({d}) must be divisible by {k} to view {a} as {b} (different element sizes), "
    "but got {n}",
    6: "view: the memory of {a} elements is not aligned to those of {b}: make a clone() first",
}


def _reinterpreted(x: Tensor, d: dtype) -> Tensor:
    if d is boolean and x.dtype is not boolean:
        raise RuntimeError("view: bytes that are neither 0 nor 1 are no bools; use to()")
    p = lib.ad_view_dtype(x._p, d.code)
    if p:
        return own(p, "view")
    failure = take_failure()
    status, a, b, c = failure
    if status != lib.AD_BAD_ARG:
        raise describe(failure, "view", x._p)
    names = {"a": SCALAR_NAMES[x._p.dtype], "b": SCALAR_NAMES[d.code]}
    k = d.itemsize // x.itemsize
    raise RuntimeError(_NO_ELEMENTS[a].format(n=b, d=c, k=k, **names))


def _bad_shape(x: Tensor, sizes: Sequence[int], failure: Exception) -> Exception:
    if isinstance(failure, MemoryError):
        return failure
    known = 1
    for size in sizes:
        known *= size if size != -1 else 1
    if any(size < -1 for size in sizes):
        bad = next(size for size in sizes if size < -1)
        return RuntimeError(f"invalid shape dimension {bad} in {list(sizes)}")
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
    wanted = sizes_of(sizes, "expand", size)
    _check_room("expand", len(wanted))
    if len(wanted) < x.ndim:
        raise RuntimeError(
            f"expand({list(x.shape)}, size={wanted}): the number of sizes provided ({len(wanted)}) "
            f"must be greater or equal to the number of dimensions in the tensor ({x.ndim})"
        )
    try:
        return _expand(x, wanted)
    except RuntimeError:
        raise RuntimeError(
            f"The expanded size of the tensor must match the existing size at each non-singleton "
            f"dimension. Target sizes: {wanted}. Tensor sizes: {list(x.shape)}"
        ) from None


def permute(input: Tensor, *sizes: Any, dims: Any = None) -> Tensor:
    """The dimensions in the order `dims`, which names each once: a view. RuntimeError else.

    >>> ad.zeros(2, 3, 4).permute(2, 0, 1).shape
    torch.Size([4, 2, 3])
    """
    order = sizes_of(sizes, "permute", dims)
    if len(order) != input.ndim:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the "
            f"desired ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to "
            f"len(dims) = {len(order)}"
        )
    order = [dim_index(d, input.ndim) for d in order]
    if len(set(order)) != len(order):
        raise RuntimeError(f"permute(): duplicate dims are not allowed, got {order}")
    return _permute(input, order)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped: a view.

    >>> ad.zeros(2, 3).transpose(0, 1).shape
    torch.Size([3, 2])
    """
    d0, d1 = dim_index(dim0, input.ndim), dim_index(dim1, input.ndim)
    return _alias(input) if input.ndim == 0 else _transpose(input, d0, d1)


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; tensors of fewer dimensions as they are. RuntimeError for more.

    >>> ad.tensor([[1, 2], [3, 4]]).t()
    tensor([[1, 3],
            [2, 4]])
    """
    n = input._p.ndim
    if n > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {n}D")
    return _t(input, 0, 1) if n == 2 else _alias(input)


def T(x: Tensor) -> Tensor:  # noqa: N802 - PyTorch's name
    """All dimensions reversed.

    >>> ad.tensor([[1, 2], [3, 4]]).T
    tensor([[1, 3],
            [2, 4]])
    """
    n = x._p.ndim
    return _reversed(x, 0, 1) if n == 2 else _permute(x, list(range(n))[::-1])


def mT(x: Tensor) -> Tensor:  # noqa: N802 - PyTorch's name
    """The last two dimensions swapped: a view.

    >>> ad.zeros(5, 2, 3).mT.shape
    torch.Size([5, 3, 2])
    """
    if x.ndim < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of them, got {x.ndim}-D"
        )
    return _transpose(x, x.ndim - 2, x.ndim - 1)


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at one index of a dimension, which is dropped: a view. IndexError out of range.

    >>> ad.tensor([[1, 2], [3, 4]]).select(1, 0)
    tensor([1, 3])
    """
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d = dim_index(dim, input.ndim)
    i = operator.index(index)
    size = input.shape[d]
    if not -size <= i < size:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(input.shape)} at "
            f"dimension {d}"
        )
    return _select(input, d, i)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` indices of a dimension from `start` on: a view. RuntimeError out of range.

    >>> ad.arange(5).narrow(0, 1, 3)
    tensor([1, 2, 3])
    """
    if input.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    d = dim_index(dim, input.ndim)
    size = input.shape[d]
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
        mask = (1 << input.ndim) - 1
    else:
        mask = 0
        for d in dim if isinstance(dim, (tuple, list)) else (dim,):
            mask |= 1 << dim_index(d, input.ndim)
    return _squeeze(input, mask)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A dimension of size 1 inserted before `dim`, -1 being after the last: a view.

    >>> ad.zeros(2).unsqueeze(0).shape
    torch.Size([1, 2])
    """
    _check_room("unsqueeze", input.ndim + 1)
    return _unsqueeze(input, dim_index(dim, input.ndim + 1))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim merged into one: a view where strides allow it.

    >>> ad.zeros(2, 3, 4).flatten(1).shape
    torch.Size([2, 12])
    """
    n = input.ndim
    start, end = dim_index(start_dim, n), dim_index(end_dim, n)
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if n == 0:
        return reshape(input, 1)
    if start == end:
        return input
    shape = input.shape
    return reshape(input, [*shape[:start], shape[start : end + 1].numel(), *shape[end + 1 :]])


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, which is dropped: views. IndexError of a 0-d tensor.

    >>> ad.tensor([[1, 2], [3, 4]]).unbind()
    (tensor([1, 2]), tensor([3, 4]))
    """
    if input.ndim == 0:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    d = dim_index(dim, input.ndim)
    return tuple(_select(input, d, i) for i in range(input.shape[d]))


def split(tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor in pieces of one size (the last may be smaller) or of the given sizes: views.

    RuntimeError where the sizes do not sum to the dimension's.

    >>> ad.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    d = dim_index(dim, tensor.ndim)
    size = tensor.shape[d]
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        if step < 0 or (step == 0 and size > 0):
            raise RuntimeError(f"split expects split_size be positive, but got split_size={step}")
        sections = [min(step, size - i) for i in range(0, size, step)] if size else [0]
    else:
        sections = list(split_size_or_sections)
        if sum(sections) != size or any(s < 0 for s in sections):
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's "
                f"size at dimension {d}), but got split_sizes={sections}"
            )
    pieces, start = [], 0
    for length in sections:
        pieces.append(_slice(tensor, d, start, start + length, 1))
        start += length
    return tuple(pieces)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor in at most `chunks` pieces of equal size, the last may be smaller: views.

    >>> ad.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    size = input.shape[dim_index(dim, input.ndim)]
    if size == 0:
        return split(input, [0] * chunks, dim)
    return split(input, max(-(-size // chunks), 1), dim)


# ---- regions: a view as positions in its base, for writes through views ----


def _span(shape: Sequence[int], strides: Sequence[int]) -> int:
    if 0 in shape:
        return 0
    return 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))


class _Region:
    """A view's elements as positions in a buffer laid out as its base."""

    def __init__(
        self,
        base_shape: Sequence[int],
        base_strides: Sequence[int],
        shape: Sequence[int],
        strides: Sequence[int],
        offset: Sequence[int],
    ) -> None:
        self.base_at = max(0, -offset[0])
        self.at = max(0, offset[0])
        self.base = (list(base_shape), list(base_strides))
        self.part = (list(shape), list(strides))
        self.size = max(self.base_at + _span(*self.base), self.at + _span(*self.part))

    def buffer(self, dtype: int, content: Any = None) -> tuple[Any, Any, Any]:
        """Zeros (with `content` in the base's place), the base in it and the part in it."""
        flat = zeros_p(dtype, [self.size])
        base = self._at(flat, self.base, self.base_at)
        if content is not None and lib.ad_copy(base, content):
            raise error("as_strided", base, content)
        return flat, base, self._at(flat, self.part, self.at)

    def positions(self) -> Any:
        """The part's positions in the buffer, as int64 of its shape."""
        shape, strides = self.part
        flat = fresh(lib.ad_arange_i64(int64.code, self.size, 0, 1), "as_strided")
        return fresh(lib.ad_as_strided(flat, len(shape), shape, strides, self.at), "as_strided")

    @staticmethod
    def _at(flat: Any, layout: tuple[list[int], list[int]], offset: int) -> Any:
        shape, strides = layout
        return fresh(
            lib.ad_as_strided(flat, len(shape), shape, strides, offset), "as_strided", flat
        )


def _region_get_forward(g: Any, *geometry: Any) -> Any:
    return lib.ad_contiguous(_Region(*geometry).buffer(g.dtype, g)[2], g.dtype)


def _region_put_forward(g: Any, *geometry: Any) -> Any:
    region = _Region(*geometry)
    flat, base, _ = region.buffer(g.dtype)
    if lib.ad_index_put(flat, 0, 1, [region.positions()], g, 1):
        raise error("as_strided", g)
    return lib.ad_alias(base)


def _region_clear_forward(g: Any, *geometry: Any) -> Any:
    _, base, part = _Region(*geometry).buffer(g.dtype, g)
    if lib.ad_copy(part, zeros_p(g.dtype, [])):
        raise error("as_strided", part)
    return lib.ad_alias(base)


_region_get: Op = Op(
    "region_get", _region_get_forward, lambda node, g: (_region_put(g, *node.args),)
)
_region_put: Op = Op(
    "region_put", _region_put_forward, lambda node, g: (_region_get(g, *node.args),)
)
_region_clear: Op = Op(
    "region_clear", _region_clear_forward, lambda node, g: (_region_clear(g, *node.args),)
)


def _as_strided_forward(p: Any, shape: list[int], strides: list[int], offset: int, _: Any) -> Any:
    return lib.ad_as_strided(p, len(shape), shape, strides, offset)


_as_strided: Op = Op(
    "as_strided",
    _as_strided_forward,
    lambda node, g: (_region_put(g, *node.args[3]),),
    view=True,
)


def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the storage with any sizes, strides and offset (in elements) that lie inside it.

    RuntimeError for what reaches outside.

    >>> ad.arange(6).as_strided((2, 2), (3, 1), 1)
    tensor([[1, 2],
            [4, 5]])
    """
    shape, strides = sizes_of((size,), "as_strided"), sizes_of((stride,), "as_strided")
    if len(shape) != len(strides):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {len(strides)} strides, {len(shape)} sizes"
        )
    start = input.storage_offset()
    offset = start if storage_offset is None else storage_offset
    geometry = (input.shape, input.stride(), Size(shape), tuple(strides), (offset - start,))
    try:
        return _as_strided(input, shape, strides, offset, geometry)
    except RuntimeError as failure:
        if "do not fit" not in str(failure):
            raise
        raise RuntimeError(
            f"as_strided(): sizes {shape}, strides {strides} and storage offset {offset} reach out "
            f"of the storage of the tensor of size {list(input.shape)}, or are negative"
        ) from None


def _split_region(g: Tensor, *geometry: Any) -> tuple[Tensor, Tensor]:
    return _region_clear(g, *geometry), _region_get(g, *geometry)


def _view_node(x: Tensor, base: Tensor) -> Node:
    """The node of a view whose base has a new history."""
    where = history.geometry(x, base)
    args = (list(x.shape), list(x.stride()), x.storage_offset(), where)
    return _as_strided.record((base,), (base._node,), args, x._p)


def _renew_view(x: Tensor, base: Tensor) -> None:
    if x._node is not None and x._node.custom:
        raise RuntimeError(
            f"Output {x._node.output_nr} of {x._node.name()} is a view and its base or another "
            "view of its base has been modified inplace. This view was created inside a custom "
            "Function (or because an input was returned as-is), and the write would override its "
            "backward. Return a clone() of it."
        )
    x._base_node = base._node
    if base._node is not None and base._node is not base._acc:
        x._node = _view_node(x, base)


history.late.split_region = _split_region
history.late.view_node = _view_node
tensor_late.renew_view = _renew_view


# ---- copies that keep the elements ----


_clone: Op = Op("clone", lib.ad_clone, _same, shaped=False)
_copy_contiguous: Op = Op(
    "contiguous", lib.ad_contiguous, _same, shaped=False, grad_name="CloneBackward0"
)


def alias(x: Tensor) -> Tensor:
    """Another tensor of the same memory, as a view.

    >>> x = ad.zeros(2)
    >>> y = x.alias().fill_(1)
    >>> x
    tensor([1., 1.])
    """
    return _alias(x)


def clone(input: Tensor) -> Tensor:
    """A copy of the tensor, through which gradients pass.

    >>> x = ad.ones(2)
    >>> y = x.clone().zero_()
    >>> x
    tensor([1., 1.])
    """
    return _clone(input)


def contiguous(x: Tensor) -> Tensor:
    """The tensor itself where its elements lie in row-major order, else a copy that does.

    >>> ad.zeros(2, 3).t().contiguous().stride()
    (2, 1)
    """
    return x if x._p.contiguous else _copy_contiguous(x, x._p.dtype)

"""Dimensions moved, split, merged, and elements in another order or several times over."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from autodiff import dtypes
from autodiff.native import NULL, ffi, lib
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode, fresh
from autodiff.ops.create import full
from autodiff.ops.history import check_writable
from autodiff.ops.indexing import index_add_, index_select
from autodiff.ops.scan import cumsum
from autodiff.ops.views import (
    _region_put,
    _slice,
    as_strided,
    clone,
    expand,
    permute,
    reshape,
    split,
    squeeze,
    t,
    transpose,
    unsqueeze,
    view,
)
from autodiff.shapes import MAX_DIMS, Size, contiguous_strides, dim_index, sizes_of
from autodiff.tensor import Tensor, wrap


def made(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """The forward of an Op from a function of a tensor, which records nothing."""

    def forward(p: Any, *args: Any) -> Any:
        y = function(wrap(p), *args)._p
        shared = lib.ad_storage_id(y) == lib.ad_storage_id(p)
        return lib.ad_clone(y) if shared else lib.ad_alias(y)

    return forward


# ---- dimensions ----


def _distinct(dims: Sequence[int], ndim: int, name: str) -> list[int]:
    """Dimensions counted from the front. RuntimeError where one is named twice."""
    found = [dim_index(d, ndim) for d in dims]
    if len(set(found)) < len(found):
        raise RuntimeError(f"{name}: repeated dim in {list(dims)}")
    return found


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """The dimensions `source` at the places `destination`; the others keep their order. A view.

    >>> ad.zeros(2, 3, 4).movedim(0, -1).shape
    torch.Size([3, 4, 2])
    """
    n = input.ndim
    kinds = [type(v).__name__ for v in (source, destination)]
    if (kinds[0] in ("tuple", "list")) != (kinds[1] in ("tuple", "list")):
        raise TypeError(
            f"movedim(): source and destination must both be int or tuple of ints, not {kinds}"
        )
    given = [v if isinstance(v, (tuple, list)) else (v,) for v in (source, destination)]
    if len(given[0]) != len(given[1]):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(given[0])} dims) should contain the same number of dims as destination "
            f"({list(given[1])} dims)"
        )
    moved, places = (_distinct(dims, n, "movedim") for dims in given)
    if n == 0:
        return permute(input, ())
    rest = iter(d for d in range(n) if d not in moved)
    at = dict(zip(places, moved, strict=True))
    return permute(input, [at[d] if d in at else next(rest) for d in range(n)])


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """Two dimensions swapped: `transpose` by NumPy's name.

    >>> ad.zeros(2, 3).swapaxes(0, 1).shape
    torch.Size([3, 2])
    """
    return transpose(input, axis0, axis1)


def adjoint(x: Tensor) -> Tensor:
    """The last two dimensions swapped, as a view; of real numbers there is nothing to conjugate.

    >>> ad.zeros(4, 2, 3).adjoint().shape
    torch.Size([4, 3, 2])
    """
    if x.ndim == 1:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    return transpose(x, -2, -1) if x.ndim else transpose(x, 0, 0)


def mH(x: Tensor) -> Tensor:  # noqa: N802 - PyTorch's name
    """`adjoint()`.

    >>> ad.zeros(5, 2, 3).mH.shape
    torch.Size([5, 3, 2])
    """
    if x.ndim < 2:
        raise RuntimeError(
            "tensor.mH is only supported on matrices or batches of matrices. Got "
            f"{x.ndim}-D tensor."
        )
    return adjoint(x)


def H(x: Tensor) -> Tensor:  # noqa: N802 - PyTorch's name
    """The transpose of a matrix, of real numbers the conjugate one. RuntimeError of others.

    >>> ad.tensor([[1, 2], [3, 4]]).H
    tensor([[1, 3],
            [2, 4]])
    """
    if x.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {x.ndim}-D tensor."
        )
    return adjoint(x)


def ravel(input: Tensor) -> Tensor:
    """The elements as a vector, row by row: a view where the strides allow it, else a copy.

    >>> ad.tensor([[1, 2], [3, 4]]).ravel()
    tensor([1, 2, 3, 4])
    """
    return reshape(input, -1)


def reshape_as(x: Tensor, other: Tensor) -> Tensor:
    """The tensor reshaped to another's shape.

    >>> ad.arange(4).reshape_as(ad.zeros(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return reshape(x, other.shape)


def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """One dimension as several of these sizes, of which one may be -1. A view.

    >>> ad.zeros(2, 12).unflatten(1, (3, -1)).shape
    torch.Size([2, 3, 4])
    """
    d, wanted = dim_index(dim, input.ndim), sizes_of((sizes,), "unflatten")
    if input.ndim == 0:
        raise RuntimeError("unflatten: a tensor without dimensions has none to split")
    if not wanted:
        raise RuntimeError("unflatten: sizes must be non-empty")
    size = input.shape[d]
    known = Size(s for s in wanted if s != -1).numel()
    whole = known == size if -1 not in wanted else known and size % known == 0
    if wanted.count(-1) > 1:
        raise RuntimeError(f"only one dimension can be inferred, got sizes {wanted}")
    if not whole:
        raise RuntimeError(
            f"unflatten: Provided sizes {wanted} don't multiply up to the size of dim {d} ({size}) "
            "in the input tensor"
        )
    wanted = [size // known if s == -1 else s for s in wanted]
    return view(input, [*input.shape[:d], *wanted, *input.shape[d + 1 :]])


def _unfold_rule(node: OpNode, g: Tensor) -> tuple[Tensor]:
    """What a window holds goes back to where a contiguous tensor has it."""
    shape, (d, _, step) = node.shape, node.args
    rows = contiguous_strides(shape)
    along = rows[d] if rows else 1
    windows = [r * step if k == d else r for k, r in enumerate(rows)]
    return (_region_put(g, shape, rows, g.shape, [*windows, along], (0,)),)


_unfold: Op = Op("unfold", lib.ad_unfold, _unfold_rule, view=True)


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of `size` along a dimension, `step` apart, their elements in a new last one.

    A view: windows that overlap share elements.

    >>> ad.arange(5).unfold(0, 3, 1).tolist()
    [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    """
    d = dim_index(dimension, x.ndim)
    limit = x.shape[d] if x.ndim else 1
    width, by = operator.index(size), operator.index(step)
    if width < 0:
        raise RuntimeError(f"size is {width} but must be >= 0")
    if width > limit:
        raise RuntimeError(
            f"maximum size for tensor at dimension {d} is {limit} but size is {width}"
        )
    if by <= 0:
        raise RuntimeError(f"step is {by} but must be > 0")
    if by >= 2**40:
        raise ValueError(f"unfold(): a step of {by} is too large")
    return _unfold(x, d, width, by)


# ---- pieces ----


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor in pieces of the given sizes along a dimension, as views.

    >>> ad.arange(3).split_with_sizes([1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return split(input, sizes_of((split_sizes,), "split_with_sizes"), dim)


_PIECES = 2**24  # which take a few seconds to make


def _bounds(indices_or_sections: Any, size: int) -> list[int]:
    """Where the pieces of tensor_split end."""
    if isinstance(indices_or_sections, Tensor):
        if indices_or_sections.dtype is not dtypes.int64 or indices_or_sections.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional tensor of int64, but got {indices_or_sections.ndim} dims of "
                f"{indices_or_sections.dtype!r}"
            )
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, (tuple, list)):
        return [*map(operator.index, indices_or_sections), size]
    sections = operator.index(indices_or_sections)
    if sections <= 0:
        raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
    if sections > _PIECES:
        raise ValueError(f"tensor_split(): {sections} pieces are more than {_PIECES}")
    small, larger = divmod(size, sections)
    return [small * (k + 1) + min(k + 1, larger) for k in range(sections)]


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor in so many pieces of nearly equal size, or cut at the given indices. Views.

    >>> [piece.tolist() for piece in ad.arange(5).tensor_split(3)]
    [[0, 1], [2, 3], [4]]
    """
    if input.ndim == 0:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    d = dim_index(dim, input.ndim)
    pieces, start = [], 0
    for end in _bounds(indices_or_sections, input.shape[d]):
        pieces.append(_slice(input, d, start, end, 1))
        start = end
    return tuple(pieces)


def _split_along(name: str, x: Tensor, sections: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    if x.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension"
            f"{'s' * (least > 1)}, but got a tensor with {x.ndim} dimensions!"
        )
    if isinstance(sections, int) and (sections <= 0 or x.shape[dim] % sections):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{x.shape[dim]} is not divisible by the split_size {sections}!"
        )
    return tensor_split(x, sections, dim)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """The tensor in equal pieces, or cut at indices, by columns (of a vector, by elements).

    >>> ad.tensor([[1, 2], [3, 4]]).hsplit(2)
    (tensor([[1],
            [3]]), tensor([[2],
            [4]]))
    """
    return _split_along("hsplit", input, indices_or_sections, int(input.ndim > 1), 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """The tensor in equal pieces, or cut at indices, by rows.

    >>> ad.tensor([[1, 2], [3, 4]]).vsplit(2)
    (tensor([[1, 2]]), tensor([[3, 4]]))
    """
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """The tensor in equal pieces, or cut at indices, along the third dimension.

    >>> [part.shape for part in ad.zeros(1, 2, 4).dsplit([1])]
    [torch.Size([1, 2, 1]), torch.Size([1, 2, 3])]
    """
    return _split_along("dsplit", input, indices_or_sections, 2, 3)


# ---- order ----


def pieces(p: Any, plan: list[int], value: Any = NULL) -> Any:
    """A tensor put together from pieces of another: lib.ad_pieces."""
    return lib.ad_pieces(p, len(plan), plan, value)


def _flipped(p: Any, dims: Sequence[int]) -> Any:
    plan: list[int] = []
    for d, n in enumerate(ffi.unpack(p.shape, p.ndim)):
        plan += (1, n - 1, -1, n) if d in dims else (1, 0, 1, n)
    return pieces(p, plan)


_flip: Op = Op("flip", _flipped, lambda node, g: (_flip(g, *node.args),), shaped=False)


def flip(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """A copy with the order of the elements reversed along the dimensions.

    >>> ad.flip(ad.tensor([[1, 2], [3, 4]]), [0]).tolist()
    [[3, 4], [1, 2]]
    """
    found = _distinct(sizes_of(order, "flip", dims), input.ndim, "flip")
    return _flip(input, found if input._p.ndim else [])


def fliplr(input: Tensor) -> Tensor:
    """A copy with the columns in reverse order.

    >>> ad.tensor([[1, 2], [3, 4]]).fliplr()
    tensor([[2, 1],
            [4, 3]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"Input must be >= 2-d, got {input.ndim}-d.")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """A copy with the rows in reverse order.

    >>> ad.tensor([[1, 2], [3, 4]]).flipud()
    tensor([[3, 4],
            [1, 2]])
    """
    if input.ndim < 1:
        raise RuntimeError(f"Input must be >= 1-d, got {input.ndim}-d.")
    return flip(input, 0)


def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """A copy turned by 90 degrees k times in the plane of two dimensions, from the first on.

    >>> ad.rot90(ad.tensor([[1, 2], [3, 4]])).tolist()
    [[2, 4], [1, 3]]
    """
    given = sizes_of((dims,), "rot90")
    if len(given) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {given}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = (dim_index(d, input.ndim) for d in given)
    if a == b:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {given[0]} and dim1 = "
            f"{given[1]}"
        )
    return _rot90(input, operator.index(k) % 4, a, b)


def _turned(x: Tensor, turns: int, a: int, b: int) -> Tensor:
    if turns % 2 == 0:
        return flip(x, a, b) if turns else x
    return transpose(flip(x, b if turns == 1 else a), a, b).contiguous()


_rot90: Op = Op(
    "rot90",
    made(_turned),
    lambda node, g: (_rot90(g, -node.args[0] % 4, *node.args[1:]),),
    shaped=False,
)


def _rolled(p: Any, shifts: Sequence[int], dims: Sequence[int]) -> Any:
    if not dims:  # of all elements as one vector
        flat = reshape(wrap(p), -1)._p
        y = fresh(_rolled(flat, shifts, [0] * len(shifts)), "roll", p)
        return lib.ad_view(y, p.ndim, p.shape)
    shape = ffi.unpack(p.shape, p.ndim)
    cuts = [0] * p.ndim
    for shift, d in zip(shifts, dims, strict=True):
        cuts[d] = (cuts[d] - shift) % (shape[d] or 1)
    plan: list[int] = []
    for n, cut in zip(shape, cuts, strict=True):
        plan += (2, cut, 1, n - cut, 0, 1, cut)
    return pieces(p, plan)


_roll: Op = Op(
    "roll",
    _rolled,
    lambda node, g: (_roll(g, [-s for s in node.args[0]], node.args[1]),),
    shaped=False,
)


def roll(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """A copy shifted along dimensions; what leaves at one end comes in at the other.

    Without dims the elements are shifted as one vector.

    >>> ad.roll(ad.arange(4), 1).tolist()
    [3, 0, 1, 2]
    """
    given, along = (
        [v] if type(v) is int else sizes_of((v if isinstance(v, (tuple, list)) else (v,),), "roll")
        for v in (shifts, dims)
    )
    if not given:
        raise RuntimeError("`shifts` required")
    if not along and len(given) == 1:
        return _roll(input, given, [])
    if len(given) != len(along):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {given}, dims: {along}")
    found = [dim_index(d, input.ndim) for d in along]
    if not input.ndim and found:
        raise IndexError(f"Dimension specified as {along[0]} but tensor has no dimensions")
    return _roll(input, given, found)


# ---- repetition ----


def _repeated(p: Any, sizes: Sequence[int]) -> Any:
    """A copy of a view in which repetitions are dimensions of no stride."""
    lead = len(sizes) - p.ndim
    shape = [1] * lead + ffi.unpack(p.shape, p.ndim)
    strides = [1] * lead + ffi.unpack(p.strides, p.ndim)
    spread = []
    for times, n, stride in zip(sizes, shape, strides, strict=True):
        if times != 1:
            spread.append((times, 0))
        if n != 1:
            spread.append((n, stride))
    if len(spread) > MAX_DIMS:  # one dimension after the other
        for d, times in enumerate(sizes):
            if times != 1:
                rows = [math.prod(shape[:d]), 1, shape[d], math.prod(shape[d + 1 :])]
                flat = reshape(wrap(p), rows)._p
                p = fresh(_repeated(flat, [1, times, 1, 1]), "repeat", p)
                shape[d] *= times
        return lib.ad_view(p, len(shape), shape)
    dims, steps = [n for n, _ in spread], [step for _, step in spread]
    view = fresh(lib.ad_as_strided(p, len(dims), dims, steps, lib.ad_offset(p)), "repeat", p)
    copy = fresh(lib.ad_contiguous(view, p.dtype), "repeat", p)
    whole = [times * n for times, n in zip(sizes, shape, strict=True)]
    return lib.ad_view(copy, len(whole), whole)


def _repeat_rule(node: Any, g: Tensor) -> tuple[Tensor]:
    (sizes,) = node.args
    for d in range(len(sizes) - 1, -1, -1):
        shape, times = g.shape, sizes[d]
        if times != 1 and shape[d]:
            lead, rest = shape[:d].numel(), shape[d + 1 :].numel()
            folded = reshape(g, lead, times, shape[d] // times, rest)
            g = reshape(folded.sum(1), [*shape[:d], shape[d] // times, *shape[d + 1 :]])
    return (reshape(g, node.shape) if g._p.numel else g.new_zeros(node.shape),)


_repeat: Op = Op("repeat", _repeated, _repeat_rule)


def repeat(x: Tensor, *times: Any, repeats: Any = None) -> Tensor:
    """A copy that has the tensor so many times along each dimension; more may lead.

    >>> ad.tensor([1, 2]).repeat(2, 2).tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    sizes = sizes_of(times, "repeat", repeats)
    if len(sizes) < x.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor: got {sizes} for {x.ndim} dimensions"
        )
    if any(size >= 2**63 for size in sizes):
        raise TypeError(f"repeat(): an integer does not fit 64 bits: {sizes}")
    if Size(sizes).numel() * x._p.numel >= 2**60:
        raise RuntimeError(f"Storage size calculation overflowed with repeats {sizes}")
    if any(size < 0 for size in sizes):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeats are {sizes}")
    return _repeat(x, sizes)


def tile(input: Tensor, *times: Any, dims: Any = None) -> Tensor:
    """`repeat`, where leading dimensions that are not named are repeated once.

    >>> ad.tensor([1, 2]).tile(2)
    tensor([1, 2, 1, 2])
    """
    sizes = sizes_of(times, "tile", dims)
    return repeat(input, [1] * (input.ndim - len(sizes)) + sizes)


def _spread(repeats: Tensor, output_size: int | None) -> Tensor:
    """The index of what is repeated, for each element of the result."""
    if repeats.dtype not in (dtypes.int32, dtypes.int64):
        raise NotImplementedError(f"repeats has to be Long or Int tensor, got {repeats.dtype!r}")
    if repeats.ndim != 1:
        raise RuntimeError(
            f"repeat_interleave only accept 1D vector as repeat, got {repeats.ndim} dimensions"
        )
    counts = repeats.detach().to(dtypes.int64)
    if (counts < 0).any().item():
        raise RuntimeError("repeats can not be negative")
    ends = cumsum(counts, 0)
    total = int(ends[-1].item()) if counts._p.numel else 0
    if output_size is not None and output_size != total:
        raise RuntimeError(
            f"allocated size does not match required size: output_size={output_size}, repeats add "
            f"up to {total}"
        )
    steps = index_add_(full([total + 1], 0), 0, ends, full([ends._p.numel], 1))
    return cumsum(steps[:total], 0)


def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (of the dimension, else of all as one vector) so many times in a row.

    `repeats` is an int, or an int tensor with a number for each. Without repeats, `input` is the
    numbers, and the result is the index of what is repeated.

    >>> ad.tensor([1, 2]).repeat_interleave(ad.tensor([1, 3])).tolist()
    [1, 2, 2, 2]
    """
    if repeats is None:
        if dim is not None:
            raise TypeError("repeat_interleave(): repeats must be int or Tensor, not NoneType")
        return _spread(input, output_size)
    if dim is None:
        x, d = reshape(input, -1), 0
    else:
        d = dim_index(dim, input.ndim)
        x = input if input.ndim else reshape(input, 1)
    size = x.shape[d]
    if not isinstance(repeats, Tensor):
        times = operator.index(repeats)
        if times < 0:
            raise RuntimeError(f"Repeats must be non-negative, got {times}")
        if times * max(x._p.numel, 1) >= 2**60:
            raise RuntimeError(f"Storage size calculation overflowed with {times} repeats")
        if x.ndim < MAX_DIMS:
            before, after = x.shape[: d + 1], x.shape[d + 1 :]
            wide = expand(unsqueeze(x, d + 1), [*before, times, *after])
            return reshape(clone(wide), [*before[:d], size * times, *after])
        repeats = full([1], times)
    counts = reshape(repeats, 1) if repeats.ndim == 0 else repeats
    if counts.ndim == 1 and counts.shape[0] == 1:
        counts = expand(counts, size)
    if counts.ndim == 1 and counts.shape[0] != size:
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{counts.shape[0]} and input.size({d}) = {size}"
        )
    return index_select(x, d, _spread(counts, output_size))


# ---- views taken in place ----


def _taken(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method that makes its tensor what a view of it would be."""

    def method(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        y = function(x, *args, **kwargs)
        if mode.grad:
            check_writable(x, name)
        x._p, x._node = y._p, y._node
        if x._base is not None:
            x._base_node = y._base_node
        return x

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Make the tensor itself the view that `{function.__name__}` takes of it."
    return method


TAKEN = {
    f"{f.__name__}_": _taken(f"{f.__name__}_", f)
    for f in (as_strided, squeeze, swapaxes, t, transpose, unsqueeze)
}

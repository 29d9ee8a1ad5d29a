"""Pure functions on shapes and dimensions."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex, overload

MAX_DIMS = 8
_new, _item = tuple.__new__, tuple.__getitem__  # which super() takes twice as long to find


class Size(tuple[int, ...]):
    """A tensor's shape: a tuple of sizes that prints as PyTorch's.

    >>> ad.Size([2, 3]).numel()
    6
    """

    __slots__ = ()

    def __new__(cls, sizes: Iterable[SupportsIndex] = ()) -> Size:
        """A shape of the given sizes; TypeError where one is not an integer."""
        return _new(cls, map(operator.index, sizes))

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        return math.prod(self)

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Size: ...
    def __getitem__(self, index: Any) -> Any:
        item = _item(self, index)
        return _new(Size, item) if type(item) is tuple else item

    def __add__(self, other: tuple[int, ...]) -> Size:  # type: ignore[override]
        return Size(super().__add__(other))

    def __radd__(self, other: tuple[int, ...]) -> Size:
        return Size(other + tuple(self))

    def __mul__(self, times: SupportsIndex) -> Size:
        return Size(super().__mul__(times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"


def dim_index(dim: SupportsIndex, ndim: int) -> int:
    """`dim` counted from the front; IndexError where a tensor of `ndim` dimensions has none."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim if dim >= 0 else dim + ndim
    if isinstance(dim, bool):
        raise TypeError("a dimension must be int, not bool")
    index = operator.index(dim)
    limit = max(ndim, 1)
    if not -limit <= index < limit:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], "
            f"but got {index})"
        )
    return index % limit


def present_dim(dim: SupportsIndex, ndim: int) -> int:
    """`dim_index` where a tensor without dimensions does not have the dimensions 0 and -1."""
    if not ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return dim_index(dim, ndim)


def distinct_dims(dims: Sequence[int], ndim: int, name: str) -> list[int]:
    """Dimensions counted from the front. RuntimeError where one is named twice."""
    found = [dim_index(d, ndim) for d in dims]
    if len(set(found)) < len(found):
        raise RuntimeError(f"{name}: repeated dim in {list(dims)}")
    return found


def inverse(order: Sequence[int]) -> list[int]:
    """The order of dimensions that undoes another."""
    return sorted(range(len(order)), key=order.__getitem__)


def dim_mask(dim: Any, ndim: int) -> int:
    """The dimensions of a reduction as bits: an int, a sequence of ints, or None for all."""
    if type(dim) is int and 0 <= dim < ndim:
        return 1 << dim
    several = type(dim) is tuple or type(dim) is list or isinstance(dim, Sequence)
    if dim is None or (several and not dim):
        return (1 << ndim) - 1
    dims = dim if several else (dim,)
    mask = 0
    for d in dims:
        bit = 1 << dim_index(d, ndim)
        if mask & bit:
            raise RuntimeError(
                f"dim {dim_index(d, ndim)} appears multiple times in the list of dims"
            )
        mask |= bit
    return mask & ((1 << ndim) - 1)  # dim 0 of a 0-d tensor reduces nothing


def mask_dims(mask: int, ndim: int) -> tuple[int, ...]:
    """The dimensions that bits stand for: `dim_mask` undone."""
    return tuple([d for d in range(ndim) if mask >> d & 1])


def sizes_of(args: Sequence[Any], function: str, keyword: Any = None) -> list[int]:
    """A shape given as f(2, 3), f((2, 3)) or f(size=(2, 3)); else TypeError naming `function`.

    Its first size is no bool, as of PyTorch's.
    """
    if keyword is not None:
        if args:
            raise TypeError(f"{function}(): sizes were given twice: {args} and size={keyword!r}")
        args = (keyword,)
    given = args
    if len(args) == 1 and type(args[0]) is not int and isinstance(args[0], (tuple, list)):
        given = args[0]
    for size in given:
        if type(size) is not int:
            break
    else:
        return list(given)
    if isinstance(given, (tuple, list)) and isinstance(given[0], bool):
        raise TypeError(f"{function}(): sizes must be ints, but found element of type bool")
    try:
        return [operator.index(size) for size in given]
    except TypeError:
        sizes = given if isinstance(given, (tuple, list)) else ()
        bad = next(
            (type(s).__name__ for s in sizes if not isinstance(s, int)), type(given).__name__
        )
        raise TypeError(
            f"{function}(): sizes must be ints, but found element of type {bad}"
        ) from None


def broadcast(shapes: Sequence[Sequence[int]]) -> Size | None:
    """The shape that shapes broadcast to; None where they do not."""
    if len(shapes) == 2 and shapes[0] == shapes[1]:
        return Size(shapes[0])
    out = [1] * max(map(len, shapes), default=0)
    for shape in shapes:
        for d, size in enumerate(shape, len(out) - len(shape)):
            if size != 1 and out[d] not in (1, size):
                return None
            out[d] = size if size != 1 else out[d]
    return tuple.__new__(Size, out)


def contiguous_strides(shape: Sequence[int]) -> list[int]:
    """The strides of a row-major tensor, in elements."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return strides[::-1]

"""Hypothesis strategies for shapes, layouts, dtypes and tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from autodiff import dtypes as _dtypes
from autodiff.dtypes import dtype
from autodiff.expr import Interval, Primitive
from autodiff.ops.assign import copy_
from autodiff.ops.create import full, tensor
from autodiff.ops.views import as_strided, expand, reshape
from autodiff.tensor import Tensor

__all__ = [
    "Layout",
    "broadcastable_shapes",
    "dtypes",
    "layouts",
    "numbers",
    "operands",
    "shapes",
    "tensors",
]

Shape = tuple[int, ...]
REAL: tuple[Interval, ...] = ((-3.0, 3.0),)
GRID = 120  # steps an interval is drawn in: values are never so close that differences meet kinks
SENTINEL = 77  # fills the memory between elements, for a wrong stride to find


def shapes(max_dims: int = 3, max_size: int = 3, min_size: int = 0) -> SearchStrategy[Shape]:
    """Shapes, 0-d and empty ones among them."""
    return st.lists(st.integers(min_size, max_size), max_size=max_dims).map(tuple)


@st.composite
def broadcastable_shapes(
    draw: Callable[..., Any], n: int, result: SearchStrategy[Shape] | None = None
) -> tuple[Shape, ...]:
    """Shapes of n operands that broadcast together: sizes of 1, and leading dimensions left out."""
    whole = draw(shapes() if result is None else result)
    each = []
    for _ in range(n):
        lead = draw(st.sampled_from([0, 0, *range(len(whole) + 1)]))
        ones = draw(st.lists(st.sampled_from([False, False, True]), min_size=8, max_size=8))
        each.append(
            tuple(1 if one else size for size, one in zip(whole, ones, strict=False))[lead:]
        )
    return tuple(each)


@dataclass(frozen=True)
class Layout:
    """How a tensor lies in memory.

    `order` lists its dimensions from outer to inner; `steps` has the step of each, 0 where all its
    elements are one (as after `expand`); `offset` is the number of elements before the first.
    """

    order: tuple[int, ...]
    steps: tuple[int, ...]
    offset: int = 0

    def strides(self, shape: Sequence[int]) -> list[int]:
        """The strides of a tensor of this shape."""
        strides, stride = [0] * len(shape), 1
        for d in reversed(self.order):
            strides[d] = self.steps[d] * stride
            stride *= max(1, shape[d] * self.steps[d])
        return strides

    def core(self, shape: Sequence[int]) -> Shape:
        """The shape of the elements there are in memory."""
        return tuple(
            size if step else min(size, 1) for size, step in zip(shape, self.steps, strict=True)
        )

    def place(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """A leaf with the elements of x, which has the core's shape, in this layout."""
        strides, core = self.strides(shape), self.core(shape)
        span = sum(max(n - 1, 0) * s for n, s in zip(core, strides, strict=True)) + 1
        room = full((self.offset + span,), SENTINEL, dtype=x.dtype)
        memory = as_strided(room, core, strides, self.offset)
        return expand(copy_(memory, x), shape).detach()


def layouts(ndim: int, expanded: bool = True) -> SearchStrategy[Layout]:
    """Layouts: contiguous, permuted, sliced, offset and (unless excluded) with stride 0."""
    step = st.sampled_from([1, 1, 1, 2, 3, 0] if expanded else [1, 1, 2, 3])
    drawn = st.builds(
        Layout,
        st.permutations(range(ndim)).map(tuple),
        st.tuples(*[step] * ndim),
        st.sampled_from([0, 0, 1, 3]),
    )
    return st.just(Layout(tuple(range(ndim)), (1,) * ndim)) | drawn


def dtypes(floating: bool | None = None) -> SearchStrategy[dtype]:
    """Dtypes; only floating-point ones, or only others, where asked."""
    wanted = [d for d in _dtypes.ALL if floating in (None, d.is_floating_point)]
    return st.sampled_from(wanted)


def numbers(
    domain: Sequence[Interval] = REAL, dtype: dtype = _dtypes.float64
) -> SearchStrategy[Any]:
    """Numbers of a dtype from a union of intervals, ends included."""
    if dtype is _dtypes.bool:
        return st.booleans()
    return st.one_of([_interval(low, high, dtype) for low, high in domain])


def _interval(low: float, high: float, d: dtype) -> SearchStrategy[Any]:
    if not d.is_floating_point:
        least = math.ceil(low) if d.is_signed else max(0, math.ceil(low))
        return st.integers(least, max(least, math.floor(high)))
    if not low < high:
        return st.just(low)
    return st.integers(0, GRID).map(lambda k: low + (high - low) * k / GRID)


@st.composite
def tensors(
    draw: Callable[..., Any],
    shape: Shape | SearchStrategy[Shape] | None = None,
    dtype: dtype = _dtypes.float64,
    domain: Sequence[Interval] = REAL,
    distinct: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Leaf tensors in any layout; with `distinct`, no two elements are equal."""
    given = shape if isinstance(shape, tuple) else draw(shapes() if shape is None else shape)
    layout = draw(layouts(len(given), expanded=not distinct))
    core = layout.core(given)
    size = math.prod(core)
    values = draw(st.lists(numbers(domain, dtype), min_size=size, max_size=size, unique=distinct))
    x: Tensor = layout.place(reshape(tensor(values, dtype=dtype), core), given)
    x.requires_grad = requires_grad
    return x


def operand_dtypes(primitive: Primitive, dtype: dtype) -> list[dtype]:
    """The dtypes to draw a primitive's operands in, where its numbers are of `dtype`."""
    if primitive.result == "bits":
        return [_dtypes.int64] * primitive.arity
    first = _dtypes.bool if primitive.result == "where" else dtype
    return [first] + [dtype] * (primitive.arity - 1)


@st.composite
def operands(
    draw: Callable[..., Any], primitive: Primitive, dtype: dtype = _dtypes.float64
) -> list[Tensor]:
    """Operands of a pointwise primitive: broadcastable, in its domain, each in its own layout."""
    each = draw(broadcastable_shapes(primitive.arity))
    kinds = operand_dtypes(primitive, dtype)
    return [
        draw(tensors(shape, d, domain))
        for shape, d, domain in zip(each, kinds, primitive.domain, strict=True)
    ]

"""Hypothesis strategies for shapes, layouts, dtypes and tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from autodiff import dtypes as _dtypes
from autodiff.dtypes import dtype
from autodiff.expr import Interval, Primitive
from autodiff.ops.convert import tensor
from autodiff.ops.declare import FUNCTIONS
from autodiff.ops.views import reshape
from autodiff.tensor import Tensor
from autodiff.testing.draw import GRID, REAL, Maker, operand_dtypes
from autodiff.testing.layout import Layout, Shape


def shapes(max_dims: int = 3, max_size: int = 3, min_size: int = 0) -> SearchStrategy[Shape]:
    """Shapes, 0-d and empty ones among them.

    >>> from hypothesis import find
    >>> from autodiff import testing
    >>> find(testing.shapes(), lambda shape: len(shape) == 2)
    (0, 0)
    """
    return st.lists(st.integers(min_size, max_size), max_size=max_dims).map(tuple)


@st.composite
def broadcastable_shapes(
    draw: Callable[..., Any], n: int, result: SearchStrategy[Shape] | None = None
) -> tuple[Shape, ...]:
    """Shapes of n operands that broadcast together: sizes of 1, and leading dimensions left out.

    >>> from hypothesis import find
    >>> from autodiff import testing
    >>> ad.broadcast_shapes(*find(testing.broadcastable_shapes(2), lambda shapes: True))
    torch.Size([])
    """
    whole = draw(shapes() if result is None else result)
    each = []
    for _ in range(n):
        lead = draw(st.sampled_from([0, 0, *range(len(whole) + 1)]))
        ones = draw(st.lists(st.sampled_from([False, False, True]), min_size=8, max_size=8))
        each.append(
            tuple(1 if one else size for size, one in zip(whole, ones, strict=False))[lead:]
        )
    return tuple(each)


def layouts(ndim: int, expanded: bool = True) -> SearchStrategy[Layout]:
    """Layouts: contiguous, permuted, sliced, offset and (unless excluded) with stride 0.

    >>> from hypothesis import find
    >>> from autodiff import testing
    >>> find(testing.layouts(1), lambda layout: layout.steps == (2,))
    Layout(order=(0,), steps=(2,), offset=0)
    """
    step = st.sampled_from([1, 1, 1, 2, 3, 0] if expanded else [1, 1, 2, 3])
    drawn = st.builds(
        Layout,
        st.permutations(range(ndim)).map(tuple),
        st.tuples(*[step] * ndim),
        st.sampled_from([0, 0, 1, 3]),
    )
    return st.just(Layout(tuple(range(ndim)), (1,) * ndim)) | drawn


def dtypes(floating: bool | None = None) -> SearchStrategy[dtype]:
    """Dtypes; only floating-point ones, or only others, where asked.

    >>> from hypothesis import find
    >>> from autodiff import testing
    >>> find(testing.dtypes(floating=True), lambda d: d.itemsize == 8)
    torch.float64
    """
    wanted = [d for d in _dtypes.ALL if floating in (None, d.is_floating_point)]
    return st.sampled_from(wanted)


def numbers(
    domain: Sequence[Interval] = REAL, dtype: dtype = _dtypes.float64
) -> SearchStrategy[Any]:
    """Numbers of a dtype from a union of intervals (low, high), ends included.

    ValueError where there are none, or one ends before it begins.

    >>> from hypothesis import find
    >>> from autodiff import testing
    >>> find(testing.numbers([(1, 5)], ad.int64), lambda x: x > 2)
    3
    """
    if not domain or any(low > high for low, high in domain):
        raise ValueError(f"domain: expected intervals (low, high) with low <= high, got {domain}")
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
    """Leaf tensors in any layout: contiguous, permuted, spread, offset or expanded.

    `shape` is a shape or a strategy of them, `domain` a union of intervals for the elements. With
    `distinct` no two elements are equal.

    >>> from hypothesis import find
    >>> from autodiff import testing
    >>> find(testing.tensors((2,)), lambda x: True)
    tensor([-3., -3.], dtype=torch.float64)
    """
    given = shape if isinstance(shape, tuple) else draw(shapes() if shape is None else shape)
    layout = draw(layouts(len(given), expanded=not distinct))
    core = layout.core(given)
    size = math.prod(core)
    values = draw(st.lists(numbers(domain, dtype), min_size=size, max_size=size, unique=distinct))
    x: Tensor = layout.place(reshape(tensor(values, dtype=dtype), core), given)
    x.requires_grad = requires_grad
    return x


def operands(
    function: Primitive | str | Callable[..., Any], dtype: dtype = _dtypes.float64
) -> SearchStrategy[list[Tensor]]:
    """Operands of a pointwise function, as `autodiff.lerp` or "lerp".

    They broadcast together, lie in the function's domain and have each its own layout. ValueError
    for what is no pointwise function.

    >>> from hypothesis import find
    >>> from autodiff import testing
    >>> len(find(testing.operands("atan2"), lambda xs: True))
    2
    """
    if isinstance(function, Primitive):
        return _operands(function, dtype)
    name = function if isinstance(function, str) else getattr(function, "__name__", repr(function))
    if name not in FUNCTIONS:
        raise ValueError(
            f"operands: {name!r} is no pointwise function of autodiff; draw its operands with "
            "tensors(shape, domain=...)"
        )
    return _operands(FUNCTIONS[name].primitive, dtype)


@st.composite
def _operands(draw: Callable[..., Any], primitive: Primitive, dtype: dtype) -> list[Tensor]:
    each = draw(broadcastable_shapes(primitive.arity))
    kinds = operand_dtypes(primitive, dtype)
    return [
        draw(tensors(shape, d, domain))
        for shape, d, domain in zip(each, kinds, primitive.domain, strict=True)
    ]


def indices(shape: Sequence[int]) -> SearchStrategy[Shape]:
    """Indices of one element, negative ones among them; of an empty shape there are none.

    >>> from hypothesis import find
    >>> from autodiff import testing
    >>> find(testing.indices((3,)), lambda index: index[0] > 1)
    (2,)
    """
    return st.tuples(*[st.integers(-size, size - 1) if size else st.nothing() for size in shape])


class _Drawer:
    """Draws what a case asks for from Hypothesis."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        value: int = self.draw(st.integers(low, high))
        return value

    def size(self, low: int, high: int) -> int:
        return self.integer(low, high)

    def shape(self, max_dims: int = 3, min_size: int = 0) -> Shape:
        found: Shape = self.draw(shapes(max_dims, min_size=min_size))
        return found

    def broadcastable(self, n: int) -> tuple[Shape, ...]:
        found: tuple[Shape, ...] = self.draw(broadcastable_shapes(n))
        return found

    def tensor(
        self,
        shape: Shape,
        dtype: dtype = _dtypes.float64,
        domain: Sequence[Interval] = REAL,
        distinct: bool = False,
    ) -> Tensor:
        x: Tensor = self.draw(tensors(shape, dtype, domain, distinct))
        return x


@st.composite
def drawn(draw: Callable[..., Any], maker: Maker) -> list[Tensor]:
    """The operands of a case, as `autodiff.testing.cases` has them for each operation.

    >>> from hypothesis import find
    >>> from autodiff import testing
    >>> from autodiff.testing.cases import CASES
    >>> case = next(case for case in CASES if case.name == "matmul")
    >>> len(find(testing.drawn(case.operands), lambda operands: True))
    2
    """
    return maker(_Drawer(draw))

"""What the operands of cases are drawn with: by Hypothesis in tests, by a seeded generator here."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from autodiff import dtypes
from autodiff.dtypes import dtype
from autodiff.expr import Interval, Primitive, inputs
from autodiff.ops.convert import tensor
from autodiff.ops.views import reshape
from autodiff.tensor import Tensor
from autodiff.testing.layout import Layout, Shape

REAL: tuple[Interval, ...] = ((-3.0, 3.0),)
GRID = 120  # steps an interval is drawn in: values are never so close that differences meet kinks


class Drawer(Protocol):
    """Draws sizes, shapes and tensors."""

    def integer(self, low: int, high: int) -> int:
        """An integer, ends included."""

    def size(self, low: int, high: int) -> int:
        """A size of a dimension: an integer that a drawer of large tensors may exceed."""

    def shape(self, max_dims: int = 3, min_size: int = 0) -> Shape:
        """A shape."""

    def broadcastable(self, n: int) -> tuple[Shape, ...]:
        """Shapes of n operands that broadcast together."""

    def tensor(
        self,
        shape: Shape,
        dtype: dtype = dtypes.float64,
        domain: Sequence[Interval] = REAL,
        distinct: bool = False,
    ) -> Tensor:
        """A tensor in any layout, of values from a union of intervals."""


Maker = Callable[[Drawer], list[Tensor]]


def operand_dtypes(primitive: Primitive, dtype: dtype = dtypes.float64) -> list[dtype]:
    """The dtypes to draw a primitive's operands in, where its numbers are of `dtype`."""
    if primitive.result == "bits":
        return [dtypes.int64] * primitive.arity
    first = dtypes.bool if primitive.result == "where" else dtype
    kinds = [first] + [dtype] * (primitive.arity - 1)
    if primitive.vjp is not None and primitive.arity > 1:  # an operand that has no derivative
        slopes = primitive.vjp(*inputs(primitive.arity + 2))
        missing = [slope is not None and slope.op == "missing" for slope in slopes]
        return [dtypes.int64 if no else d for no, d in zip(missing, kinds, strict=True)]
    return kinds


class Random:
    """Draws with a seeded generator. Nothing is empty: there is no gradient to check there."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        """An integer from `low`, but at least 1, to `high`."""
        return self.random.randint(max(low, 1), high)

    def size(self, low: int, high: int) -> int:
        """The same."""
        return self.integer(low, high)

    def shape(self, max_dims: int = 3, min_size: int = 0) -> Shape:
        """Up to `max_dims` sizes of 1 to 3."""
        return tuple(self.integer(min_size, 3) for _ in range(self.random.randint(0, max_dims)))

    def broadcastable(self, n: int) -> tuple[Shape, ...]:
        """Shapes where one in three sizes is 1, and some leading dimensions are left out."""
        whole, choose = self.shape(max_dims=2), self.random.choice
        return tuple(
            tuple(choose((size, size, 1)) for size in whole)[
                choose((0, 0, *range(len(whole) + 1))) :
            ]
            for _ in range(n)
        )

    def tensor(
        self,
        shape: Shape,
        dtype: dtype = dtypes.float64,
        domain: Sequence[Interval] = REAL,
        distinct: bool = False,
    ) -> Tensor:
        """A tensor of numbers from a grid, permuted and spread in memory or expanded."""
        order = self.random.sample(range(len(shape)), len(shape))
        steps = [self.random.choice((1, 1, 2) if distinct else (1, 1, 1, 2, 0)) for _ in shape]
        layout = Layout(tuple(order), tuple(steps), self.random.choice((0, 3)))
        core = layout.core(shape)
        values: list[Any] = []
        while len(values) < math.prod(core):
            value = self.number(dtype, domain)
            if not distinct or value not in values:
                values.append(value)
        return layout.place(reshape(tensor(values, dtype=dtype), core), shape)

    def number(self, dtype: dtype, domain: Sequence[Interval]) -> Any:
        """A number of a dtype from a union of intervals."""
        low, high = self.random.choice(list(domain))
        if dtype.is_floating_point:
            return low + (high - low) * self.random.randint(0, GRID) / GRID
        return bool(self.random.getrandbits(1)) if dtype is dtypes.bool else self.integer(1, 3)

"""What a case is: a function, operands to try it on, and what it should give."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import autodiff as ad
from autodiff.ops.pointwise import PointwiseOp
from autodiff.testing.draw import Drawer, Maker
from autodiff.testing.reference import Array, Index


@dataclass(frozen=True)
class Case:
    """A function of tensors, the operands to try it on, and an independent definition on Arrays."""

    name: str
    call: Callable[..., Any]
    operands: Maker
    reference: Callable[..., Array] | None
    differentiable: bool = True
    pointwise: PointwiseOp | None = None

    def __str__(self) -> str:
        return self.name


def sized(
    *shapes: str, low: int = 0, high: int = 3, distinct: bool = False, small: bool = False
) -> Maker:
    """Tensors of shapes such as "m k": equal letters are equal sizes, drawn; digits are sizes.

    `small` ones stay so, whoever draws.
    """

    def operands(draw: Drawer) -> list[ad.Tensor]:
        size = draw.integer if small else draw.size
        sizes: dict[str, int] = {}
        xs = []
        for shape in shapes:
            for name in shape.split():
                if name not in sizes:
                    sizes[name] = int(name) if name.isdigit() else size(low, high)
            given = tuple(sizes[name] for name in shape.split())
            xs.append(draw.tensor(given, distinct=distinct))
        return xs

    return operands


small = functools.partial(sized, small=True)


def read(shape: Callable[[Array], Any], index: Callable[..., Index]) -> Callable[..., Array]:
    """A reference that reads, at each index of its result, one element of its operand."""
    return lambda x: Array(shape(x), lambda i: x[index(*i)])


def written(write: Callable[..., Any]) -> Callable[..., ad.Tensor]:
    """A function that writes to a copy of its first operand."""

    def call(x: ad.Tensor, *others: ad.Tensor) -> ad.Tensor:
        y = x.clone()
        write(y, *others)
        return y

    return call


def overwritten(where: Callable[..., Index | None]) -> Callable[[Array, Array], Array]:
    """A reference of a write: the element of v that lands at each index, or None for x's own."""

    def reference(x: Array, v: Array) -> Array:
        def value(i: Index) -> Any:
            at = where(*i)
            return x[i] if at is None else v[at]

        return Array(x.shape, value)

    return reference


def turned(x: Array) -> Array:
    """The dimensions in reverse order."""
    return Array(x.shape[::-1], lambda i: x[i[::-1]])

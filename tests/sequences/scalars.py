"""Gradients of single numbers: the naive reference, with no tensors, views or writes in it.

A `Scalar` is a number that remembers the numbers it was computed from and a rule for their
cotangents. Rules are written with the same functions, which work on floats and on Scalars alike:
given Scalars, a backward pass builds Scalars again, and so has derivatives itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

Number = Any  # a float or a Scalar


class Scalar:
    """A number, its operands (Scalars and floats), and the rule for their cotangents."""

    __slots__ = ("operands", "rule", "value")

    def __init__(
        self,
        value: float,
        operands: tuple[Number, ...] = (),
        rule: Callable[..., Any] | None = None,
    ) -> None:
        self.value = value
        self.operands = operands
        self.rule = rule


def value_of(x: Number) -> Any:
    return x.value if type(x) is Scalar else x


def _lifted(f: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Number]:
    def op(*xs: Number) -> Number:
        y = f(*[value_of(x) for x in xs])
        return Scalar(y, xs, rule) if any(type(x) is Scalar for x in xs) else y

    return op


add = _lifted(lambda a, b: a + b, lambda g, y, a, b: (g, g))
mul = _lifted(lambda a, b: a * b, lambda g, y, a, b: (mul(g, b), mul(g, a)))
neg = _lifted(lambda a: -a, lambda g, y, a: (neg(g),))
inv = _lifted(lambda a: 1 / a, lambda g, y, a: (neg(mul(g, mul(y, y))),))
exp = _lifted(math.exp, lambda g, y, a: (mul(g, y),))
sin = _lifted(math.sin, lambda g, y, a: (mul(g, cos(a)),))
cos = _lifted(math.cos, lambda g, y, a: (neg(mul(g, sin(a))),))
tanh = _lifted(math.tanh, lambda g, y, a: (mul(g, add(1.0, neg(mul(y, y)))),))


def same(x: Number) -> Number:
    """A number that passes its cotangent on: what a view, a copy or a conversion is."""
    return Scalar(x.value, (x,), same_rule) if type(x) is Scalar else x


def same_rule(g: Number, y: Number, x: Number) -> tuple[Number]:
    return (g,)


def product(xs: Iterable[Number]) -> Number:
    y: Number = 1.0
    for x in xs:
        y = mul(y, x)
    return y


def _order(roots: Iterable[Scalar]) -> list[Scalar]:
    """All Scalars the roots were computed from, operands first."""
    seen: set[Scalar] = set()
    order: list[Scalar] = []
    stack: list[tuple[Scalar, bool]] = [(root, False) for root in roots]
    while stack:
        x, done = stack.pop()
        if done:
            order.append(x)
        elif x not in seen:
            seen.add(x)
            stack.append((x, True))
            stack.extend((o, False) for o in x.operands if type(o) is Scalar)
    return order


def cotangents(roots: list[tuple[Scalar, Number]], create: bool) -> dict[Scalar, Number]:
    """The derivative of the sum of root * cotangent by every Scalar behind the roots."""
    found: dict[Scalar, Number] = {}
    for root, g in roots:
        found[root] = add(found[root], g) if root in found else g
    for x in reversed(_order([root for root, _ in roots])):
        if x.rule is None or x not in found:
            continue
        operands = x.operands if create else [value_of(o) for o in x.operands]
        grads = x.rule(found[x], x if create else x.value, *operands)
        for o, g in zip(x.operands, grads, strict=True):
            if type(o) is Scalar:
                found[o] = add(found[o], g) if o in found else g
    return found

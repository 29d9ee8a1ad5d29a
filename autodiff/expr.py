"""Pointwise expressions: built by running Python on symbols, and differentiated symbolically.

An expression is a small graph of primitives over numbered inputs. The same table of primitives
serves the library's own operations and what users pass to `autodiff.pointwise`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.dtypes import dtype
from autodiff.named import NamedTuple

Rule = Callable[..., "tuple[Expr | None, ...]"]
Interval = tuple[float, float]


class Primitive(NamedTuple):
    """A named pointwise function, and all that is known of it.

    It is one instruction of the machine, or `expand` writes it in terms of others. `result` says
    how its dtype follows from the operands' (see lower.py). `vjp(g, y, *x)` gives the cotangents
    of the operands, None where the derivative is zero everywhere, `Expr("missing", (), text)` where
    there is none; without it the expansion is differentiated. For tests, `domain` bounds each
    operand to a union of intervals, and `reference` is an independent definition on Python numbers.
    """

    name: str
    arity: int
    result: str = "same"
    vjp: Rule | None = None
    expand: Callable[..., Expr] | None = None
    reference: Callable[..., Any] | None = None
    domain: tuple[tuple[Interval, ...], ...] = ()
    doc: str = ""


PRIMITIVES: dict[str, Primitive] = {}


class Expr:
    """A node of an expression: a primitive on operands, an input, a constant or a cast."""

    __slots__ = ("args", "op", "value")

    def __init__(self, op: str, args: tuple[Expr, ...] = (), value: Any = None) -> None:
        self.op = op
        self.args = args
        self.value = value  # an input's index, a constant's number, a cast's dtype

    def __repr__(self) -> str:
        if self.op == "input":
            return f"x{self.value}"
        if self.op == "const":
            return repr(self.value)
        return f"{self.op}({', '.join(map(repr, self.args))})"

    def __bool__(self) -> bool:
        raise TypeError(
            "a pointwise expression has no truth value: its elements differ. Use where(condition, "
            "a, b)"
        )

    def to(self, dtype: dtype) -> Expr:
        """The expression converted to a dtype."""
        return Expr("cast", (self,), dtype)

    def __add__(self, other: Any) -> Expr:
        return build("add", self, other)

    def __radd__(self, other: Any) -> Expr:
        return build("add", other, self)

    def __sub__(self, other: Any) -> Expr:
        return build("sub", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return build("sub", other, self)

    def __mul__(self, other: Any) -> Expr:
        return build("mul", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return build("mul", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return build("div", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return build("div", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        return build("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Expr:
        return build("floordiv", other, self)

    def __mod__(self, other: Any) -> Expr:
        return build("remainder", self, other)

    def __rmod__(self, other: Any) -> Expr:
        return build("remainder", other, self)

    def __pow__(self, other: Any) -> Expr:
        return power(self, other)

    def __rpow__(self, other: Any) -> Expr:
        return build("pow", other, self)

    def __neg__(self) -> Expr:
        return build("neg", self)

    def __pos__(self) -> Expr:
        return self

    def __abs__(self) -> Expr:
        return build("abs", self)

    def __lt__(self, other: Any) -> Expr:
        return build("lt", self, other)

    def __le__(self, other: Any) -> Expr:
        return build("le", self, other)

    def __gt__(self, other: Any) -> Expr:
        return build("lt", other, self)

    def __ge__(self, other: Any) -> Expr:
        return build("le", other, self)

    def __eq__(self, other: Any) -> Expr:  # type: ignore[override]
        return build("eq", self, other)

    def __ne__(self, other: Any) -> Expr:  # type: ignore[override]
        return build("ne", self, other)

    __hash__ = object.__hash__

    def __and__(self, other: Any) -> Expr:
        return build("bitwise_and", self, other)

    def __or__(self, other: Any) -> Expr:
        return build("bitwise_or", self, other)

    def __xor__(self, other: Any) -> Expr:
        return build("bitwise_xor", self, other)

    def __invert__(self) -> Expr:
        return build("bitwise_not", self)


def const(value: Any) -> Expr:
    """A Python number as an expression; TypeError for anything else."""
    if not isinstance(value, (bool, int, float)):
        raise TypeError(
            "a pointwise expression takes its inputs and Python numbers, not "
            f"{type(value).__name__}: pass tensors as arguments of the function"
        )
    return Expr("const", (), value)


def inputs(n: int) -> list[Expr]:
    """The symbols of n inputs."""
    return [Expr("input", (), i) for i in range(n)]


def by_width(narrow: Expr, wide: Expr) -> Expr:
    """`narrow` where it computes in float32, which needs less of a function, else `wide`."""
    return Expr("by_width", (narrow, wide))


def build(name: str, *operands: Any) -> Expr:
    """A primitive on expressions and Python numbers."""
    args = tuple(x if isinstance(x, Expr) else const(x) for x in operands)
    if name == "neg" and args[0].op == "neg":
        return args[0].args[0]
    return Expr(name, args)


def power(x: Expr, exponent: Any) -> Expr:
    """x to a power; small constant exponents need no logarithm."""
    if type(exponent) is int and exponent in (1, 2, 3):
        return (x, x * x, x * x * x)[exponent - 1]
    if type(exponent) is float and exponent in ROOTS:
        return build(ROOTS[exponent], x)
    return build("pow", x, exponent)


ROOTS = {0.5: "sqrt", -0.5: "rsqrt", -1.0: "reciprocal"}


def topological(roots: Sequence[Expr]) -> list[Expr]:
    """Every node the roots reach, operands before what uses them."""
    order: list[Expr] = []
    seen: set[int] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((arg, False) for arg in reversed(node.args))
    return order


def differentiate(
    root: Expr, g: Expr, wrt: Sequence[Expr], by_powers: bool = False
) -> list[Expr | None]:
    """The cotangents of `wrt`, inputs of the expression, given that of its value.

    by_powers: what is multiplied by x several times is taken for a power of x, as its bits are not.
    """
    order = topological([root])
    wanted = {id(x) for x in wrt}
    for node in order:
        if any(id(arg) in wanted for arg in node.args):
            wanted.add(id(node))
    cotangents: dict[int, Expr] = {id(root): g}
    for node in reversed(order):
        gy = cotangents.get(id(node))
        if gy is None or id(node) not in wanted or not node.args:
            continue
        power = _power(node, gy) if by_powers else None
        for arg, gx in power or zip(node.args, _vjp(node, gy), strict=True):
            if gx is not None and id(arg) in wanted:
                before = cotangents.get(id(arg))
                cotangents[id(arg)] = gx if before is None else before + gx
    return [cotangents.get(id(x)) for x in wrt]


def _power(node: Expr, g: Expr) -> list[tuple[Expr, Expr | None]] | None:
    """The cotangents of x and base, where a node is ((base x) x)... or (x x)..."""
    if node.op != "mul" or (x := node.args[1]).op == "const":
        return None
    base, times, power = node.args[0], 1, x
    while base.op == "mul" and base.args[1] is x:
        base, times, power = base.args[0], times + 1, power * x
    if base is x:
        return [(x, g * (node.args[0] * (times + 1)))]
    return [(x, g * (node.args[0] * times)), (base, g * power)] if times > 1 else None


def _vjp(node: Expr, g: Expr) -> tuple[Expr | None, ...]:
    if node.op == "cast":
        return (g,) if node.value.is_floating_point else (None,)
    primitive = PRIMITIVES[node.op]
    if primitive.vjp is not None:
        return primitive.vjp(g, node, *node.args)
    if primitive.expand is not None:
        return tuple(differentiate(primitive.expand(*node.args), g, node.args))
    return (None,) * len(node.args)


def rebuild(roots: Sequence[Expr], change: Callable[[Expr, tuple[Expr, ...]], Expr]) -> list[Expr]:
    """The expressions with each node replaced by `change(node, new_operands)`, operands first."""
    new: dict[int, Expr] = {}
    for node in topological(roots):
        new[id(node)] = change(node, tuple(new[id(arg)] for arg in node.args))
    return [new[id(root)] for root in roots]


def with_args(node: Expr, args: tuple[Expr, ...]) -> Expr:
    """The node on other operands; itself where they are the same."""
    same = all(a is b for a, b in zip(args, node.args, strict=True))
    return node if same else Expr(node.op, args, node.value)


def expanded(roots: Sequence[Expr]) -> list[Expr]:
    """The expressions with only instructions, inputs, constants and conversions left.

    What is written in terms of others takes its operands as the dtype that it computes in.
    """

    def change(node: Expr, args: tuple[Expr, ...]) -> Expr:
        primitive = PRIMITIVES.get(node.op)
        if primitive is None or primitive.expand is None:
            return with_args(node, args)
        if primitive.arity > 1 or primitive.result == "float":
            args = tuple(
                x if x.op == "const" else Expr("operand", (x, *args), node.op) for x in args
            )
        return expanded([primitive.expand(*args)])[0]

    return rebuild(roots, change)

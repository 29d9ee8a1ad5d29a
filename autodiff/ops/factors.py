"""Derivatives with fewer instructions: as numbers they are the same, as bits they need not be."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Sequence

from autodiff.expr import Expr, build, const, rebuild, topological, with_args

MOST = 2.0**32  # of a constant, and one over it the least: more might be infinite, or 0, as a float


def rewritten(slopes: Sequence[Expr], root: Expr) -> list[Expr]:
    """Derivatives of an expression, which is computed with them and stays as it is."""
    one = Expr("ones_like", (root,))
    for change in (_distributed, _contracted, _gathered):
        users = [arg for e in topological([*slopes, root]) for arg in e.args]
        uses = Counter(map(id, [*users, *slopes, root]))
        given = {id(e) for e in topological([root])}
        slopes = _changed(slopes, _Context(given, uses, one), change)
    return [*slopes]


class _Context:
    """What a rule may ask: which nodes the value has too, how often each is read, what it became.

    With `one` as first factor, of the result's dtype, integers after it do not meet as such.
    """

    def __init__(self, given: set[int], uses: Counter[int], one: Expr) -> None:
        self.given = given
        self.uses = uses
        self.one = one
        self.new: dict[int, Expr] = {}

    def alone(self, e: Expr) -> bool:
        """Whether nothing else reads a node."""
        return self.uses[id(e)] == 1 and id(e) not in self.given


Change = Callable[[_Context, Expr, "tuple[Expr, ...]"], "Expr | None"]


def _changed(slopes: Sequence[Expr], context: _Context, change: Change) -> list[Expr]:
    def step(node: Expr, args: tuple[Expr, ...]) -> Expr:
        found = None if id(node) in context.given else change(context, node, args)
        context.new[id(node)] = result = with_args(node, args) if found is None else found
        return result

    return rebuild(slopes, step)


def _distributed(context: _Context, node: Expr, args: tuple[Expr, ...]) -> Expr | None:
    """a b c + a as a (b c + 1), the constants of b and c as one."""
    if node.op != "add":
        return None
    for old, a in zip(node.args, node.args[::-1], strict=True):
        if old.op != "mul" or not context.alone(old):
            continue
        factors = _factors(context, old)
        rest = [e for e in factors if e is not a]
        constants = [e.value for e in rest if e.op == "const"]
        if len(constants) < len(rest) == len(factors) - 1 and _moderate(constants):
            found = [context.new[id(e)] for e in rest if e.op != "const"]
            if constants:
                found.append(const(math.prod(constants)))
            b = _product([context.one, *found])
            return build("mul", context.new[id(a)], build("add", b, 1))
    return None


def _contracted(context: _Context, node: Expr, args: tuple[Expr, ...]) -> Expr | None:
    """A product that is added to something once (one by a number first) is rounded with it."""
    if node.op != "add":
        return None
    products = [
        (new, rest)
        for old, new, rest in zip(node.args, args, args[::-1], strict=True)
        if new.op == "mul" and context.uses[id(old)] == 1 and not any(map(_is_one, new.args))
    ]
    products.sort(key=lambda pair: not _by_number(pair[0]))
    return Expr("fma", (*products[0][0].args, products[0][1])) if products else None


def _gathered(context: _Context, node: Expr, args: tuple[Expr, ...]) -> Expr | None:
    """The constants of a product as one, in a sum that is a factor if there is one."""
    if node.op != "mul":
        return None
    factors = _factors(context, node)
    constants = [e.value for e in factors if e.op == "const"]
    ones = [e for e in factors if _is_one(e)]
    rest = [e for e in factors if e.op != "const" and not _is_one(e)]
    others = [context.new[id(e)] for e in rest]
    linear = next((context.new[id(e)] for e in rest if context.alone(e) and _is_linear(e)), None)
    if len(ones) != 1 or len(constants) < 1 + (linear is None):
        return None
    times = math.prod(constants)
    scaled = [times * e.value for e in linear.args[1:]] if linear is not None else []
    if not _moderate([*constants, times, *scaled]):
        return None
    if linear is not None:
        fma = Expr("fma", (linear.args[0], *map(const, scaled)))
        others = [fma if e is linear else e for e in others]
    elif times != 1:
        others.append(const(times))
    return _product([context.one, *others])


def _factors(context: _Context, node: Expr) -> list[Expr]:
    """Those of a product, and of factors that are products which only it needs, or by a number."""
    factors: list[Expr] = []
    for e in node.args:
        inside = e.op == "mul" and (context.alone(e) or (id(e) in context.given and _by_number(e)))
        factors += _factors(context, e) if inside else [e]
    return factors


def _product(factors: Sequence[Expr]) -> Expr:
    return functools.reduce(lambda a, b: build("mul", a, b), factors)


def _moderate(constants: Sequence[float]) -> bool:
    return all(1 / MOST < abs(value) < MOST for value in constants)


def _by_number(e: Expr) -> bool:
    return any(arg.op == "const" for arg in e.args)


def _is_linear(e: Expr) -> bool:
    return e.op == "fma" and all(arg.op == "const" for arg in e.args[1:])


def _is_one(e: Expr) -> bool:
    return e.op == "ones_like"

"""What the reference tells of a pointwise function, derived from its declaration: the dtype of its
result, its gradient, and an example.
"""

from __future__ import annotations

import math
from typing import Any

from autodiff.expr import Expr, Primitive
from autodiff.ops.declare import Function

DTYPES = {
    "float": "Floating point: that of the operands, the default dtype for integers and bools.",
    "bool": "The result is bool; there is no gradient.",
    "number": "The result has the operands' dtype; bool is refused.",
    "bits": "Of integers and bools; NotImplementedError for others. There is no gradient.",
}
SIGNS = {"add": ("+", 2), "sub": ("-", 2), "mul": ("*", 3), "div": ("/", 3)}
SIGNS |= {"eq": ("==", 1), "lt": ("<", 1), "le": ("<=", 1), "gt": (">", 1), "ne": ("!=", 1)}


def _formula(e: Expr, names: list[str], level: int = 0) -> str:
    """An expression as it is written by hand; `level` is how tightly its surroundings bind."""
    if e.op == "input":
        return str(names[e.value])
    if e.op == "const":
        return f"{e.value:.4g}" if isinstance(e.value, float) else str(e.value)
    if e.op == "missing":
        return "not implemented"
    if e.op == "neg":
        return f"-{_formula(e.args[0], names, 4)}"
    if e.op in SIGNS:
        sign, binds = SIGNS[e.op]
        text = f"{_formula(e.args[0], names, binds)} {sign} {_formula(e.args[1], names, binds + 1)}"
        return f"({text})" if binds < level else text
    return f"{e.op}({', '.join(_formula(arg, names) for arg in e.args)})"


def derived_gradient(primitive: Primitive) -> str:
    """The cotangents of the operands, where they are short enough to be read."""
    n = primitive.arity
    symbols = [Expr("input", (), i) for i in range(n + 2)]
    names = [*_operand_names(n), "g", "result"]
    if primitive.vjp is None:
        return ""
    found = primitive.vjp(symbols[n], symbols[n + 1], *symbols[:n])
    parts = [
        f"`{_formula(e, names)}`" + (f" of {name}" if n > 1 else "")
        for e, name in zip(found, names, strict=False)
        if e is not None
    ]
    text = f"Gradient, g being the result's: {', '.join(parts)}."
    return text if len(text) < 120 else ""


def _operand_names(n: int) -> list[str]:
    return ["input", "other"][:n] if n <= 2 else [f"operand {i + 1}" for i in range(n)]


def _sample(intervals: Any, integers: bool) -> list[str]:
    """A few numbers of a domain, as they are written."""
    if integers:
        return ["1", "2", "6"]
    finite = [(low, high) for low, high in intervals if math.isfinite(low + high)]
    inside = [low + (high - low) * share / 4 for low, high in finite for share in (1, 2, 3)]
    spread = inside if len(finite) == 1 else [(low + high) / 2 for low, high in finite]
    values = [repr(round(x, 1) + 0.0) for x in sorted(set(spread))[:3]]
    return values + [f'float("{x}")' for x, _ in intervals if not math.isfinite(x)]


def derived_example(function: Function, names: dict[str, Any], where: str = "ad.") -> str:
    """A call of a declared function on numbers of its domain, and what it prints."""
    primitive = function.primitive
    samples = [_sample(domain, primitive.result == "bits") for domain in primitive.domain]
    n = min(map(len, samples))
    operands = [f"ad.tensor([{', '.join(sample[:n])}])" for sample in samples]
    call = f"{where}{function.name}({', '.join(operands)})"
    return f">>> {call}\n{eval(call, names)!r}"

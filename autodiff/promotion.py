"""The dtype of an expression's value, from those of its operands, as PyTorch promotes.

An operand is known by its dtype and its kind: a tensor with dimensions, one without, or a Python
number.
"""

from __future__ import annotations

from collections.abc import Sequence

from autodiff import dtypes
from autodiff.dtypes import dtype
from autodiff.expr import PRIMITIVES, Expr
from autodiff.named import NamedTuple

DIMENSIONED, ZERO_DIM, NUMBER = range(3)

# Dtypes in an order in which each holds the numbers that those before it do.
REACH = (
    dtypes.int8,
    dtypes.uint8,
    dtypes.int16,
    dtypes.float16,
    dtypes.int32,
    dtypes.int64,
    dtypes.bfloat16,
    dtypes.float32,
    dtypes.float64,
)
_FIRST_OF_FLOATS = REACH.index(dtypes.bfloat16)  # of their reaches, above what float16 holds


class Operand(NamedTuple):
    """What promotion sees of a value."""

    dtype: dtype
    kind: int


def decode_key(key: int, n: int) -> list[Operand]:
    """The operands that a native key stands for."""
    codes = [key >> 6 * i & 63 for i in range(n)]
    return [
        Operand(dtypes.ALL[code & 15], code >> 4)
        if code < 3 << 4
        else Operand(dtypes.float64 if code & 15 >= _FIRST_OF_FLOATS else dtypes.int64, NUMBER)
        for code in codes
    ]


def check_reach(name: str, key: int, exact: str, computed: dtype) -> None:
    """RuntimeError for a number of an exact op beyond the dtype that its operands are converted to.

    `exact` has a letter for each operand: "x" for one that the dtype must hold, "w" for one that
    float32 must where the dtype has 16 bits, "n" for one that is not checked there, "h" for one
    that of floats is checked there alone, and "-" for one that is as it comes.
    """
    for i, how in enumerate(exact):
        code = key >> 6 * i & 63
        d = dtypes.float32 if how == "w" and computed in dtypes.HALVES else computed
        unchecked = how == "-" or (how == "h" and d.is_floating_point and d not in dtypes.HALVES)
        unchecked |= how == "n" and d in dtypes.HALVES
        if code >> 4 == 3 and not unchecked and code & 15 > REACH.index(d):
            raise RuntimeError(f"{name}(): value cannot be converted to {d!r} without overflow")


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    """A lower-priority dtype counts only where its category is higher."""
    if higher is None or lower is None:
        return higher or lower
    return dtypes.promote_types(higher, lower) if lower.category > higher.category else higher


def promote(operands: Sequence[Operand]) -> dtype:
    """The dtype PyTorch computes in: dimensioned tensors first, then 0-d tensors, then numbers."""
    best: list[dtype | None] = [None, None, None]
    for d, kind in operands:
        if kind == NUMBER and d.is_floating_point:
            d = dtypes.get_default_dtype()
        held = best[kind]
        best[kind] = d if held is None else dtypes.promote_types(held, d)
    result = _combine(_combine(best[DIMENSIONED], best[ZERO_DIM]), best[NUMBER])
    if result is None:
        raise ValueError("promote: no operands")
    return result


def computed_in(node: Expr, operands: Sequence[Operand]) -> dtype:
    """The dtype an expression's operands are converted to."""
    if node.op == "cast":
        return operands[0].dtype
    rule = PRIMITIVES[node.op].result
    d = promote(operands[1:] if rule == "where" else operands)
    if rule == "float" and not d.is_floating_point:
        return dtypes.get_default_dtype()
    if rule == "bits" and d.is_floating_point:
        name = d.title
        raise NotImplementedError(
            f'"{node.op}" not implemented for {name!r}: it takes integers or bools'
        )
    if d is dtypes.bool and rule == "number":
        if node.op in NO_BOOL:
            raise RuntimeError(NO_BOOL[node.op])
        raise NotImplementedError(f"\"{node.op}\" not implemented for 'Bool'")
    return d


NO_BOOL = {
    "sub": "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying "
    "to invert a mask, use the `~` or `logical_not()` operator instead; of two masks, `^`.",
    "neg": "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to "
    "invert a mask, use the `~` or `logical_not()` operator instead.",
}


def infer(node: Expr, operands: Sequence[Operand]) -> Operand:
    """The dtype and kind of an expression's value, from those of its operands."""
    kind = min((o.kind for o in operands), default=NUMBER)
    if node.op == "cast":
        return Operand(node.value, kind if kind != NUMBER else ZERO_DIM)
    computed = computed_in(node, operands)
    return Operand(dtypes.bool if PRIMITIVES[node.op].result == "bool" else computed, kind)

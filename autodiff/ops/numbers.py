"""Python numbers as operands: 0-d tensors that are weak in promotion."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import plain
from autodiff.native import error, lib
from autodiff.tensor import TENSOR_TYPES, Tensor, wrap

# Those made so far, by value; zeros of floats by what they look like.
numbers: dict[type, dict[Any, Tensor]] = {float: {}, int: {}, bool: {}}


def number(value: Any) -> Tensor:
    """A Python number as an operand. OverflowError where an int does not fit 64 bits."""
    table = numbers.get(type(value))
    key = repr(value) if value == 0 and type(value) is float else value  # 0.0 and -0.0 are one
    if table is not None and (found := table.get(key)) is not None:
        return found
    if isinstance(value, float):
        p = lib.ad_number_f64(value)
    elif -(2**63) <= value < 2**63:
        p = lib.ad_number_i64(value, isinstance(value, bool))
    else:
        raise OverflowError(f"int too big to convert to int64: {value}")
    if not p:
        raise error("number")
    x = wrap(p)
    if table is not None:
        if len(table) > 4096:
            table.clear()
        table[key] = x
    return x


def number_of(value: float) -> Tensor:
    """The operand of a float, int or bool, which is made once."""
    table = numbers.get(type(value))
    found = None if table is None else table.get(value)
    return number(value) if found is None else found


def operand(value: Any) -> Tensor | None:
    """An operand of arithmetic as a tensor; None where it is nothing of the kind."""
    kind = type(value)
    table = numbers.get(kind)
    if table is not None:
        found = table.get(value)
        return number(value) if found is None else found
    if kind in TENSOR_TYPES:
        return value  # type: ignore[no-any-return]
    if isinstance(value, (float, int)):
        return number(float(value) if isinstance(value, float) else int(value))
    found = plain(value)
    return None if found is value else number(found)

"""`_foreach_add(tensors, other)` and its like: a method of each tensor of a list, as optimizers
that people write ask for them. What is given besides is for all, or a list with one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.linalg import vector_norm
from autodiff.tensor import Tensor

_BOTH = """
abs acos add addcdiv addcmul asin atan ceil clamp_max clamp_min cos cosh div erf erfc exp expm1
floor frac lerp lgamma log log10 log1p log2 maximum minimum mul neg pow reciprocal round rsqrt
sigmoid sign sin sinh sqrt sub tan tanh trunc
"""
_BY_NAME = "alpha", "dtype", "ord"  # arguments that are one for all
_TAKES_NUMBERS = {"maximum": "clamp_min", "minimum": "clamp_max"}


def _column(given: Any, count: int) -> Sequence[Any]:
    """What is given for each of the tensors."""
    if not isinstance(given, (list, tuple)):
        return [given] * count
    if len(given) != count:
        raise RuntimeError(
            f"Tensor lists must have the same number of tensors, got {count} and {len(given)}"
            if given and isinstance(given[0], Tensor)
            else "Tensor list must have same number of elements as scalar list."
        )
    return given


def _foreach(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The function that makes a call for each tensor; in place, where the name ends so."""

    def each(self: Any, *args: Any, **kwargs: Any) -> Sequence[Tensor]:
        if name == "pow" and not isinstance(self, (list, tuple)):  # a number to each power
            return tuple(self**x for x in args[0])
        if isinstance(self, Tensor):
            raise TypeError(f"_foreach_{name}() expects a list of tensors, but got one Tensor")
        if not self:
            raise RuntimeError("Tensor list must have at least one tensor.")
        for x in self:
            if not isinstance(x, Tensor):
                raise TypeError(f"_foreach_{name}: expected Tensors, but got {type(x).__name__}")
        named = {key: kwargs.pop(key) for key in _BY_NAME if key in kwargs}
        columns = [_column(given, len(self)) for given in (*args, *kwargs.values())]
        found = [call(x, *row, **named) for x, *row in zip(self, *columns, strict=True)]
        return self if name.endswith("_") else tuple(found)

    each.__name__ = each.__qualname__ = f"_foreach_{name}"
    return each


def _scaled(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method that takes its factor by name alone."""
    return lambda x, a, b, value=1: method(x, a, b, value=value)


def _functions() -> dict[str, Callable[..., Any]]:
    calls: dict[str, Callable[..., Any]] = {"norm": vector_norm, "zero_": Tensor.zero_}
    calls |= {"copy_": Tensor.copy_, "max": Tensor.max, "clone": Tensor.clone}
    for name in (f"{name}{place}" for name in _BOTH.split() for place in ("", "_")):
        plain, place = name.rstrip("_"), "_" * name.endswith("_")
        method = getattr(Tensor, _TAKES_NUMBERS.get(plain, plain) + place)
        calls[name] = _scaled(method) if plain.startswith("addc") else method
    return {f"_foreach_{name}": _foreach(name, call) for name, call in calls.items()}


globals().update(_functions())

"""Functions of several steps, of floats of 16 bits: in float32, with one rounding at the end."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from autodiff.dtypes import HALF_CODES, HALVES, float32
from autodiff.ops.cast import to_dtype
from autodiff.tensor import Tensor

__all__ = ["in_float32", "mixed", "through_float32"]

F = TypeVar("F", bound=Callable[..., Any])


def in_float32(function: F) -> F:
    """The function, whose first argument is a tensor.

    Where that is of 16 bits, all tensors of its dtype become float32, and those of float32 that
    come back become that dtype. Where dtypes are mixed, the function is left to say so.
    """

    @functools.wraps(function)
    def call(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if x._p.dtype not in HALF_CODES:
            return function(x, *args, **kwargs) if kwargs else function(x, *args)  # much faster
        d = x.dtype
        given = [x, *args]
        kinds = {a.dtype for a in (*given, *kwargs.values()) if isinstance(a, Tensor)}
        if any(kind is not d and kind.is_floating_point for kind in kinds):
            return function(x, *args, **kwargs)
        y = function(*map(_wide, given), **{name: _wide(a) for name, a in kwargs.items()})
        if type(y) is tuple:
            return tuple(_narrow(each, d) for each in y)
        return _narrow(y, d)

    return cast(F, call)


def mixed(input: Tensor, *parameters: Tensor | None) -> bool:
    """Whether an input is of 16 bits, and its parameters are of float32."""
    if not isinstance(input, Tensor) or input.dtype not in HALVES:
        return False
    given = [x for x in parameters if x is not None]
    return bool(given) and all(isinstance(x, Tensor) and x.dtype is float32 for x in given)


def through_float32(function: Callable[..., Tensor], input: Tensor, *args: Any) -> Tensor:
    """What the function gives of the input as float32, rounded to the input's dtype."""
    return to_dtype(function(to_dtype(input, float32), *args), input.dtype)


def _wide(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [_wide(each) for each in x]
    return to_dtype(x, float32) if isinstance(x, Tensor) and x.dtype in HALVES else x


def _narrow(y: Any, d: Any) -> Any:
    return to_dtype(y, d) if isinstance(y, Tensor) and y.dtype is float32 else y

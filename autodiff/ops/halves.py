"""Functions of several steps, of floats of 16 bits: in float32, with one rounding at the end."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from autodiff.dtypes import HALVES, float32
from autodiff.ops.cast import to_dtype
from autodiff.tensor import Tensor

__all__ = ["in_float32", "is_mixed"]


F = TypeVar("F", bound=Callable[..., Any])


def in_float32(function: F) -> F:
    """The function, whose first argument is a tensor.

    Where that is of 16 bits, all tensors of its dtype become float32, and those of float32 that
    come back become that dtype. Where dtypes are mixed, the function is left to say so.
    """

    @functools.wraps(function)
    def call(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        d = x.dtype
        if d not in HALVES:
            return function(x, *args, **kwargs)
        given = [x, *args]
        kinds = {a.dtype for a in (*given, *kwargs.values()) if isinstance(a, Tensor)}
        if any(kind is not d and kind.is_floating_point for kind in kinds):
            return function(x, *args, **kwargs)
        y = function(*map(_wide, given), **{name: _wide(a) for name, a in kwargs.items()})
        if type(y) is tuple:
            return tuple(_narrow(each, d) for each in y)
        return _narrow(y, d)

    return cast(F, call)


def is_mixed(x: Tensor, *parameters: Tensor | None) -> bool:
    """Whether x is of 16 bits, and the parameters that there are of float32."""
    kinds = {each.dtype for each in parameters if isinstance(each, Tensor)}
    return kinds == {float32} and isinstance(x, Tensor) and x.dtype in HALVES


def _wide(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [_wide(each) for each in x]
    return to_dtype(x, float32) if isinstance(x, Tensor) and x.dtype in HALVES else x


def _narrow(y: Any, d: Any) -> Any:
    return to_dtype(y, d) if isinstance(y, Tensor) and y.dtype is float32 else y

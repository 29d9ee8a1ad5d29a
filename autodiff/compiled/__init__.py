"""`autodiff.compile`: a function is recorded once, and run again by one native call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from autodiff.compiled.check import MismatchError
from autodiff.compiled.function import Compiled
from autodiff.compiled.record import CannotRecordError
from autodiff.compiled.show import Stats

__all__ = ["CannotRecordError", "Compiled", "MismatchError", "Stats", "compile"]


@overload
def compile(model: Callable[..., Any], *, fullgraph: bool = ..., check: bool = ...) -> Compiled: ...
@overload
def compile(
    model: None = None, *, fullgraph: bool = ..., check: bool = ...
) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(
    model: Callable[..., Any] | None = None, *, fullgraph: bool = False, check: bool = False
) -> Any:
    """A function, or a module, whose native calls are recorded once and replayed by one call.

    The results, parameters, gradients, states and random numbers are those of the function, bit
    for bit. What depends on values (`.item()`, `if tensor:`) makes a call stay eager, with a
    warning; with `fullgraph` it raises. `check` runs both, and raises `MismatchError` at the first
    differing bit. See docs/compile.md. Also a decorator, with or without options.

    >>> @ad.compile
    ... def square(x):
    ...     return x * x
    >>> square(ad.tensor([1.0, 2.0]))
    tensor([1., 4.])
    """
    if model is None:
        return lambda fn: Compiled(fn, fullgraph, check)
    if not callable(model):
        raise TypeError(f"compile: expected a function or a module, got {type(model).__name__}")
    return Compiled(model, fullgraph, check)

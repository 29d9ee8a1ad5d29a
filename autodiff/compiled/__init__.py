"""`autodiff.compile`: a function is recorded once, and run again by one native call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

from autodiff.compiled.check import MismatchError
from autodiff.compiled.function import Compiled
from autodiff.compiled.record import CannotRecordError
from autodiff.compiled.show import Stats

__all__ = ["CannotRecordError", "Compiled", "MismatchError", "Stats", "compile"]

_MODES = None, "default", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune"


@overload
def compile(
    model: Callable[..., Any],
    *,
    fullgraph: bool = ...,
    check: bool = ...,
    reuse_outputs: bool = ...,
    live: Sequence[str] = ...,
    dynamic: bool | None = ...,
    backend: Any = ...,
    mode: str | None = ...,
    options: dict[str, Any] | None = ...,
    disable: bool = ...,
) -> Compiled: ...
@overload
def compile(
    model: None = None,
    *,
    fullgraph: bool = ...,
    check: bool = ...,
    reuse_outputs: bool = ...,
    live: Sequence[str] = ...,
    dynamic: bool | None = ...,
    backend: Any = ...,
    mode: str | None = ...,
    options: dict[str, Any] | None = ...,
    disable: bool = ...,
) -> Callable[[Callable[..., Any]], Compiled]: ...
def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    check: bool = False,
    reuse_outputs: bool = False,
    live: Sequence[str] = (),
    dynamic: bool | None = None,
    backend: Any = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """A function, or a module, whose native calls are recorded once and replayed by one call.

    The results, parameters, gradients, states and random numbers are those of the function, bit
    for bit. What depends on values (`.item()`, `if tensor:`) makes a call stay eager, with a
    warning; with `fullgraph` it raises. `check` runs both, and raises `MismatchError` at the first
    differing bit. A call with out= writes its result there, and with `reuse_outputs` over that of
    the call before. A recording is for the Python numbers it was made with, but for those of the
    parameters named in `live`, which the function gets as 0-d tensors. See docs/compile.md. Also a
    decorator, with or without options. `dynamic`, `backend`, `mode` and `options` choose among
    compilers of PyTorch's and change nothing here; with `disable` the function is left as it is.

    >>> @ad.compile
    ... def square(x):
    ...     return x * x
    >>> square(ad.tensor([1.0, 2.0]))
    tensor([1., 4.])
    """
    if mode not in _MODES:
        raise RuntimeError(
            f"Unrecognized mode={mode}, should be one of: {', '.join(filter(None, _MODES))}"
        )
    if callable(backend):
        raise TypeError("compile(): there is one backend, of our own; name any, or give none")
    if disable:
        return (lambda fn: fn) if model is None else model
    if model is None:
        return lambda fn: Compiled(fn, fullgraph, check, reuse_outputs, live)
    if not callable(model):
        raise TypeError(f"compile: expected a function or a module, got {type(model).__name__}")
    return Compiled(model, fullgraph, check, reuse_outputs, live)

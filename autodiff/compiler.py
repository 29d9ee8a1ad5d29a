"""`autodiff.compiler`: what programs ask of, and tell, whatever compiles them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from autodiff.changes import recorder_here
from autodiff.compiled import compile as compile
from autodiff.compiled.function import reset as reset

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable",
    "is_compiling", "is_dynamo_compiling", "is_exporting", "reset",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


def is_compiling() -> bool:
    """Whether the calls of a compiled function are being recorded.

    >>> seen = ad.compile(lambda x: 2 * x if ad.compiler.is_compiling() else x)
    >>> ad.compiler.is_compiling(), seen(ad.ones(1))
    (False, tensor([2.]))
    """
    return recorder_here() is not None


is_dynamo_compiling = is_compiling


def is_exporting() -> bool:
    """False: nothing is exported.

    >>> ad.compiler.is_exporting()
    False
    """
    return False


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """A function whose Python runs at every call: compiled functions that call it stay eager, with
    a warning, and with `fullgraph=True` raise.

    >>> @ad.compiler.disable
    ... def noted(x):
    ...     return x + 1
    >>> noted(ad.ones(1))
    tensor([2.])
    """
    if fn is None:
        return functools.partial(disable, recursive=recursive, reason=reason)

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if recorder := recorder_here():
            name = getattr(fn, "__name__", repr(fn))
            recorder.stay_eager(f"it calls {name}, which compiler.disable keeps eager")
        return fn(*args, **kwargs)

    return call


def allow_in_graph(fn: F) -> F:
    """The function itself: what it calls is recorded as any call is.

    >>> ad.compiler.allow_in_graph(ad.sin) is ad.sin
    True
    """
    return fn


assume_constant_result = allow_in_graph


def cudagraph_mark_step_begin() -> None:
    """Nothing: results never share memory with those of an earlier call.

    >>> ad.compiler.cudagraph_mark_step_begin()
    """

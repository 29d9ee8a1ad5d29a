"""`autodiff.jit`: what programs say to TorchScript, as PyTorch takes it where `PYTORCH_JIT=0`
turns that off: what is scripted or traced is itself, and Python runs it. `compile` makes it fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from autodiff.nn.module import Module as ScriptModule

__all__ = [
    "Final", "ScriptModule", "annotate", "export", "ignore", "is_scripting", "is_tracing", "script",
    "script_if_tracing", "script_method", "trace", "unused",
]  # fmt: skip

T = TypeVar("T")


def script(obj: T, *args: Any, **options: Any) -> T:
    """The function, class or module itself.

    >>> @ad.jit.script
    ... def double(x):
    ...     return 2 * x
    >>> double(ad.ones(1))
    tensor([2.])
    """
    return obj


def trace(func: T, example_inputs: Any = None, *args: Any, **options: Any) -> T:
    """The function or module itself, which is not called.

    >>> ad.jit.trace(ad.sin, ad.ones(1)) is ad.sin
    True
    """
    return func


def export(fn: T) -> T:
    """The method itself.

    >>> ad.jit.export(ad.sin) is ad.sin
    True
    """
    return fn


script_method = script_if_tracing = export


def ignore(drop: Any = False, **options: Any) -> Any:
    """The function itself; also with parentheses, `@jit.ignore()`.

    >>> ad.jit.ignore(ad.sin) is ad.jit.ignore(drop=True)(ad.sin) is ad.sin
    True
    """
    return drop if callable(drop) else export


def unused(fn: Callable[..., T]) -> Callable[..., T]:
    """The function itself.

    >>> ad.jit.unused(ad.sin) is ad.sin
    True
    """
    return fn


def annotate(the_type: type[T], the_value: Any) -> T:
    """The value, said to be of a type.

    >>> ad.jit.annotate(list, [])
    []
    """
    return cast(T, the_value)


def is_scripting() -> bool:
    """Whether the code is scripted, or a call traced: False.

    >>> ad.jit.is_scripting(), ad.jit.is_tracing()
    (False, False)
    """
    return False


is_tracing = is_scripting

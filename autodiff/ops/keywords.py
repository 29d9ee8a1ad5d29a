"""Keywords that many functions share: `out=` of those that write elsewhere, `device=` of makers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from autodiff import dtypes
from autodiff.native import error, lib
from autodiff.node import mode
from autodiff.ops.base import fresh
from autodiff.tensor import Tensor

__all__ = ["placed", "signature", "with_out"]


def with_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a keyword `out`: the tensor that its result is written to, and is.

    The result is converted to out's dtype where no kind of number is lost; an `out` of another
    shape is made to fit.
    """
    name = function.__name__
    makes = "dtype" in _parameters(function)

    def call(*args: Any, out: Tensor | None = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        if not isinstance(out, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
        if mode.grad and (out.requires_grad or _any_requires_grad([*args, *kwargs.values()])):
            raise RuntimeError(
                f"{name}(): functions with out=... arguments don't support automatic "
                "differentiation, but one of the arguments requires grad."
            )
        if makes:
            kwargs.setdefault("dtype", out.dtype)
        return _write(out, function(*args, **kwargs), name)

    return _like(call, function, out="Tensor | None")


def _parameters(function: Any) -> tuple[str, ...]:
    """The names of a function's parameters."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]  # type: ignore[no-any-return]


def _like(
    call: Callable[..., Any], function: Callable[..., Any], **keywords: str
) -> Callable[..., Any]:
    """`call` as the function is known, but for keywords more; given are their types."""
    known: Any = call
    known.__wrapped__ = function
    known.more_keywords = keywords
    call.__name__ = call.__qualname__ = function.__name__
    call.__doc__ = function.__doc__
    call.__module__ = function.__module__
    return call


def signature(function: Any) -> Any:
    """The inspect.Signature of a function, its keywords of here included."""
    import inspect  # slow to import, and nobody's need but a reader's

    found = inspect.signature(function)
    keywords: dict[str, str] = {}
    while hasattr(function, "__wrapped__"):
        keywords |= getattr(function, "more_keywords", {})
        function = function.__wrapped__
    more = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for key, kind in keywords.items()
        if key not in found.parameters
    ]
    given = list(found.parameters.values())
    last = [p for p in given if p.kind is inspect.Parameter.VAR_KEYWORD]
    return found.replace(parameters=[*(p for p in given if p not in last), *more, *last])


def placed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with PyTorch's keyword `device`, which may only be "cpu"."""
    name = function.__name__

    def call(*args: Any, device: Any = None, **kwargs: Any) -> Any:
        if device is not None and str(device) != "cpu":
            if not isinstance(device, str):
                kind = type(device).__name__
                raise TypeError(f"{name}(): argument 'device' must be a device, not {kind}")
            raise RuntimeError(f"{name}(): device {device!r} is not supported; only 'cpu' is")
        return function(*args, **kwargs)

    return _like(call, function, device="Any")


def _any_requires_grad(values: Iterable[Any]) -> bool:
    return any(
        _any_requires_grad(v)
        if isinstance(v, (tuple, list))
        else isinstance(v, Tensor) and v.requires_grad
        for v in values
    )


def _write(out: Tensor, result: Tensor, name: str) -> Tensor:
    source, target = result.dtype, out.dtype
    if source.category > target.category:
        names = (dtypes.SCALAR_NAMES[d.code] for d in (source, target))
        raise RuntimeError(
            "result type {} can't be cast to the desired output type {}".format(*names)
        )
    if out.shape != result.shape:
        if out._p.numel:
            warnings.warn(
                f"{name}(): an output with one or more elements was resized since it had shape "
                f"{list(out.shape)}, which does not match the required output shape "
                f"{list(result.shape)}.",
                UserWarning,
                stacklevel=3,
            )
        shape = list(result.shape)
        out._p = fresh(lib.ad_empty(target.code, len(shape), shape), name)
        out._base = out._base_node = None
    if lib.ad_copy(out._p, result._p):
        raise error(name, out._p, result._p)
    return out

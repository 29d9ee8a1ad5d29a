"""Keywords that many functions share: `out=` of those that write elsewhere, `device=` of makers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.node import mode
from autodiff.ops.clones import in_format
from autodiff.ops.guard import PLAIN, Elsewhere, guarded
from autodiff.ops.out import asked, check_out, put, written, written_all
from autodiff.ops.written import parameters
from autodiff.shortcuts import alike, plain, store
from autodiff.tensor import Tensor

_OUT = frozenset(["out"])
_RARELY = ("memory_format", "layout", "pin_memory")
_RARE, _PLACES = frozenset(_RARELY), frozenset(["device", *_RARELY])


def with_out(
    function: Callable[..., Any], into: Callable[..., bool] | None = None
) -> Callable[..., Any]:
    """The function, guarded, with a keyword `out`: what its result is written to, and is.

    An `out` of another shape is made to fit; which dtypes it may have, `check_dtype` tells.
    `into` writes to one, before the other arguments, if that is all there is to it.
    """
    call = guarded(function, elsewhere=_writer(function, into), keywords=_OUT)
    return _more(call, out="Tensor | None")


def _writer(function: Callable[..., Any], into: Callable[..., bool] | None = None) -> Elsewhere:
    """What a call with `out` is left to."""
    name = function.__name__
    makes = "dtype" in parameters(function)[1]

    def write(call: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        out = kwargs.pop("out")
        if out is None:
            return call(*args, **kwargs)
        if not plain(PLAIN, out, args, kwargs):
            check_out(name, out, *_tensors(args), *_tensors(kwargs.values()))
        if makes:
            if kwargs.get("dtype") is None:
                kwargs["dtype"] = out.dtype
            asked(name, kwargs["dtype"], out)
        if mode.autocast is None:
            return put(name, out, call(*args, **kwargs))
        autocast, mode.autocast = mode.autocast, None  # which leaves such calls as they are
        try:
            y = call(*args, **kwargs)
        finally:
            mode.autocast = autocast
        return put(name, out, y)

    told: Any = write
    told.direct = {
        "out_fits": alike if makes else plain,
        "out_types": PLAIN - {dtype} if makes else PLAIN,
        "out_mode": mode,
        "out_store": store,
        "out_put": partial(put, name),
    }
    if into is not None:
        told.direct["out_into"] = into
    return told  # type: ignore[no-any-return]


def with_outs(function: Callable[..., Any], converts: bool = False) -> Callable[..., Any]:
    """The function, guarded, with a keyword `out`: a tuple where one of tensors is returned, of the
    results' dtypes unless it `converts`.
    """
    name = function.__name__

    def write(call: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        out = kwargs.pop("out")
        result = call(*args, **kwargs)
        if out is None:
            return result
        given = [*_tensors(args), *_tensors(kwargs.values())]
        if isinstance(result, Tensor):
            return written(name, out, result, *given)
        return type(result)(*written_all(name, out, result, *given, converts=converts))

    return _more(guarded(function, elsewhere=write, keywords=_OUT), out="Any")


def _more(call: Callable[..., Any], **keywords: str) -> Callable[..., Any]:
    """`call`, known to take keywords more, given with their types."""
    known: Any = call
    known.more_keywords = keywords
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


def placed(function: Callable[..., Any], writes: bool = False) -> Callable[..., Any]:
    """The function, guarded, with PyTorch's keyword `device`, which may only be "cpu".

    `layout` and `pin_memory` change nothing, `memory_format` the strides alone. Where it `writes`,
    there is `out`, too.
    """
    name = function.__name__
    write = _writer(function) if writes else None

    def place(call: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        device, order = kwargs.pop("device", None), None
        if kwargs and not _RARE.isdisjoint(kwargs):
            order, _, _ = [kwargs.pop(keyword, None) for keyword in _RARELY]
        if device is not None and device != "cpu":
            check_device(name, device)
        made = (
            call(*args, **kwargs)
            if write is None or "out" not in kwargs
            else write(call, args, kwargs)
        )
        if order is not None:
            made.data = in_format(made.detach(), order)
        return made

    keywords = _OUT | _PLACES if writes else _PLACES
    more = {"device": "Any", "out": "Tensor | None"} if writes else {"device": "Any"}
    return _more(guarded(function, elsewhere=place, keywords=keywords), **more)


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    """The tensors among arguments, those in lists included."""
    found = []
    for value in values:
        if type(value) is Tensor:
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += _tensors(value)
        elif isinstance(value, Tensor):
            found.append(value)
    return found

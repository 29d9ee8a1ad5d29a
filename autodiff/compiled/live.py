"""Live scalars: Python numbers that a recording reads anew at each run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autodiff.native import error, lib
from autodiff.tensor import Tensor, wrap

Place = tuple[str, int]  # a parameter's name and position; -1 where it is given by name alone


def parameters_of(fn: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """What a function, or a module's forward, is called with; nothing where that is unknown."""
    try:
        return inspect.signature(getattr(fn, "forward", fn)).parameters
    except (TypeError, ValueError):
        return {}


def takes_out(fn: Callable[..., Any]) -> bool:
    """Whether a function has an `out` of its own, or may have."""
    found = parameters_of(fn)
    return "out" in found or any(p.kind is p.VAR_KEYWORD for p in found.values())


def live_places(fn: Callable[..., Any], names: Sequence[str]) -> list[Place]:
    """Where the parameters of these names are. ValueError for one that there is not."""
    found = parameters_of(fn)
    places = []
    for name in (names,) if isinstance(names, str) else names:
        if name not in found:
            raise ValueError(f"compile: live={name!r} is no parameter of {fn!r}: {[*found]}")
        by_name = found[name].kind is inspect.Parameter.KEYWORD_ONLY
        places.append((name, -1 if by_name else [*found].index(name)))
    return places


def with_live(
    places: list[Place], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, live scalars being tensors."""
    given = list(args)
    for name, i in places:
        if 0 <= i < len(given):
            given[i] = as_live(given[i])
        elif name in kwargs:
            kwargs = {**kwargs, name: as_live(kwargs[name])}
    return tuple(given), kwargs


def as_live(value: Any) -> Any:
    """A number as a 0-d tensor that promotes as it does, in memory of its own."""
    if type(value) is float:
        p = lib.ad_number_f64(value)
    elif type(value) is int and -(2**63) <= value < 2**63:
        p = lib.ad_number_i64(value, 0)
    else:
        return value
    if not p:
        raise error("compile")
    x: Tensor = wrap(p)
    return x

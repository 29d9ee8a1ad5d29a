"""One place that a value is in: how it is looked up, by Python and in generated code."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from autodiff.compiled.record import version
from autodiff.compiled.tree import compares, same

ABSENT = object()


def item(table: Any, key: Any) -> Any:
    """What a table has at a key."""
    return table.get(key, ABSENT)


def attribute(owner: Any, name: str) -> Any:
    """What an object, a class, a function or a cell has by a name."""
    try:
        return getattr(owner, name)
    except Exception:  # an empty cell, or a descriptor of the user's that has nothing yet
        return ABSENT


def held(holder: Any, _: Any = None) -> Any:
    """What a variable of contexts, or a weak reference, stands for."""
    return holder.get(ABSENT) if isinstance(holder, contextvars.ContextVar) else holder()


def parts(container: Any, _: Any = None) -> Any:
    """All that a container holds, in order."""
    return [*container, *container.values()] if hasattr(container, "values") else [*container]


def alike(now: Any, was: Any) -> bool:
    """Whether a value, or each of a container's, is as it was."""
    if type(was) is not list:
        return same(now, was)
    return len(now) == len(was) and all(map(same, now, was))


PLACES: dict[Callable[[Any, Any], Any], str] = {
    item: "{owner}[{key!r}]",
    attribute: "{owner}.{key}",
    held: "held({owner})",
    parts: "parts({owner})",
    version: "version({owner})",
}


def is_same(now: str, name: str, value: Any, scope: dict[str, Any]) -> str:
    """A Python expression that holds where `now` is the same as a value, called by this name."""
    scope[name], scope["same"] = value, same
    return f"({now} is {name} or same({now}, {name}))" if compares(value) else f"{now} is {name}"

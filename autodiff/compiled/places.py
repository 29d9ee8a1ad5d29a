"""One place that a value is in: how it is looked up, by Python and in generated code."""

from __future__ import annotations

import contextvars
import types
from collections.abc import Callable, Iterable
from typing import Any

from autodiff.compiled.record import version
from autodiff.compiled.tree import compares, same

ABSENT = object()
FEW = 16  # items of a container that generated code looks at one by one
# A place: how it is looked up, of what, by which key; and a value.
Row = tuple[Callable[[Any, Any], Any], Any, Any, Any]


def item(table: Any, key: Any) -> Any:
    """What a table has at a key."""
    return table.get(key, ABSENT)


def put_item(table: Any, key: Any, value: Any) -> None:
    """Set what a user's table has at a key, and no attribute."""
    table[key] = value


def attribute(owner: Any, name: str) -> Any:
    """What an object, a class, a function or a cell has by a name."""
    try:
        return getattr(owner, name)
    except Exception:  # an empty cell, or a descriptor of the user's that has nothing yet
        return ABSENT


def plain(thing: Any, name: str) -> Any:
    """What an object has by a name, without what a class of the user's may do to find it."""
    asked = getattr(type(thing), "__getattr__", None), type(thing).__getattribute__
    if types.FunctionType not in map(type, asked):
        return attribute(thing, name)
    try:
        return object.__getattribute__(thing, name)
    except AttributeError:
        return ABSENT


def held(holder: Any, _: Any = None) -> Any:
    """What a variable of contexts, or a weak reference, stands for."""
    return holder.get(ABSENT) if isinstance(holder, contextvars.ContextVar) else holder()


def parts(container: Any, _: Any = None) -> Any:
    """All that a container holds, in order."""
    return [*container, *container.values()] if hasattr(container, "values") else [*container]


def filled(cached: Any, _: Any = None) -> Any:
    """How often a function that keeps its results was called in earnest, and how many it keeps."""
    return [*cached.cache_info()[1::2]]


def elements(array: Any, _: Any = None) -> Any:
    """What is in an array of NumPy's."""
    return array.tobytes()


def covers(found: tuple[Any, frozenset[Any]], _: Any = None) -> Any:
    """Whether a set has all that it had, of these two."""
    return found[0] >= found[1]


def lacks(found: tuple[frozenset[Any], Any], _: Any = None) -> Any:
    """Whether a table, or a class, has none of the names, of these two."""
    names, thing = found
    if isinstance(thing, type):
        return all(names.isdisjoint(vars(home)) for home in thing.__mro__)
    return names.isdisjoint(thing)


def alike(now: list[Any], was: list[Any]) -> bool:
    """Whether each of a container's parts is as it was."""
    return len(now) == len(was) and all(map(same, now, was))


LISTED = filled, parts, version  # which give lists of what they find


def is_as_it_was(row: Row) -> bool:
    """Whether a place has what it had; an equal number or string will do."""
    place, owner, key, was = row
    return (alike if place in LISTED else same)(place(owner, key), was)


PLACES: dict[Callable[[Any, Any], Any], str] = {
    item: "{owner}[{key!r}]",
    attribute: "{owner}.{key}",
    covers: "covers({owner})",
    elements: "elements({owner})",
    filled: "filled({owner})",
    lacks: "lacks({owner})",
    held: "held({owner})",
    parts: "parts({owner})",
    version: "version({owner})",
}


def is_same(now: str, name: str, value: Any, scope: dict[str, Any]) -> str:
    """A Python expression that holds where `now` is the same as a value, called by this name."""
    scope[name], scope["same"] = value, same
    return f"({now} is {name} or same({now}, {name}))" if compares(value) else f"{now} is {name}"


def test_of(rows: Iterable[Row], scope: dict[str, Any], cells: dict[str, Any]) -> str:
    """A Python expression that holds where each place has what it had; it may raise where not.

    Its names are those of `scope`, and of variables that are to be these `cells`.
    """
    terms = []
    scope.update({place.__name__: place for place in PLACES}, alike=alike, ABSENT=ABSENT)
    owners: dict[int, str] = {}
    for i, (place, owner, key, value) in enumerate(rows):
        name = owners.setdefault(id(owner), f"owner{len(owners)}")
        now = PLACES[place].format(owner=name, key=key)
        if type(owner) is types.CellType and value is not ABSENT:
            cells[name], now = owner, name
        else:
            scope[name] = owner
        if place is parts and type(owner) is list and len(value) <= FEW:
            terms.append(f"len({name}) == {len(value)}")
            for j, part in enumerate(value):
                terms.append(is_same(f"{name}[{j}]", f"value{i}_{j}", part, scope))
        elif place is parts and type(owner) is dict and 0 < len(value) <= 2 * FEW:
            keys, values = value[: len(value) // 2], value[len(value) // 2 :]
            terms.append(f"len({name}) == {len(keys)}")
            scope[f"keys{i}"] = keys
            terms.append(f"all(map(same, {name}, keys{i}))")
            scope["same"] = same
            for j, part in enumerate(values):
                terms.append(is_same(f"{name}[keys{i}[{j}]]", f"value{i}_{j}", part, scope))
        elif place in LISTED:
            scope[f"value{i}"] = value
            terms.append(f"alike({now}, value{i})")
        elif value is ABSENT or (isinstance(owner, dict) and type(owner) is not dict):
            now = f"{place.__name__}({name}, {key!r})"  # it may be no more, or make another
            terms.append(is_same(now, f"value{i}", value, scope))
        else:
            terms.append(is_same(now, f"value{i}", value, scope))
    return " and ".join(terms)

"""Places that a recording relies on, and those that its call may set or add to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from autodiff.compiled.places import Row, filled, is_as_it_was, parts


class Noted:
    """What was in these places before the call."""

    def __init__(self) -> None:
        self.table: dict[tuple[Any, ...], Row] = {}
        # What is set of which object, how, and where it is then, with what was there.
        self.puts: dict[tuple[int, Any], tuple[Any, Any, Row]] = {}
        self.grown: dict[int, tuple[Any, Any]] = {}  # what may be added to, and what it held
        self.late = False  # whether the call has been made
        self.seen: set[tuple[Any, ...]] = set()
        self.held: list[Any] = []  # what `seen` knows by its id

    def again(self, *things: Any) -> bool:
        """Whether these were taken in before."""
        key = tuple(x if x is None or isinstance(x, (str, int)) else id(x) for x in things)
        if key in self.seen:
            return True
        self.seen.add(key)
        self.held.append(things)
        return False

    def note(self, place: Callable[[Any, Any], Any], owner: Any, key: Any = None) -> Any:
        """Rely on what is in a place, and give it."""
        value = place(owner, key)
        self.table.setdefault((place, id(owner), key), (place, owner, key, value))
        return value

    def is_noted(self, place: Callable[[Any, Any], Any], owner: Any, key: Any) -> bool:
        """Whether what is in a place is relied on."""
        return (place, id(owner), key) in self.table

    def leave_out(self, places: Iterable[Any]) -> None:
        """Rely no more on what is in places that each call sets."""
        for place in places:
            self.table.pop((place.at, id(place.table), place.key), None)

    def lead_to(self, values: Iterable[Any]) -> bool:
        """Whether one of these is in a place that is relied on."""
        found = {
            id(x) for place, *_, was in self.rows() for x in (was if place is parts else [was])
        }
        return any(id(x) in found for x in values)

    def hold(self) -> bool:
        """Whether every place has what it had; an equal number or string will do."""
        changed = [row for row in self.rows() if not is_as_it_was(row)]
        for place, *_, value in changed:
            if place is filled:
                value.clear()  # what was forgotten may come to be counted up to the same
        return not changed

    def rows(self) -> Iterable[Row]:
        """The table, without keys."""
        return self.table.values()

    def adds_to(self, value: Any) -> None:
        """Remember what a container holds that may be added to."""
        if not self.late:
            self.grown.setdefault(id(value), (value, copy.copy(value)))

    def put(self, setter: Any, owner: Any, place: Any, table: Any, key: Any) -> None:
        """Remember what is in a place that may be set."""
        if not self.late:
            row = place, table, key, place(table, key)
            self.puts.setdefault((id(owner), key), (setter, owner, row))

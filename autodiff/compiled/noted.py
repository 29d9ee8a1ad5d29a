"""Places that a recording relies on, and those that its call may set or add to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

from autodiff.compiled.places import ABSENT, Row, alike, filled


class Noted:
    """What was in these places before the call."""

    def __init__(self) -> None:
        self.table: dict[tuple[Any, ...], Row] = {}
        # What is set of which object, how, in which table it is then, and what was there.
        self.puts: dict[tuple[int, Any], tuple[Any, ...]] = {}
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

    def hold(self) -> bool:
        """Whether every place has what it had; an equal number or string will do."""
        changed = [row for row in self.rows() if not alike(row[0](*row[1:3]), row[3])]
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

    def put(self, setter: Any, owner: Any, table: Any, key: Any) -> None:
        """Remember what is in a place that may be set."""
        if not self.late:
            was = table.get(key, ABSENT)
            self.puts.setdefault((id(owner), key), (setter, owner, table, key, was))

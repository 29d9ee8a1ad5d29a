"""Places that a recording relies on, and those that its call may set or add to."""

from __future__ import annotations

import contextlib
import copy
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from autodiff.compiled.kinds import had
from autodiff.compiled.places import ABSENT, Row, filled, is_as_it_was, item, lacks, parts
from autodiff.compiled.record import UnfitError

MOST = 30_000  # looks; a model of a thousand blocks takes some 20,000
TOO_MUCH = (
    "it reaches too much by names to be looked at before each run: more than 30,000 things, or "
    "some that lead to hundreds one after another"
)
EMPTY: Mapping[Any, Any] = types.MappingProxyType({})


class TooMuchError(UnfitError):
    """What a call may rely on is beyond what can be looked at."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """What is reached one by another, too many to follow, is too much as well."""
    try:
        yield
    except RecursionError:
        raise TooMuchError(TOO_MUCH) from None


class Noted:
    """What was in these places before the call."""

    def __init__(self) -> None:
        self.table: dict[tuple[Any, ...], Row] = {}
        # What is set of which object, how, and where it is then, with what was there.
        self.puts: dict[tuple[int, Any], tuple[Any, Any, Row]] = {}
        # The same of whatever has one of these names, what they were, and the sets of names.
        self.settable: dict[int, tuple[Any, Any, Any, dict[Any, Any], dict[int, Any]]] = {}
        # What a table or class has not: of each, by the names that were asked for.
        self.lacking: dict[int, dict[int, tuple[Any, Row]]] = {}
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
        if len(self.held) > MOST:
            raise TooMuchError(TOO_MUCH)
        return False

    def note(self, place: Callable[[Any, Any], Any], owner: Any, key: Any = None) -> Any:
        """Rely on what is in a place, and give it."""
        value = place(owner, key)
        self.table.setdefault((place, id(owner), key), (place, owner, key, value))
        return value

    def is_noted(self, place: Callable[[Any, Any], Any], owner: Any, key: Any) -> bool:
        """Whether what is in a place is relied on."""
        if (place, id(owner), key) in self.table:
            return True
        rows = self.lacking.get(id(owner), EMPTY) if place is item else EMPTY
        return any(key in row[1][0] for _, row in rows.values())

    def lacks(self, thing: Any, names: frozenset[Any]) -> None:
        """Rely on it that a table, or a class, has no more of these names."""
        rows = self.lacking.setdefault(id(thing), {})
        if names and id(names) not in rows:
            found = had(thing, names) if isinstance(thing, type) else names.intersection(thing)
            owner = names - found if found else names, thing
            rows[id(names)] = names, (lacks, owner, None, True)

    def leave_out(self, places: Iterable[Any]) -> None:
        """Rely no more on what is in places that each call sets."""
        for place in places:
            self.table.pop((place.at, id(place.table), place.key), None)
            rows = self.lacking.get(id(place.table), {})
            for key, (names, (_, (left, thing), *_)) in [*rows.items()]:
                if place.key in left:
                    rows[key] = names, (lacks, (left - {place.key}, thing), None, True)

    def leave_out_of(self, container: Any) -> None:
        """Rely no more on what is in a container that each call replaces, if no place leads there
        that it does not set.
        """
        if not isinstance(container, (dict, list, tuple)) or self.lead_to([container]):
            return
        for key, row in [*self.table.items()]:
            if row[1] is container and is_as_it_was(row):  # else `hold` tells of it
                del self.table[key]
        for part in parts(container):
            self.leave_out_of(part)

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
        lacking = (row for rows in self.lacking.values() for _, row in rows.values())
        return chain(self.table.values(), lacking)

    def adds_to(self, value: Any) -> None:
        """Remember what a container holds that may be added to."""
        if not self.late:
            self.grown.setdefault(id(value), (value, copy.copy(value)))

    def put(self, setter: Any, owner: Any, place: Any, table: Any, key: Any) -> None:
        """Remember what is in a place that may be set."""
        if not self.late:
            row = place, table, key, place(table, key)
            self.puts.setdefault((id(owner), key), (setter, owner, row))

    def put_any(self, setter: Any, owner: Any, table: Any, names: frozenset[Any]) -> None:
        """Remember what a table has by names that may be set."""
        if self.late:
            return
        new: tuple[Any, Any, Any, dict[Any, Any], dict[int, Any]] = setter, owner, table, {}, {}
        *_, was, sets = self.settable.setdefault(id(owner), new)
        if id(names) not in sets:
            sets[id(names)] = names
            for key in names.intersection(table):
                was.setdefault(key, table[key])

    def may_be_set(self) -> Iterator[tuple[Any, Any, Row]]:
        """What may have been set: how, of which object, and where with what was there."""
        yield from self.puts.values()
        for setter, owner, table, was, sets in self.settable.values():
            for key in dict.fromkeys([*was, *table]):
                new = (id(owner), key) not in self.puts
                if new and any(key in names for names in sets.values()):
                    yield setter, owner, (item, table, key, was.get(key, ABSENT))

"""Attributes that a call sets: attention keeps its weights so, a trainer its losses."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable
from typing import Any

from autodiff.changes import changes
from autodiff.compiled.guards import Names
from autodiff.compiled.places import ABSENT, Row, covers, item, parts, put_item
from autodiff.compiled.reads import at_key
from autodiff.compiled.record import CAPTURED, Recorder, UnfitError
from autodiff.compiled.signature import signature
from autodiff.compiled.tree import constants, flatten, is_plain, same
from autodiff.named import NamedTuple
from autodiff.native import lib
from autodiff.nn.module import Module
from autodiff.shapes import Size
from autodiff.tensor import Tensor, live_node

Setter = Callable[[Any, Any, Any], Any]
AHEAD = "appendleft", "insert"  # by which what is added may not be the last
MOST = 64  # items that a call adds to a deque that lets others go
UNKNOWN = -1  # a tensor that no recorded call has to do with


class Place(NamedTuple):
    """Where a call leaves what a later one looks at, and what that looked like before."""

    setter: Setter
    owner: Any
    at: Callable[[Any, Any], Any]
    table: Any
    key: Any
    looks: Any

    def value(self) -> Any:
        """What is there by now."""
        return self.at(self.table, self.key)


class Left:
    """What a recorded call left in attributes of modules, and what must be there before a run.

    UnfitError where an object that is no result outlives the call changed in another way.
    """

    def __init__(self, recorder: Recorder, result: Any, names: Names) -> None:
        self.places: list[Place] = []  # of modules, and others that it looks at as well
        self.counts: list[Place] = []  # numbers that it only adds to
        self.of_modules: set[tuple[Module, str]] = set()
        self.flags: dict[tuple[Module, str], bool] = {}  # of modules, that it sets: as they were,
        self.set_at: list[tuple[int, Module, str, bool]] = []  # and after so many calls
        self.steady = True  # what it leaves looks as what it found, and stays so while it is there
        self.now: tuple[Any, ...] = ()  # what a run left in the places, if that looks so
        self.reads: list[list[int]] = []  # of each, the tensors that were there and a run takes
        self.values: list[Any] = []
        self.replaced: list[Any] = []  # what was in the places
        self.old: list[Tensor] = []  # and the tensors in that
        self.new: list[Tensor] = []
        self.lending: list[Tensor] = []
        self.unread: list[Tensor] = []
        self.put: list[tuple[Setter, Any, Any]] = []  # what it only sets of other objects
        made: list[Tensor] = []
        flatten(result, made)
        others: list[Any] = []
        counted: list[tuple[Any, Row, Any, str]] = []
        only_set: list[Any] = []
        self.take_touched(names, recorder, counted, others)
        for setter, thing, row in [*names.may_be_set()]:
            place, table, key, was = row
            now = place(table, key)
            if same(now, was):
                if now is not ABSENT:
                    names.note(place, table, key)  # the call may have set it to that
            elif names.counts(called := at_key(key) if setter is put_item else key, was, now):
                counted.append((thing, row, now, called))
            elif names.is_noted(place, table, key):
                if flatten(now, [], ()) == flatten(was, [], ()):  # or `Names` finds it changed
                    self.take(setter, thing, row, now, recorder)
            else:
                only_set.append((setter, thing, key, now))
        names.puts.clear()
        names.settable.clear()
        self.put_behind(counted, only_set, recorder)
        for thing, was in names.grown.values():
            self.take_added(thing, was, names, recorder)
        names.grown.clear()
        passed = {lib.ad_storage_id(x._p) for x in [*made, *self.new]}
        if any(lib.ad_storage_id(x._p) in passed for x in self.unread):
            raise unfit()
        made = [x for x in made if lib.ad_tape_knows(recorder.tape, x._p) > CAPTURED] + self.new
        if any(all(x is not y for y in made) for x in others):
            raise unfit()

    def take_touched(
        self, names: Names, recorder: Recorder, counted: list[Any], others: list[Any]
    ) -> None:
        """Take in attributes of modules; to `others` go objects that changed in another way."""
        for (ref, name), was in recorder.touched.items():
            thing = ref()
            now = getattr(thing, name, was) if name else ABSENT
            if thing is None or (now is was and type(was) is bool):
                continue
            if name and isinstance(thing, Module) and names.counts(name, was, now):
                self.of_modules.add((thing, name))
                counted.append((vars(thing), (item, vars(thing), name, was), now, name))
            elif name and isinstance(thing, Module) and type(was) is type(now) is bool:
                self.flags[thing, name] = was
                self.set_at.append((recorder.set_at[ref, name], thing, name, now))
            elif name and isinstance(thing, Module):
                if not (is_plain(now) and same(now, was)):
                    self.of_modules.add((thing, name))
                    found = item, vars(thing), name, was
                    self.take(Module.__setattr__, thing, found, now, recorder)  # no class's own
            elif now is not was:
                others.append(thing)

    def put_behind(self, counted: list[Any], only_set: list[Any], recorder: Recorder) -> None:
        """Take in what a run sets behind what it carries on, whose values come first."""
        for _, module, name, now in self.set_at:
            self.put.append((Module.__setattr__, module, name))
            self.values.append(now)
        for thing, (place, table, key, was), now, called in counted:
            self.counts.append(Place(count, thing, place, table, key, called))
            self.put.append((count, thing, key))
            self.values.append(now - was)
        for setter, thing, key, now in only_set:
            self.take_put(setter, thing, key, now, recorder)

    def take(self, setter: Setter, owner: Any, row: Row, now: Any, recorder: Recorder) -> None:
        """Take in a place, and which of the tensors that were in it the call reads."""
        *_, key, was = row
        old: list[Tensor] = []
        spec = flatten(now, self.new, ())
        if flatten(was, old, ()) != spec:
            raise unfit()  # whoever reads it finds this out
        if not all(is_plain(x) or type(x) is Size for x in constants(spec)):
            raise unfit()
        looked = {lib.ad_storage_id(x._p) for x, _ in recorder.looked}
        if any(lib.ad_storage_id(x._p) in looked for x in old):
            raise unfit()
        kinds = [lib.ad_tape_knows(recorder.tape, x._p) for x in old]
        read = [i for i, kind in enumerate(kinds) if kind != UNKNOWN]
        if any(kinds[i] != CAPTURED or not is_plain_tensor(old[i]) for i in read):
            raise unfit()
        self.reads.append(read)
        self.replaced.append(was)
        self.old += old
        self.lending += [old[i] for i in read]
        self.unread += [x for i, x in enumerate(old) if i not in read]
        self.places.append(Place(setter, owner, row[0], row[1], key, looks(was)))
        self.steady &= looks(now) == looks(was) and not is_open(now)
        self.values.append(now)

    def leave_out_of(self, names: Names) -> None:
        """Have names rely on nothing that is set anew: a place looks as it did, or is counted."""
        names.leave_out([*self.places, *self.counts])
        for value in self.replaced:
            if id(value) in self.added_to():
                raise unfit()  # it sets something in what it puts away
            names.leave_out_of(value)

    def added_to(self) -> set[int]:
        """The ids of objects that it sets something in, or adds to."""
        return {*(id(thing) for _, thing, _ in self.put), *(id(x.owner) for x in self.places)}

    def is_known_by(self, names: Names) -> bool:
        """Whether a name leads to what was there otherwise, or a number is looked at after all."""
        asked = names.asked.otherwise
        return names.lead_to(self.old) or any(place.looks in asked for place in self.counts)

    def take_added(self, thing: Any, was: Any, names: Names, recorder: Recorder) -> None:
        """Take in what was added to a container, or set in one."""
        for setter, key, now in added(thing, was):
            if setter is append and not names.asked.attributes.isdisjoint(AHEAD):
                raise unfit()
            self.take_put(setter, thing, key, now, recorder)
        self.rely_on(thing, was, names)

    def rely_on(self, thing: Any, was: Any, names: Names) -> None:
        """Rely on what the call may have added or set as it was: what is plain, or known to it."""
        if isinstance(was, dict):
            updates = "update" in names.asked.attributes
            for key in was if updates else names.asked.sets & was.keys():
                value = was[key]
                known = not isinstance(value, Tensor) or id(value) in names.found
                if same(thing[key], value) and (known or key in names.asked.sets):
                    names.note(item, thing, key)
        elif isinstance(was, set):
            names.note(covers, (thing, frozenset(was)))
        elif isinstance(was, deque) and len(was) == was.maxlen and all(map(same, thing, was)):
            names.note(parts, thing)

    def take_put(self, setter: Setter, thing: Any, key: Any, now: Any, recorder: Recorder) -> None:
        """Take in one thing that was set, once."""
        known = [put[1:] for put in self.put] + [(place.owner, place.key) for place in self.places]
        if setter not in (append, add) and any(to is thing and at == key for to, at in known):
            return
        if not is_plain(now) and not self.is_result(now, recorder):
            raise unfit()
        self.put.append((setter, thing, key))
        self.values.append(now)

    def is_result(self, value: Any, recorder: Recorder) -> bool:
        """Whether a run makes anew what the call set an attribute to: tensors without a graph."""
        found: list[Tensor] = []
        spec = flatten(value, found, ())
        if not all(map(is_plain, constants(spec))):
            return False
        for x in found:
            node = live_node(x)
            made = lib.ad_tape_knows(recorder.tape, x._p) > CAPTURED and (
                not node or recorder.has_spent(node)
            )
            if not made and not any(x is y for y in recorder.inputs):
                return False
        self.new += found
        return True

    def lend(self, tape: Any, taken: set[int]) -> None:
        """Have what is read be arguments behind the others; `taken` is memory of others."""
        for x in self.lending:
            if lib.ad_storage_id(x._p) in taken or lib.ad_tape_lend(tape, x._p) != 1:
                raise unfit()

    def lent(self) -> list[Tensor] | None:
        """What a run takes of what is there; None where it is not such."""
        found: list[Tensor] = []
        for place, read in zip(self.places, self.reads, strict=True):
            there: list[Tensor] = []
            if read:
                flatten(place.value(), there, ())
            if read and len(there) <= read[-1]:
                return None
            found += [there[i] for i in read]
        return found if all(map(is_plain_tensor, found)) else None

    def hold(self) -> bool:
        """Whether there is what looks as it did: a call may have asked for its shape, or None."""
        return all(looks(place.value()) == place.looks for place in self.places)

    def leave(self, values: tuple[Any, ...], seen: int) -> int:
        """Set the attributes after a run; the count of changes up to which all is seen."""
        count = changes.count
        for place, value in zip(self.places, values, strict=True):
            place.setter(place.owner, place.key, value)
        self.now = values if self.steady else ()
        now = changes.count
        fine = self.steady and seen == count and now == count + len(self.of_modules)
        return now if fine else seen

    def settle(self) -> None:
        """Let go of the tensors of the recorded call."""
        self.now = (*self.values[: len(self.places)],) if self.steady else ()
        self.values, self.replaced, self.old = [], [], []
        self.new, self.lending, self.unread = [], [], []


def append(thing: Any, _: Any, value: Any) -> None:
    """Add to a list."""
    thing.append(value)


def add(thing: Any, _: Any, value: Any) -> None:
    """Add to a set."""
    thing.add(value)


def count(thing: Any, key: Any, n: int) -> None:
    """Add to a number."""
    thing[key] += n


def added(thing: Any, was: Any) -> list[tuple[Setter, Any, Any]]:
    """How a container became what it is, if by adding and setting alone: how, where and what."""
    if isinstance(thing, dict):
        if was.keys() - thing.keys():
            raise unfit()
        found = [(key, x) for key, x in thing.items() if was.get(key, ABSENT) is not x]
        return [(operator.setitem, key, x) for key, x in found]
    if isinstance(thing, set):
        if was - thing:
            raise unfit()
        return [(add, None, x) for x in thing - was]
    now, most = [*thing], getattr(thing, "maxlen", None)
    for k in range(max(len(now) - len(was), 0), min(len(now), MOST) + 1):
        if ends_in(was, now, k, most):
            if k and most == len(now) and was_more(was, now, k):
                raise unfit()
            return [(append, None, x) for x in now[len(now) - k :]]
        if isinstance(thing, list):
            break
    if len(now) != len(was):
        raise unfit()
    return [(operator.setitem, i, x) for i, x in enumerate(now) if x is not was[i]]


def ends_in(was: Any, now: list[Any], k: int, most: int | None) -> bool:
    """Whether adding the last k items makes these of what there was, if no more than `most`."""
    grown = deque(was, most)
    grown.extend(now[len(now) - k :])
    return len(grown) == len(now) and all(map(operator.is_, grown, now))


def was_more(was: Any, now: list[Any], k: int) -> bool:
    """Whether more may have been added to a full deque: equal numbers look the same."""
    for n in range(k + 1, len(now) + 1):
        if isinstance(now[-n], Tensor):  # which no call but one makes
            return False
        if ends_in(was, now, n, len(now)):
            return True
    return False


def is_plain_tensor(x: Tensor) -> bool:
    """Whether nothing is known of a tensor but its elements."""
    return type(x) is Tensor and x._node is None


def looks(value: Any) -> Any:
    """What Python sees of a value, elements left out."""
    tensors: list[Tensor] = []
    spec = flatten(value, tensors, ())
    return spec, [signature(x) for x in tensors]


def is_open(value: Any) -> bool:
    """Whether others may change what is in a container."""
    if isinstance(value, tuple):
        return any(map(is_open, value))
    return not (isinstance(value, Tensor) or is_plain(value))


def unfit() -> UnfitError:
    """What says that a call changes more than a run would."""
    return UnfitError("it changes what it relies on", retry=True)

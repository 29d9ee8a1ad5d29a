"""What compiled functions must hear of: changes of what they may rely on, and who is recording.

Whatever is not a value in memory but decides what a call computes (a parameter's place, a flag of
training, an option of an optimiser, a hook) counts here when it changes, so that one look at a
number tells that nothing did.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from autodiff._native import lib


class Counts:
    """What counts, where it is no native object's, at which a native call looks."""

    __slots__ = ("count",)
    count: int


_found: list[Any] = []
if not TYPE_CHECKING and not lib.ad_counts_start(id(_found)):
    Counts = _found[0]


class Changes(Counts):
    """The count of changes, and the recorder of the recording that is under way, if any.

    `live` counts those of them that only change numbers which a recording reads at each run.
    """

    __slots__ = ("live", "recorder")
    live: int
    recorder: Any  # autodiff.compiled.record.Recorder

    def __init__(self) -> None:
        self.count = 0
        self.live = 0
        self.recorder = None


changes = Changes()


def changed(live: bool = False) -> None:
    """Count a change, which must have been made: whoever looks in between finds it as it was."""
    changes.count += 1
    changes.live += live  # no call in between: who looks at both finds both
    if (recorder := changes.recorder) is not None:
        recorder.changed_somewhere()


def changed_of(thing: Any, name: str = "", was: Any = None) -> None:
    """Count a change of an object, unless it turns out to be one of the recorded call alone.

    With `name`, of an attribute that was `was`: if it is so again when the call ends, none is left.
    """
    if changes.recorder is None:
        changes.count += 1
    elif recorder := recorder_here():
        recorder.changed_of(thing, name, was)
    else:
        changed()


def recorder_here() -> Any:
    """What records the calls of this thread, or None."""
    recorder = changes.recorder
    if recorder is None or recorder.thread != threading.get_ident():
        return None
    return recorder


def look_again() -> None:
    """Have compiled functions look at what holds for this thread, where they are called anew."""
    if recorder_here() is None:
        changed()


def new_lock() -> Any:
    """A lock that is free in a forked child, whatever thread of the parent's held it."""
    lock: Any = threading.RLock()  # as a handler of signals may come by where its thread is inside
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lock._at_fork_reinit)
    return lock


def _counting(method: Callable[..., Any]) -> Callable[..., Any]:
    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        finally:
            changed()

    counted.__name__ = method.__name__
    return counted


def _watch(cls: type, methods: Iterable[str]) -> None:
    for name in methods:
        setattr(cls, name, _counting(getattr(cls, name)))


_put = dict.__setitem__  # which super() takes twice as long to find


class WatchedDict(dict[str, Any]):
    """A dict whose changes count."""

    live: tuple[str, ...] = ()  # keys of numbers that a recording reads at each run

    def __setitem__(self, key: str, value: Any) -> None:
        """As in `state["step"] += 1`, what was there may be put back, and so may an equal rate."""
        was = self.get(key, self)
        if was is not value and not (type(was) is type(value) is float and was == value != 0):
            try:
                _put(self, key, value)
            finally:
                changed(key in self.live)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class WatchedGroup(WatchedDict):
    """The options of a group of parameters, some of which are live."""

    live = "lr", "betas"  # whatever they are, an optimiser makes the same native call


class WatchedList(list[Any]):
    """A list whose changes count."""

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


class WatchedStates(defaultdict[Any, dict[str, Any]]):
    """The state of an optimiser by parameter: missing ones are made, and all changes count."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        super().__init__(WatchedDict, items)

    def __reduce__(self) -> tuple[Any, ...]:
        return _states, (dict(self),)

    def __repr__(self) -> str:
        return repr(_states(self))


def _states(items: dict[Any, dict[str, Any]]) -> defaultdict[Any, dict[str, Any]]:
    return defaultdict(dict, items)


_DICT = ("__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update")
_LIST = (
    *("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "clear", "extend", "insert"),
    *("pop", "remove", "reverse", "sort"),
)
_watch(WatchedDict, _DICT)
_watch(WatchedStates, ("__setitem__", *_DICT))
_watch(WatchedList, _LIST)

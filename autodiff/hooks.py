"""Hooks: functions that users have called as a value or a cotangent passes by."""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from autodiff.changes import changed, new_lock

Hook = Callable[..., Any]


class HookDict(dict[int, Any]):
    """Hooks, or what holds of them, by the ids of their handles, in the order they are called."""

    __slots__ = ("__weakref__",)


class RemovableHandle:
    """What registering a hook returns: `remove()`, or leaving a `with` block, removes the hook."""

    id: int
    _ids = itertools.count()

    def __init__(self, hooks: HookDict, marks: Iterable[HookDict] = ()) -> None:
        self.id = next(i for i in self._ids if i not in hooks)  # unpickled hooks keep their ids
        self._places = [weakref.ref(place) for place in (hooks, *marks)]

    def remove(self) -> None:
        """Remove the hook; to call this again does no harm."""
        for place in self._places:
            if (found := place()) is not None:
                found.pop(self.id, None)
        changed()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()

    def __getstate__(self) -> tuple[list[HookDict | None], int]:
        return [place() for place in self._places], self.id

    def __setstate__(self, state: tuple[list[HookDict | None], int]) -> None:
        places, self.id = state
        self._places = [weakref.ref(place) for place in places if place is not None]


def add_hook(
    hooks: HookDict, hook: Hook, first: bool = False, marks: Sequence[HookDict] = ()
) -> RemovableHandle:
    """Register a hook behind the others, or before them; `marks` are told that they hold of it."""
    handle = RemovableHandle(hooks, marks)
    for mark in marks:
        mark[handle.id] = True
    others = dict(hooks) if first else {}
    if first:
        hooks.clear()
    hooks[handle.id] = hook
    hooks.update(others)
    changed()
    return handle


class NodeHooks:
    """The hooks of one node of the graph."""

    __slots__ = ("accumulated", "before", "post", "retained", "tensor")

    def __init__(self) -> None:
        self.tensor = HookDict()  # (cotangent) -> cotangent or None
        self.before = HookDict()  # (cotangents,) -> the same or None
        self.post = HookDict()  # (cotangents of inputs, of outputs) -> of inputs, or None
        self.accumulated = HookDict()  # (leaf), after its .grad was added to
        self.retained: Any = None  # what holds .grad of the tensor the node made

    def all(self) -> list[Any]:
        """Every hook, and what retains."""
        found = [*self.tensor.values(), *self.before.values(), *self.post.values()]
        found += self.accumulated.values()
        return found if self.retained is None else [*found, self.retained]


# The nodes that have hooks: a plain set, as each call asks whether there are any. A node holds its
# own, so that one which refers to what it is a hook of is a cycle that Python's collector sees.
hooked: set[weakref.ref[Any]] = set()
_lock = new_lock()


def hooks_of(node: Any) -> NodeHooks:
    """The hooks of a node, to add to."""
    with _lock:
        if weakref.ref(node) not in hooked:
            node.hooks = NodeHooks()
            hooked.add(weakref.ref(node, hooked.discard))
        return node.hooks  # type: ignore[no-any-return]


def hooks_now() -> dict[Any, NodeHooks]:
    """The nodes that have hooks, and their hooks."""
    if not hooked:
        return {}
    with _lock:
        nodes = (ref() for ref in hooked.copy())
        return {node: node.hooks for node in nodes if node is not None}


@contextlib.contextmanager
def hooks_hidden(nodes: Iterable[Any]) -> Iterator[None]:
    """Run without the hooks of these nodes."""
    with _lock:
        hidden = {node: node.hooks for node in nodes if weakref.ref(node) in hooked}
        hooked.difference_update(map(weakref.ref, hidden))
    try:
        yield
    finally:
        with _lock:
            for node, hooks in hidden.items():
                node.hooks = hooks
                hooked.add(weakref.ref(node, hooked.discard))

"""What a recording reaches by names: what is remembered of the way there.

The ways themselves are in `objects.py` (attributes of objects, classes and files), `callables.py`
(functions, methods, partials, and what they are called with) and `guards.py` (all others).
"""

from __future__ import annotations

import array
import types
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Iterable, Mapping
from typing import Any

from autodiff.compiled.kinds import Kind
from autodiff.compiled.noted import Noted
from autodiff.compiled.reads import MAKING, Reads
from autodiff.compiled.users import position
from autodiff.optim.optimizer import Optimizer
from autodiff.tensor import Tensor

EMPTY: Mapping[str, Any] = types.MappingProxyType({})
EMPTY_NAMES: frozenset[Any] = frozenset()
NOTHING = Reads(*[frozenset()] * len(Reads._fields))
CONTAINERS = (
    *(list, tuple, dict, set, frozenset, deque, types.MappingProxyType, bytearray, array.array),
    *(UserDict, UserList, ChainMap),
)


class Reach(Noted):
    """What was reached, and what functions on the way ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, Any] = {}  # tensors, modules and optimisers
        self.asked = NOTHING  # what all functions look up
        self.passed: dict[int, Any] = {}  # what others may be given
        self.members: list[Tensor] = []  # parameters of modules
        self.rated: dict[int, Any] = {}  # optimisers and schedulers,
        self.reads_rates = False  # and whether functions look at numbers of theirs
        self.depth = 0  # of looks in one another
        self.later: list[tuple[Any, Any, Reads, Any]] = []  # looks that are to be made less deep
        self.kinds: dict[type, Kind] = {}
        self.drawn: dict[int, tuple[Any, Any]] = {}  # what gives another thing at each look
        self.met: set[int] = set()  # the ids, then, of what was there before

    def look(self, name: Any, value: Any, reads: Reads, fn: Any) -> None:
        """Take in what a function reaches by a value that it calls by this name, if by any."""
        raise NotImplementedError

    def method(self, part: Any, args: tuple[Any, ...], reads: Reads, fn: Any) -> None:
        """Take in a method and its object, if it is the user's."""
        raise NotImplementedError

    def optimizer(self, optimizer: Optimizer) -> None:
        """Take in what `State` does not see of an optimiser."""
        self.hooks(optimizer._called())
        self.rated[id(optimizer)] = optimizer

    def hooks(self, found: Iterable[Any]) -> None:
        """Take in hooks, which are called though nobody names them."""
        for hook in found:
            self.look(None, hook, NOTHING, None)

    def kind(self, of: type) -> Kind:
        """What is known of a class."""
        if of not in self.kinds:
            self.kinds[of] = Kind(of)
        return self.kinds[of]

    def counts(self, key: Any, was: Any, now: Any) -> bool:
        """Whether a number, if it is one, is only added to."""
        added = key in self.asked.counted and key not in self.asked.otherwise
        anew = ("update",) if str(key)[:1] == "[" else MAKING  # as by `meter.__init__()`
        begun = not self.asked.attributes.isdisjoint(anew)
        return added and not begun and type(was) is int and type(now) is int

    def values(self) -> Iterable[Any]:
        """The tensors, modules and optimisers."""
        return self.found.values()

    def refused(self) -> str:
        """Why what it reaches cannot be relied on: it drew of something, as far as can be told."""
        for value, was in self.drawn.values():
            if position(value) != was:
                return f"it takes what comes next of a {type(value).__name__}"
        return ""

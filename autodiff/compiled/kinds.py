"""What of a class decides which of its attributes are found, and which are called unnamed."""

from __future__ import annotations

import functools
import types
from itertools import chain
from keyword import iskeyword
from typing import Any

from autodiff.compiled.users import is_data, is_ours, is_special, of_language

FEW = 64  # names that are looked for one by one


def is_name(name: Any) -> bool:
    """Whether an attribute can go by a name in code."""
    return isinstance(name, str) and name.isidentifier() and not iskeyword(name)


def had(of: type, names: frozenset[Any]) -> frozenset[Any]:
    """Those of these names that a class has, itself or by a base."""
    tables = [vars(home) for home in of.__mro__]
    if len(names) < FEW:
        return frozenset([name for name in names if any(name in table for table in tables)])
    return names.intersection(*[chain(*tables)])


class Kind:
    """A class as it is now."""

    def __init__(self, of: type) -> None:
        self.of = of
        self.table = vars(of)  # one and the same each time
        self._asked: dict[int, tuple[Any, Any, Any, Any]] = {}

    def homes(self, name: str) -> list[type]:
        """The classes that have an attribute, the one where it is found first."""
        return [home for home in self.of.__mro__ if name in vars(home)]

    def asked(self, names: frozenset[Any]) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """Those of these names that it has; of them, those that an object's own go before, and
        those that are of a class of the user's.
        """
        if id(names) not in self._asked:
            there = frozenset(filter(is_name, had(self.of, names)))
            firsts = [(name, self.homes(name)[0]) for name in there]
            shadowed = frozenset([name for name, home in firsts if not is_data(vars(home)[name])])
            of_users = frozenset([name for name, home in firsts if not is_ours(home)])
            self._asked[id(names)] = names, there, shadowed, of_users
        return self._asked[id(names)][1:]

    def keeps(self, names: frozenset[Any], operated: bool) -> bool:
        """Whether methods of the language's may look at what an object has."""
        tables = [vars(home) for home in self.of.__mro__ if home is not object]
        parts = (t[name] for name in self.asked(names)[0] for t in tables if name in t)
        found = any(isinstance(part, types.FunctionType) and of_language(part) for part in parts)
        return found or (operated and of_language(self.of))

    @functools.cached_property
    def public(self) -> frozenset[str]:
        """The names of what it has of users' classes, special ones left out."""
        homes = [home for home in self.of.__mro__ if not is_ours(home)]
        return frozenset([name for home in homes for name in vars(home) if name[:2] != "__"])

    @functools.cached_property
    def specials(self) -> list[tuple[str, Any]]:
        """What is called of it though nobody names it."""
        homes = [home for home in self.of.__mro__ if not is_ours(home)]
        found = ((home, *entry) for home in homes for entry in [*vars(home).items()])
        return [(key, part) for home, key, part in found if is_special(home, key, part)]

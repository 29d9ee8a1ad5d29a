"""What a function reaches by the attributes of objects, classes and files: those that it names,
those that operators and the language call, and what it may set.
"""

from __future__ import annotations

import functools
import threading
import types
from itertools import chain
from operator import setitem
from typing import Any

from autodiff.compiled.kinds import Kind, had
from autodiff.compiled.places import ABSENT, attribute, item, parts, plain
from autodiff.compiled.reach import CONTAINERS, EMPTY, EMPTY_NAMES, Reach
from autodiff.compiled.reads import BY_NAMES, MAKING, Reads, asked_in, computing, reads_of
from autodiff.compiled.tree import same
from autodiff.compiled.users import (
    has_fields,
    is_data,
    is_followed,
    is_installed,
    is_ours,
    is_users,
    of_language,
)
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.shortcuts import Called
from autodiff.tensor import Tensor

BY_ANY = (  # called whatever is done
    *("__call__", "__getattr__", "__getattribute__"),
    *("__setattr__", "__delattr__", "__setitem__", "__delitem__"),
)
NAMED = {*chain(*BY_NAMES)}


@functools.lru_cache(1024)
def of_tensors(reads: Reads) -> tuple[frozenset[Any], frozenset[Any]]:
    """What a function may find that a tensor has not, and what it may set, of what users add."""
    tried = {str(name).rpartition(".")[2] for name in reads.tried} & reads.attributes
    told, put = (
        frozenset(name for name in names if not hasattr(Parameter, str(name)))
        for names in (tried, reads.puts)
    )
    return told, put


class Objects(Reach):
    """Attributes, as far as functions name them."""

    def object(self, name: Any, value: Any, reads: Reads, fn: Any) -> None:
        """Take in the attributes of an object, and what operators call of a class of the user's."""
        kind = self.kind(type(value))
        named = isinstance(value, (type, types.ModuleType)) or not of_language(kind.of)
        operated = name is None or name in reads.operated or not named
        if operated:
            self.passed[id(value)] = value
            if fn is not None and has_fields(type(value)) and reads.takes_whole(name):
                reads = computing(reads, frozenset({"=="}))
            if reads.computed and not self.again(value, "all of it"):
                self.all_of(value, kind, reads, fn)
        self.attributes(value, reads, fn, name)
        own = plain(value, "__dict__")
        if own is not ABSENT and kind.keeps(reads.attributes, operated):
            self.note(parts, own)
            for part in own.values():
                if isinstance(part, CONTAINERS):
                    self.look(None, part, reads, fn)
        for key, part in kind.specials:
            if self.has_called(key, operated):
                self.note(attribute, kind.of, key)
                self.method(part, (value,), reads, fn)
        if operated and isinstance(value, type):
            self.makes(value, reads)

    def has_called(self, key: str, operated: bool) -> bool:
        """Whether a function may have called this special method."""
        if key in BY_ANY or not operated:
            return key in BY_ANY
        return key in self.asked.methods or key not in NAMED

    def makes(self, kind: type, reads: Reads) -> None:
        """Take in what a class of the user's calls to make objects, if it is called."""
        for key in MAKING:
            self.note(attribute, kind, key)
            for home in kind.__mro__:
                part = vars(home).get(key)
                self.method(getattr(part, "__func__", part), (), reads, None)

    def all_of(self, value: Any, kind: Kind, reads: Reads, fn: Any) -> None:
        """Take in whatever an object has, which a function may ask for by computed names."""
        own = plain(value, "__dict__")
        if isinstance(value, (Module, type)) or own is ABSENT:
            own = EMPTY
        elif not isinstance(value, types.ModuleType):
            self.note(parts, own)
        for part in [*own.values()]:
            self.look(None, part, reads, fn)
        of = self.kind(value) if isinstance(value, type) else kind
        for name in of.public - own.keys():
            self.of_class(value, of.of, name, of.homes(name), reads, fn, None)

    def attributes(self, value: Any, reads: Reads, fn: Any, called: Any = None) -> None:
        """Take in the attributes that a function names of an object, a class or a file."""
        is_class, own = isinstance(value, type), plain(value, "__dict__")
        own = EMPTY if own is ABSENT else own
        kind = self.kind(value if is_class else type(value))
        is_file = isinstance(value, types.ModuleType)
        asks = not is_class and isinstance(attribute(kind.of, "__getattr__"), types.FunctionType)
        if is_file and "__getattr__" in own:
            asks = True
            self.look(None, self.note(item, own, "__getattr__"), reads, fn)
        self.settings(value, own, kind, reads, fn)
        own_names: frozenset[Any]
        own_names = EMPTY_NAMES if is_class else reads.attributes.intersection(own)
        there, shadowed, of_users = kind.asked(EMPTY_NAMES if is_file else reads.attributes)
        for name in map(str, own_names):
            if name in shadowed or name not in there:
                self.note_own(value, own, name)
                self.look(name, own[name], reads, fn)
        for name in of_users - (own_names & shadowed):
            self.of_class(value, kind.of, name, kind.homes(name), reads, fn, name)
        if not is_class:
            self.has_not(value, own, shadowed)
        self.missing(value, own, kind, reads, called, there | own_names, asks)

    def missing(
        self, value: Any, own: Any, kind: Kind, reads: Reads, called: Any, there: Any, asks: bool
    ) -> None:
        """Rely on it that an object has not what a function may ask it for, or does without."""
        tried: frozenset[Any] = asked_in(reads.tried, called) & reads.attributes
        if isinstance(value, type):
            tried |= had(type(value), reads.attributes)
        for name in map(str, tried - there):
            self.note(attribute, value, name)
        if not isinstance(value, type):
            self.has_not(value, own, reads.attributes if asks else reads.constants)
            self.has_not(value, own, asked_in(reads.pairs, called))
            if not isinstance(value, types.ModuleType):
                self.lacks(kind.of, reads.attributes if asks else asked_in(reads.tried, ""))

    def settings(self, value: Any, own: Any, kind: Kind, reads: Reads, fn: Any) -> None:
        """Remember what a function may set of an object, and take in what setting it calls."""
        is_class, is_module = isinstance(value, type), isinstance(value, Module)
        if reads.puts and own is not EMPTY and not is_module:
            setter, owner = (type.__setattr__, value) if is_class else (setitem, own)
            self.put_any(setter, owner, own, reads.puts)
            if not is_class and not isinstance(value, types.ModuleType) and not is_ours(kind.of):
                self.put_any(type.__setattr__, kind.of, kind.table, reads.puts)
        for put in kind.asked(reads.puts)[0]:
            part = vars(kind.homes(put)[0])[put]
            if isinstance(part, property):
                self.method(part.fset, (value,), reads, fn)
            elif is_data(part) and not is_ours(type(part)):
                self.look(None, part, reads, fn)
                self.look(None, value, reads, fn)
        if "setattr" in reads.globals and type(own) is dict and not is_module:
            self.adds_to(own)

    def own(self, x: Tensor, reads: Reads, fn: Any) -> None:
        """Take in what a function names of what users set on a tensor, or may set."""
        own = getattr(x, "__dict__", EMPTY)
        if own is EMPTY:
            return
        told, put = of_tensors(reads)
        for name in told | (own.keys() & reads.attributes) if own else told:
            self.look(name, self.note(item, own, name), reads, fn)
        for name in put:
            self.put(setitem, own, item, own, name)

    def note_own(self, value: Any, own: Any, name: str) -> None:
        """Note what an object itself has: of a module, `State` knows."""
        if isinstance(value, threading.local):
            self.note(attribute, value, name)
        elif own is not EMPTY and not isinstance(value, Module):
            self.note(item, own, name)

    def has_not(self, value: Any, own: Any, names: frozenset[Any]) -> None:
        """Rely on it that an object itself has no more of these."""
        if isinstance(value, threading.local):
            for name in names:
                self.note(attribute, value, str(name))
        elif own is not EMPTY and not isinstance(value, Module):
            self.lacks(own, names)

    def of_class(
        self, value: Any, kind: type, name: str, homes: Any, reads: Reads, fn: Any, called: Any
    ) -> None:
        """Take in what an object has from its class; of methods, those of bases as well."""
        for home in homes if "super" in reads.globals else homes[:1]:
            part = vars(home)[name]
            found = ABSENT if is_followed(part) else attribute(kind, name)
            first = home is homes[0] and found is not ABSENT and found is attribute(kind, name)
            for table in () if first else kind.__mro__[: kind.__mro__.index(home) + 1]:
                self.note(item, self.kind(table).table, name)
            if first:
                self.note(attribute, kind, name)
            if isinstance(part, types.FunctionType):
                self.method(part, () if value is kind else (value,), reads, fn)
                if is_installed(part) and is_users(kind) and not self.again(value, part):
                    self.look(None, value, computing(reads, reads_of(part.__code__).computed), fn)
            elif isinstance(part, staticmethod):
                self.method(part.__func__, (), reads, fn)
            elif isinstance(part, classmethod):
                self.method(part.__func__, (kind,), reads, fn)
            elif isinstance(part, property):
                self.method(part.fget, (value,), reads, fn)
            elif isinstance(part, functools.singledispatchmethod):
                for one in self.note(parts, part.dispatcher.registry):
                    self.method(one, (value,), reads, fn)
            elif isinstance(part, (functools.partialmethod, functools.cached_property)):
                self.method(part.func, (value,), reads, fn)
            elif isinstance(part, Called):
                bound: Any = part
                self.look(called, bound.__get__(None if value is kind else value), reads, fn)
            elif is_data(part) and value is not kind and not is_followed(part):  # a slot, or what
                if same(attribute(value, name), attribute(value, name)):  # is made at each look
                    self.look(called, self.note(attribute, value, name), reads, fn)
            elif hasattr(part, "__get__") and value is not kind:
                self.look(None, part, reads, fn)
                self.look(None, value, reads, fn)  # which it may give to others
            else:
                self.look(called, part, reads, fn)

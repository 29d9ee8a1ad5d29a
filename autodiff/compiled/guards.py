"""What a recording relies on besides its arguments, and whether it still holds.

Names: what a function has from its closure, defaults, the globals of its file, and the objects,
classes and containers that it reaches by these; and so for the functions and methods of users that
it names, and for the modules that it calls.
"""

from __future__ import annotations

import array
import builtins
import contextvars
import functools
import operator
import os
import sys
import threading
import types
import weakref
from collections import ChainMap, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from operator import setitem
from typing import Any

from autodiff.autograd.function import Function
from autodiff.compiled.kinds import Kind, had
from autodiff.compiled.noted import Noted, bounded
from autodiff.compiled.places import (
    ABSENT,
    attribute,
    elements,
    filled,
    held,
    item,
    parts,
    plain,
)
from autodiff.compiled.rates import asked_of
from autodiff.compiled.reads import (
    BY_NAMES,
    GROWING,
    MAKING,
    Reads,
    asked_in,
    at_key,
    computing,
    reads_of,
)
from autodiff.compiled.record import version
from autodiff.compiled.signature import hooks_on, is_fixed
from autodiff.compiled.tree import constants, flatten, is_plain, same
from autodiff.compiled.users import (
    has_fields,
    home_of,
    is_data,
    is_drawn,
    is_file,
    is_followed,
    is_installed,
    is_ours,
    is_users,
    of_language,
    position,
)
from autodiff.nn._hooks import of_all
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.ops.fused import pointwise
from autodiff.optim.lr_scheduler import LRScheduler
from autodiff.optim.optimizer import Optimizer
from autodiff.tensor import Tensor

EMPTY: Mapping[str, Any] = types.MappingProxyType({})
CONTAINERS = (
    *(list, tuple, dict, set, frozenset, deque, types.MappingProxyType, bytearray, array.array),
    *(UserDict, UserList, ChainMap),
)
GROWN = list, dict, set, deque, OrderedDict, defaultdict
HOLDERS = contextvars.ContextVar, weakref.ref
BY_ANY = (  # called whatever is done
    *("__call__", "__getattr__", "__getattribute__"),
    *("__setattr__", "__delattr__", "__setitem__", "__delitem__"),
)
EMPTY_NAMES: frozenset[Any] = frozenset()
NAMED = {*chain(*BY_NAMES)}
WRAPPED = (functools.partial, types.MethodType)  # a compiled function is a partial
FUNCTIONS = (types.FunctionType, *WRAPPED)
MOVING = "seed", "state", "getstate", "get_state", "setstate", "set_state"  # of what is drawn
CACHED = type(functools.lru_cache(len))
GETTERS = operator.attrgetter, operator.methodcaller
BOUND = types.BuiltinMethodType, types.MethodWrapperType
SMALL = 4096  # bytes of an array that are compared
OF_FUNCTIONS = "forward", "setup_context", "backward"
NOTHING = Reads(*[frozenset()] * len(Reads._fields))


@functools.lru_cache(1024)
def of_tensors(reads: Reads) -> tuple[frozenset[Any], frozenset[Any]]:
    """What a function may find that a tensor has not, and what it may set, of what users add."""
    tried = {str(name).rpartition(".")[2] for name in reads.tried} & reads.attributes
    told, put = (
        frozenset(name for name in names if not hasattr(Parameter, str(name)))
        for names in (tried, reads.puts)
    )
    return told, put


def is_compiled(value: Any) -> bool:
    """Whether a function is compiled: how it is called is a partial's way."""
    return any(kind.__name__ == "Compiled" for kind in type(value).__mro__)


class Names(Noted):
    """The values that a function's names have, and what it reaches by them."""

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = EMPTY
    ) -> None:
        super().__init__()
        self.found: dict[int, Any] = {}  # tensors, modules and optimisers
        self.asked = NOTHING  # what all functions look up
        self.passed: dict[int, Any] = {}  # what others may be given
        self.members: list[Tensor] = []  # parameters of modules
        self.rated: dict[int, Any] = {}  # optimisers and schedulers,
        self.reads_rates = False  # and whether functions look at numbers of theirs
        self.kinds: dict[type, Kind] = {}
        self.drawn: dict[int, tuple[Any, Any]] = {}  # what gives another thing at each look
        self.met: set[int] = set()  # the ids, then, of what was there before
        with bounded():
            self.call(fn, args, kwargs)
            self.hooks(of_all.all())
            self.pass_on()

    # ---- functions ----

    def call(self, fn: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = EMPTY) -> None:
        """Take in what is called, and its arguments."""
        while isinstance(fn, WRAPPED):
            if is_compiled(fn):
                fn = vars(fn)["fn"]
            elif isinstance(fn, types.MethodType):
                fn, args = fn.__func__, (fn.__self__, *args)
            else:
                self.note(parts, fn.keywords)
                for part in (*fn.args, *fn.keywords.values()):
                    if isinstance(part, CONTAINERS):
                        self.look(None, part, NOTHING, None)
                fn, args, kwargs = fn.func, (*fn.args, *args), {**fn.keywords, **kwargs}
        if isinstance(fn, Module) and not is_installed(type(fn).forward):
            self.function(type(fn).forward, (fn, *args), kwargs)
        if isinstance(fn, types.FunctionType):
            self.function(fn, args, kwargs)
        else:
            self.look(None, fn, NOTHING, None)

    def function(
        self, fn: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = EMPTY
    ) -> None:
        """Take in a function of the user's, and what its parameters are known to be."""
        if self.again(fn, *(x for x in args[:1] if not isinstance(x, Tensor))):
            return
        reads, code = reads_of(fn.__code__), fn.__code__
        self.asked = self.asked.joined(reads.without(code.co_varnames))
        self.note(attribute, fn, "__code__")
        given: dict[str, Any] = {}
        if fn.__defaults__:
            self.note(attribute, fn, "__defaults__")
            last = code.co_varnames[: code.co_argcount][-len(fn.__defaults__) :]
            given.update(zip(last, fn.__defaults__, strict=True))
        if fn.__kwdefaults__:
            self.note(attribute, fn, "__kwdefaults__")
            self.note(parts, fn.__kwdefaults__)
            given.update(fn.__kwdefaults__)
        for name, value in given.items():
            self.look(name, value, reads, fn)
        for name, value in [*zip(code.co_varnames, args, strict=False), *kwargs.items()]:
            self.argument(name, value, reads, fn)
        for name, cell in zip(code.co_freevars, fn.__closure__ or (), strict=True):
            self.look(name, self.note(attribute, cell, "cell_contents"), reads, fn)
            if name in reads.stores:
                self.put(setattr, cell, attribute, cell, "cell_contents")
        for file in reads.imports & sys.modules.keys():
            self.look(file, self.note(item, sys.modules, file), reads, fn)
        for key in reads.stores | (reads.sets if "globals" in reads.globals else NOTHING.sets):
            self.put(setitem, fn.__globals__, item, fn.__globals__, key)
        asked = reads.keys | reads.constants if "globals" in reads.globals else frozenset()
        for key in sorted(reads.globals | asked, key=str):
            value = fn.__globals__.get(key, ABSENT)
            known = hasattr(builtins, str(key)) if value is ABSENT else is_file(value)
            if not known:
                self.note(item, fn.__globals__, key)
            for called in {key, at_key(key)} if key in asked else {key}:
                self.look(called, value, reads, fn)

    def argument(self, name: Any, value: Any, reads: Reads, fn: Any) -> None:
        """Take in an argument, whose numbers and containers are part of the signature."""
        tensors: list[Tensor] = []
        for part in constants(flatten(value, tensors)):
            if isinstance(part, Optimizer):
                self.optimizer(part)
            elif not isinstance(part, Tensor):
                self.look(name, part, reads, fn)
        if isinstance(value, (dict, tuple)) and hasattr(value, "__dict__"):
            self.look(name, value, reads, fn)  # which is more than what it holds
        for x in filter(is_fixed, tensors):
            self.own(x, reads, fn)

    # ---- values ----

    def look(self, name: Any, value: Any, reads: Reads, fn: Any) -> None:
        """Take in what a function reaches by a value that it calls by this name, if by any."""
        if value is ABSENT or is_plain(value) or self.again(value, reads, name):
            return
        kind = type(value)
        if isinstance(value, (Tensor, Optimizer)):
            self.found[id(value)] = value
            if isinstance(value, Tensor):
                self.own(value, reads, fn)
                self.hooks(hooks_on([value._acc]) if value._acc else ())
            else:
                self.optimizer(value)
        elif isinstance(value, LRScheduler):
            self.rated[id(value)] = value
            if not is_ours(kind):
                self.object(name, value, reads, fn)
        elif is_compiled(value):
            self.look(name, vars(value)["fn"], reads, fn)
            self.object(name, value, reads, fn)
        elif isinstance(value, Module):
            self.module(name, value, reads, fn)
        elif isinstance(value, FUNCTIONS):
            method = plain(value, "__func__")
            if isinstance(method, types.FunctionType) and is_installed(method):
                self.look(None, plain(value, "__self__"), reads, fn)
            self.callable(value, reads, fn)
        elif value is os:
            self.look("environ", os.environ, reads, fn)
        elif value is os.environ:
            for key in reads.keys | reads.constants:
                self.note(item, value, key)
        elif isinstance(value, GETTERS):
            self.asked = self.asked._replace(computed=self.asked.computed | {kind.__name__})
        elif isinstance(value, BOUND):
            if value.__name__ in GROWING and type(value.__self__) in GROWN:
                self.adds_to(value.__self__)
            elif not isinstance(value.__self__, types.ModuleType):
                self.look(None, value.__self__, reads, fn)
        elif isinstance(value, (type, types.ModuleType)):
            if not is_installed(value):
                self.object(name, value, reads, fn)
            if isinstance(value, type) and issubclass(value, Function):
                for key in OF_FUNCTIONS:
                    self.method(self.note(attribute, value, key), (), reads, None)
        elif isinstance(value, HOLDERS):
            self.look(None, self.note(held, value), reads, fn)
        elif isinstance(value, CONTAINERS):
            self.container(name, value, reads, fn)
            if hasattr(value, "__dict__"):
                self.object(name, value, reads, fn)
        elif is_drawn(value):
            self.drawn.setdefault(id(value), (value, None if self.late else position(value)))
            if not reads.attributes.isdisjoint(MOVING):
                self.drawn[id(value)] = value, None
            if not is_ours(kind):
                self.object(name, value, reads, fn)
        elif not is_ours(kind) or plain(value, "__wrapped__") is not ABSENT:
            self.look(None, plain(value, "__wrapped__"), reads, fn)
            if kind is CACHED:
                self.note(filled, value)
            elif home_of(kind) == "numpy" and getattr(value, "nbytes", SMALL) < SMALL:
                self.note(elements, value)
            self.object(name, value, reads, fn)
        elif kind is not pointwise and (own := plain(value, "__dict__")) is not ABSENT:
            self.look(None, own, reads, fn)  # what a distribution has, or what scales losses

    def callable(self, value: Any, reads: Reads, fn: Any) -> None:
        """Take in a function, method or partial, if it is the user's, or made of one that is."""
        base, own = value, []
        while isinstance(base, WRAPPED):
            if is_compiled(base):
                base = vars(base)["fn"]
            elif isinstance(base, functools.partial):
                own += [*base.args, *base.keywords.values()]
                base = base.func
            else:
                own.append(base.__self__)
                base = base.__func__
        if not isinstance(base, types.FunctionType):
            for part in () if value is base else [base, *own]:
                self.look(None, part, NOTHING, None)
            return
        mine = getattr(fn, "__globals__", None) is base.__globals__
        if mine or not is_installed(base):
            self.call(value)
            thing = base if isinstance(value, types.MethodType) else value
            if not self.again(thing, reads, "attributes"):
                self.attributes(thing, reads, fn)
            return
        if isinstance(registry := attribute(base, "registry"), types.MappingProxyType):
            self.look(None, registry, reads, fn)  # of a function that is dispatched by a class
        made_of = [attribute(cell, "cell_contents") for cell in base.__closure__ or ()]
        for found in (*made_of, base.__dict__.get("__wrapped__", ABSENT)):
            if isinstance(found, (*FUNCTIONS, Module)) or not is_ours(type(found)):
                for part in (found, *own):  # which it gives what it is bound to
                    self.look(None, part, reads, fn)

    def container(self, name: Any, value: Any, reads: Reads, fn: Any) -> None:
        """Take in what a container holds: all of it, or what the function asks it for by keys."""
        keyed = isinstance(value, dict) and name in reads.keyed and name not in reads.whole
        whole = not keyed and (name is None or name in reads.whole or name in reads.keyed)
        if keyed:
            for key in reads.keys:
                self.look(at_key(key), self.note(item, value, key), reads, fn)
            for key in reads.sets:
                self.put(setitem, value, item, value, key)
        if not whole and type(value) in GROWN:
            self.adds_to(value)
        elif not keyed or not reads.attributes.isdisjoint(GROWING):
            if not isinstance(value, (tuple, frozenset)):
                self.note(parts, value)
            for part in parts(value):
                self.look(None, part, reads, fn)

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

    def pass_on(self) -> None:
        """Take in what any function names of objects that it may be given."""
        done = 0, NOTHING
        while done != (len(self.passed), self.asked):
            done = len(self.passed), self.asked
            for value in [*self.passed.values()]:
                if not self.again(value, done[1]):
                    self.object(None, value, done[1], None)
        self.of_parameters()
        for value in self.rated.values():
            for table, key in asked_of(value, self.asked):
                self.note(item, table, key)
                self.reads_rates |= key not in self.asked.puts
                if isinstance(value, Optimizer):  # a state that is loaded brings tables of its own
                    self.note(parts, self.note(attribute, value, "param_groups"))

    def optimizer(self, optimizer: Optimizer) -> None:
        """Take in what `State` does not see of an optimiser."""
        self.hooks(optimizer._called())
        self.rated[id(optimizer)] = optimizer

    def hooks(self, found: Iterable[Any]) -> None:
        """Take in hooks, which are called though nobody names them."""
        for hook in found:
            self.look(None, hook, NOTHING, None)

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

    def of_parameters(self) -> None:
        """Take in what any function names of parameters that it may come to."""
        groups = [x.param_groups for x in self.rated.values() if isinstance(x, Optimizer)]
        for x in dict.fromkeys(chain(self.members, *(group["params"] for group in chain(*groups)))):
            self.own(x, self.asked, None)

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

    def kind(self, of: type) -> Kind:
        """What is known of a class."""
        if of not in self.kinds:
            self.kinds[of] = Kind(of)
        return self.kinds[of]

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
            elif is_compiled(part):
                self.look(called, part.__get__(None if value is kind else value), reads, fn)
            elif is_data(part) and value is not kind and not is_followed(part):  # a slot, or what
                if same(attribute(value, name), attribute(value, name)):  # is made at each look
                    self.look(called, self.note(attribute, value, name), reads, fn)
            elif hasattr(part, "__get__") and value is not kind:
                self.look(None, part, reads, fn)
                self.look(None, value, reads, fn)  # which it may give to others
            else:
                self.look(called, part, reads, fn)

    def method(self, part: Any, args: tuple[Any, ...], reads: Reads, fn: Any) -> None:
        """Take in a method and its object, if it is the user's."""
        bound = types.MethodType(part, args[0]) if args and callable(part) else part
        if bound is not None:
            self.callable(bound, reads, fn)

    def module(self, name: Any, module: Module, reads: Reads, fn: Any) -> None:
        """Take in what a module and its parts have that `State` does not see."""
        self.found[id(module)] = module
        self.object(name, module, reads, fn)
        for part in module.modules() if (id(module),) not in self.seen else ():
            if not self.again(part):
                kind = type(part)
                self.note(attribute, kind, "forward")
                if not is_ours(kind):
                    self.note(item, vars(kind), "__call__")
                self.method(attribute(kind, "forward"), (part,), reads, None)
                self.look(None, vars(part).get("forward"), reads, None)
                self.hooks(part._hooks.all() if part._hooks else ())
                members = [p for p in part._parameters.values() if p is not None]
                self.members += members
                leaves = [p._acc for p in members]
                self.hooks(hooks_on([leaf for leaf in leaves if leaf is not None]))

    def looked(self, versions: Iterable[tuple[Tensor, list[Any]]]) -> None:
        """Rely on the values of tensors that were looked at."""
        for x, was in versions:
            self.table[version, id(x), None] = (version, x, None, was)

    def called(self, modules: Iterable[Module]) -> None:
        """Take in modules that were called; then all is taken in."""
        self.late = True
        self.kinds.clear()  # which the call may have changed
        with bounded():
            for module in modules:
                self.module("", module, NOTHING, None)
            self.pass_on()
        self.passed.clear()
        self.kinds.clear()
        self.met = {id(x) for things in self.held for x in things}
        self.seen.clear()
        self.held.clear()

    def counts(self, key: Any, was: Any, now: Any) -> bool:
        """Whether a number, if it is one, is only added to."""
        added = key in self.asked.counted and key not in self.asked.otherwise
        begun = not self.asked.attributes.isdisjoint(MAKING)  # anew, as by `meter.__init__()`
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

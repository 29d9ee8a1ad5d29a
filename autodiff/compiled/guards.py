"""What a recording relies on besides its arguments, and whether it still holds.

Names: what a function has from its closure, defaults, the globals of its file, and the objects,
classes and containers that it reaches by these; and so for the functions and methods of users that
it names, and for the modules that it calls. Each value goes to what knows its kind; what may be
given to others is gone through once more by what any function asks for (`pass_on`).
"""

from __future__ import annotations

import contextvars
import functools
import operator
import os
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

from autodiff.autograd.function import Function
from autodiff.compiled.callables import FUNCTIONS, Functions
from autodiff.compiled.noted import bounded
from autodiff.compiled.places import (
    ABSENT,
    attribute,
    elements,
    filled,
    held,
    item,
    parts,
    plain,
    put_item,
)
from autodiff.compiled.rates import asked_of
from autodiff.compiled.reach import CONTAINERS, EMPTY, NOTHING
from autodiff.compiled.reads import GROWING, Reads, at_key
from autodiff.compiled.record import version
from autodiff.compiled.signature import hooks_on
from autodiff.compiled.tree import is_plain
from autodiff.compiled.users import home_of, is_drawn, is_installed, is_ours, position
from autodiff.nn._hooks import of_all
from autodiff.nn.module import Module
from autodiff.ops.fused import pointwise
from autodiff.optim.lr_scheduler import LRScheduler
from autodiff.optim.optimizer import Optimizer
from autodiff.shortcuts import Called
from autodiff.tensor import Tensor

GROWN = list, dict, set, deque, OrderedDict, defaultdict
HOLDERS = contextvars.ContextVar, weakref.ref
MOVING = "seed", "state", "getstate", "get_state", "setstate", "set_state"  # of what is drawn
CACHED = type(functools.lru_cache(len))
GETTERS = operator.attrgetter, operator.methodcaller
BOUND = types.BuiltinMethodType, types.MethodWrapperType
SMALL = 4096  # bytes of an array that are compared
OF_FUNCTIONS = "forward", "setup_context", "backward"
DEEP = 24  # looks in one another


class Names(Functions):
    """The values that a function's names have, and what it reaches by them."""

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = EMPTY
    ) -> None:
        super().__init__()
        with bounded():
            self.call(fn, args, kwargs)
            self.hooks(of_all.all())
            self.pass_on()

    def look(self, name: Any, value: Any, reads: Reads, fn: Any) -> None:
        """Take in what a function reaches by a value that it calls by this name, if by any."""
        if value is ABSENT or is_plain(value):
            return
        if self.depth == DEEP:
            self.later.append((name, value, reads, fn))
        elif not self.again(value, reads, name):
            self.depth += 1
            self.lead(name, value, reads, fn)
            self.depth -= 1

    def catch_up(self) -> None:
        """Look at what was left for later."""
        while self.later:
            self.look(*self.later.pop())

    def lead(self, name: Any, value: Any, reads: Reads, fn: Any) -> None:
        """Take in what a value leads to."""
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
        elif isinstance(value, Called):
            self.look(name, vars(value)["fn"], reads, fn)
            self.object(name, value, reads, fn)
        elif isinstance(value, Module):
            self.module(name, value, reads, fn)
        elif isinstance(value, FUNCTIONS):
            method = plain(value, "__func__")
            if isinstance(method, types.FunctionType) and is_installed(method):
                self.look(None, plain(value, "__self__"), reads, fn)
            self.callable(value, reads, fn)
        elif not self.language(value, reads, fn):
            self.thing(name, value, reads, fn)

    def language(self, value: Any, reads: Reads, fn: Any) -> bool:
        """Take in what leads on by ways of the language's alone, if it is that."""
        if value is os:
            self.look("environ", os.environ, reads, fn)
        elif value is os.environ:
            for key in reads.keys | reads.constants:
                self.note(item, value, key)
        elif isinstance(value, GETTERS):
            self.asked = self.asked._replace(computed=self.asked.computed | {type(value).__name__})
        elif isinstance(value, BOUND):
            if value.__name__ in GROWING and type(value.__self__) in GROWN:
                self.adds_to(value.__self__)
            elif not isinstance(value.__self__, types.ModuleType):
                self.look(None, value.__self__, reads, fn)
        else:
            return False
        return True

    def thing(self, name: Any, value: Any, reads: Reads, fn: Any) -> None:
        """Take in a class, a file, a container, an iterator or another object."""
        kind = type(value)
        if isinstance(value, (type, types.ModuleType)):
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

    def container(self, name: Any, value: Any, reads: Reads, fn: Any) -> None:
        """Take in what a container holds: all of it, or what the function asks it for by keys."""
        keyed = isinstance(value, dict) and name in reads.keyed and name not in reads.whole
        whole = not keyed and (name is None or name in reads.whole or name in reads.keyed)
        if keyed:
            for key in reads.keys:
                self.look(at_key(key), self.note(item, value, key), reads, fn)
            for key in reads.sets:
                self.put(put_item, value, item, value, key)
        if not whole and type(value) in GROWN:
            self.adds_to(value)
        elif not keyed or not reads.attributes.isdisjoint(GROWING):
            if not isinstance(value, (tuple, frozenset)):
                self.note(parts, value)
            for part in parts(value):
                self.look(None, part, reads, fn)

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

    def pass_on(self) -> None:
        """Take in what any function names of objects that it may be given."""
        self.catch_up()
        done = 0, NOTHING
        while done != (len(self.passed), self.asked):
            done = len(self.passed), self.asked
            for value in [*self.passed.values()]:
                if not self.again(value, done[1]):
                    self.object(None, value, done[1], None)
            self.catch_up()
        self.of_parameters()
        self.catch_up()
        for value in self.rated.values():
            for table, key in asked_of(value, self.asked):
                self.note(item, table, key)
                self.reads_rates |= key not in self.asked.puts
                if isinstance(value, Optimizer):  # a state that is loaded brings tables of its own
                    self.note(parts, self.note(attribute, value, "param_groups"))

    def of_parameters(self) -> None:
        """Take in what any function names of parameters that it may come to."""
        groups = [x.param_groups for x in self.rated.values() if isinstance(x, Optimizer)]
        for x in dict.fromkeys(chain(self.members, *(group["params"] for group in chain(*groups)))):
            self.own(x, self.asked, None)

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

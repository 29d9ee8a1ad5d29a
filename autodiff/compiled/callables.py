"""What a recording reaches by functions: by their globals, cells, defaults and arguments, and by
the methods, partials and decorators that they are behind.
"""

from __future__ import annotations

import builtins
import functools
import sys
import types
from collections.abc import Mapping
from operator import setitem
from typing import Any

from autodiff.compiled.objects import Objects
from autodiff.compiled.places import ABSENT, attribute, item, parts
from autodiff.compiled.reach import CONTAINERS, EMPTY, NOTHING
from autodiff.compiled.reads import Reads, at_key, reads_of
from autodiff.compiled.signature import is_fixed
from autodiff.compiled.tree import constants, flatten
from autodiff.compiled.users import is_file, is_installed, is_ours
from autodiff.nn.module import Module
from autodiff.optim.optimizer import Optimizer
from autodiff.shortcuts import Called
from autodiff.tensor import Tensor

WRAPPED = (functools.partial, types.MethodType, Called)
FUNCTIONS = (types.FunctionType, *WRAPPED)


class Functions(Objects):
    """Functions of the user's, and what leads to them."""

    def call(self, fn: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] = EMPTY) -> None:
        """Take in what is called, and its arguments."""
        while isinstance(fn, WRAPPED):
            if isinstance(fn, Called):
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

    def callable(self, value: Any, reads: Reads, fn: Any) -> None:
        """Take in a function, method or partial, if it is the user's, or made of one that is."""
        base, own = value, []
        while isinstance(base, WRAPPED):
            if isinstance(base, Called):
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

    def method(self, part: Any, args: tuple[Any, ...], reads: Reads, fn: Any) -> None:
        """Take in a method and its object, if it is the user's."""
        bound = types.MethodType(part, args[0]) if args and callable(part) else part
        if bound is not None:
            self.callable(bound, reads, fn)

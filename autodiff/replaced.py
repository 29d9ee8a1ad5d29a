"""Functions that are given other code while something is on, and only then.

A function is given other code, not another object in its place: so it does not matter who has a
reference to it, and what is off costs nothing.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from autodiff.changes import new_lock
from autodiff.ops.written import finish

__all__ = ["Layer", "beneath", "find_all", "own_code"]

Call = Callable[..., Any]
Function = types.FunctionType
Codes = dict[tuple[Any, ...], types.CodeType]

_layers: list[Layer] = []  # the innermost first
_codes: dict[Function, Codes] = {}  # of a function, by the layers that are on it
_lock = new_lock()


class Layer:
    """What some functions do first while it is used; one of greater `depth` does so later."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.users: set[object] = set()
        self.wraps: dict[Function, Callable[[Call], Call]] = {}
        self.plans: dict[Any, list[tuple[Function, types.CodeType]]] = {}  # by what is on
        _layers.append(self)
        _layers.sort(key=lambda layer: -layer.depth)

    def code(self, function: Function, raw: Call) -> types.CodeType:
        """The code of a function that does what `wraps` makes of `raw`, the function without it."""
        code = _trampoline.__code__
        call = self.wraps[function](raw)
        return code.replace(co_consts=tuple(call if c == "the call" else c for c in code.co_consts))

    def find(self) -> None:
        """Fill `wraps`: called before the functions are given other code."""

    def switched(self, on: bool) -> None:
        """Called when the functions have been given other code, or their own."""

    def use(self, user: object) -> None:
        """Have the functions do it, until the user leaves."""
        with _lock:
            first = not self.users
            self.users.add(user)
            if first:
                self.find()
                self._put()
                self.switched(True)

    def leave(self, user: object) -> None:
        """End a use; nothing where it never began, as after an interrupt."""
        with _lock:
            if user in self.users:
                self.users.discard(user)
                if not self.users:
                    self._put()
                    self.switched(False)

    def _put(self) -> None:
        on = tuple(x for x in _layers if x.users)
        key = (*on, *(len(x.wraps) for x in on), len(self.wraps))
        if key not in self.plans:
            self.plans[key] = [(f, _code_with(f, on)) for f in self.wraps]
        for function, code in self.plans[key]:
            function.__code__ = code


def find_all() -> None:
    """Have all that there is find its functions."""
    with _lock:
        for layer in _layers:
            layer.find()


def _code_with(function: Function, layers: tuple[Layer, ...]) -> types.CodeType:
    on = tuple(x for x in layers if function in x.wraps)
    codes = _codes.setdefault(function, {(): own_code(function)})
    if on not in codes:
        codes[on] = _with(function, codes[()], on)
    return codes[on]


def own_code(function: Function) -> types.CodeType:
    """The code of a function when nothing is on."""
    finish(function)
    return _codes[function][()] if function in _codes else function.__code__


def beneath(function: Function) -> Function:
    """A function as it is when nothing is on."""
    raw = _function(function, own_code(function))
    raw.__annotations__ = function.__annotations__
    return raw


def _with(function: Function, code: types.CodeType, layers: tuple[Layer, ...]) -> types.CodeType:
    for layer in layers:
        code = layer.code(function, _function(function, code))
    return code


def _function(like: Function, code: types.CodeType) -> Function:
    known = like.__globals__, like.__name__, like.__defaults__, like.__closure__
    raw = Function(code, *known)
    raw.__kwdefaults__, raw.__qualname__ = like.__kwdefaults__, like.__qualname__
    return raw


def _trampoline(*args: Any, **kwargs: Any) -> Any:
    call: Any = "the call"
    return call(*args, **kwargs)

"""How operations come to know of batches: while a vmap runs, and only then.

What must look for batches is what reaches native memory: operations as such (`Op`, `PointwiseOp`),
and functions that make native calls of their own. While there is a vmap, those look at their
arguments first, which `looking` sees to, and sees to the end of.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from autodiff.autograd.function import Function
from autodiff.func.batched import Batched, BatchError, found, levels
from autodiff.func.custom import brings_rule, by_its_rule
from autodiff.func.dispatch import (
    FUNCTIONS,
    RANDOM,
    Rule,
    apply,
    is_refusal,
    one_by_one,
    operate,
    signatures,
)
from autodiff.node import Node
from autodiff.ops.base import Op, OpNode
from autodiff.ops.calls import late
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.pointwise_node import PointwiseNode
from autodiff.ops.reduced import ReducedLoss
from autodiff.replaced import Layer, beneath, own_code
from autodiff.tensor import Tensor

__all__ = ["looking", "worded"]


def _looks(name: str, function: Rule, raw: Rule) -> Rule:
    """What a function does first: look for batched arguments."""

    def call(*args: Any, **kwargs: Any) -> Any:
        level = found(args)
        if kwargs:
            level = found(kwargs.values(), level)
        if level is None:
            return raw(*args, **kwargs)
        return apply(name, function, raw, level, args, kwargs)

    return call


def _draws(name: str, function: Rule, raw: Rule) -> Rule:
    """What a function that draws random numbers does first: ask the innermost vmap."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if not levels.stack:
            return raw(*args, **kwargs)
        return RANDOM[name](function, levels.stack[-1], *args, **kwargs)

    return call


def _reaches_memory(function: types.FunctionType) -> bool:
    codes = [own_code(function)]
    for code in codes:
        if "lib" in code.co_names or "_p" in code.co_names:
            return True
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return False


def _looking(function: types.FunctionType) -> Callable[[Rule], Rule] | None:
    """What makes a function look; None where it needs not."""
    name = function.__name__
    draws = name in RANDOM and function.__module__.startswith("autodiff.ops.")
    if name.startswith("_") and name not in FUNCTIONS and not _reaches_memory(function):
        return None
    signatures[function] = inspect.signature(beneath(function))
    return functools.partial(_draws if draws else _looks, name, function)


_SOURCES = ("autodiff.ops.", "autodiff.nn.functional.", "autodiff.graph", "autodiff.linalg")
_INSIDE = ("base", "declare", "generator", "guard", "history", "pointwise", "table", "written")
_PARTS = {f"autodiff.ops.{name}" for name in _INSIDE}


class _Looking(Layer):
    """Functions and methods that look while there are batches."""

    def __init__(self) -> None:
        super().__init__(depth=1)
        self.modules = -1
        self.seen: set[types.FunctionType] = set()
        self.methods = [
            (owner, name, vars(owner)[name], wrapped(vars(owner)[name]))
            for owner, name, wrapped in _classes()
        ]

    def find(self) -> None:
        """Look again where modules were imported since."""
        if self.modules == len(sys.modules):
            return
        self.modules = len(sys.modules)
        for function in {*_functions()} - self.seen:
            self.seen.add(function)
            if (wrap := _looking(function)) is not None:
                self.wraps[function] = wrap

    def switched(self, on: bool) -> None:
        """Have methods look, or be themselves again."""
        for owner, name, before, after in self.methods:
            setattr(owner, name, after if on else before)


def _functions() -> Iterator[types.FunctionType]:
    """The functions of the modules that reach native memory."""
    for name, module in list(sys.modules.items()):
        if name.startswith(_SOURCES) and name not in _PARTS:
            for value in map(_inner, list(vars(module).values())):
                is_own = isinstance(value, types.FunctionType) and value.__module__ == name
                if is_own and value.__closure__ is None:
                    yield value


def _inner(value: Any) -> Any:
    """A function without what a decorator does after it."""
    return inspect.unwrap(value) if isinstance(value, types.FunctionType) else value


# ---- methods of the families' classes ----


def _called(call: Any) -> Any:
    """An autograd.Function: by a rule of its own, or else sample by sample."""

    def method(cls: Any, *args: Any) -> Any:
        run = call.__get__(None, cls)
        level = found(args)
        if level is None:
            return run(*args)
        if brings_rule(cls):
            return by_its_rule(cls, level, args)
        return one_by_one(cls.__name__, run, level, args, {})

    return classmethod(method)


def _op_call(call: Rule) -> Rule:
    def method(self: Op, x: Tensor, *args: Any) -> Any:
        if type(x) is Batched:
            return operate(self, x.level, (x,), args)
        return call(self, x, *args)

    return method


def _op_on(on: Rule) -> Rule:
    def method(self: Op, tensors: Any, *args: Any) -> Any:
        level = found(tensors)
        return on(self, tensors, *args) if level is None else operate(self, level, tensors, args)

    return method


def _pointwise_into(into: Rule) -> Rule:
    def method(self: PointwiseOp, out: Tensor, tensors: Any) -> Any:
        level = found((out, *tensors))
        if level is None:
            return into(self, out, tensors)
        return FUNCTIONS["pointwise_into"](self, level, out, tensors)

    return method


def _reduced(call: Rule) -> Rule:
    def method(self: ReducedLoss, reduction: str, *tensors: Any) -> Any:
        if reduction == "none" or found(tensors) is None:
            return call(self, reduction, *tensors)
        loss = self.each.call(*tensors)
        return loss.mean() if reduction == "mean" else loss.sum()

    return method


def _sweep(sweep: Rule) -> Rule:
    def method(self: Any, g: Tensor) -> Any:
        return self.vjp(g) if type(g) is Batched else sweep(self, g)

    return method


def _vjp(vjp: Rule) -> Rule:
    def method(self: Node, g: Tensor) -> Any:
        level = found((g,))
        if level is None:
            return vjp(self, g)
        try:
            return vjp(self, g)
        except BatchError:
            pass
        except TypeError as error:
            if not is_refusal(error):
                raise
        return one_by_one(self.name(), lambda one: tuple(vjp(self, one)), level, (g,), {})

    return method


def _classes() -> Iterator[tuple[type, str, Callable[[Rule], Rule]]]:
    yield Function, "_called", _called
    yield Op, "call", _op_call
    yield Op, "__call__", _op_call
    yield Op, "on", _op_on
    yield PointwiseOp, "into", _pointwise_into
    yield ReducedLoss, "__call__", _reduced
    for kind in (OpNode, PointwiseNode):
        yield kind, "sweep", _sweep
        yield kind, "vjp", _vjp


_layer = _Looking()


@contextmanager
def looking() -> Iterator[None]:
    """While this lasts, operations look for batched arguments."""
    user = object()
    try:
        _layer.use(user)
        yield
    finally:
        _layer.leave(user)


@contextmanager
def worded(name: str) -> Iterator[None]:
    """Where a batch reached native memory all the same, say so."""
    try:
        yield
    except TypeError as error:
        if not is_refusal(error):
            raise
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        last = "an operation" if trace is None else trace.tb_frame.f_code.co_name
        raise BatchError(f"vmap({name}, ...): {last} cannot run on a batch") from error


def _beyond(op: PointwiseOp, tensors: Any, error: TypeError) -> Any:
    level = found(tensors)
    if level is None:
        raise error
    return FUNCTIONS["pointwise"](op, level, tensors)


late.beyond = _beyond  # type: ignore[method-assign]

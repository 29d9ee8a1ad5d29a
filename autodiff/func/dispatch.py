"""How operations come to know of batches: while a vmap runs, and only then.

A composition needs no rule: what it is made of has one. So what must look for batches is what
reaches native memory: operations as such (`Op`, `PointwiseOp`), and functions that make native
calls of their own. While there is a vmap, those look at their arguments first, which `looking` sees
to, and sees to the end of. What has no rule is run sample by sample: the operation, or else the
public function that it is a part of.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from autodiff.autograd.function import Function
from autodiff.func.batched import (
    Batched,
    BatchError,
    Level,
    found,
    is_batch,
    levels,
    mapped,
    shared_write,
)
from autodiff.func.custom import brings_rule, by_its_rule
from autodiff.native import lib
from autodiff.node import Node
from autodiff.ops.base import Op, OpNode
from autodiff.ops.calls import late
from autodiff.ops.join import stack
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.pointwise_node import PointwiseNode
from autodiff.ops.reduced import ReducedLoss
from autodiff.ops.regions import as_strided
from autodiff.ops.views import select
from autodiff.replaced import Layer, beneath, own_code
from autodiff.tensor import Tensor

__all__ = [
    "RANDOM", "Rule", "for_functions", "for_operations", "looking", "one_by_one", "signatures",
]  # fmt: skip

Rule = Callable[..., Any]
FUNCTIONS: dict[str, Rule] = {}  # by name: rule(function, level, *args, **kwargs)
OPERATIONS: dict[str, Rule] = {}  # by name of an Op: rule(op, level, tensors, args)
signatures: dict[Any, inspect.Signature] = {}  # of the functions that look
RANDOM: dict[str, Rule] = {}  # functions that draw: called with a batched argument or without


def _rule_for(table: dict[str, Rule], *names: str) -> Callable[[Rule], Rule]:
    """Register a rule under these names."""

    def register(rule: Rule) -> Rule:
        table.update(dict.fromkeys(names, rule))
        return rule

    return register


for_functions = functools.partial(_rule_for, FUNCTIONS)
for_operations = functools.partial(_rule_for, OPERATIONS)


def one_by_one(name: str, function: Rule, level: Level, args: Any, kwargs: Any) -> Any:
    """A function of each sample on its own, the results put together; views of them are views."""
    if level.size == 0:
        raise BatchError(f"vmap: {name} has no rule for batches, and there are no samples to run")
    results = []
    alike = found([*args[1:], *kwargs.values()]) is not level  # samples differ in the first alone
    for i in range(level.size):
        take = functools.partial(_sample, index=i)
        given = mapped(args, level, take)
        result = function(*given, **mapped(kwargs, level, take))
        if given and result is given[0] and isinstance(result, Tensor):
            result = args[0]  # written in place, through a view of the batch
        elif i == 0 and alike and args and type(args[0]) is Batched:
            views = _views(result, args[0], given[0])
            if views is not None:
                return views
        results.append(result)
    return args[0] if args and results[0] is args[0] else _together(name, level, results)


def _views(result: Any, x: Batched, sample: Tensor) -> Any:
    """Views of a sample of x as views of x; None where one is no such view."""
    if isinstance(result, (tuple, list)) and result:
        parts = [_views(each, x, sample) for each in result]
        return None if any(part is None for part in parts) else type(result)(parts)
    if not isinstance(result, Tensor) or result is sample:
        return None
    outer: list[Level] = []  # the levels that the sample is a batch of, too
    value: Any = x.value
    while type(value) is Batched and type(result) is Batched and type(sample) is Batched:
        outer.append(value.level)
        value, result, sample = value.value, result.value, sample.value
    plain = all(type(one) is not Batched for one in (value, result, sample))
    if not plain or lib.ad_storage_id(result._p) != lib.ad_storage_id(sample._p):
        return None
    n = len(outer)
    y = as_strided(
        value,
        [*value.shape[: n + 1], *result.shape[n:]],
        [*value.stride()[: n + 1], *result.stride()[n:]],
        value.storage_offset() + result.storage_offset() - sample.storage_offset(),
    )
    for level in reversed(outer):
        y = Batched(y, level)
    return Batched(y, x.level)


def _sample(x: Batched, index: int) -> Tensor:
    return select(x.value, 0, index)


def _together(name: str, level: Level, results: list[Any]) -> Any:
    first = results[0]
    if isinstance(first, Tensor):
        shapes = {tuple(x.shape) for x in results}
        if len(shapes) > 1:
            raise BatchError(
                f"vmap: {name} gives each sample a shape of its own ({sorted(shapes)}), which no "
                "batch can hold. Use an operation whose result does not depend on the values, such "
                "as where()."
            )
        return Batched(stack(results), level)
    if isinstance(first, (tuple, list)):
        parts = [_together(name, level, list(each)) for each in zip(*results, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if not isinstance(first, (int, float, str, type(None))):
        raise TypeError(f"{name} gives a {type(first).__name__} of a Descriptor")
    if any(each != first for each in results):
        raise BatchError(f"vmap: {name} gives each sample a Python value of its own")
    return first


def _is_refusal(error: TypeError) -> bool:
    """Whether a native call met a descriptor of a batch."""
    return "Descriptor" in str(error) or "cdata" in str(error).lower()


def apply(name: str, function: Rule, raw: Rule, level: Level, args: Any, kwargs: Any) -> Any:
    """A function with batched arguments: by its rule, as a composition, or one by one."""
    rule = FUNCTIONS.get(name)
    if rule is not None:
        result = rule(function, level, *args, **kwargs)
        if result is not NotImplemented:
            return result
    writes = name in _WRITING or name.endswith("_")
    try:
        return raw(*args, **kwargs)
    except TypeError as error:
        if not _is_refusal(error) or name.startswith("_"):
            raise  # a function that is private to a public one
    except BatchError:  # of its own making, unless it is to write to what it was given
        if writes or kwargs.get("out") is not None or name.startswith("_"):
            raise
    first = [*args, *kwargs.values()][0]
    if writes and not is_batch(first, level):
        raise shared_write(name)
    return one_by_one(name, function, level, args, kwargs)


_WRITING = {"setitem", "write_at"}


def operate(op: Op, level: Level, tensors: Any, args: Any) -> Any:
    """An Op on tensors of which some are batched."""
    rule = OPERATIONS.get(op.name)
    if rule is not None:
        result = rule(op, level, tensors, args)
        if result is not NotImplemented:
            return result

    def one(*given: Tensor) -> Tensor:
        return op.on(given, *map(copy.copy, args))  # some keep what backward needs

    return one_by_one(op.name, one, level, tuple(tensors), {})


# ---- what is put in place ----


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
            if not _is_refusal(error):
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
        if not _is_refusal(error):
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

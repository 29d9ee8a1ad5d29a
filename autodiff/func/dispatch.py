"""Calls with batched arguments: by a rule, as a composition, or sample by sample.

A composition needs no rule: what it is made of has one. What has no rule is run sample by sample:
the operation, or else the public function that it is a part of.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

from autodiff.func.batched import (
    Batched,
    BatchError,
    Level,
    found,
    is_batch,
    mapped,
    shared_write,
)
from autodiff.native import lib
from autodiff.ops.base import Op
from autodiff.ops.join import stack
from autodiff.ops.regions import as_strided
from autodiff.ops.views import select
from autodiff.tensor import Tensor

__all__ = ["RANDOM", "Rule", "for_functions", "for_operations", "one_by_one", "signatures"]

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


def is_refusal(error: TypeError) -> bool:
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
        if not is_refusal(error) or name.startswith("_"):
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

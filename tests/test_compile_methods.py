"""Compiled functions where functions go: methods, attributes, copies, pickles."""

from __future__ import annotations

import copy
import functools
import inspect
import operator
import pickle
import types
from collections.abc import Callable
from typing import Any

import pytest
from twins import bits, check_change

import autodiff as ad
from autodiff import nn
from autodiff.compiled import Compiled


class Plus(Compiled):
    """A compiled function called in another way."""

    more = 100.0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs) + self.more


class Layer(nn.Module):
    """A module whose class has a compiled forward, which reads a number of the file."""

    @ad.compile
    def forward(self, x: ad.Tensor) -> ad.Tensor:
        return x * Thing.scale


class Thing:
    """An object whose methods are compiled, in each way."""

    scale = 2.0
    layer = ad.compile(nn.Linear(2, 2))
    negative = ad.compile(operator.neg)
    twice = ad.compile(ad.compile(lambda self, x: x * self.scale))

    def __init__(self) -> None:
        self.by_hand = ad.compile(self.plain)

    def plain(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.scale

    @ad.compile
    def method(self, x: ad.Tensor) -> ad.Tensor:
        return x * self.scale

    @property
    @ad.compile
    def doubled(self) -> ad.Tensor:
        return ad.full((2,), self.scale) * 2

    @classmethod
    @ad.compile
    def of_class(cls, x: ad.Tensor) -> ad.Tensor:
        return x * cls.scale

    @staticmethod
    @ad.compile
    def apart(x: ad.Tensor) -> ad.Tensor:
        return x * Thing.scale

    @ad.compile
    @staticmethod
    def further(x: ad.Tensor) -> ad.Tensor:
        return x * Thing.scale

    def through(self, x: ad.Tensor) -> ad.Tensor:
        return self.method(x) + self.twice(x)


@ad.compile
def decorated(x: ad.Tensor) -> ad.Tensor:
    """Of a file."""
    return x * 2


CALLS: dict[str, Callable[[Thing], Callable[[ad.Tensor], Any]]] = {
    "method": lambda thing: lambda x: thing.method(x),
    "of an argument": lambda thing: functools.partial(lambda thing, x: thing.method(x), thing),
    "by hand": lambda thing: lambda x: thing.by_hand(x),
    "bound": lambda thing: thing.method,
    "unbound": lambda thing: lambda x: Thing.method(thing, x),
    "nested": lambda thing: lambda x: thing.twice(x),
    "property": lambda thing: lambda x: x * thing.doubled,
    "two deep": lambda thing: ad.compile(thing.through),
    "partial": lambda thing: functools.partial(Thing.method, thing),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_a_compiled_method_reads_of_its_object_counts(name: str) -> None:
    thing = Thing()
    check_change(CALLS[name](thing), lambda: setattr(thing, "scale", 3.0))


OF_CLASS: dict[str, Callable[[Thing], Callable[[ad.Tensor], Any]]] = {
    "classmethod": lambda thing: lambda x: thing.of_class(x),
    "classmethod of the class": lambda thing: lambda x: Thing.of_class(x),
    "staticmethod": lambda thing: lambda x: thing.apart(x),
    "compiled staticmethod": lambda thing: lambda x: thing.further(x) + Thing.further(x),
    "forward": lambda thing: functools.partial(lambda layer, x: layer(x), Layer()),
}


@pytest.mark.parametrize("name", OF_CLASS)
def test_what_it_reads_of_its_class_counts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_change(OF_CLASS[name](Thing()), lambda: monkeypatch.setattr(Thing, "scale", 3.0))


def test_attributes_of_functions_count() -> None:
    def plain(x: ad.Tensor) -> ad.Tensor:
        return x * plain.scale  # type: ignore[attr-defined]

    def given(x: ad.Tensor) -> ad.Tensor:
        return x * getattr(wrapped, "scale", 1.0)

    wrapped = ad.compile(plain)
    plain.scale = 2.0  # type: ignore[attr-defined]
    check_change(plain, lambda: setattr(plain, "scale", 5.0))
    wrapped.scale = 3.0
    assert plain.scale == 5.0  # type: ignore[attr-defined]
    check_change(given, lambda: delattr(wrapped, "scale"))
    assert wrapped.scale == 5.0
    check_change(given, lambda: setattr(plain, "scale", 2.0))
    del plain.scale  # type: ignore[attr-defined]
    check_change(given, lambda: setattr(wrapped, "scale", 3.0))


def test_a_subclass_in_a_compiled_function_is_called_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plus = Plus(lambda x: 2 * x)
    assert type(copy.copy(plus)) is Plus
    check_change(lambda x: plus(x), lambda: monkeypatch.setattr(Plus, "more", 1.0))


def test_only_functions_are_bound() -> None:
    thing, x = Thing(), ad.ones(2)
    for _ in range(3):
        assert bits(thing.layer(x)) == bits(Thing.layer.fn(x))
        assert bits(thing.negative(x)) == bits(-x)
        assert bits(thing.further(x)) == bits(thing.apart(x)) == bits(2 * x)
    assert thing.method == thing.method
    assert thing.method.stats().recordings == Thing.method.stats().recordings  # type: ignore[attr-defined]
    assert (thing.method.__self__, thing.method.__func__) == (thing, Thing.method)
    assert [*inspect.signature(thing.method).parameters] == ["x"]
    assert bits(pickle.loads(pickle.dumps(thing.method))(x)) == bits(2 * x)


def test_what_takes_it_for_a_partial_finds_the_function() -> None:
    def fn(x: ad.Tensor, *, k: float = 1.0) -> ad.Tensor:
        return x * k

    step = ad.compile(fn)
    assert not inspect.iscoroutinefunction(step)
    assert inspect.signature(step) == inspect.signature(fn)
    for _ in range(3):
        assert bits(functools.partial(step, k=3.0)(ad.ones(2))) == bits(ad.full((2,), 3.0))
    assert functools.partial(step, k=3.0).func is step

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.args = types.SimpleNamespace(width=3)

    net = Net()
    assert ad.compile(net).args is net.args


def test_a_decorated_function_is_pickled_by_its_name() -> None:
    for _ in range(3):
        decorated(ad.ones(2))
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert copy.deepcopy([decorated])[0] is decorated
    local = ad.compile(lambda x: 2 * x)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(local)
    assert copy.copy(local) is not local

"""A method that something wraps relies on its object as a plain one does."""

from __future__ import annotations

import contextlib
import copy
import functools
import pickle
import types
from collections.abc import Callable
from typing import Any

import pytest
from twins import check_change

import autodiff as ad
from autodiff import nn

Wrap = Callable[[Callable[..., Any]], Any]


class Descriptor:
    """What binds an object by a partial or a method of its own making, and calls a function."""

    def __init__(self, bind: Callable[..., Any], fn: Callable[..., Any]) -> None:
        self.bind, self.fn = bind, fn

    def __get__(self, thing: Any, kind: Any = None) -> Any:
        return self if thing is None else self.bind(self, thing)

    def __call__(self, *args: Any) -> Any:
        return self.fn(*args)


def wraps(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of the user's."""

    @functools.wraps(fn)
    def wrapped(*args: Any) -> Any:
        return fn(*args)

    return wrapped


@contextlib.contextmanager
def nothing() -> Any:
    """A context that does nothing."""
    yield


partial = functools.partial(Descriptor, functools.partial)
method = functools.partial(Descriptor, types.MethodType)
WRAPS: dict[str, Wrap] = {
    "no_grad": ad.no_grad(),
    "two modes": lambda fn: ad.no_grad()(ad.enable_grad()(fn)),
    "autocast": ad.autocast("cpu"),
    "a context": nothing(),
    "a decorator": wraps,
    "a mode around a decorator": lambda fn: ad.no_grad()(wraps(fn)),
    "a mode around a compiled function": lambda fn: ad.no_grad()(ad.compile(fn)),
    "a descriptor that makes partials": partial,
    "a descriptor that makes methods": method,
    "a mode around a descriptor": lambda fn: ad.no_grad()(method(fn)),
    "vmap": lambda fn: ad.func.vmap(fn, in_dims=(None, 0)),
}


def scaled(self: Any, x: ad.Tensor) -> ad.Tensor:
    return x * self.scale


class Owner:
    """An object whose method is wrapped."""

    scaled: Any
    scale = 0.0

    def __init__(self) -> None:
        self.scale = 2.0


class OwnerModule(Owner, nn.Module):
    """A module whose forward is wrapped."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.scale = 2.0


@pytest.mark.parametrize("name", WRAPS)
@pytest.mark.parametrize("where", ["by name", "in a list", "bound before", "a module"])
def test_a_wrapped_method_looks_at_its_object(name: str, where: str) -> None:
    base = OwnerModule if where == "a module" else Owner
    attribute = "forward" if where == "a module" else "scaled"
    owner = type("Thing", (base,), {attribute: WRAPS[name](scaled)})()
    found = [owner]
    bound = getattr(owner, attribute)
    calls: dict[str, Callable[[ad.Tensor], Any]] = {
        "by name": lambda x: owner.scaled(x),
        "in a list": lambda x: found[0].scaled(x),
        "bound before": lambda x: bound(x),
        "a module": lambda x: owner(x),
    }
    check_change(calls[where], lambda: setattr(owner, "scale", 5.0))


@pytest.mark.filterwarnings("ignore:.*stays eager")
def test_a_counter_in_a_wrapped_method_is_not_frozen() -> None:
    class Optimizer:
        def __init__(self, p: nn.Parameter) -> None:
            self.p, self.t = p, 0

        @ad.no_grad()
        def step(self) -> None:
            self.t += 1
            assert self.p.grad is not None
            self.p -= self.p.grad / (1 - 0.9**self.t)

    def trained(compiled: bool) -> tuple[list[float], int]:
        p = nn.Parameter(ad.ones(2))
        optimizer = Optimizer(p)

        def step(x: ad.Tensor) -> None:
            p.grad = None
            (p * x).sum().backward()
            optimizer.step()

        call = ad.compile(step) if compiled else step
        for _ in range(20):
            call(ad.ones(2))
        return p.tolist(), optimizer.t

    assert trained(compiled=True) == trained(compiled=False)


class Own(ad.compiled.Compiled):
    """A user's."""


def test_a_compiled_container_passes_for_one() -> None:
    layers = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    net = ad.compile(layers)
    assert (len(net), net[1], [*net]) == (3, layers[1], [*layers])
    for change in (lambda: net.__setitem__(1, nn.ReLU()), lambda: net.__delitem__(1)):
        for _ in range(3):
            x = ad.randn(2, 3)
            assert net(x).tolist() == layers(x).tolist()
        change()
    assert len(copy.deepcopy(net)) == len(pickle.loads(pickle.dumps(net))) == 2
    table = ad.compile(nn.ModuleDict({"a": layers}))
    assert "a" in table
    assert table["a"] is layers
    assert type(copy.copy(Own(layers))) is type(Own(layers)) is not type(Own(nn.ReLU()))
    assert len(ad.compile(net)) == 2
    plain = ad.compile(nn.Linear(1, 1))
    assert plain
    for call in (lambda: len(plain), lambda: plain[0], lambda: len(ad.compile(len))):
        with pytest.raises(TypeError):
            call()

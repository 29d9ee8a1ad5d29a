"""A call that native code makes gives what the generated Python gives, and is left to that where
anything changed.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_tensors import in_use, no_collector
from twins import bits

import autodiff as ad
from autodiff import nn, optim
from autodiff.compiled import function
from autodiff.native import Held, ffi
from autodiff.shortcuts import Called

NATIVE = types.BuiltinFunctionType
pytestmark = pytest.mark.skipif(Held is ffi.CData, reason="Python makes all calls here")
x, y = ad.arange(6.0).reshape(2, 3), ad.ones(2, 3)
w = ad.full((3, 2), 0.5, requires_grad=True)
scale, names = 2.0, {"scale": 3.0}
several = [1.5, 2.5]


def net(of: Callable[[Any], optim.Optimizer] = optim.SGD) -> Callable[[], Any]:
    """A training step."""
    ad.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1))
    optimizer = of(model.parameters(), lr=0.1)  # type: ignore[call-arg]

    def step() -> Any:
        optimizer.zero_grad()
        loss = model(x).pow(2).mean()
        loss.backward()
        optimizer.step()
        return loss, [p.grad for p in model.parameters()]

    return step


class Scaler:
    factor = 2.0

    def __init__(self) -> None:
        self.added = 1.0

    def __call__(self, given: ad.Tensor) -> ad.Tensor:
        return given * self.factor + self.added


Call = tuple[Callable[..., Any], tuple[Any, ...]]  # a function, and what it is called with


def of(fn: Callable[..., Any], *args: Callable[[], Any]) -> Callable[[], Call]:
    """What makes a call, its arguments anew."""
    return lambda: (fn, tuple(make() for make in args))


CALLS: dict[str, Callable[[], Call]] = {
    "of names": of(lambda: x + y),
    "of a leaf by name": of(lambda: (w * 2).exp()),
    "that saves what it makes": of(lambda: w.exp()),
    "that saves what is there": of(lambda: x @ w),
    "of arguments": of(lambda a, b: a * b, x.clone, y.clone),
    "of a leaf": of(lambda a: a.tanh().sum(), lambda: w),
    "of a result": of(lambda a: a.tanh() * a, lambda: w * 2),
    "of a parameter": of(lambda p: p * x, lambda: nn.Parameter(ad.ones(2, 3))),
    "of a number": of(lambda a, k: a * k, x.clone, lambda: 3),
    "view": of(lambda: x.T),
    "view of a leaf": of(lambda: w[1]),
    "view of an argument": of(lambda a: a[:, 1], x.clone),
    "what it is given": of(lambda a: a, x.clone),
    "what is there": of(lambda: y),
    "two results": of(lambda a: (a + 1, a.sum()), x.clone),
    "one result twice": of(lambda a: (b := a + 1, b, a), x.clone),
    "of a list": of(lambda a: [a + 1, {"b": a * 2, "n": 3}], x.clone),
    "number": of(lambda: x.size(1)),
    "nothing": of(lambda: None),
    "no tensors": of(lambda: ()),
    "of a dict": of(lambda a: a * names["scale"], x.clone),
    "of several": of(lambda a: sum([a * s for s in several]), x.clone),
    "of an object": lambda: (Scaler(), (x.clone(),)),
    "without a graph": of(ad.no_grad()(lambda: w * 2)),
    "in place": of(lambda a: a.add_(1), lambda: ad.zeros(3)),
    "training": lambda: (net(), ()),
    "training by Adam": lambda: (net(optim.Adam), ()),
}


def told(found: Any, args: tuple[Any, ...]) -> Any:
    """What is to be equal of two results, one of two calls."""
    if isinstance(found, ad.Tensor):
        node = found.grad_fn
        of_node = node and (node.name(), len(node.next_functions), len(node.saved or ()))
        there = [x, y, w, *args]
        base = [found._base is one for one in there], [found is one for one in there]
        return bits(found), of_node, base, found._version
    if isinstance(found, dict):
        return {key: told(value, args) for key, value in found.items()}
    return [told(one, args) for one in found] if isinstance(found, (list, tuple)) else found


def compiled_twice(make: Callable[[], Call]) -> list[tuple[Any, tuple[Any, ...]]]:
    """The same, native and not, each run some times."""
    found = []
    for replaced in (function.replayed, lambda recording, args, inputs, python, slow: python):
        with patch.object(function, "replayed", replaced):
            fn, args = make()
            compiled = ad.compile(fn)
            ad.manual_seed(1)
            for _ in range(4):
                compiled(*args)
            found.append((compiled, args))
    (native, _), (python, _) = found
    assert type(native._call) is NATIVE
    assert type(python._call) is types.FunctionType
    assert native.stats().runs == python.stats().runs > 0
    return found


def gradient(found: Any, args: tuple[Any, ...]) -> Any:
    """What comes of going backward from a result, and of doing so once more than can be."""
    if not isinstance(found, ad.Tensor) or found.grad_fn is None:
        return None
    ends = [one for one in (w, *args) if isinstance(one, ad.Tensor) and one.requires_grad]
    gs = ad.autograd.grad(found.sum(), ends, retain_graph=True, allow_unused=True)
    if not all(end.is_leaf for end in ends):
        return bits(gs)  # what is behind those is to be gone through again
    found.sum().backward()
    try:
        found.sum().backward()
    except RuntimeError as error:
        return bits(gs), str(error)
    return bits(gs)


@pytest.mark.parametrize("name", CALLS)
def test_a_native_call_gives_what_python_gives(name: str) -> None:
    (native, mine), (python, others) = compiled_twice(CALLS[name])
    for i in range(3):
        ad.manual_seed(2 + i)
        a = native(*mine)
        ad.manual_seed(2 + i)
        b = python(*others)
        assert told(a, mine) == told(b, others)
        assert gradient(a, mine) == gradient(b, others)
    assert native.stats().recordings == python.stats().recordings == 1
    assert type(native._call) is NATIVE


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_left_of_a_native_call(name: str) -> None:
    (native, args), _ = compiled_twice(CALLS[name])
    with no_collector():
        for _ in range(3):
            native(*args)
        before, objects = in_use(), sys.getallocatedblocks()
        for _ in range(50):
            native(*args)
        assert in_use() == before
        assert sys.getallocatedblocks() - objects < 40


def test_what_changed_is_seen() -> None:
    global scale
    scale = 2.0
    step = ad.compile(lambda a: a * scale * names["scale"] * several[0])
    for change in (
        lambda: globals().update(scale=scale + 1),
        lambda: names.update(scale=names["scale"] + 1),
        lambda: names.update(more=1.0),
        lambda: several.append(1.0),
        lambda: several.__setitem__(0, several[0] + 1),
    ):
        for _ in range(4):
            assert bits(step(x)) == bits(x * scale * names["scale"] * several[0])
        assert type(step._call) is NATIVE
        change()
    assert bits(step(x)) == bits(x * scale * names["scale"] * several[0])


# Arguments that a recording of one tensor without a graph does not take.
OTHERS: dict[str, Callable[[], ad.Tensor]] = {
    "of another shape": lambda: ad.ones(5),
    "of another dtype": lambda: ad.ones(2, 3, dtype=ad.float64),
    "in another layout": lambda: ad.ones(3, 2).T,
    "leaf": lambda: ad.ones(2, 3, requires_grad=True),
    "result": lambda: w.T * 2,
    "view of a leaf": lambda: ad.ones(3, 3, requires_grad=True)[:2],
    "view of what became a result": lambda: became_a_result(),
    "parameter": lambda: nn.Parameter(ad.ones(2, 3)),
    "the same": lambda: x,
}


def became_a_result() -> ad.Tensor:
    """A view whose base was written to by what has a graph."""
    base = ad.zeros(4, 3)
    view = base[:2]
    base.copy_(ad.ones(4, 3, requires_grad=True) * 2)
    return view


@given(st.lists(st.sampled_from([*OTHERS]), min_size=2, max_size=8))
def test_any_arguments_in_any_order(kinds: list[str]) -> None:
    step = ad.compile(lambda a: (a * a).sum(0))
    for kind in kinds:
        for _ in range(3):
            a = OTHERS[kind]()
            mine, other = step(a), (a * a).sum(0)
            assert bits(mine) == bits(other)
            assert (mine.grad_fn is None) == (other.grad_fn is None)
            if a.is_leaf and a.requires_grad:
                mine.sum().backward()
                assert bits(a.grad) == bits(2 * a.detach())


def test_arguments_by_name_and_wrong_ones_go_to_python() -> None:
    step = ad.compile(lambda a, k=2: a * k)
    for _ in range(4):
        step(x, 2)
    assert type(step._call) is NATIVE
    for _ in range(4):
        assert bits(step(x, k=3)) == bits(step(a=x, k=3)) == bits(x * 3)
    for args, kwargs in (((), {}), ((x, 2, 3), {}), ((x,), {"other": 1})):
        with pytest.raises(TypeError):
            step(*args, **kwargs)
    assert bits(step(x, 2)) == bits(x * 2)


class Asked:
    """Whose attribute is found by code of the user's."""

    def __init__(self) -> None:
        self.then: Callable[[], Any] = lambda: 2.0

    @property
    def factor(self) -> Any:
        return self.then()


def step_asking() -> tuple[Asked, Any]:
    """A native call that looks at such an attribute."""
    asked = Asked()
    step = ad.compile(lambda a: a * asked.factor)
    for _ in range(5):
        step(x)
    assert type(step._call) is NATIVE
    return asked, step


def test_what_a_look_raises() -> None:
    asked, step = step_asking()

    def refuse(kind: type[BaseException]) -> None:
        raise kind("no")

    for kind in (ValueError, KeyboardInterrupt):
        asked.then = lambda kind=kind: refuse(kind)
        with pytest.raises(kind, match="no"):
            step(x)
    asked.then = lambda: 2.0
    assert bits(step(x)) == bits(x * 2)


def test_a_look_may_drop_the_recording() -> None:
    asked, step = step_asking()

    def forget() -> float:
        step.reset()
        gc.collect()
        return 2.0

    asked.then = forget
    for _ in range(3):
        assert bits(step(x)) == bits(x * 2)


def test_threads_that_call_and_drop_it() -> None:
    big = ad.ones(1000, 100)  # long enough that a run lets others go on
    step, stop, found = ad.compile(lambda a: (a * 2).exp().sum(1)), threading.Event(), []
    wanted = bits((big * 2).exp().sum(1))

    def call() -> None:
        while not stop.is_set():
            found.append(bits(step(big)) == wanted)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        step.reset()
        found.append(bits(step(big)) == wanted)
    stop.set()
    for thread in threads:
        thread.join()
    assert all(found)


def test_it_goes_with_its_function() -> None:
    (native, _), _ = compiled_twice(CALLS["of a leaf by name"])
    there = weakref.ref(native)
    del native, _
    gc.collect()
    assert there() is None


def test_what_was_not_made_yet_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="nothing to call"):
        Called()()

"""Checkpoints: gradients as without, less memory, and everything else a graph can do."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from native_tensors import in_use

import autodiff as ad
from autodiff import nn
from autodiff.nn.functional import dropout
from autodiff.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    checkpoint_sequential,
    set_checkpoint_early_stop,
)


def leaf(*shape: int) -> ad.Tensor:
    return ad.randn(*shape, dtype=ad.float64).requires_grad_()


def deep(x: ad.Tensor) -> ad.Tensor:
    for _ in range(10):
        x = x.sin().exp().tanh()
    return x


def test_the_memory_is_given_up_and_comes_back_for_backward() -> None:
    x = leaf(1000, 100)
    size = x.nbytes
    gc.collect()
    before = in_use()[0]
    y = deep(x)
    kept = in_use()[0] - before
    del y
    y = checkpoint(deep, x)
    assert in_use()[0] - before < 2 * size < kept
    y.sum().backward()
    expected = ad.autograd.grad(deep(x).sum(), x)[0]
    assert (x.grad == expected).all()
    del y, expected
    x.grad = None
    gc.collect()
    assert in_use()[0] == before


def test_nested_checkpoints_hold_nothing_of_each_other() -> None:
    x = leaf(1000, 100)

    def outer(x: ad.Tensor) -> ad.Tensor:
        y = checkpoint(deep, x.exp())
        return checkpoint(deep, y.exp())

    before = in_use()[0]
    y = checkpoint(outer, x)
    assert in_use()[0] - before < 2 * x.nbytes
    found = ad.autograd.grad(y.sum(), x)[0]
    assert (found == ad.autograd.grad(outer(x).sum(), x)[0]).all()


@pytest.mark.parametrize("keep", [True, False])
def test_a_second_backward(keep: bool) -> None:
    x = leaf(3)
    y = checkpoint(deep, x).sum()
    first = ad.autograd.grad(y, x, retain_graph=keep)[0]
    if keep:
        assert (ad.autograd.grad(y, x)[0] == first).all()
    with pytest.raises(RuntimeError, match="second time"):
        ad.autograd.grad(y, x)


def test_the_function_runs_once_more_and_no_oftener() -> None:
    calls = []

    def f(x: ad.Tensor) -> ad.Tensor:
        calls.append(0)
        return x.exp() * w + x.sin()

    x, w = leaf(3), leaf(3)
    y = checkpoint(f, x)
    ad.autograd.grad(y.sum(), (x, w), create_graph=True)
    assert len(calls) == 2
    with ad.no_grad():
        checkpoint(f, x)
    assert len(calls) == 3


@pytest.mark.parametrize("last", [ad.exp, ad.mul, lambda y, x: y.exp_(), lambda y, x: y.mul_(x)])
@pytest.mark.parametrize("inside", [False, True])
def test_it_runs_up_to_the_last_operation_that_saved_something(last: Any, inside: bool) -> None:
    """In place or not, also where a checkpoint within is the last."""
    ends = []

    def f(x: ad.Tensor) -> ad.Tensor:
        y = x + 0
        y = last(y) if last is ad.exp else last(y, x)
        y = y + 1
        ends.append(0)
        return y

    def g(x: ad.Tensor) -> ad.Tensor:
        y = checkpoint(f, x + 0)
        ends.append(1)
        return y

    x, called = leaf(3), g if inside else f
    expected = ad.autograd.grad(f(x).sum(), x)[0]
    again = {True: [0] if inside else [], False: [0, 1, 0] if inside else [0]}
    for given, block in ((True, None), (False, None), (True, False), (False, True)):
        with nullcontext() if block is None else set_checkpoint_early_stop(block):
            y = checkpoint(called, x, early_stop=given)
        ends.clear()
        assert (ad.autograd.grad(y.sum(), x)[0] == expected).all()
        if not inside or block is not None:  # else the inner one stops by itself
            assert ends == again[given if block is None else block]


def test_the_same_random_numbers() -> None:
    x = leaf(1000)

    def f(x: ad.Tensor) -> ad.Tensor:
        return dropout((x * x).exp(), 0.5) * x

    ad.manual_seed(3)
    y = checkpoint(f, x)
    ad.rand(3)
    after = ad.get_rng_state()
    found = ad.autograd.grad(y.sum(), x)[0]
    assert (ad.get_rng_state() == after).all(), "backward leaves the generator alone"
    ad.manual_seed(3)
    assert (found == ad.autograd.grad(f(x).sum(), x)[0]).all()
    y = checkpoint(f, x, preserve_rng_state=False)
    assert (ad.autograd.grad(y.sum(), x)[0] != found).any()


def test_functions_that_do_something_else() -> None:
    def changing(*each: Callable[[ad.Tensor], ad.Tensor]) -> Callable[[ad.Tensor], ad.Tensor]:
        rest = iter(each)
        return lambda x: next(rest)(x)

    x = leaf(3)
    for second, text in (
        (lambda x: x.sin().exp(), "different number"),
        (lambda x: x + 2, "different number"),
        (lambda x: ad.cat([x, x]).sin(), "different metadata"),
        (lambda x: x.float().sin(), "different metadata"),
    ):
        y = checkpoint(changing(lambda x: x.sin(), second), x, early_stop=False)
        with pytest.raises(CheckpointError, match=text):
            y.sum().backward()
    y = checkpoint(changing(lambda x: x.sin(), lambda x: x.cos()), x, determinism_check="none")
    y.sum().backward()
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(deep, x, determinism_check="always")


def test_inputs_written_to_are_refused() -> None:
    x = leaf(3) * 1
    y = checkpoint(deep, x)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_writes_and_views_inside() -> None:
    def f(x: ad.Tensor) -> ad.Tensor:
        y = x + 0
        y[1:].mul_(x[1:])
        y.t().add_(x.sin())
        return y * y

    x = leaf(3, 3)
    found = ad.autograd.grad(checkpoint(f, x).sum(), x)[0]
    assert (found == ad.autograd.grad(f(x).sum(), x)[0]).all()


def test_contexts_and_trees() -> None:
    seen = []

    class Note:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            seen.append(self.name)

        def __exit__(self, *exc: object) -> None:
            seen.append(f"/{self.name}")

    x = leaf(3)
    found = checkpoint(
        lambda x, how: {"a": [x.exp()], "b": how},
        x,
        how=7,
        use_reentrant=False,
        context_fn=lambda: (Note("first"), Note("again")),
    )
    found["a"][0].sum().backward()
    assert seen == ["first", "/first", "again", "/again"]
    assert found["b"] == 7
    with pytest.raises(ValueError, match="Unexpected keyword"):
        checkpoint(deep, x, use_reentrant=True, how=1)


def test_the_part_dies_with_its_graph() -> None:
    class Held:
        pass

    held = Held()
    gone = weakref.ref(held)
    y = checkpoint(lambda x, h: x.exp(), leaf(3), held)
    del held
    assert gone() is not None
    del y
    assert gone() is None, "no cycle: the count of references is enough"


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_sequential(segments: int) -> None:
    net = nn.Sequential(*[nn.Linear(4, 4) for _ in range(5)], nn.Tanh())
    x = ad.randn(2, 4)
    net(x).sum().backward()
    expected = [p.grad for p in net.parameters()]
    net.zero_grad()
    checkpoint_sequential(net, segments, x, use_reentrant=False).sum().backward()
    assert all((p.grad == g).all() for p, g in zip(net.parameters(), expected, strict=True))
    with pytest.raises(ValueError, match="segments"):
        checkpoint_sequential(net, 7, x)


def test_gradients_of_samples_and_errors(monkeypatch: Any) -> None:
    f = ad.func.grad(lambda x: checkpoint(deep, x).sum())
    x = leaf(3, 2).detach()
    found = ad.func.vmap(f)(x)
    assert (found == f(x)).all()
    y = x.clone().requires_grad_()
    ad.func.vmap(lambda x: checkpoint(deep, x).sum())(y).sum().backward()
    assert (y.grad == found).all(), "also where backward comes after vmap"

    def fails(x: ad.Tensor) -> ad.Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        checkpoint(fails, x)
    assert not ad.anomaly.watchers.stack

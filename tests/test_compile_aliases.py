"""Arguments, results and what is found outside that are one another, or share a graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from twins import bits

import autodiff as ad
from autodiff import func, nn


def both(made: Callable[[Callable[..., Any]], Any]) -> None:
    """What is found with a compiled function is what is found without."""
    state = ad.get_rng_state()
    found = []
    for wrap in (ad.compile, lambda fn: fn):
        ad.set_rng_state(state)
        found.append(made(wrap))
    assert found[0] == found[1]


def test_a_tensor_found_outside_may_become_an_argument() -> None:
    """Its gradient, which the function reads, is then one that the call makes."""

    def made(wrap: Any) -> Any:
        w, ends = ad.ones(2, requires_grad=True), []

        def fn(x: ad.Tensor) -> Any:
            (x * x).sum().backward()
            return w.grad

        run = wrap(fn)
        for x in [ad.ones(2, requires_grad=True) for _ in range(3)] + [w, w]:
            found = run(x)
            ends.append((found is None, bits(x.grad)))
        return ends

    with pytest.warns(UserWarning, match="shares memory with what the function has"):
        both(made)


SUBSETS = [(0,), (1,), (2,), (0, 1, 2), (0,), (2,)]


def test_backward_from_some_of_the_results_is_that_of_these_alone() -> None:
    """No gradient where none comes, no nan of a slope of inf times nothing, signs of zeros."""

    def made(wrap: Any) -> Any:
        a, b, ends = nn.Linear(3, 3), nn.Linear(3, 3), []

        def fn(x: ad.Tensor) -> Any:
            h = a(x).relu()
            return h, b(h), (h * 0).sqrt().sum()

        run = wrap(fn)
        for which in SUBSETS * 2:
            leaves = [ad.randn(2, 3).requires_grad_(), *a.parameters(), *b.parameters()]
            for p in leaves[1:]:
                p.grad = None
            results = run(leaves[0])
            (-sum(results[i].sum() for i in which)).backward()
            ends.append([None if p.grad is None else bits(p.grad) for p in leaves])
        return ends

    both(made)


def test_what_backward_does_not_come_to_may_be_written_over() -> None:
    def made(wrap: Any) -> Any:
        layer, count, ends = nn.Linear(3, 3), ad.zeros(()), []

        def fn(x: ad.Tensor) -> Any:
            count.add_(1)
            return layer(x).tanh(), layer(x) * count

        run = wrap(fn)
        for i in range(6):
            layer.zero_grad()
            ys, other = run(ad.randn(2, 3)), run(ad.randn(2, 3))
            try:
                (ys[i % 2] + other[i % 2]).sum().backward()
            except RuntimeError as e:
                ends.append(str(e).split(":")[0])
            else:
                ends.append([bits(p.grad) for p in layer.parameters()])
        return ends

    both(made)


def test_backward_from_some_of_many_results() -> None:
    def made(wrap: Any) -> Any:
        w = ad.randn(3).requires_grad_()
        run, ends = wrap(lambda x: [x * w * i for i in range(12)]), []
        for i in range(4):
            ys = run(ad.randn(3))
            w.grad = None
            (ys[i + 1].sum() + ys[5 - i].sum()).backward()
            ends.append(bits(w.grad))
        return ends

    both(made)


@pytest.mark.parametrize("leaf", [False, True])
def test_a_view_of_what_was_there_is_one_of_a_result_too(leaf: bool) -> None:
    def made(wrap: Any) -> Any:
        held, w = ad.randn(3, 3), ad.ones(3, requires_grad=True)
        source = (ad.ones(3, requires_grad=True) if leaf else w) * 2
        run, ends = wrap(lambda x: (held[1:], x + 1)), []
        views = [run(ad.ones(2))[0] for _ in range(3)]
        held.mul_(source)
        for view in views:
            ends.append((view._base is held, view.requires_grad, view.is_leaf, bits(view)))
        return ends

    both(made)


def test_a_view_whose_base_was_written_belongs_to_the_graph_of_the_write() -> None:
    def made(wrap: Any) -> Any:
        def fn(x: ad.Tensor) -> Any:
            y = ad.zeros(2, 2)
            view = y.t()
            y.copy_(x)
            return view, y

        run, ends = wrap(fn), []
        for _ in range(4):
            x = ad.randn(2, 2).requires_grad_()
            view, y = run(x)
            view.exp().sum().backward()
            ends.append([bits(view), bits(y), bits(x.grad)])
        return ends

    both(made)


@pytest.mark.parametrize("fails_first", [False, True])
def test_a_backward_that_fails_inside_keeps_the_call_eager(fails_first: bool) -> None:
    """Whether it fails depends on a graph outside."""

    def made(wrap: Any) -> Any:
        w = ad.ones(2, requires_grad=True)
        held, ends = [w.exp().sum()], []

        def fn(x: ad.Tensor) -> ad.Tensor:
            try:
                held[0].backward()
            except RuntimeError:
                x = x * 2
            return x + 1

        run = wrap(fn)
        for i in range(6):
            if i % 2 == fails_first or not i:
                held[0] = w.exp().sum()
            ends.append([bits(run(ad.ones(2))), bits(w.grad)])
        return ends

    with pytest.warns(UserWarning, match="backward goes beyond|backward fails in it"):
        both(made)


def test_a_compiled_function_maps_over_a_batch() -> None:
    w = ad.randn(3, 3)
    run = ad.compile(lambda x: (x @ w).tanh())
    for _ in range(3):
        xs = ad.randn(4, 3)
        assert bits(run(xs)) == bits(run.fn(xs))
        assert bits(func.vmap(run)(xs)) == bits(func.vmap(run.fn)(xs))
        assert bits(func.vmap(func.grad(lambda x: run(x).sum()))(xs)) == bits(
            func.vmap(func.grad(lambda x: run.fn(x).sum()))(xs)
        )


def test_what_was_written_over_since_is_not_read_where_it_was_made() -> None:
    def made(wrap: Any) -> Any:
        def fn(x: ad.Tensor) -> Any:
            y = x.exp()
            z = y * -2
            y.mul_(z)  # which is no part of the calls before,
            return z < 3, y > 0, y  # as the first of these is

        run = wrap(fn)
        return [bits(run(ad.randn(4))) for _ in range(3)]

    both(made)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.detach_(),
        lambda x: x.t_(),
        lambda x: x.unsqueeze_(0),
        lambda x: x.set_(ad.zeros(2)) if x.is_leaf else x,
    ],
)
@pytest.mark.parametrize("whose", ["argument", "outside"])
def test_what_is_taken_otherwise_in_place_is_at_each_call(change: Any, whose: str) -> None:
    def made(wrap: Any) -> Any:
        c = (ad.randn(2, 3).requires_grad_() * 2) if whose == "outside" else ad.randn(2, 3)

        def fn(x: ad.Tensor) -> Any:
            z = x.sum() * c.sum()
            return z, change(x if whose == "argument" else c)

        run, found = wrap(fn), []
        for _ in range(5):
            x = ad.randn(2, 3).requires_grad_() * 2
            z, _ = run(x)
            found.append((bits(z), x.shape, x.requires_grad, c.shape, c.requires_grad))
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both(made)

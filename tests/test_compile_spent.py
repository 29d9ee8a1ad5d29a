"""Results that backward went through, or whose graph goes on where the call did not make it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twins import bits

import autodiff as ad
from autodiff import nn


def tried(y: ad.Tensor) -> bool:
    """Whether backward goes through; a second time it would raise."""
    try:
        y.sum().backward(retain_graph=True)
    except RuntimeError as why:
        return "second time" not in str(why)
    return True


def both(make: Callable[[], Any], calls: int = 8) -> Any:
    """What two equal sessions show, the second of compiled calls, and how many of these ran."""
    shown = []
    for compiled in (False, True):
        ad.manual_seed(2)
        fn, around = make()
        call = ad.compile(fn, fullgraph=True) if compiled else fn
        shown.append([bits(around(call, i)) for i in range(calls)])
    assert shown[0] == shown[1]
    return call.stats()


def scaled(loss: ad.Tensor) -> ad.Tensor:
    return loss * 3


SPENT: dict[str, Callable[[ad.Tensor], ad.Tensor]] = {
    "scaled": scaled,
    "divided": lambda loss: loss / 4,
    "both": lambda loss: ad.stack([loss, -loss]),
    "a view": lambda loss: (loss + 1).view(1, 1),
    "a sum": lambda loss: loss + loss * 0.5,
}


@pytest.mark.parametrize("name", SPENT)
def test_what_is_made_of_a_spent_loss_is_returned(name: str) -> None:
    def make() -> Any:
        layer = nn.Linear(3, 2)
        optimizer = ad.optim.SGD(layer.parameters(), lr=0.1)

        def step(x: ad.Tensor) -> ad.Tensor:
            optimizer.zero_grad()
            loss = layer(x).square().mean()
            loss.backward()
            optimizer.step()
            return SPENT[name](loss)

        def around(call: Any, i: int) -> Any:
            y = call(ad.randn(2, 3))
            return y, tried(y), layer.weight, layer.weight.grad

        return step, around

    assert both(make).runs == 7


@pytest.mark.filterwarnings("ignore:.*stays eager")
def test_what_a_spent_loss_is_added_to_has_gradients_before_backward_raises() -> None:
    """Those of the values that there are by then."""
    seen = []
    for compiled in (False, True):
        ad.manual_seed(2)
        w, v = nn.Parameter(ad.ones(3)), nn.Parameter(ad.ones(3))

        def step(x: ad.Tensor, w: ad.Tensor = w, v: ad.Tensor = v) -> ad.Tensor:
            loss = (w * x).square().sum()
            loss.backward()
            return loss + (v * x).sum()

        call = ad.compile(step) if compiled else step
        for _ in range(6):
            w.grad = v.grad = None
            seen.append((compiled, bits([tried(call(ad.randn(3))), w.grad, v.grad])))
    assert [x for on, x in seen if on] == [x for on, x in seen if not on]


@pytest.mark.parametrize("first", [0, 1, 2])
def test_the_graph_of_an_argument_is_the_one_it_has(first: int) -> None:
    """Whatever that of the recorded call had been through."""

    def make() -> Any:
        w = nn.Parameter(ad.ones(3))

        def around(call: Any, i: int) -> Any:
            w.grad = None
            h = w.exp()
            if i % 3 == first:
                h.sum().backward()
            return [(tried(y), w.grad) for y in call(h)]

        return lambda h: (-h, h * 2, ad.stack([h, h])), around

    assert both(make, 9).runs == 8


def test_the_graph_of_what_was_there_before_is_gone_through_as_it_is() -> None:
    def make() -> Any:
        w = nn.Parameter(ad.ones(3))
        h = w.exp()

        def around(call: Any, i: int) -> Any:
            nonlocal h
            if i == 6:
                h = w.exp().sin()
            y = call(ad.randn(3))
            if i in (4, 9):  # from then on, backward raises
                y.sum().backward()
            return y, tried(y), w.grad

        return lambda x: x * h * w, around

    assert both(make, 12).runs == 10


def test_a_hook_of_what_was_there_before_is_called_once() -> None:
    def make() -> Any:
        w, seen = nn.Parameter(ad.ones(3)), []
        h = w.exp()
        h.register_hook(lambda g: seen.append(g) or g * 2)
        h.retain_grad()

        def around(call: Any, i: int) -> Any:
            return tried(call(ad.randn(3))), w.grad, h.grad, list(seen)

        return lambda x: x * h, around

    assert both(make).runs == 7


def test_the_graphs_of_several_things_from_before_add_up_in_their_order() -> None:
    def make() -> Any:
        w = nn.Parameter(ad.randn(4, 3))
        rows, turned, halves, e = w[1:3], w.t(), w.chunk(2), w.exp()

        def step(x: ad.Tensor) -> ad.Tensor:
            some = (x @ turned).sum() * e.sum() + halves[0].sum() * halves[1].mean()
            return x @ rows.t() + some

        def around(call: Any, i: int) -> Any:
            w.grad = None
            y = call(ad.randn(2, 3))
            return y, tried(y), w.grad

        return step, around

    assert both(make).runs == 7

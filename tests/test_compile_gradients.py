"""Compiled calls that add to gradients which were there before, wherever those lie by then."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from twins import bits

import autodiff as ad
from autodiff import nn


class Model:
    """A model from the same seed every time, and a call that adds to its gradients."""

    def __init__(self) -> None:
        ad.manual_seed(5)
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.LayerNorm(4))
        self.optimizer = ad.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)
        self.held: list[Any] = []

    def add(self, x: ad.Tensor) -> ad.Tensor:
        loss = self.net(x).square().mul(ad.arange(4.0)).mean()
        loss.backward()
        return loss.detach()

    def clip_and_step(self) -> ad.Tensor:
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), 0.5)
        self.optimizer.step()
        return norm

    def state(self) -> Any:
        ps = list(self.net.parameters())
        return bits([*ps, *(p.grad for p in ps)])


Between = Callable[[Model], Any]


def grads(t: Model) -> list[Any]:
    return [p.grad for p in t.net.parameters()]


def cleared(t: Model) -> None:
    t.optimizer.step()
    t.optimizer.zero_grad()


def zeroed(t: Model) -> None:
    t.optimizer.step()
    t.optimizer.zero_grad(set_to_none=False)


def cleared_but_held(t: Model) -> None:
    t.held.append(grads(t))
    cleared(t)


def replaced(t: Model) -> None:
    for p in t.net.parameters():
        p.grad = ad.full_like(p, 0.5)


def one_of_both(t: Model) -> None:
    """Two parameters of one shape whose gradient is one tensor."""
    t.net[0].bias.grad = t.net[2].bias.grad


def strided(t: Model) -> None:
    t.net[2].weight.grad = ad.ones(4, 4).t() if len(t.held) % 2 else ad.ones(4, 8)[:, ::2]
    t.held.append(0)


def in_one_buffer(t: Model) -> None:
    buffer, at = ad.zeros(100), 0
    for p in t.net.parameters():
        p.grad = buffer[at : at + p.numel()].view_as(p)
        at += p.numel()


def with_a_graph(t: Model) -> None:
    w = t.net[0].weight
    with pytest.warns(UserWarning, match="reference cycle"):
        (w.square().sum() * 0.1).backward(create_graph=True)


def a_parameter(t: Model) -> None:
    t.net[0].bias.grad = nn.Parameter(ad.ones(4), requires_grad=False)


BETWEEN = [cleared, zeroed, cleared_but_held, replaced, one_of_both, strided, in_one_buffer]
BETWEEN += [with_a_graph, a_parameter]


def run(t: Model, add: Any, between: Between, times: int = 6) -> list[Any]:
    ad.manual_seed(1)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # create_graph, and what stays eager
        for _ in range(times):
            found += [(bits(add(ad.rand(5, 3))), t.state()) for _ in range(3)]
            between(t)
            found.append(t.state())
    return found


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("between", BETWEEN)
def test_gradients_are_added_to_as_eager_adds(between: Between, check: bool) -> None:
    plain, fast = Model(), Model()
    want = run(plain, plain.add, between)
    compiled = ad.compile(fast.add, check=check)
    assert run(fast, compiled, between) == want
    assert [bits(x) for x in fast.held] == [bits(x) for x in plain.held]


@pytest.mark.parametrize("between", [cleared, zeroed, cleared_but_held, replaced])
def test_two_recordings_are_enough(between: Between) -> None:
    t = Model()
    compiled = ad.compile(t.add, fullgraph=True)
    run(t, compiled, between, 10)
    stats = compiled.stats()
    assert stats.recordings <= 2
    assert stats.runs >= 26


def test_a_step_on_gradients_from_elsewhere() -> None:
    plain, fast = Model(), Model()
    compiled = ad.compile(fast.clip_and_step, fullgraph=True)
    for i in range(8):
        x = ad.full((2, 3), i / 8)
        for t, step in ((plain, plain.clip_and_step), (fast, compiled)):
            t.optimizer.zero_grad()
            t.add(x)
            t.held.append(bits(step()))
        assert fast.state() == plain.state()
    assert fast.held == plain.held
    assert compiled.stats().recordings <= 2
    assert compiled.stats().runs >= 5


@pytest.mark.parametrize("name", ["itself", "a view", "doubled"])
def test_what_is_returned_of_a_gradient(name: str) -> None:
    """The gradient that a call returns is the one that the leaf has."""
    w = ad.ones(3, requires_grad=True)

    def add(x: ad.Tensor) -> Any:
        (w * x).sum().backward()
        return {"itself": w.grad, "a view": w.grad[1:], "doubled": w.grad * 2}[name]

    compiled = ad.compile(add)
    for i in range(12):
        if i % 4 == 3:
            w.grad = None
        before = ad.zeros(3) if w.grad is None else w.grad.clone()
        y = compiled(ad.full((3,), float(i)))
        want = before + i
        assert w.grad.tolist() == want.tolist()
        assert y.tolist() == (want * (2 if name == "doubled" else 1))[len(want) - len(y) :].tolist()
        if name != "doubled":
            y.add_(1)  # writes to the gradient
            assert w.grad[1:].tolist() == (want[1:] + 1).tolist()


def test_a_gradient_that_is_an_argument_too() -> None:
    results = []
    for wrap in (lambda f: f, ad.compile):
        w = ad.ones(3, requires_grad=True)

        def add(x: ad.Tensor, w: ad.Tensor = w) -> ad.Tensor:
            (w * x * x).sum().backward()
            return x * 2

        call = wrap(add)
        found = [call(ad.full((3,), 0.5)).tolist()]
        for i in range(8):
            x = w.grad if i % 2 else ad.full((3,), i / 8)
            found += [call(x).tolist(), w.grad.tolist()]
        results.append(found)
    assert results[0] == results[1]


def test_a_gradient_that_the_function_has_by_name() -> None:
    results = []
    for wrap in (lambda f: f, ad.compile):
        w = ad.ones(3, requires_grad=True)
        w.grad = held = ad.zeros(3)

        def add(x: ad.Tensor, w: ad.Tensor = w, held: ad.Tensor = held) -> ad.Tensor:
            (w * x).sum().backward()
            return held + 1

        call, found = wrap(add), []
        for i in range(8):
            found += [call(ad.full((3,), i / 8)).tolist(), w.grad.tolist(), held.tolist()]
            if i == 4:
                w.grad = None
        results.append(found)
    assert results[0] == results[1]


def test_a_leaf_that_is_an_argument_gathers_gradients() -> None:
    """Points at which an equation is to hold: they require gradients, and nobody clears theirs."""
    results = []
    for wrap in (lambda f: f, lambda f: ad.compile(f, fullgraph=True)):
        t = Model()

        def step(x: ad.Tensor, t: Model = t) -> ad.Tensor:
            t.optimizer.zero_grad()
            u = t.net(x).square().sum(1)
            (slope,) = ad.autograd.grad(u.sum(), x, create_graph=True)
            (slope.square().sum(1) + u).mean().backward()
            t.optimizer.step()
            return u.detach()

        call, found = wrap(step), []
        ad.manual_seed(2)
        points = [ad.rand(4, 3).requires_grad_() for _ in range(2)]
        for i in range(12):
            x = points[i % 3 == 2]
            found.append((bits(call(x)), bits(x.grad), t.state()))
            if i == 6:
                x.grad = None
        results.append(found)
    assert results[0] == results[1]
    assert call.stats().recordings == 2  # type: ignore[attr-defined]
    assert call.stats().runs >= 9  # type: ignore[attr-defined]


@pytest.mark.parametrize("kept", [False, True])
def test_loops_add_up_too(kept: bool) -> None:
    plain, fast = Model(), Model()
    data = ad.arange(36.0).view(12, 3) / 36
    if kept:
        for t in (plain, fast):
            replaced(t)
    want = [plain.add(data[i : i + 3]) for i in range(0, 12, 3)]
    compiled = ad.compile(fast.add)
    got = compiled.epoch([data], 3)
    assert got.tolist() == [y.item() for y in want]
    assert fast.state() == plain.state()
    more = compiled.repeat(5, data[:3])
    assert more.tolist() == [plain.add(data[:3]).item() for _ in range(5)]
    assert fast.state() == plain.state()


def test_a_backward_through_an_earlier_call_ends_wherever_it_is_made() -> None:
    w = ad.ones(3, requires_grad=True)
    call = ad.compile(lambda x: (x * w).tanh())
    for _ in range(3):
        (want,) = ad.autograd.grad(call(ad.ones(3)).sum(), w)
    made = [call(ad.ones(3)) for _ in range(3)]
    with ad.detect_nonfinite():
        assert bits(ad.autograd.grad(made[0].sum(), w)) == bits((want,))
    back = ad.compile(lambda: ad.autograd.grad(made.pop().sum(), w))
    with pytest.warns(UserWarning, match="its backward goes beyond what it makes"):
        assert bits(back()) == bits((want,))
    assert bits(back()) == bits((want,))


def test_a_step_may_detach_what_the_last_one_returned_with_its_graph() -> None:
    """Truncated backpropagation: the graphs of both end at the same parameters."""

    def losses(wrap: Any) -> Any:
        ad.manual_seed(0)
        cell, found = nn.GRUCell(2, 3), []

        def step(x: ad.Tensor, h: ad.Tensor) -> tuple[ad.Tensor, ad.Tensor]:
            cell.zero_grad()
            h = cell(x, h.detach())
            loss = h.square().sum()
            loss.backward()
            for p in cell.parameters():
                p.data.add_(p.grad, alpha=-0.1)
            return loss, h

        call, h = wrap(step), ad.zeros(4, 3)
        for _ in range(6):
            loss, h = call(ad.randn(4, 2), h)
            found.append(loss.item())
        return found, call

    want, _ = losses(lambda step: step)
    got, call = losses(ad.compile)
    assert got == want
    assert (call.stats().recordings, call.stats().eager) == (2, ())


def left_by(text: str, after: str) -> tuple[bool, int]:
    """Whether gradients that calls leave have the graphs that eager ones leave; how many ran."""
    found: list[Any] = []
    for compiled in (False, True):
        w = ad.ones(3, requires_grad=True)

        def step(x: ad.Tensor, w: ad.Tensor = w) -> None:
            w.grad = None
            exec(text, {"w": w, "x": x})
            if after:
                exec(after, {"w": w})

        call = ad.compile(step) if compiled else step
        found.append([])
        for _ in range(4):
            call(ad.ones(3, requires_grad=True))
            if (g := w.grad) is not None:
                back = ad.autograd.grad(g.sum(), w)[0] if g.requires_grad else None
                found[-1].append((bits(g), g.requires_grad, back is not None and bits(back)))
    return found[0] == found[1], call.stats().runs  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:.*create_graph", "ignore:.*stays eager")
@pytest.mark.parametrize("after", ["", "w.grad = w.grad.detach()", "w.grad = None"])
@pytest.mark.parametrize(
    "text",
    [
        "(w**3).sum().backward(create_graph=True)",
        "(w**3).sum().backward(); w.grad[0] = (x[0] * w).sum()",
        "(w**3).sum().backward(); w.grad.mul_(w)",
    ],
)
def test_a_gradient_that_is_left_has_its_graph(text: str, after: str) -> None:
    assert left_by(text, after) == (True, 0 if not after else 3)


@pytest.mark.parametrize("clears", [True, False])
def test_an_update_apart_takes_the_gradients_of_now(clears: bool) -> None:
    """Though it clears them, and each call finds others."""

    def trained(compiled: bool) -> tuple[Any, Any]:
        t = Model()

        def update() -> ad.Tensor:
            norm = t.clip_and_step()
            t.optimizer.zero_grad(set_to_none=clears)
            return norm

        call = ad.compile(update, fullgraph=True) if compiled else update
        found = []
        for i in range(12):
            for _ in range(1 + i % 3):
                t.add(ad.randn(2, 3))
            t.held.append(grads(t))
            found.append([bits(call()), t.state(), bits(t.held)])
            if i == 8:
                t.net[0].weight.requires_grad_(False)
        return found, call

    found, update = trained(True)
    assert found == trained(False)[0]
    assert update.stats().runs >= 6


Put = Callable[[nn.Parameter, nn.Parameter], Any]


def given_to_another(a: nn.Parameter, b: nn.Parameter) -> None:
    b.grad = a.grad


def moved(a: nn.Parameter, b: nn.Parameter) -> None:
    g, a.grad = a.grad, None
    b.grad = g


def a_view_of_itself(a: nn.Parameter, b: nn.Parameter) -> None:
    assert a.grad is not None
    a.grad = a.grad.detach()[:].view(3)


def another(a: nn.Parameter, b: nn.Parameter) -> None:
    assert a.grad is not None
    a.grad = a.grad * 2
    a.grad.add_(1)


@pytest.mark.filterwarnings("ignore:.*stays eager")
@pytest.mark.parametrize("put", [given_to_another, moved, a_view_of_itself, another])
def test_gradients_that_are_put_elsewhere(put: Put) -> None:
    def found(compiled: bool) -> list[Any]:
        a, b = nn.Parameter(ad.ones(3)), nn.Parameter(ad.ones(3))

        def step(x: ad.Tensor) -> ad.Tensor:
            assert a.grad is not None
            y = x + a.grad.sum()
            put(a, b)
            return y

        call = ad.compile(step) if compiled else step
        shown = []
        for i in range(12):
            given = a.grad = ad.full((3,), float(i))
            shown.append(bits([call(ad.ones(2)), a.grad, b.grad, given]))
        return shown

    assert found(True) == found(False)

"""Flags that a compiled step sets to what they were change nothing that it relies on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import autodiff as ad
from autodiff import nn


class Pair:
    """A generator and a critic, each with an optimizer, from the same seed every time."""

    def __init__(self) -> None:
        ad.manual_seed(3)
        self.maker = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        self.judge = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, 1))
        self.optimizer = ad.optim.Adam(self.maker.parameters(), lr=1e-2)

    def learn(self, x: ad.Tensor) -> ad.Tensor:
        self.optimizer.zero_grad()
        loss = self.judge(self.maker(x)).square().mean()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def state(self) -> list[list[float]]:
        tensors = [*self.maker.state_dict().values(), *self.judge.parameters()]
        grads = [p.grad for p in self.judge.parameters() if p.grad is not None]
        return [t.flatten().tolist() for t in [*tensors, *grads]]


def froze(t: Pair, x: ad.Tensor) -> ad.Tensor:
    t.judge.requires_grad_(False)
    loss = t.learn(x)
    t.judge.requires_grad_(True)
    return loss


def froze_twice(t: Pair, x: ad.Tensor) -> ad.Tensor:
    for p in t.judge.parameters():
        p.requires_grad = False
    first = t.learn(x)
    t.judge.requires_grad_()
    return first + froze(t, x)


def trained(t: Pair, x: ad.Tensor) -> ad.Tensor:
    t.maker.train()
    t.judge.train()
    return t.learn(x)


def judged(t: Pair, x: ad.Tensor) -> ad.Tensor:
    t.judge.eval()
    loss = t.learn(x)
    t.judge.train()
    return loss


@pytest.mark.parametrize("step", [froze, froze_twice, trained, judged])
def test_flags_set_back_leave_a_step_recorded(step: Callable[[Pair, ad.Tensor], ad.Tensor]) -> None:
    plain, fast = Pair(), Pair()
    compiled = ad.compile(lambda x: step(fast, x), fullgraph=True)
    ad.manual_seed(1)
    want = [(step(plain, ad.rand(4, 2)).item(), plain.state()) for _ in range(8)]
    ad.manual_seed(1)
    for loss, state in want:
        assert (compiled(ad.rand(4, 2)).item(), fast.state()) == (loss, state)
    assert compiled.stats().runs >= 6
    assert all(p.requires_grad for p in fast.judge.parameters())


def test_a_flag_that_a_step_sets_for_good_is_set_by_each_run() -> None:
    """The first call after eval() finds another flag than it leaves."""
    t = Pair()
    compiled = ad.compile(lambda x: trained(t, x))
    for _ in range(6):
        for _ in range(5):
            compiled(ad.rand(4, 2))
            assert t.maker.training
            assert t.judge[1].training
        t.maker.eval()
        t.judge.eval()
    stats = compiled.stats()
    assert (stats.recordings, stats.eager) == (2, ())
    assert stats.runs >= 6 * 5 - 3


def test_training_and_evaluation_that_set_their_flags_take_turns() -> None:
    plain, fast = Pair(), Pair()

    def evaluate(t: Pair, x: ad.Tensor) -> ad.Tensor:
        t.maker.eval()
        with ad.no_grad():
            return t.maker(x).sum()

    steps = [ad.compile(lambda x, f=f: f(fast, x), fullgraph=True) for f in (trained, evaluate)]
    for i in range(8):
        x = ad.rand(4, 2)
        want = []
        for step in (trained, evaluate) if i else (evaluate,):
            ad.manual_seed(i)
            want.append((step(plain, x).item(), plain.state(), plain.maker.training))
        got = []
        for step in steps if i else steps[1:]:
            ad.manual_seed(i)
            got.append((step(x).item(), fast.state(), fast.maker.training))
        assert got == want
    assert all(step.stats().runs >= 5 for step in steps)


def test_a_run_that_fails_leaves_the_flags_that_were_set_by_then() -> None:
    t = Pair()
    table = nn.Embedding(3, 2)

    def found(i: ad.Tensor) -> ad.Tensor:
        t.maker.eval()
        x = table(i)
        t.judge.eval()
        return t.judge(t.maker(x)).sum()

    compiled = ad.compile(found, fullgraph=True)
    for i in ([0, 1], [1, 2], [2, 5]):
        t.maker.train()
        t.judge.train()
        if 5 in i:
            with pytest.raises(IndexError):
                compiled(ad.tensor(i))
        else:
            compiled(ad.tensor(i))
            assert not t.judge.training
    assert (t.maker.training, t.judge.training) == (False, True)


def test_flags_that_stay_changed_are_noticed() -> None:
    """A step that leaves another flag than it found stays eager, and does what it says."""
    t = Pair()
    flags = []

    def toggle(x: ad.Tensor) -> ad.Tensor:
        last = t.judge[3].weight
        last.requires_grad_(not last.requires_grad)
        t.judge.train(not t.judge.training)
        return t.judge(x).sum()

    compiled = ad.compile(toggle)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(12):
            compiled(ad.rand(4, 3))
            flags.append((t.judge[3].weight.requires_grad, t.judge.training))
    assert flags == [(False, False), (True, True)] * 6
    assert any("stays eager" in str(w.message) for w in seen)


def test_a_list_grown_in_place_is_a_change() -> None:
    """`self.seen += [...]` assigns the same list: what the next call finds in it differs."""

    class Grows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen = [1.0]

        def forward(self, x: ad.Tensor) -> ad.Tensor:
            self.seen += [1.0]
            return x * len(self.seen)

    module = Grows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = ad.compile(module)
        found = [compiled(ad.ones(())).item() for _ in range(10)]
    assert found == [float(n) for n in range(2, 12)]


class Kept:
    """What a step carries on."""

    h = ad.zeros(())


def test_a_flag_that_is_set_goes_apart_from_what_is_carried_on() -> None:
    def found(compiled: bool) -> list[Any]:
        model, kept, shown = nn.Dropout(0.5), Kept(), []

        def step(x: ad.Tensor) -> ad.Tensor:
            model.eval()
            kept.h = kept.h * 0.5 + x.sum()
            return model(x)

        call = ad.compile(step) if compiled else step
        for i in range(6):
            model.train()
            y = call(ad.ones(2) * i)
            shown.append([y.tolist(), kept.h.tolist(), model.training])
        if compiled:
            assert call.stats().runs >= 2
        return shown

    assert found(True) == found(False)

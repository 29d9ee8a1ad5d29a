"""Each allocation of a compiled call fails in turn: MemoryError, and all is as eager leaves it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from native_tensors import fails, in_use, no_collector
from test_robustness_interrupts import Training, nothing_is_under_way

import autodiff as ad
from autodiff import nn

MOST = 400  # allocations of a call


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    with no_collector():
        yield


CALM = 24
STEPS: dict[str, tuple[int, Callable[[Training], Any]]] = {
    "recorded": (1, lambda t: t.step(*t.data)),
    "run": (3, lambda t: t.step(*t.data)),
    "repeated": (3, lambda t: t.step.repeat(5, *t.data)),
    "an epoch": (1, lambda t: t.step.epoch(t.data, 2)),
}


@pytest.mark.parametrize("kind", STEPS)
def test_each_allocation_of_a_compiled_step_may_fail(kind: str) -> None:
    warm, call = STEPS[kind]

    def point(at: int) -> bool:
        training = Training()
        for _ in range(warm):
            training.step(*training.data)
        before = [p.tolist() for p in training.net.parameters()]
        failed = fails(lambda: call(training), at)
        assert nothing_is_under_way(), at
        if failed and kind == "run":
            assert [p.tolist() for p in training.net.parameters()] == before
        twin = training.twin()
        for _ in range(3):
            expected = twin.plain(*twin.data).item()
            assert training.step(*training.data).item() == expected, at
        return failed

    assert not point(MOST)
    gc.collect()
    kept = in_use()[1]
    calm = at = 0
    while calm < CALM and at < MOST:  # a native call that fails is made again by Python's steps
        at += 1
        calm = 0 if point(at) else calm + 1
    assert at > CALM
    gc.collect()
    assert in_use()[1] <= kept + 4  # numbers that are kept


def test_each_allocation_of_a_compiled_backward_may_fail() -> None:
    def point(at: int) -> bool:
        net = nn.Linear(3, 1)
        x = ad.ones(2, 3)
        step = ad.compile(lambda x: net(x).tanh().sum())
        step(x), step(x)
        loss = step(x)
        failed = fails(loss.backward, at)
        for _ in range(3):
            net.zero_grad()
            step(x).backward()
            found = net.weight.grad
            net.zero_grad()
            net(x).tanh().sum().backward()
            assert net.weight.grad is not None
            assert found is not None
            assert ad.equal(found, net.weight.grad)
        return failed

    assert not point(MOST)
    calm = at = 0
    while calm < 3 and at < MOST:
        at += 1
        calm = 0 if point(at) else calm + 1
    assert at > 3


F = nn.functional
DRAWN = ad.Generator().manual_seed(3)


def gradients(f: Callable[..., ad.Tensor], *sizes: tuple[int, ...]) -> Callable[[], Any]:
    """A call of f on tensors of these sizes: its result and its gradients."""
    xs = [ad.randn(size, generator=DRAWN, requires_grad=True) for size in sizes]

    def call() -> Any:
        y = f(*xs)
        return [y, *ad.autograd.grad(y.square().sum(), xs)]

    return call


LABELS = ad.randint(1, 7, (2, 4), generator=DRAWN)
PROJECTED = nn.LSTM(3, 4, proj_size=2)
CALLS: dict[str, Callable[[], Any]] = {
    "ctc_loss": gradients(
        lambda x: F.ctc_loss(x, LABELS, (9, 8), (4, 3), reduction="none"), (9, 2, 7)
    ),
    "steps": gradients(lambda x: PROJECTED(x)[0], (5, 2, 3)),
    "products": gradients(ad.matmul, (270, 40), (40, 300)),
    "distances": gradients(lambda x, y: ad.cdist(x.mT, y.mT), (2, 5, 9), (2, 5, 7)),
    "pairs": gradients(lambda x: ad.pdist(x.t(), 1), (5, 70)),
    "loss": gradients(F.mse_loss, (30, 7), (30, 7)),
    "few positions": gradients(
        lambda x, w: F.conv2d(x, w, padding=1), (1, 256, 4, 4), (300, 256, 3, 3)
    ),
    "strided": gradients(
        lambda x, w: F.conv2d(x, w, stride=2, padding=1), (2, 33, 4, 4), (40, 33, 3, 3)
    ),
    "patches": gradients(lambda x, w: F.conv2d(x.mT, w.mT, stride=4), (2, 3, 8, 12), (33, 3, 4, 4)),
    "one position": gradients(F.conv_transpose2d, (4, 32, 1, 1), (32, 16, 4, 4)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_fails_or_is_right(name: str) -> None:
    """Where a short way fails, the general one is tried; nothing else goes on without memory."""
    call = CALLS[name]
    call()  # programs are compiled and numbers kept
    expected, kept = call(), in_use()
    found: list[ad.Tensor] = []
    calm = at = 0
    while calm < 3 and at < MOST:
        at += 1
        failed = fails(lambda: found.extend(call()), at)
        assert failed or all(map(ad.equal, found, expected)), at
        calm = 0 if failed else calm + 1
        found.clear()
        assert in_use() == kept, at
    assert calm == 3

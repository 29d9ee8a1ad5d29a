"""Each allocation of a compiled call fails in turn: MemoryError, and all is as eager leaves it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from test_robustness import in_use
from test_robustness_interrupts import Training, nothing_is_under_way

import autodiff as ad
from autodiff import nn
from autodiff.native import lib

MOST = 400  # allocations of a call


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    lib.ad_memory_fail(0)
    gc.enable()


def fails(call: Callable[[], Any], at: int) -> bool:
    """Whether a call in which the allocation of this number fails raises MemoryError."""
    said = ""
    lib.ad_memory_fail(at)
    try:
        call()
    except MemoryError as failure:
        said = str(failure)
    finally:
        lib.ad_memory_fail(0)
    assert " 0 bytes" not in said
    return bool(said)


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
    while calm < 3 and at < MOST:
        at += 1
        calm = 0 if point(at) else calm + 1
    assert at > 3
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

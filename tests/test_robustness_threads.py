"""Threads of a process that serve and train with shared modules, leaves, compiled functions."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from threaded import side_by_side
from training import regression

import autodiff as ad
from autodiff import nn, optim
from autodiff.changes import changes
from autodiff.native import lib, sanitized
from autodiff.nn._hooks import Hooked
from autodiff.node import AccumulateGrad


@pytest.fixture(autouse=True)
def _quick_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


class Training:
    """A model of its own, and a step."""

    def __init__(self, seed: int) -> None:
        rng = ad.Generator().manual_seed(seed)
        self.net = net = nn.Linear(4, 1)
        for p in net.parameters():
            p.requires_grad_(False).copy_(ad.randn(p.shape, generator=rng)).requires_grad_()
        self.optimizer = optimizer = optim.Adam(net.parameters(), lr=0.01)
        self.data = ad.randn(8, 4, generator=rng), ad.randn(8, 1, generator=rng)

        self.step = regression(net, optimizer)

    def losses(self, step: Callable[..., ad.Tensor], n: int) -> list[float]:
        return [step(*self.data).item() for _ in range(n)]


@pytest.mark.parametrize("size", [16, 200_000])
def test_gradients_of_one_leaf_from_threads_all_count(size: int) -> None:
    """Backward of several threads adds to a leaf they share as PyTorch's does: one at a time."""
    x = ad.ones(size, requires_grad=True)
    rounds = 100 if size < 100 else 25

    def work() -> None:
        for _ in range(rounds):
            (x * 1.0).sum().backward()

    side_by_side(*[work] * 8)
    assert x.grad is not None
    assert x.grad.amin().item() == x.grad.amax().item() == 8 * rounds


def test_threads_that_make_one_tensor_a_leaf_add_to_one_gradient() -> None:
    x = ad.ones(2)

    def other() -> None:
        x.requires_grad_()
        (x * 3).sum().backward()

    def change_places(frame: Any, event: str, arg: Any) -> None:
        if event == "return" and frame.f_code is AccumulateGrad.__init__.__code__:
            sys.setprofile(None)
            side_by_side(other)

    sys.setprofile(change_places)
    x.requires_grad_()
    sys.setprofile(None)
    (x * 2).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [5.0, 5.0]


def test_a_step_is_recorded_though_other_threads_train() -> None:
    """What they do to other modules is no change of what the step relies on."""
    n = 400  # one records at a time: more calls than one makes meanwhile
    trainings = [Training(seed) for seed in range(4)]
    compiled = [ad.compile(t.step, fullgraph=True) for t in trainings[:2]]
    steps: list[Callable[..., ad.Tensor]] = [*compiled, *(t.step for t in trainings[2:])]
    found = side_by_side(
        *(
            lambda t=t, step=step: t.losses(step, n)
            for t, step in zip(trainings, steps, strict=True)
        )
    )
    assert [step.stats().recordings for step in compiled] == [1, 1]
    for seed, losses in enumerate(found):
        alone = Training(seed)
        assert losses == alone.losses(alone.step, n)


def test_a_step_is_recorded_though_another_thread_trains_in_each_call() -> None:
    mine, other = Training(1), Training(2)
    my_step, train_other = mine.step, functools.partial(other.losses, other.step, 1)

    def step(*data: ad.Tensor) -> ad.Tensor:
        loss = my_step(*data)
        side_by_side(train_other)
        return loss

    compiled = ad.compile(step, fullgraph=True)
    mine.losses(compiled, 12)
    assert compiled.stats().recordings == 1


def test_a_step_is_recorded_though_another_thread_draws_in_a_call() -> None:
    """From Python's generator, which a recorded step may not draw from itself."""
    training, calls = Training(1), [side_by_side, lambda _: None]

    def step(*data: ad.Tensor) -> ad.Tensor:
        loss = training.step(*data)
        calls.pop(0)(random.random) if calls else None
        return loss

    started, done = threading.Event(), threading.Event()
    waiting = threading.Thread(target=lambda: (started.set(), done.wait(30)))
    waiting.start()
    started.wait(30)
    try:
        compiled = ad.compile(step, fullgraph=True)
        training.losses(compiled, 12)
        assert compiled.stats().recordings == 1
    finally:
        done.set()
        waiting.join()


def test_a_recording_that_another_thread_disturbs_is_not_kept() -> None:
    """Half of the call saw the module as it was, half as it is; the next call is recorded."""
    net = nn.Linear(1, 1)
    old, new = nn.Parameter(ad.ones(1, 1)), nn.Parameter(ad.full((1, 1), 3.0))
    net.weight = old

    def change() -> None:
        net.weight = new

    def call(x: ad.Tensor) -> ad.Tensor:
        y = net(x)
        if changing:
            changing.pop()
            other = threading.Thread(target=change)
            other.start()
            other.join()
        return y

    changing: list[int] = []
    step = ad.compile(call)
    x = ad.ones(1, 1)
    with ad.no_grad():
        net.bias.zero_()
        changing.append(1)
        assert step(x).item() == 1.0
        assert step.stats().recordings == 0
        assert not step.stats().eager
        assert [step(x).item() for _ in range(3)] == [3.0] * 3
        assert step.stats().recordings == 1


def test_a_change_counts_once_it_is_made() -> None:
    """A call in the middle of a change does not take what comes after for known."""

    def run(compiled: bool) -> list[float]:
        training = Training(3)
        step = ad.compile(training.step) if compiled else training.step

        def options() -> Iterator[tuple[str, float]]:
            yield "eps", 1e-8
            step(*training.data)
            yield "weight_decay", 0.5

        training.losses(step, 3)
        training.optimizer.param_groups[0].update(options())
        return training.losses(step, 3)

    assert run(True) == run(False)


def test_modules_change_while_a_compiled_function_is_called() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)).eval()
    step = ad.compile(lambda x: net(x))
    x = ad.ones(3, 4)
    states = [{n: ad.randn(p.shape) for n, p in net.state_dict().items()} for _ in range(2)]
    end = time.monotonic() + 0.4

    def until_end(work: Callable[[int], Any]) -> Callable[[], None]:
        def run() -> None:
            i = 0
            while time.monotonic() < end:
                work(i)
                i += 1

        return run

    def replace(i: int) -> None:
        net[0].weight = nn.Parameter(states[i % 2]["0.weight"].clone())
        setattr(net[2], f"extra{i % 3}", i)
        if i % 3 == 2:
            for k in range(3):
                delattr(net[2], f"extra{k}")

    def call(i: int) -> None:
        with ad.no_grad():
            step(x)

    side_by_side(
        until_end(call),
        until_end(call),
        until_end(lambda i: net.load_state_dict(states[i % 2])),
        until_end(replace),
        until_end(lambda i: (time.sleep(0.001), step.reset())),
        until_end(lambda i: net[0].register_forward_hook(lambda *given: None).remove()),
    )
    net.load_state_dict(states[0])
    with ad.no_grad():
        for _ in range(4):
            assert ad.equal(step(x), net(x))


def test_gradients_are_looked_at_while_a_step_runs() -> None:
    """A gradient in the tape's memory is taken between runs, as the run it is of left it."""
    training = Training(5)
    big = ad.ones(200_000, requires_grad=True)

    def add(i: ad.Tensor) -> ad.Tensor:
        big.grad = None
        loss = (big * i).sum()
        loss.backward()
        return loss

    step = ad.compile(add)
    for _ in range(3):
        step(ad.ones(()))
    done = threading.Event()

    def run() -> None:
        try:
            for i in range(10):
                step(ad.full((), float(i)))
        finally:
            done.set()

    def look() -> None:
        while not done.is_set():
            if (g := big.grad) is not None:
                assert g.shape == (200_000,)
                assert training.data[0].shape == (8, 4)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        for _ in range(100):  # a look at the run before the last may end after the last
            done.clear()
            side_by_side(run, look, look)
            assert big.grad is not None
            assert big.grad.amin().item() == big.grad.amax().item() == 9.0
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.skipif("address" in sanitized(), reason="AddressSanitizer may hang in the child")
def test_a_child_forked_beside_a_recording_records() -> None:
    """What other threads were at in the parent is nobody's in the child."""
    inside, leave = threading.Event(), threading.Event()

    def slow(x: ad.Tensor) -> ad.Tensor:
        y = x + 1
        inside.set()
        assert leave.wait(60)
        return y * 2

    recording = threading.Thread(target=ad.compile(slow), args=(ad.ones(2),))
    plain_call = Hooked.__call__
    recording.start()
    assert inside.wait(60)
    child = os.fork()
    if child == 0:
        training = Training(1)
        step = ad.compile(training.step)
        training.losses(step, 3)
        well = changes.recorder is None and Hooked.__call__ is plain_call
        os._exit(0 if well and step.stats().recordings == 1 else 1)
    leave.set()
    recording.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.skipif("address" in sanitized(), reason="AddressSanitizer may hang in the child")
def test_a_child_forked_beside_a_run_runs_that_tape() -> None:
    step = ad.compile(lambda x: (x @ x).sum())
    x = ad.ones(700, 700)
    expected = step(x).item()
    step(x)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            step(x)

    running = threading.Thread(target=run)
    running.start()
    exits = []
    for _ in range(6):
        time.sleep(0.003)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if step(x).item() == expected else 1)
        exits.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    running.join()
    assert exits == [0] * 6


def test_a_failed_run_tells_of_itself() -> None:
    """Where it failed is not taken from what another thread runs meanwhile."""
    step = ad.compile(lambda x, i: (x * 2).cumsum(0)[i].exp())
    x = ad.ones(20)
    good, bad = ad.zeros(4, dtype=ad.int64), ad.full((4,), 99)
    for _ in range(3):
        step(x, good)

    def fails() -> None:
        for _ in range(150):
            with pytest.raises(IndexError, match="99 is out of bounds"):
                step(x, bad)

    def works() -> None:
        for _ in range(150):
            step(x, good)

    side_by_side(fails, fails, works, works)
    assert lib.ad_tape_position() >= -1


def test_parametrized_tensors_are_kept_for_the_thread_that_asked() -> None:
    layer, inside, looked = nn.Linear(2, 2), threading.Event(), threading.Event()
    nn.utils.parametrizations.weight_norm(layer)

    def keeps() -> bool:
        with nn.utils.parametrize.cached():
            weight = layer.weight
            inside.set()
            return looked.wait(60) and layer.weight is weight

    def does_not() -> bool:
        assert inside.wait(60)
        try:
            return layer.weight is not layer.weight
        finally:
            looked.set()

    assert side_by_side(keeps, does_not) == [True, True]


N = 20_000


def in_range(places: ad.Tensor, size: int = N) -> None:
    assert 0 <= places.min() <= places.max() < size


SPOILED: dict[str, Callable[[ad.Tensor, ad.Tensor], Any]] = {
    "multi_margin_loss": lambda at, _: nn.functional.multi_margin_loss(ad.ones(N, 4), at),
    "nll_loss": lambda at, _: nn.functional.nll_loss(ad.ones(N, 4), at),
    "cross_entropy": lambda at, _: nn.functional.cross_entropy(
        ad.ones(N, 4, requires_grad=True), at
    ).backward(),
    "ctc_loss": lambda at, _: nn.functional.ctc_loss(
        ad.zeros(2, N, 2), ad.zeros(0, dtype=ad.int64), ad.ones(N, dtype=ad.int64), at
    ),
    "embedding_bag": lambda at, _: nn.functional.embedding_bag(
        at, ad.ones(9, 8), ad.arange(0, N, 10), mode="sum"
    ),
    "embedding": lambda at, _: nn.functional.embedding(at, ad.ones(9, 8)),
    "index": lambda at, _: ad.ones(9)[at],
    "gather": lambda at, _: ad.ones(9).gather(0, at),
    "scatter_add": lambda at, _: ad.ones(9).scatter_add(0, at, ad.ones(N)),
    "bincount": lambda at, _: ad.bincount(at, minlength=9),
    "bincount of many": lambda at, _: ad.bincount(at, minlength=N // 2),
    "repeat_interleave": lambda at, _: ad.ones(N).repeat_interleave(at),
    "nonzero": lambda _, x: x.view(ad.bool).nonzero(),
    "poisson": lambda _, x: ad.poisson(x),
    "sort": lambda _, x: x.sort(),
    "max": lambda _, x: in_range(x.max(0).indices),
    "argmin of rows": lambda _, x: [in_range(x.view(-1, 100).argmin(1), 100) for _ in range(200)],
    "multinomial": lambda _, x: ad.multinomial(x, 9),
}


@pytest.mark.skipif("thread" in sanitized(), reason="the races are the test's own")
@pytest.mark.parametrize("name", SPOILED)
def test_what_another_thread_writes_meanwhile_is_refused_or_used_as_it_was_checked(
    name: str,
) -> None:
    """Native code that looks twice at an element must do with whatever it finds: no memory but the
    tensors' is touched, and the call ends."""
    at, x = ad.zeros(N, dtype=ad.int64), ad.zeros(N)
    ended = threading.Event()

    def spoil() -> None:  # memset runs without Python's lock, beside calls that keep it
        while not ended.is_set():
            for byte in (1, 0xFF, 0):
                ctypes.memset(at.data_ptr(), byte, N * 8)
                ctypes.memset(x.data_ptr(), byte, N * 4)

    def call() -> None:
        try:
            for _ in range(60):
                with contextlib.suppress(RuntimeError, IndexError, MemoryError):
                    SPOILED[name](at, x)
        finally:
            ended.set()

    side_by_side(spoil, call)

"""Many steps of a compiled function, its backward from outside, threads, forks and memory."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from functools import partial
from typing import Any

import pytest
from native_tensors import in_use
from threaded import side_by_side
from twins import BATCH, SIZE, Trainer, adam, bits, sgd

import autodiff as ad
from autodiff import data, nn


def plain(step: Any) -> Any:
    return step


@pytest.mark.parametrize("optimizer", [sgd, adam])
def test_repeat_is_a_loop(optimizer: Any) -> None:
    x, y = ad.randn(BATCH, SIZE), ad.randn(BATCH, 2)
    eager, compiled = Trainer(optimizer, plain), Trainer(optimizer)
    for n in (1, 30):
        ad.manual_seed(2)
        want = ad.stack([eager.step(x, y).detach() for _ in range(n)])
        ad.manual_seed(2)
        assert bits(compiled.step.repeat(n, x, y)) == bits(want)
        assert eager.state() == compiled.state()
    with pytest.raises(ValueError, match="must be positive"):
        compiled.step.repeat(0, x, y)


def test_repeat_of_results_with_a_graph_and_of_arguments_that_share_memory_or_not() -> None:
    w, x, y = nn.Parameter(ad.tensor([2.0, 3.0])), ad.ones(2), ad.ones(2)

    @ad.compile
    def step(x: ad.Tensor, y: ad.Tensor) -> Any:
        return (w * x).sum(), (w * y).tanh(), x.view(2, 1)

    for args in ((x, y), (x, x), (x, y)):
        want, got = [step(*args) for _ in range(5)], step.repeat(5, *args)
        for column, all_of_it in zip(zip(*want, strict=True), got, strict=True):
            assert bits(all_of_it) == bits(ad.stack(column).detach())
    assert step.stats().runs > 10


def test_repeat_takes_turns_with_other_threads() -> None:
    x = ad.zeros(2000)
    step = ad.compile(lambda x: x.add_(1).sum().tanh())
    others = [threading.Thread(target=lambda: [step(x) for _ in range(300)]) for _ in range(2)]
    step(x), step(x)
    for other in others:
        other.start()
    step.repeat(3000, x)
    for other in others:
        other.join()
    assert step.stats().runs > 3000


@pytest.mark.parametrize("shuffle", [False, True, "order"])
@pytest.mark.parametrize("drop_last", [False, True])
def test_epoch_is_a_loop(shuffle: Any, drop_last: bool) -> None:
    rows, size = 31, 4
    x, y = ad.randn(rows, SIZE), ad.randn(rows, 2)
    eager, compiled = Trainer(sgd, plain), Trainer(sgd)
    for seed in range(2):
        generator = ad.Generator().manual_seed(seed)
        ad.manual_seed(seed)
        order = ad.randperm(rows, generator=ad.Generator().manual_seed(seed + 5))
        given = order if shuffle == "order" else shuffle
        ad.manual_seed(seed)
        if shuffle != "order":
            ad.empty((), dtype=ad.int64).random_(generator=generator)
            order = ad.randperm(rows, generator=generator) if shuffle else ad.arange(rows)
        losses = []
        for rows_of in order.split(size):
            if len(rows_of) == size or not drop_last:
                losses.append(eager.step(x[rows_of], y[rows_of]).detach())
        ad.manual_seed(seed)
        generator.manual_seed(seed)
        got = compiled.step.epoch([x, y], size, given, drop_last, generator)
        assert bits(got) == bits(ad.stack(losses))
        assert eager.state() == compiled.state()


@pytest.mark.parametrize(("rows", "drop_last"), [(12, False), (14, False), (14, True)])
def test_epochs_draw_as_a_loader(rows: int, drop_last: bool) -> None:
    x = ad.randn(rows, 3)
    ours, theirs = ad.Generator().manual_seed(3), ad.Generator().manual_seed(3)
    step = ad.compile(lambda x: x.sum(0) + ad.rand(3, generator=ours))
    loader = data.DataLoader(
        data.TensorDataset(x), 4, shuffle=True, drop_last=drop_last, generator=theirs
    )
    for _ in range(3):
        loop = [batch.sum(0) + ad.rand(3, generator=theirs) for (batch,) in loader]
        assert bits(step.epoch([x], 4, True, drop_last, ours)) == bits(ad.stack(loop))
    assert bits(ours.get_state()) == bits(theirs.get_state())


def test_an_interrupt_ends_repeat() -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    run = ad.compile(lambda x: x.exp().sum())
    x = ad.randn(1000)
    run.repeat(10, x)
    before = signal.signal(signal.SIGALRM, interrupt)
    start = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            run.repeat(10_000_000, x)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.process_time() - start < 1  # a tenth, and all of them take ten times as long
    assert bits(run(x)) == bits(run.fn(x))


def backward_twice(model: Any, run: Any, x: ad.Tensor, z: ad.Tensor) -> Any:
    model.zero_grad()
    a, b = run(x), run(z)  # both forwards, then the backward of each
    (b * b).sum().backward()
    a.exp().sum().backward(retain_graph=True)
    a.sum().backward()
    return bits([a, b, *[p.grad for p in model.parameters()], x.grad])


def test_backward_through_a_compiled_module() -> None:
    model = nn.Sequential(nn.Linear(SIZE, SIZE), nn.Tanh(), nn.Linear(SIZE, 2))
    run = ad.compile(model)
    for _ in range(4):
        values = ad.randn(BATCH, SIZE)
        z = ad.randn(BATCH, SIZE)
        want = backward_twice(model, model, values.clone().requires_grad_(), z)
        assert backward_twice(model, run, values.clone().requires_grad_(), z) == want
    y = run(z).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    y = run(z.clone().requires_grad_()).sum()
    model[2].weight.detach().mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    with (
        pytest.warns(UserWarning, match="reference cycle"),
        pytest.raises(RuntimeError, match="create_graph"),
    ):
        run(z).sum().backward(create_graph=True)


INSIDE: list[Any] = [
    lambda w, a, b: (a * b).sum() + (w * a).sum(),
    lambda w, a, b: a * b * b,
    lambda w, a, b: (a * w, (b * w).tanh()),
    lambda w, a, b: (a, a * b),
]
OUTSIDE: list[Any] = [
    lambda w: (w, w),
    lambda w: (w * 2, w),
    lambda w: (w * 2, ad.ones(2)),
    lambda w: (h := w * 2, h),
    lambda w: (h := w * 2, h * 3),
    lambda w: (h := w * 2, w * h),
    lambda w: (h := w * 2, h[:]),
]


@pytest.mark.parametrize("inside", INSIDE)
def test_gradients_where_arguments_and_names_lead_to_one_leaf(inside: Any) -> None:
    w = nn.Parameter(ad.tensor([2.0, 3.0]))

    def fn(a: ad.Tensor, b: ad.Tensor) -> Any:
        return inside(w, a, b)

    def gradient(fn: Any, outside: Any) -> ad.Tensor:
        ys = fn(*outside(w * 1))
        total = sum((y * y).sum() for y in (ys if isinstance(ys, tuple) else (ys,)))
        return ad.autograd.grad(total, w)[0]

    compiled = ad.compile(fn)
    for outside in [*OUTSIDE, *OUTSIDE, *reversed(OUTSIDE)]:
        assert ad.allclose(gradient(compiled, outside), gradient(fn, outside))
    assert compiled.stats().runs >= len(OUTSIDE)


def test_hooks_of_parameters_of_a_compiled_module() -> None:
    model = nn.Linear(SIZE, 2)
    run, x = ad.compile(model), ad.randn(BATCH, SIZE)
    model.weight.register_hook(lambda g: g * 0.5)
    for _ in range(3):
        found = []
        for call in (model, run):
            model.zero_grad()
            call(x).exp().sum().backward()
            found.append(bits(model.weight.grad))
        assert found[0] == found[1]


def test_threads_get_right_answers() -> None:
    run = ad.compile(lambda x: (x.exp() @ x).sum(0))

    def work(seed: int) -> None:
        x = ad.full((8, 8), seed / 10)
        want = bits(run.fn(x))
        assert all(bits(run(x)) == want for _ in range(300))

    side_by_side(*[partial(work, i) for i in range(4)])
    assert run.stats().runs > 300


def test_one_thread_records_at_a_time() -> None:
    inside, go = threading.Event(), threading.Event()

    def slow(x: ad.Tensor) -> ad.Tensor:
        y = x + 1
        inside.set()
        go.wait(10)
        return y * 2

    outer, inner = ad.compile(slow), ad.compile(lambda x: x * 3)
    results: list[ad.Tensor] = []
    thread = threading.Thread(target=lambda: results.append(outer(ad.ones(2))))
    thread.start()
    assert inside.wait(10)
    for _ in range(3):
        assert inner(ad.ones(2)).tolist() == [3, 3]
    assert not inner.used()
    go.set()
    thread.join()
    assert results[0].tolist() == [4, 4]
    assert not outer.used()  # the call set an event that it waits for
    outer(ad.ones(2))
    assert len(outer.used()) == 1
    inner(ad.ones(2))
    assert len(inner.used()) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_goes_on() -> None:
    trainer, x, y = Trainer(), ad.randn(BATCH, SIZE), ad.randn(BATCH, 2)
    for _ in range(3):
        trainer.step(x, y)
    state = ad.get_rng_state()
    there, here = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            trainer.step(x, y)
            os.write(here, repr(trainer.state()).encode())
        finally:
            os._exit(0)
    os.close(here)
    with open(there, "rb") as pipe:
        told = pipe.read().decode()
    assert os.waitpid(child, 0)[1] == 0
    ad.set_rng_state(state)
    trainer.step(x, y)
    assert repr(trainer.state()) == told


def test_dropping_a_function_frees_its_arena() -> None:
    x = ad.randn(300, 300)
    gc.collect()
    before = in_use()[0]
    run = ad.compile(lambda x: (x.exp() @ x).sum())
    for _ in range(3):
        run(x)
    assert run.stats().arena_bytes >= x.numel() * 4
    assert in_use()[0] >= before + run.stats().arena_bytes
    del run
    gc.collect()
    assert in_use()[0] == before

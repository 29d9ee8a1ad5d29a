"""Threads: kernels on several, training on several, and memory made and freed on many.

The races themselves are ThreadSanitizer's to find: `make sanitize-threads` runs this file under it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from large import regions
from threaded import side_by_side

import autodiff as ad
from autodiff import nn, optim
from autodiff.native import ffi, lib, sanitized

HAMMERING = 200 if sanitized() else 2000


@pytest.fixture(autouse=True)
def _quick_switches() -> Iterator[None]:
    """Threads change places often, and the number of native threads is put back."""
    interval, threads = sys.getswitchinterval(), ad.get_num_threads()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)
    ad.set_num_threads(threads)


def train(seed: int, width: int = 96, steps: int = 12) -> list[list[float]]:
    """The parameters of a network wide enough for its kernels to use more than one thread."""
    rng = ad.Generator().manual_seed(seed)
    x, y = ad.randn(256, width, generator=rng), ad.randn(256, 1, generator=rng)
    net = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
    with ad.no_grad():
        for p in net.parameters():
            p.copy_(ad.randn(p.shape, generator=rng) * 0.1)
    optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x), y).backward()
        optimizer.step()
    return [p.reshape(-1).tolist() for p in net.parameters()]


@pytest.mark.parametrize("native_threads", [1, 2])
def test_two_models_train_side_by_side_as_alone(native_threads: int) -> None:
    ad.set_num_threads(native_threads)
    together = side_by_side(lambda: train(1), lambda: train(2))
    ad.set_num_threads(1)
    assert together == [train(1), train(2)]


@given(data=st.data(), d=st.sampled_from([ad.float32, ad.float64]), threads=st.integers(2, 7))
def test_products_cut_into_strips_have_the_bits_of_whole_ones(
    data: st.DataObject, d: ad.dtype, threads: int
) -> None:
    m, n = data.draw(st.integers(2, 200)), data.draw(st.integers(2, 200))
    least = 2_000_000 // (m * n)  # terms: enough to be spread, as far as memory allows
    k = min(least + data.draw(st.integers(1, 300)), 20_000)
    turned = [data.draw(st.booleans()) for _ in range(2)]
    a = ad.randn(k, m, dtype=d).T if turned[0] else ad.randn(m, k, dtype=d)
    b = ad.randn(n, k, dtype=d).T if turned[1] else ad.randn(k, n, dtype=d)
    bias = ad.randn(n, dtype=d)
    found = []
    for each in (1, threads):
        ad.set_num_threads(each)
        found.append([x.tolist() for x in (a @ b, ad.addmm(bias, a, b))])
    assert found[0] == found[1]


def kernels() -> list[Any]:
    """Results of each family on sizes that are cut into chunks."""
    rng = ad.Generator().manual_seed(3)
    x = ad.randn(300, 1000, generator=rng)
    index = ad.randint(0, 300, (400,), generator=rng)
    return [
        ad.pointwise(lambda a, b: ad.tanh(ad.exp(a * b)))(x, x[0]).sum(0).tolist(),
        x.sum(1).tolist(),
        x.t().contiguous()[::97].sum().item(),
        (x @ x.t())[::30, 7].tolist(),
        x[index].max(dim=0).values.tolist(),
        ad.zeros(300, 1000).index_put_((index,), x[index], accumulate=True).sum(0).tolist(),
    ]


def test_kernels_on_two_threads_give_the_bits_of_one() -> None:
    ad.set_num_threads(1)
    alone = kernels()
    ad.set_num_threads(2)
    assert kernels() == alone
    assert side_by_side(kernels, kernels, kernels) == [alone] * 3


def adam(x: ad.Tensor) -> None:
    p = x.detach().requires_grad_()
    p.grad = ad.ones_like(p)
    optim.Adam([p]).step()


# Work on a tensor, shapes where one core takes at most 20 microseconds, as measured on one of a few
# years ago (so the work stays on the calling thread), and shapes where it takes clearly more.
Shape = tuple[int, ...]
WORK: dict[str, tuple[Callable[[ad.Tensor], Any], Shape, Shape]] = {
    "add": (lambda x: x + x, (100_000,), (1_000_000,)),
    "add float64": (lambda x: x + x, (80_000,), (1_000_000,)),
    "tanh": (lambda x: x.tanh(), (25_000,), (100_000,)),
    "tanh float64": (lambda x: x.tanh(), (13_000,), (50_000,)),
    "pow": (lambda x: x**x, (3_500,), (20_000,)),
    "gelu": (nn.functional.gelu, (11_000,), (100_000,)),
    "softmax": (lambda x: x.softmax(1), (64, 10), (512, 1000)),
    "sum": (lambda x: x.sum(), (100_000,), (1_000_000,)),
    "sum of columns": (lambda x: x.sum(0), (1000, 100), (1000, 10_000)),
    "copy": (lambda x: x.clone(), (75_000,), (1_000_000,)),
    "transpose": (lambda x: x.t().contiguous(), (150, 100), (3000, 100)),
    "rows": (lambda x: x[ad.arange(x.shape[0])], (600, 100), (10_000, 100)),
    "matmul": (lambda x: x @ x, (80, 80), (256, 256)),
    "linear": (lambda x: nn.functional.linear(x, x[:10]), (1, 784), (512, 1024)),
    "Adam": (adam, (30_000,), (300_000,)),
}


@pytest.mark.parametrize("name", WORK)
def test_little_work_stays_on_one_thread_and_much_is_spread(name: str) -> None:
    work, *shapes = WORK[name]
    d = ad.float64 if name.endswith("float64") else ad.float32
    little, much = (ad.ones(shape, dtype=d) for shape in shapes)
    ad.set_num_threads(2)
    assert regions(lambda: work(little)) == 0
    assert regions(lambda: work(much)) > 0


def test_a_forked_child_works_alone() -> None:
    x = ad.ones(1_000_000)
    ad.set_num_threads(2)
    total = x.tanh().sum().item()
    child = os.fork()
    if child == 0:
        alone = regions(lambda: x.tanh()) == 0 and x.tanh().sum().item() == total
        os._exit(0 if alone else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_idle_workers_sleep() -> None:
    """After a region they look for the next one, but not for long."""
    ad.set_num_threads(3)
    assert regions(lambda: ad.ones(1_000_000).tanh()) > 0
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - before < 0.1


def test_the_grad_mode_is_each_threads_own() -> None:
    inside, outside = threading.Event(), threading.Event()
    x = ad.ones(2, requires_grad=True)

    def without() -> bool:
        with ad.no_grad():
            inside.set()
            assert outside.wait(60)
            return (x * 2).requires_grad

    def ordinary() -> bool:
        assert inside.wait(60)
        try:
            return ad.is_grad_enabled() and (x * 2).requires_grad
        finally:
            outside.set()

    assert side_by_side(without, ordinary) == [False, True]


def live_blocks() -> int:
    stats = ffi.new("int64_t[4]")
    lib.ad_memory_stats(stats)
    return int(stats[3])


def test_many_threads_make_and_free_memory() -> None:
    def hammer(seed: int) -> Callable[[], bool]:
        def work() -> bool:
            kept: list[ad.Tensor] = []
            for i in range(HAMMERING):
                kept.append(ad.full(((seed * 37 + i * 11) % 700,), seed))
                if len(kept) > 20:
                    x = kept.pop(i % 20)
                    assert x.numel() == 0 or x.sum().item() == seed * x.numel()
                if i % 500 == seed:
                    lib.ad_memory_trim()
            return True

        return work

    before = live_blocks()
    assert side_by_side(*map(hammer, range(8))) == [True] * 8
    assert live_blocks() <= before + 8  # numbers that are kept


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "work",
    [
        lambda x: x @ x,
        lambda x: x.expand(40, *x.shape).tanh(),
        lambda x: x.expand(400, *x.shape).sum(),
        lambda x: ad.randn(4_000_000),  # of the calls that let go in any case
    ],
)
def test_python_runs_on_during_long_work(
    work: Callable[[ad.Tensor], ad.Tensor], compiled: bool
) -> None:
    """A thread that waits gets its turn though nobody's turn ever ends by itself."""
    x = ad.ones(1000, 1000)
    if compiled:
        work = ad.compile(work)
        work(x), work(x)
    sys.setswitchinterval(1000)
    assert any(_had_a_turn(lambda: work(x)) for _ in range(100))  # others keep the cores busy


def _had_a_turn(work: Callable[[], Any]) -> bool:
    gate, turns = threading.Lock(), []

    def wait() -> None:
        with gate:
            turns.append(1)

    gate.acquire()
    thread = threading.Thread(target=wait)
    thread.start()
    gate.release()
    work()
    had = bool(turns)
    thread.join()
    return had


def test_a_small_call_keeps_its_turn() -> None:
    """What the test above rests on: were the lock let go, the thread would have its turn."""
    x = ad.ones(2)
    step = ad.compile(lambda x: x.cumsum(0).tanh())
    step(x), step(x)
    sys.setswitchinterval(1000)
    assert not _had_a_turn(lambda: x.tanh())
    assert not _had_a_turn(lambda: step(x))

"""What must not break anything: memory that runs out, forks, interrupts."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from native_tensors import fails, in_use, no_collector

import autodiff as ad
from autodiff import nn, optim
from autodiff.native import sanitized

linux = pytest.mark.skipif(sys.platform != "linux", reason="as Linux has it")
# Address space is what sanitizers take most of.
limits_memory = pytest.mark.skipif(bool(sanitized()), reason="a sanitized build cannot be limited")


def run_alone(code: str, *, expect: int = 0) -> str:
    """What a Python process of its own prints; a failed one shows what it said."""
    env = os.environ | {"PYTHONPATH": str(Path(ad.__file__).parents[1])}
    command = [sys.executable, "-X", "faulthandler", "-c", TRAINING + code]
    run = subprocess.run(
        command, env=env, cwd="/", capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == expect, run.stdout + run.stderr
    return run.stdout


# A training run whose kernels are large enough to use more than one thread.
TRAINING = """
import gc, os, signal, sys, threading, time
import autodiff as ad
from autodiff import nn, optim
from autodiff.native import ffi, lib

def train(steps=5):
    rng = ad.Generator().manual_seed(1)
    x, y = ad.randn(256, 96, generator=rng), ad.randn(256, 1, generator=rng)
    w1 = ad.randn(96, 96, generator=rng).mul_(0.1).requires_grad_()
    w2 = ad.randn(96, 1, generator=rng).requires_grad_()
    optimizer = optim.SGD([w1, w2], lr=0.01, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        ((x @ w1).tanh() @ w2 - y).square().mean().backward()
        optimizer.step()
    return w1.reshape(-1).tolist() + w2.reshape(-1).tolist()

def blocks():
    stats = ffi.new("int64_t[4]")
    lib.ad_memory_stats(stats)
    return stats[3]

"""


# ---- memory that runs out ----


@linux
@limits_memory
def test_without_memory_a_call_fails_and_the_next_one_works() -> None:
    run_alone("""
import resource
expected = train()
kept = blocks()
now = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (now + (400 << 20),) * 2)
x = ad.ones(1).expand(300_000_000)
for call in (
    lambda: ad.empty(300_000_000),
    lambda: x.exp(),
    lambda: x.contiguous(),
    lambda: x.view(-1, 1) @ ad.ones(1, 1),
    lambda: ad.arange(300_000_000),
    lambda: ad.cat([x, x]),
    lambda: ad.randn(300_000_000),
    lambda: x[ad.zeros(1, dtype=ad.int64).expand(1)].expand(400_000_000).cumsum(0)
        if hasattr(x, "cumsum") else ad.zeros(400_000_000),
):
    try:
        call()
    except MemoryError as failure:
        assert any(int(w) >= 10**9 for w in str(failure).split() if w.isdigit()), failure
    else:
        raise AssertionError("there was memory")
held = []
try:
    while True:
        held.append(ad.zeros(1_000_000))
except MemoryError as failure:
    assert "bytes" in str(failure), failure
held.clear()
del x
assert train() == expected
assert blocks() == kept, (blocks(), kept)
""")


class Run:
    """A model, its data, and a step of training that allocates in many places."""

    def __init__(self) -> None:
        rng = ad.Generator().manual_seed(4)
        self.x = ad.randn(40, 6, generator=rng)
        self.y = ad.randint(0, 3, (40,), generator=rng)
        self.net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
        for p in self.net.parameters():
            p.requires_grad_(False).copy_(ad.randn(p.shape, generator=rng)).requires_grad_()
        self.optimizer = optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9)

    def step(self) -> None:
        out = self.net(self.x)
        out[:, 0] = out[:, 1] * 2
        loss = nn.functional.cross_entropy(out.t().contiguous().t(), self.y)
        first = self.net[0].weight
        (g,) = ad.autograd.grad(loss, [first], create_graph=True)
        self.optimizer.zero_grad()
        (loss + g.square().sum() + first[[0, 1]].sum()).backward()
        self.optimizer.step()

    def parameters(self) -> list[list[float]]:
        return [p.reshape(-1).tolist() for p in self.net.parameters()]


@no_collector()
def test_each_allocation_of_a_training_step_may_fail() -> None:
    run = Run()
    before = run.parameters()
    run.step()  # programs are compiled and numbers kept
    expected = run.parameters()
    del run
    kept, points, calm = in_use(), 0, 0
    while calm < 20:  # where a short way fails, the general one is tried, and has memory
        run = Run()
        points += 1
        calm = 0 if fails(run.step, points) else calm + 1
        assert not calm or run.parameters() == expected
        for old, new, right in zip(before, run.parameters(), expected, strict=True):
            assert new in (old, right), f"allocation {points} leaves a parameter half updated"
        del run
        assert in_use() == kept, f"allocation {points} leaks what was there when it failed"
    assert points > 100


@pytest.mark.parametrize(
    "call",
    [
        "ad.zeros(2**62)",
        "ad.zeros(2**40, 2**40)",
        "ad.empty(2**31, 2**31, 2**31)",
        "ad.ones(1).expand(2**40, 2**40)",
        "ad.arange(2**62)",
        "ad.eye(2**32)",
        "ad.cat([ad.zeros(1).expand(2**61)] * 4)",
        "ad.ones(1).expand(2**62).exp()",
        "ad.ones(2**16, 1, 0).expand(-1, 2**62, -1)",
        "ad.ones(1).expand(2**33)[:, None].expand(-1, 2**33)",
        "ad.linspace(0, 1, 2**62)",
        "ad.randperm(2**62)",
        "ad.pdist(ad.zeros(1, 0).expand(2**32 + 1, 0))",
        "nn.functional.conv1d(ad.zeros(1, 1, 1).expand(1, 1, 2**33), ad.zeros(1, 1, 3))",
        "ad.ones(3, 1).expand(-1, 2**60) @ ad.ones(1, 2**4).expand(2**60, -1)",
    ],
)
def test_sizes_that_overflow(call: str) -> None:
    code = f"""
try:
    x = {call}
except (RuntimeError, MemoryError) as failure:
    assert "internal" not in str(failure) and str(failure), failure
else:
    assert x.numel() == 0, x.shape
assert ad.ones(3).sum().item() == 3
"""
    exec(TRAINING + code, {})


# ---- forks ----

FORKING = """
def forked(work):
    "Whether the function is true in a child process."
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

ad.set_num_threads(2)
expected = train()
"""


@linux
def test_a_forked_child_trains() -> None:
    run_alone(
        FORKING
        + """
for threads in (1, 2):
    def work():
        ad.set_num_threads(threads)
        return train() == expected and forked(lambda: train() == expected)
    assert forked(work), threads
assert train() == expected
"""
    )


def train_in_child(expected: list[float]) -> bool:
    scope: dict[str, Any] = {}
    exec(TRAINING, scope)
    found: list[float] = scope["train"]()
    return found == expected


@linux
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python's, of threads and forks
def test_a_pool_of_forked_processes_trains() -> None:
    scope: dict[str, Any] = {}
    exec(TRAINING, scope)
    expected = scope["train"]()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(train_in_child, [expected] * 4) == [True] * 4


# A thread that allocates holds locks of AddressSanitizer's, and before LLVM 17 a forked child has
# them as they were: a C program with one such thread hangs in its first forks.
@linux
@pytest.mark.skipif("address" in sanitized(), reason="AddressSanitizer may hang in the child")
def test_a_fork_while_another_thread_computes() -> None:
    run_alone(
        FORKING
        + """
stop = threading.Event()
def compute():
    while not stop.is_set():
        train(1)
busy = threading.Thread(target=compute)
busy.start()
try:
    for _ in range(10):
        assert forked(lambda: train(2) is not None)
    assert forked(lambda: train() == expected)
finally:
    stop.set()
    busy.join()
assert train() == expected
"""
    )


# ---- interrupts ----

INTERRUPTING = """
def interrupted(work, delay):
    "Runs work until Ctrl-C, which comes after `delay` seconds, ends it; whether it did."
    timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        work()
        timer.cancel()
        timer.join()
        return False
    except KeyboardInterrupt:
        return True

signal.signal(signal.SIGINT, signal.default_int_handler)
expected = train()
kept = blocks()
"""


@linux
def test_ctrl_c_in_a_long_kernel() -> None:
    """A kernel runs to its end: the interrupt is raised as it returns."""
    run_alone(
        INTERRUPTING
        + """
x = ad.ones(1200, 1200)
def forever():
    while True:
        x @ x
for threads in (1, 2):
    ad.set_num_threads(threads)
    assert interrupted(forever, 0.2)
del x
assert train() == expected
assert blocks() <= kept + 2 * 2, (blocks(), kept)
"""
    )


@linux
def test_ctrl_c_while_training() -> None:
    """Whenever it comes, the next run is right; what a call was making may stay: two blocks."""
    run_alone(
        INTERRUPTING
        + """
def forever():
    while True:
        train(2)
for i in range(20):
    assert interrupted(forever, 0.005 + i * 0.0013)
    assert ad.is_grad_enabled()
assert train() == expected
assert blocks() <= kept + 20 * 2, (blocks(), kept)
"""
    )


@linux
def test_ctrl_c_in_backward_leaves_whole_gradients() -> None:
    """Each leaf's gradient is there or it is not: a leaf is reached once, when all of it is in.

    PyTorch's backward runs to its end before it raises, so there all are.
    """
    run_alone(
        INTERRUPTING
        + """
def graph():
    leaves = [ad.ones(4, requires_grad=True) for _ in range(100)]
    y = leaves[0]
    for i in range(6_000):
        y = y * 1.0 + leaves[i % 100]
    return leaves, y.sum()
leaves, loss = graph()
loss.backward()
right = [x.grad.tolist() for x in leaves]
stopped = 0
for delay in (0.0005, 0.001, 0.002, 0.004, 0.008, 0.012):
    leaves, loss = graph()
    if interrupted(loss.backward, delay):
        stopped += 1
        assert ad.is_grad_enabled()
    for x, g in zip(leaves, right):
        assert x.grad is None or x.grad.tolist() == g
    x = leaves[0]
    x.grad = None
    x.sin().sum().backward()
    assert x.grad.tolist() == x.detach().cos().tolist()
assert stopped > 0
del leaves, loss, x
assert train() == expected
gc.collect()
kept += 2  # the number 1.0, for later calls
assert blocks() <= kept + 6 * 2, (blocks(), kept)
"""
    )

"""What must not break anything: memory that runs out, forks, interrupts."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import autodiff as ad
from autodiff import nn, optim
from autodiff.native import ffi, lib, sanitized

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
import os, signal, sys, threading, time
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


def in_use() -> tuple[int, int]:
    """Bytes and blocks the pool has given out."""
    stats = ffi.new("int64_t[4]")
    lib.ad_memory_stats(stats)
    return int(stats[0]), int(stats[3])


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


def step_fails(run: Run, at: int) -> bool:
    """Whether a step in which the allocation of this number fails raises MemoryError."""
    said = ""
    lib.ad_memory_fail(at)
    try:
        run.step()
    except MemoryError as failure:
        said = str(failure)
    finally:
        lib.ad_memory_fail(0)
    assert not said or "bytes" in said
    return bool(said)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    lib.ad_memory_fail(0)
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_each_allocation_of_a_training_step_may_fail() -> None:
    run = Run()
    before = run.parameters()
    run.step()  # programs are compiled and numbers kept
    expected = run.parameters()
    del run
    kept, points = in_use(), 0
    while True:
        run = Run()
        if not step_fails(run, points + 1):
            break
        points += 1
        for old, new, right in zip(before, run.parameters(), expected, strict=True):
            assert new in (old, right), f"allocation {points} leaves a parameter half updated"
        del run
        assert in_use() == kept, f"allocation {points} leaks what was there when it failed"
    assert points > 100
    assert run.parameters() == expected

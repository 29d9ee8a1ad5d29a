"""Long training keeps no memory: the pool and the process end where they began.

AUTODIFF_LEAK_STEPS=100000 pytest tests/test_leaks.py  makes the run as long as one likes.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable

import pytest
from native_tensors import in_use

import autodiff as ad
from autodiff import nn, optim
from autodiff.native import sanitized

STEPS = int(os.environ.get("AUTODIFF_LEAK_STEPS", "2000"))
WARM_UP = 300
RSS_SLACK = 8 << 20  # the interpreter's own arenas come and go by the megabyte


def resident_bytes() -> int:
    with open("/proc/self/statm") as text:
        return int(text.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Trainer:
    """A small network whose step calls what training code calls, and what it gets wrong."""

    def __init__(self) -> None:
        rng = ad.Generator().manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
        self.scale = ad.ones(3, requires_grad=True)
        self.optimizer = optim.SGD([*self.net.parameters(), self.scale], lr=1e-3, momentum=0.9)
        self.x = ad.randn(5, 6, generator=rng)
        self.y = ad.randn(5, 3, generator=rng)
        self.rows = ad.tensor([0, 2, 1])

    def loss(self) -> ad.Tensor:
        out = self.net(self.x) * self.scale
        out[0] = out[1].detach()  # a write through a view
        picked = out[self.rows].softmax(1)
        return nn.functional.mse_loss(out.add_(1), self.y) + ad.cat([picked, out.t()[:, :3]]).mean()

    def step(self, i: int) -> None:
        loss = self.loss()
        if i % 10 == 0:  # a gradient penalty
            (g,) = ad.autograd.grad(loss, [self.scale], create_graph=True)
            loss = loss + g.square().sum() * 0.1
        if i % 100 == 0:
            self.fail()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def fail(self) -> None:
        """Mistakes of shape, in a forward pass and in the middle of a backward pass."""
        with pytest.raises(RuntimeError, match=r"shape|size"):
            self.net(self.x) @ self.x
        saved = self.scale * 2
        broken = saved.square().sum() + self.net(self.x).sum()
        saved.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            broken.backward()


def growth(steps: int, step: Callable[[int], None]) -> tuple[int, int, int]:
    """How many bytes and blocks of the pool and resident bytes `steps` steps add."""
    for i in range(WARM_UP):
        step(i)
    gc.collect()
    gc.disable()  # what is freed only by the collector counts as leaked
    try:
        nbytes, blocks = in_use()
        resident = resident_bytes()
        for i in range(steps):
            step(i)
        after = in_use()
        return after[0] - nbytes, after[1] - blocks, resident_bytes() - resident
    finally:
        gc.enable()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_training_keeps_no_memory() -> None:
    nbytes, blocks, resident = growth(STEPS, Trainer().step)
    assert (nbytes, blocks) == (0, 0)
    assert resident < RSS_SLACK or sanitized()


def test_a_leak_of_one_tensor_a_step_is_seen() -> None:
    kept: list[ad.Tensor] = []
    nbytes, blocks, _ = growth(10, lambda i: kept.append(ad.ones(i + 1)))
    assert nbytes > 0
    assert blocks >= 10

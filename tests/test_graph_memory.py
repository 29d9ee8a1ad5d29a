"""What the graph keeps alive, and when it is freed; threads that train side by side."""

from __future__ import annotations

import gc
import sys
import weakref
from functools import partial

import pytest
from native_tensors import in_use, no_collector
from threaded import side_by_side

import autodiff as ad


def leaf(*values: float) -> ad.Tensor:
    return ad.tensor(values, dtype=ad.float64, requires_grad=True)


def train(steps: int, seed: int) -> list[list[float]]:
    """A small network, views and writes among its operations; returns its parameters."""
    rng = ad.Generator().manual_seed(seed)
    w1, w2 = (ad.randn(4, 4, generator=rng, dtype=ad.float64).requires_grad_() for _ in range(2))
    x, y = (ad.randn(8, 4, generator=rng, dtype=ad.float64) for _ in range(2))
    for _ in range(steps):
        h = (x @ w1).sin()
        h[:, 0] = h[:, 1].detach()
        error = (h @ w2.t() - y).square().mean() + w1[ad.tensor([0, 1])].sum() * 0.01
        g1, g2 = ad.autograd.grad(error, (w1, w2), create_graph=True)
        (error + g1.square().sum() * 0.1).backward()
        with ad.no_grad():
            for w in (w1, w2):
                assert w.grad is not None
                w -= 0.1 * w.grad
                w.grad = None
        del g1, g2
    return [w1.reshape(-1).tolist(), w2.reshape(-1).tolist()]


def test_training_leaves_nothing_behind() -> None:
    train(2, 0)  # compiles programs and keeps numbers
    with no_collector():
        before = in_use()[1]
        train(5, 0)
        assert in_use()[1] == before
        assert gc.collect() == 0


def test_the_graph_has_no_cycles() -> None:
    with no_collector():
        x = leaf(1, 2)
        y = x.exp().sin()
        z = y[0:1]
        y.mul_(2)
        w = z * y
        nodes = [weakref.ref(t.grad_fn) for t in (y, z, w)]
        tensors = [weakref.ref(t) for t in (y, z, w)]
        del y, z, w
        assert [r() for r in nodes + tensors] == [None] * 6
        keeps = weakref.ref(x)
        del x
        assert keeps() is None


def test_backward_frees_what_was_saved() -> None:
    x = ad.ones(1000, requires_grad=True)
    before = in_use()[1]
    y = x.sin()
    of_one_tensor = in_use()[1] - before
    loss = y.exp().sum()
    loss.backward()
    assert in_use()[1] - before == 3 * of_one_tensor  # y, the loss and the gradient


def test_two_threads_train_as_one_does() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        results = side_by_side(*[partial(train, 30, seed) for seed in (1, 2)])
    finally:
        sys.setswitchinterval(interval)
    assert results == [train(30, seed) for seed in (1, 2)]


@pytest.mark.slow
def test_a_chain_of_a_million_nodes() -> None:
    x = leaf(1)
    y = x
    with no_collector():
        for _ in range(1_000_000):
            y = y + 1
        y.sum().backward(retain_graph=True)
        assert x.grad is not None
        assert x.grad.tolist() == [1]
        del y  # the whole graph goes, without recursion


def test_the_gradient_of_a_long_product_takes_memory_of_its_length() -> None:
    n = 100_001
    x = ad.ones(n, dtype=ad.float64)
    x[7] = 0.0
    x.requires_grad_()
    x.prod().backward()
    assert x.grad is not None
    assert x.grad.nonzero().tolist() == [[7]]
    assert x.grad[7].item() == 1.0

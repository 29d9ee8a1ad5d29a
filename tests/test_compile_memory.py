"""What a compiled call takes: what it makes on the way lies in results to be made, too."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
from native_tensors import in_use
from twins import bits

import autodiff as ad
from autodiff import nn, optim

F = nn.functional
N = 48  # a square of it is worth a place in a result


def block(x: ad.Tensor, w: ad.Tensor) -> ad.Tensor:
    """Two things live at a time; what the last call reads must not lie where it writes."""
    y = ((x @ w).cumsum(0) @ w).cumsum(1)
    return (y @ w + x).cumsum(0).flip(0)


def sorted_columns(x: ad.Tensor, w: ad.Tensor) -> Any:
    """Temporaries as large as the results, and of two sizes."""
    return (x @ w).sort(0)


def with_gradient(x: ad.Tensor, w: ad.Tensor) -> Any:
    """Gradients, which hold what is needed before them."""
    x, w = x.clone().requires_grad_(), w.clone().requires_grad_()
    return ad.autograd.grad(block(x, w).sum(), (x, w))


def with_a_graph(x: ad.Tensor, w: ad.Tensor) -> Any:
    """A result that backward follows."""
    return block(x, w.clone().requires_grad_()).tanh()


WORK: list[Callable[..., Any]] = [block, sorted_columns, with_gradient, with_a_graph]


@pytest.mark.parametrize("work", WORK)
def test_a_call_takes_no_more_than_eager_at_its_peak(work: Callable[..., Any]) -> None:
    x, w = ad.randn(N, N), ad.randn(N, N) / N
    step = ad.compile(work)
    gc.collect()
    kept = []
    for i in range(6):
        found, want = step(x + i, w), work(x + i, w)
        assert bits(found) == bits(want)
        kept.append((found, bits(want)))  # held: the next run has other memory
        kept = kept[-2:]
        assert all(bits(found) == were for found, were in kept)
    stats = step.stats()
    assert stats.runs >= 4
    assert stats.arena_bytes + stats.result_bytes <= stats.eager_peak_bytes


@pytest.mark.parametrize(("before", "behind"), [(True, False), (False, True), (True, True)])
def test_a_call_that_fails_leaves_the_gradients_of_then(before: bool, behind: bool) -> None:
    """Their memory is what the next call writes them to, and may hold other things until then."""

    def made() -> tuple[Any, Any]:
        ad.manual_seed(0)
        model = nn.Sequential(nn.Linear(N, N), nn.Tanh(), nn.Linear(N, N))
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
            if before:
                optimizer.zero_grad()
            if before and behind:  # gradients between the two
                model(x).square().sum().backward()
            loss = F.nll_loss(F.log_softmax(model(x), 1), y)
            if behind:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return model, step

    (model, eager), (twin, step) = made(), made()
    compiled = ad.compile(step)
    for i in range(8):
        ad.manual_seed(i)
        x, y = ad.randn(N, N), ad.randint(0, N, (N,))
        if i in (4, 6):
            y[N // 2] = N
            with pytest.raises(IndexError):
                eager(x, y)
            with pytest.raises(IndexError):
                compiled(x, y)
        else:
            assert bits(eager(x, y)) == bits(compiled(x, y))
        if i % 2 == 0:
            for p, q in zip(model.parameters(), twin.parameters(), strict=True):
                assert bits([p, p.grad]) == bits([q, q.grad])
    assert compiled.stats().runs >= 4


def test_a_gradient_that_somebody_holds_stays() -> None:
    w = (ad.randn(N, N) / N).requires_grad_()

    @ad.compile
    def step(x: ad.Tensor) -> ad.Tensor:
        w.grad = None
        loss = block(x, w).sum()
        loss.backward()
        return loss

    held = []
    for i in range(6):
        step(ad.full((N, N), float(i)))
        held.append((w.grad, bits(w.grad)))
        assert all(bits(g) == were for g, were in held)
    assert step.stats().runs >= 4


def test_what_is_made_once_of_empty_operands_reads_no_memory_that_is_gone() -> None:
    """Else it gave a storage up that was another's, and two tensors were one."""

    def step(x: ad.Tensor) -> ad.Tensor:
        y = ad.nn.functional.pad(x, (2, 1), mode="reflect")
        g = (ad.arange(y.numel(), dtype=y.dtype) / 8).reshape(y.shape)
        return ad.autograd.grad(y, [x], g)[0]

    ad.compile(step)(ad.zeros(0, 3, dtype=ad.float16, requires_grad=True))
    kept = [ad.zeros(0, n) for n in range(8)]
    assert [x.shape for x in kept] == [(0, n) for n in range(8)]


@pytest.mark.parametrize("how", ["dropped", "reset", "evicted"])
def test_what_is_forgotten_gives_its_memory_back_at_once(how: str) -> None:
    """Not when Python next looks for cycles: until then, arenas and results would add up."""

    def fn(x: ad.Tensor, k: int) -> ad.Tensor:
        return block(x * k, x).sum()

    x, run = ad.randn(N, N), ad.compile(fn)
    gc.collect()
    gc.disable()
    try:
        before, held = in_use()[0], 0
        for k in range(120 if how == "evicted" else 1):
            for _ in range(3):
                run(x, k)
            held = max(held, in_use()[0] - before)
        if how == "evicted":
            assert held <= 33 * (run.stats().arena_bytes + 4096)
        else:
            assert held >= run.stats().arena_bytes
            if how == "reset":
                run.reset()
            else:
                del run
            assert in_use()[0] == before
    finally:
        gc.enable()

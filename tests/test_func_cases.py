"""The law of vmap: whatever the operation, a batch is what its samples are one by one."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

import pytest

import autodiff as ad
from autodiff import func, graph
from autodiff.func.batched import Batched, BatchError, lifted
from autodiff.func.batching import new_level
from autodiff.testing.cases import CASES, Case
from autodiff.testing.draw import Random

SAMPLES = 3
REFUSED = {"as_strided": "storage_offset"}
REFUSED |= dict.fromkeys(("masked_select", "unique"), "dynamic shape")


def turned(x: ad.Tensor, k: int) -> ad.Tensor:
    """The elements of x, each k places further on: another tensor from the same domain."""
    n = x.numel()
    places = ad.tensor([(i + k) % n for i in range(n)], dtype=ad.int64)
    return x.detach().reshape(-1)[places].reshape(x.shape) if n else x.detach().clone()


def batch(x: ad.Tensor, count: int = SAMPLES) -> ad.Tensor:
    return ad.stack([turned(x, k) for k in range(count)])


def leaf(x: ad.Tensor) -> ad.Tensor:
    return x.detach().clone().requires_grad_(x.is_floating_point())


def same(found: Any, expected: ad.Tensor, what: str) -> None:
    assert found.shape == expected.shape, what
    assert found.dtype is expected.dtype, what
    a, b = found.detach().to(ad.float64), expected.detach().to(ad.float64)
    assert ad.allclose(a, b, rtol=1e-9, atol=1e-11, equal_nan=True), what


def same_gradients(found: Sequence[Any], expected: Sequence[Any], what: str) -> None:
    """None is as good as zeros."""
    for a, b in zip(found, expected, strict=True):
        if a is None or b is None:
            assert all(g is None or not g.any() for g in (a, b)), what
        else:
            same(a, b, what)


class Trial:
    """A case, its operands and which of them are batches."""

    def __init__(self, case: Case, seed: int = 0) -> None:
        self.call = case.call
        self.xs = case.operands(Random(f"{case.name} {seed}"))
        chooser = random.Random(f"{case.name} {seed}")
        self.mapped = [chooser.random() < 0.7 for _ in self.xs]
        writes = re.match("index_put|write|.*inplace", case.name)  # to a clone of the first
        self.mapped[0] |= writes is not None or not any(self.mapped)
        self.dims = tuple(0 if m else None for m in self.mapped)
        pairs = list(zip(self.xs, self.mapped, strict=True))
        self.given = [leaf(batch(x) if m else x) for x, m in pairs]

    def sample(self, k: int, given: Sequence[ad.Tensor] | None = None) -> list[ad.Tensor]:
        pairs = zip(given or self.given, self.mapped, strict=True)
        return [x[k] if m else x for x, m in pairs]


differentiable = [case for case in CASES if case.differentiable and case.name not in REFUSED]


@pytest.mark.parametrize("case", [c for c in CASES if c.name not in REFUSED], ids=str)
def test_a_batch_is_its_samples(case: Case) -> None:
    trial = Trial(case)
    y = func.vmap(case.call, in_dims=trial.dims)(*trial.given)
    expected = ad.stack([case.call(*trial.sample(k)) for k in range(SAMPLES)])
    same(y, expected, f"the value of {case}")
    assert y.requires_grad == expected.requires_grad
    if not case.differentiable or not y.requires_grad:
        return
    leaves = [x for x in trial.given if x.requires_grad]
    g = ad.arange(y.numel(), dtype=y.dtype).reshape(y.shape) / 8 + 0.5
    found, wanted = (ad.autograd.grad(r, leaves, g, allow_unused=True) for r in (y, expected))
    same_gradients(found, wanted, f"the gradient of {case}")


@pytest.mark.parametrize("case", differentiable, ids=str)
def test_a_gradient_of_each_sample(case: Case) -> None:
    trial = Trial(case, seed=1)
    floats = tuple(i for i, x in enumerate(trial.given) if x.requires_grad)

    def weighed(*xs: ad.Tensor) -> ad.Tensor:
        y = case.call(*xs)
        return (y * ad.arange(y.numel(), dtype=y.dtype).reshape(y.shape)).sum()

    plain = [x.detach() for x in trial.given]
    gradient = func.grad(weighed, argnums=floats)
    found = func.vmap(gradient, in_dims=trial.dims)(*plain)
    for k in range(SAMPLES):
        wanted = gradient(*trial.sample(k, plain))
        same_gradients([g[k] for g in found], wanted, f"a sample's gradient of {case}")


@pytest.mark.parametrize("case", differentiable, ids=str)
def test_cotangents_as_a_batch(case: Case) -> None:
    """Of one graph, recording it again or not: what `jacrev` and `is_grads_batched` do."""
    xs = [leaf(x) for x in Trial(case, seed=2).xs]
    y = case.call(*xs)
    leaves = [x for x in xs if x.requires_grad]
    rows = batch(ad.arange(y.numel(), dtype=y.dtype).reshape(y.shape) / 8 - 0.5)
    wanted = [
        ad.autograd.grad(y, leaves, row, retain_graph=True, allow_unused=True) for row in rows
    ]
    for create in (False, True):
        with new_level(SAMPLES) as level:
            found = graph.grad(y, leaves, Batched(rows, level), True, create, allow_unused=True)
            whole = [None if g is None else lifted(g, level) for g in found]
        for k in range(SAMPLES):
            each = [None if g is None else g[k] for g in whole]
            same_gradients(each, wanted[k], f"a batch of cotangents of {case}")


NESTED = [(case, 0) for case in CASES if case.name not in REFUSED][::3]
NESTED += [(case, 1) for case in CASES if case.name not in REFUSED]


@pytest.mark.parametrize(("case", "first"), NESTED, ids=str)
def test_batches_of_batches(case: Case, first: int) -> None:
    """The outer one is of every second operand, from the `first` on."""
    trial = Trial(case, seed=3)
    outer = [x.detach() for x in trial.given]
    if len(outer) <= first:
        return
    dims = [0 if i % 2 == first else None for i in range(len(outer))]
    twice = [batch(x, 2) if d == 0 else x for x, d in zip(outer, dims, strict=True)]
    inner = func.vmap(case.call, in_dims=trial.dims)
    try:
        found = func.vmap(inner, in_dims=tuple(dims))(*twice)
    except BatchError as refused:  # of what writes to a clone of its first operand
        if first and "would write" in str(refused):
            return
        raise
    for j in range(2):
        given = [x[j] if d == 0 else x for x, d in zip(twice, dims, strict=True)]
        wanted = ad.stack([case.call(*trial.sample(k, given)) for k in range(SAMPLES)])
        same(found[j], wanted, f"nested batches of {case}")


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_batch_can_be(name: str) -> None:
    (case,) = [c for c in CASES if c.name == name]
    trial = Trial(case)
    with pytest.raises(RuntimeError, match=REFUSED[name]):
        func.vmap(case.call, in_dims=trial.dims)(*trial.given)

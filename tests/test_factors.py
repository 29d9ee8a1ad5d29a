"""Derivatives that are kept beside a value, rewritten for fewer instructions: the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import autodiff as ad
from autodiff.autograd import gradcheck, gradgradcheck
from autodiff.expr import Expr, inputs, topological
from autodiff.ops.derive import with_slopes

Chain = Callable[..., Any]


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + ad.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


CHAINS: dict[str, tuple[Chain, int]] = {
    "gelu": (gelu, 1),
    "gelu by a power": (lambda x: 0.5 * x * (1 + ad.tanh(0.8 * (x + 0.04 * x**3))), 1),
    "gelu by erf": (lambda x: 0.5 * x * (1 + ad.erf(x / math.sqrt(2))), 1),
    "a sum of products": (lambda x, y: ad.tanh(0.5 * x * y * y + 3 * y) * x * 0.25 * y, 2),
    "read twice": (lambda x, y: ad.sin(2 * x) * (3 * x) * y + ad.sin(2 * x) * y * 4, 2),
    "numbers alone": (lambda x: ad.tanh(x) * 3 * x + 2 * ad.tanh(x) * x, 1),
    "large and small": (lambda x: ad.tanh(x * 1e30 * x * 1e-30) * (1e-30 * x) * 1e30, 1),
    "nothing": (lambda x: ad.tanh(0 * x + 2 * x) * (0 * x) + ad.exp(x) * x * 0.5 * x, 1),
}


def operands(n: int, dtype: ad.dtype) -> list[ad.Tensor]:
    points = ad.linspace(-2.0, 2.2, 23, dtype=ad.float64)
    return [(points.roll(i) + 0.01 * i).to(dtype).requires_grad_() for i in range(n)]


@pytest.mark.parametrize("name", CHAINS)
def test_are_derivatives_of_both_orders(name: str) -> None:
    chain, n = CHAINS[name]
    fused = ad.pointwise(chain)
    xs = operands(n, ad.float64)
    assert gradcheck(fused, xs)
    assert gradgradcheck(fused, xs)


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("dtype", [ad.float32, ad.float64])
def test_are_as_those_of_single_operations(name: str, dtype: ad.dtype) -> None:
    chain, n = CHAINS[name]
    results = []
    for f in (chain, ad.pointwise(chain)):
        xs = operands(n, dtype)
        y = f(*xs)
        results.append([y, *ad.autograd.grad(y, xs, ad.ones_like(y))])
    for alone, fused in zip(*results, strict=True):
        ad.testing.assert_close(fused, alone)


@pytest.mark.parametrize(
    "chain",
    [
        lambda x, n, m: ad.tanh(x) * (0.5 * n) * (0.25 * m) * x,
        lambda x, n, m: ad.tanh(x) * x * 0.5 * n * m + ad.tanh(x) * x * 0.5,
        lambda x, n, m: ad.sin((ad.tanh(x) * n * m + ad.tanh(x)) * 1e-20) * x,
    ],
)
def test_integers_beside_do_not_meet_as_such(chain: Chain) -> None:
    big = ad.tensor([2**40 + 3, 5])
    grads = []
    for f in (chain, ad.pointwise(chain)):
        x = ad.tensor([0.5, -1.5], requires_grad=True)
        grads += ad.autograd.grad(f(x, big, big).sum(), [x])
    ad.testing.assert_close(grads[1], grads[0])


def slope_of(chain: Chain) -> Expr:
    (x,) = inputs(1)
    found = with_slopes(chain(x), 1, 1)
    assert found is not None
    return found[1][0]


def test_constants_of_a_product_become_one() -> None:
    (x,) = inputs(1)
    given = {repr(e) for e in topological([gelu(x)])}
    own = [e for e in topological([slope_of(gelu)]) if e.args and repr(e) not in given]
    constants = [arg.value for e in own for arg in e.args if arg.op == "const"]
    third = 0.5 * 0.7978845608
    assert sorted(constants) == [third, 0.5, 1, pytest.approx(3 * third)]


def test_constants_that_may_overflow_stay_apart() -> None:
    slope = slope_of(lambda x: ad.tanh(x) * (1e30 * x) * 1e30)
    assert 1e60 not in [e.value for e in topological([slope])]

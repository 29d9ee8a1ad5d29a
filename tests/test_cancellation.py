"""Tails keep their digits: compositions that cancel if taken literally, against 60 decimal digits.

`benchmarks/cancellation.py` measures the same, and more, beside PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest

import autodiff as ad
from autodiff.nn import functional

D = Decimal
PI = D("3.14159265358979323846264338327950288419716939937510582097494459")
TAILS = [s * x for s in (-1, 1) for x in (1e-8, 0.3, 1.9, 5.1, 9.7, 17.3, 25.3, 40.1, 80.0)]
GELU_TAILS = [x for x in TAILS if abs(x) < 9.8]
HUGE = [1e4, -1e4, 1e30, -1e30]
BITS = {"float32": (24, -149), "float64": (53, -1074)}


def ulps(got: float, exact: Decimal, dtype: str) -> float:
    """The error in units of the exact value's last place."""
    bits, least = BITS[dtype]
    exponent = math.frexp(float(exact))[1]
    return abs(float((D(got) - exact) / D(2) ** max(exponent - bits, least)))


def sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def softplus(x: Decimal) -> Decimal:
    return max(x, D(0)) + (1 + (-abs(x)).exp()).ln()


def curve(x: Decimal) -> Decimal:
    return sigmoid(x) * sigmoid(-x)


def gelu_tanh(x: Decimal) -> Decimal:
    return x * sigmoid((8 / PI).sqrt() * (x + D(0.044715) * x * x * x))


def gelu_curve(x: Decimal) -> Decimal:
    return (2 - x * x) * (-x * x / 2).exp() / (2 * PI).sqrt()


def bce(label: float) -> Callable[[ad.Tensor], ad.Tensor]:
    def call(x: ad.Tensor) -> ad.Tensor:
        target = ad.full_like(x, label)
        return functional.binary_cross_entropy_with_logits(x, target, reduction="none")

    return call


# What, at which order of derivative, exactly, at which inputs, within how many ulp.
Case = tuple[Callable[[Any], Any], int, Callable[[Decimal], Decimal], list[float], float]
CASES: dict[str, Case] = {
    "bce 0": (bce(0.0), 0, softplus, TAILS, 4),
    "bce 1": (bce(1.0), 0, lambda x: softplus(-x), TAILS, 4),
    "bce 1/4": (bce(0.25), 0, lambda x: softplus(-x) / 4 + softplus(x) * 3 / 4, TAILS, 4),
    "bce 0, first": (bce(0.0), 1, sigmoid, TAILS, 4),
    "bce 1, first": (bce(1.0), 1, lambda x: -sigmoid(-x), TAILS, 4),
    "bce 0, second": (bce(0.0), 2, curve, TAILS, 4),
    "bce 1, second": (bce(1.0), 2, curve, TAILS, 4),
    "logsigmoid": (functional.logsigmoid, 0, lambda x: -softplus(-x), TAILS, 4),
    "logsigmoid, first": (functional.logsigmoid, 1, lambda x: sigmoid(-x), TAILS, 4),
    "logsigmoid, second": (functional.logsigmoid, 2, lambda x: -curve(x), TAILS, 4),
    "silu": (functional.silu, 0, lambda x: x * sigmoid(x), TAILS, 4),
    "silu, first": (functional.silu, 1, lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), TAILS, 8),
    "silu, second": (
        functional.silu,
        2,
        lambda x: curve(x) * (2 + x * (sigmoid(-x) - sigmoid(x))),
        TAILS,
        8,
    ),
    "gelu, second": (functional.gelu, 2, gelu_curve, GELU_TAILS, 24),
    # The exponent is near -80 at the end: its own rounding is magnified as often.
    "gelu, tanh": (lambda x: functional.gelu(x, "tanh"), 0, gelu_tanh, GELU_TAILS, 300),
}


@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("name", CASES)
def test_tails_are_exact_to_some_ulp(name: str, dtype: str) -> None:
    call, order, exact, given, bound = CASES[name]
    x = ad.tensor(given, dtype=getattr(ad, dtype), requires_grad=True)
    y = call(x)
    for _ in range(order):
        (y,) = ad.autograd.grad(y.sum(), x, create_graph=True)
    with localcontext() as context:
        context.prec = 90
        for at, got in zip(x.tolist(), y.tolist(), strict=True):
            error = ulps(got, exact(D(at)), dtype)
            assert error <= bound, f"{name} at {at}: {got}, {error} ulp from {exact(D(at)):.20}"


@pytest.mark.parametrize("dtype", BITS)
def test_losses_of_huge_logits_are_the_logits(dtype: str) -> None:
    x = ad.tensor(HUGE, dtype=getattr(ad, dtype), requires_grad=True)
    for label in (0.0, 1.0):
        y = bce(label)(x)
        sign = 1 - 2 * label
        assert y.tolist() == [max(0.0, sign * v) for v in x.tolist()]
        (slope,) = ad.autograd.grad(y.sum(), x)
        assert slope.tolist() == [sign if sign * v > 0 else 0.0 for v in HUGE]
    rows = ad.tensor([HUGE, HUGE[::-1]], dtype=getattr(ad, dtype), requires_grad=True)
    loss = functional.cross_entropy(rows, ad.tensor([2, 3]), reduction="none")
    assert loss.tolist() == [0.0, rows.tolist()[1][1] - rows.tolist()[1][3]]
    (slope,) = ad.autograd.grad(loss.sum(), rows)
    assert slope.tolist() == [[0.0] * 4, [0.0, 1.0, 0.0, -1.0]]


@pytest.mark.parametrize(("shift", "spread"), [(1e4, 1.0), (1e8, 64.0)])
@pytest.mark.parametrize("dtype", BITS)
def test_a_mean_of_large_numbers_keeps_their_spread(
    shift: float, spread: float, dtype: str
) -> None:
    given = [shift + spread * (k * 7919 % 1009) / 1009 for k in range(5000)]
    x = ad.tensor(given, dtype=getattr(ad, dtype))
    exact = sum(map(Fraction, x.tolist())) / len(given)
    assert ulps(x.mean().item(), D(exact.numerator) / D(exact.denominator), dtype) <= 2
    if dtype == "float64":
        centred = x - x.mean()
        variance = sum((Fraction(v) - exact) ** 2 for v in x.tolist()) / len(given)
        assert math.isclose((centred * centred).mean().item(), float(variance), rel_tol=1e-14)

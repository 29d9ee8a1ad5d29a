"""Variance, standard deviation and logsumexp: PyTorch's results, and exact to the last ulp."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction

import pytest
from golden.record_statistics import GOLDEN, PLAIN, cases, derivatives, plain
from golden.recording import alike

import autodiff as ad

RECORDED = json.loads(GOLDEN.read_text())["cases"]
TOLERANCE = {"float32": 2e-6, "float64": 1e-11}


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_values_and_derivatives_are_pytorchs(dtype: str) -> None:
    for call, operand in cases():
        name = f"{call} of {operand}"
        *wanted, second, warned = RECORDED[name]
        *got, our_second, we_warned = derivatives(ad, call, operand, dtype)
        assert alike(got, wanted, TOLERANCE[dtype]), f"{name}: {got}, not {wanted}"
        assert we_warned == warned, name
        if second is not None:  # where PyTorch has one
            assert alike(our_second, second, TOLERANCE[dtype]), (
                f"{name}: {our_second}, not {second}"
            )


@pytest.mark.parametrize("text", PLAIN)
def test_calls_end_as_pytorchs(text: str) -> None:
    got, wanted = plain(ad, text), RECORDED[text]
    assert alike(got, wanted, 2e-6), f"{got}, not {wanted}"


def test_the_warning_says_how_many_there_are() -> None:
    with pytest.warns(UserWarning, match=r"var\(\): degrees of freedom is <= 0.*: 3 of 2") as found:
        ad.ones(2).var(correction=3)
    assert found[0].filename == __file__


def exact_variance(values: list[float]) -> Fraction:
    numbers = [Fraction(v) for v in values]
    mean = sum(numbers) / len(numbers)
    return sum((v - mean) ** 2 for v in numbers) / (len(numbers) - 1)


# A mean, and a spread of many or only of a few units of its last place.
SHIFTED = [
    ("float32", 0.0, 1.0),
    ("float32", 1e4, 1.0),
    ("float32", 1e8, 64.0),
    ("float32", 1e8, 16.0),
    ("float64", 1e4, 1.0),
    ("float64", 1e8, 1e-6),
    ("float64", 1e8, 3e-8),
    ("float64", -1e300, 1e286),
]


@pytest.mark.parametrize(("dtype", "mean", "spread"), SHIFTED)
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_a_small_spread_about_a_large_mean_is_exact(
    dtype: str, mean: float, spread: float, dim: int | None
) -> None:
    draw = random.Random(1)
    given = [[mean + spread * draw.uniform(-1, 1) for _ in range(40)] for _ in range(30)]
    x = ad.tensor(given, dtype=getattr(ad, dtype))
    rows = {None: [x.flatten().tolist()], 0: x.T.tolist(), 1: x.tolist()}[dim]
    scale = 2.0**-900 if abs(mean) > 1e200 else 1.0  # the variance itself would overflow
    got = (x * scale).var(dim).reshape(-1).tolist()
    bound = 1.01 * 2.0**-24 if dtype == "float32" else 16 * 2.0**-53
    for value, row in zip(got, rows, strict=True):
        exact = exact_variance([v * scale for v in row])
        assert abs(Fraction(value) - exact) <= exact * Fraction(bound)


def test_deviations_of_float32_are_those_of_the_exact_mean() -> None:
    x = ad.tensor([1e8 + 8 * (k % 7) for k in range(100)], requires_grad=True)
    (slope,) = ad.autograd.grad(x.var(), x)
    values = [Fraction(v) for v in x.tolist()]
    mean = sum(values) / len(values)
    for got, value in zip(slope.tolist(), values, strict=True):
        exact = 2 * (value - mean) / 99
        assert abs(Fraction(got) - exact) <= abs(exact) * 3 * Fraction(1, 2**24)


def test_the_gradient_of_a_large_logsumexp_is_softmax() -> None:
    x = ad.tensor([1e8, 1e8 - 8, 1e8 - 16], requires_grad=True)
    (slope,) = ad.autograd.grad(x.logsumexp(0), x)
    total = math.fsum(math.exp(-8.0 * k) for k in range(3))
    for k, got in enumerate(slope.tolist()):
        assert math.isclose(got, math.exp(-8.0 * k) / total, rel_tol=3e-7)


def test_a_logsumexp_near_zero_keeps_the_digits_of_its_sum() -> None:
    x = ad.tensor([[0.0, -20.0], [0.0, -30.0]])
    for got, row in zip(x.logsumexp(1).tolist(), x.tolist(), strict=True):
        assert math.isclose(got, math.log1p(math.exp(row[1])), rel_tol=1e-2)

"""Products and sums are within the standard bound n * eps * sum |terms| of exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff as ad

DTYPES = st.sampled_from([ad.float32, ad.float64])
LENGTHS = st.one_of(st.integers(1, 40), st.sampled_from([63, 321, 640, 1025, 4097]))
UNIT = {ad.float32: 2.0**-24, ad.float64: 2.0**-53}
Numbers = np.ndarray[Any, Any]


def gamma(n: int, d: ad.dtype) -> float:
    """Higham's constant: what n roundings in a row may amount to."""
    return n * UNIT[d] / (1 - n * UNIT[d])


def ill_conditioned(seed: int, n: int, columns: int, d: ad.dtype, wide: int) -> Numbers:
    """Columns of numbers over `wide` binary orders that nearly cancel."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, columns)) * 2.0 ** rng.integers(-wide, wide + 1, (n, columns))
    x[n // 2 : n // 2 * 2] = -x[: n // 2] * (1 + 1e-5 * rng.random((n // 2, columns)))
    return x[rng.permutation(n)].astype(d.name)


def exact_sum(values: Numbers) -> float:
    return math.fsum(map(float, values))


def exact_dot(a: Numbers, b: Numbers) -> Fraction:
    return sum(
        (Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b, strict=True)), Fraction(0)
    )


def root_of_squares(values: Numbers) -> float:
    """With a rounding of each square, and of the root."""
    return math.sqrt(math.fsum(float(v) ** 2 for v in values))


def tensor_of(values: Numbers) -> ad.Tensor:
    return ad.from_numpy(np.ascontiguousarray(values))


@settings(max_examples=60)
@given(
    k=LENGTHS,
    shape=st.sampled_from([(1, 1), (1, 40), (3, 5), (13, 17), (50, 97)]),
    d=DTYPES,
    wide=st.integers(0, 20),
    seed=st.integers(0, 10**6),
)
def test_products(k: int, shape: tuple[int, int], d: ad.dtype, wide: int, seed: int) -> None:
    """Of a matrix product and of linear, some of the elements."""
    m, n = shape
    a = ill_conditioned(seed, k, m, d, wide).T
    b = ill_conditioned(seed + 1, k, n, d, wide)
    b[:, 0] = abs(b[:, 0])
    got = (tensor_of(a) @ tensor_of(b)).tolist()
    linear = ad.nn.functional.linear(tensor_of(a), tensor_of(b.T), ad.zeros(n, dtype=d)).tolist()
    for i, j in {(0, 0), (m - 1, n - 1), (m // 2, n // 3)}:
        exact = exact_dot(a[i], b[:, j])
        bound = gamma(k, d) * float(exact_dot(abs(a[i]), abs(b[:, j])))
        assert abs(Fraction(got[i][j]) - exact) <= bound
        assert abs(Fraction(linear[i][j]) - exact) <= gamma(k + 1, d) / gamma(k, d) * bound


SUMS: dict[str, tuple[Callable[[ad.Tensor], ad.Tensor], Callable[[Numbers], tuple[float, float]]]]
SUMS = {  # of each column: ours; the exact value, and the sum of the sizes of what is added
    "sum": (lambda x: x.sum(0), lambda v: (exact_sum(v), exact_sum(abs(v)))),
    "sum of rows": (
        lambda x: x.t().contiguous().sum(1),
        lambda v: (exact_sum(v), exact_sum(abs(v))),
    ),
    "mean": (
        lambda x: x.mean(0),
        lambda v: (exact_sum(v) / len(v), exact_sum(abs(v)) / len(v)),
    ),
    "norm": (
        lambda x: (x * x).sum(0).sqrt(),
        lambda v: (root_of_squares(v), root_of_squares(v)),
    ),
    "total norm": (
        lambda x: ad.stack([ad.nn.utils.get_total_norm([x[:, j]]) for j in range(x.shape[1])]),
        lambda v: (root_of_squares(v), root_of_squares(v)),
    ),
    "last of cumsum": (
        lambda x: x.cumsum(0)[-1],
        lambda v: (exact_sum(v), exact_sum(abs(v))),
    ),
}


@pytest.mark.parametrize("name", [n for n in SUMS if "cumsum" not in n or hasattr(ad, "cumsum")])
@settings(max_examples=60)
@given(
    n=st.one_of(LENGTHS, st.sampled_from([16384, 50001])),
    columns=st.sampled_from([1, 3, 17, 40]),
    d=DTYPES,
    wide=st.integers(0, 20),
    seed=st.integers(0, 10**6),
)
def test_sums(name: str, n: int, columns: int, d: ad.dtype, wide: int, seed: int) -> None:
    ours, theirs = SUMS[name]
    columns = columns if n < 5000 else 1
    values = ill_conditioned(seed, n, columns, d, wide)
    got = ours(tensor_of(values)).reshape(-1).tolist()
    for j in {0, columns - 1}:
        exact, size = theirs(values[:, j])
        assert abs(got[j] - exact) <= gamma(n + 4, d) * size


@settings(max_examples=60)
@given(n=LENGTHS, d=DTYPES, scale=st.floats(0, 80), seed=st.integers(0, 10**6))
def test_rows_of_softmax_sum_to_one(n: int, d: ad.dtype, scale: float, seed: int) -> None:
    x = tensor_of((np.random.default_rng(seed).standard_normal((3, n)) * scale).astype(d.name))
    for row in x.softmax(1).tolist():
        assert abs(math.fsum(row) - 1) <= gamma(n + 8, d)

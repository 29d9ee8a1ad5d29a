"""Cases of linear algebra on small matrices."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import autodiff as ad
from autodiff import linalg
from autodiff.testing.case import Case, small, turned
from autodiff.testing.cases_products import dot, einsum, norm
from autodiff.testing.reference import Array, Index

__all__ = ["LINEAR"]


def _rows(x: Array) -> list[list[float]]:
    m, n = x.shape
    return [[x[i, j] for j in range(n)] for i in range(m)]


def _of_rows(rows: list[list[float]], shape: tuple[int, ...]) -> Array:
    return Array(shape, lambda i: rows[i[0]][i[1]])


def _reflections(x: Array, tau: Array) -> Array:
    """Two reflections of the first two columns of an identity matrix, one after the other."""
    m, n = x.shape
    q = Array((m, n), lambda i: float(i[0] == i[1]))
    for k in reversed(range(n)):
        v = [0.0] * k + [1.0] + [x[i, k] for i in range(k + 1, m)]
        along = [math.fsum(v[i] * q[i, j] for i in range(m)) for j in range(n)]
        rows = [[q[i, j] - tau[k,] * v[i] * along[j] for j in range(n)] for i in range(m)]
        q = _of_rows(rows, (m, n))
    return q


def _det(rows: list[list[float]]) -> float:
    """Leibniz's sum over permutations."""
    n, terms = len(rows), []
    for order in permutations(range(n)):
        swaps = sum(order[i] > order[j] for j in range(n) for i in range(j))
        terms.append((-1) ** swaps * math.prod(rows[i][order[i]] for i in range(n)))
    return math.fsum(terms)


def _minor(rows: list[list[float]], i: int, j: int) -> list[list[float]]:
    return [[v for c, v in enumerate(row) if c != j] for r, row in enumerate(rows) if r != i]


def inverse(x: Array) -> Array:
    """Cramer's rule."""
    rows = _rows(x)
    d = _det(rows)
    return Array(x.shape, lambda i: (-1) ** sum(i) * _det(_minor(rows, i[1], i[0])) / d)


def dominant(x: Array) -> Array:
    return Array(x.shape, lambda i: x[i] / 10 + (i[0] == i[1]))


def _positive(x: Array) -> Array:
    """x^T x / 10 + 1."""
    return dominant(dot(turned(x), x))


def _cholesky(x: Array) -> Array:
    n, rows = x.shape[0], _rows(x)
    low = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            rest = rows[i][j] - math.fsum(low[i][k] * low[j][k] for k in range(j))
            low[i][j] = math.sqrt(rest) if i == j else rest / low[j][j]
    return _of_rows(low, x.shape)


def _gram_schmidt(x: Array) -> Array:
    m, n = x.shape
    columns: list[list[float]] = []
    for j in range(n):
        v = [x[i, j] for i in range(m)]
        for q in columns:
            share = math.fsum(a * b for a, b in zip(v, q, strict=True))
            v = [a - share * b for a, b in zip(v, q, strict=True)]
        norm = math.sqrt(math.fsum(a * a for a in v))
        columns.append([a / norm for a in v])
    return Array((m, n), lambda i: columns[i[1]][i[0]])


def _triangle_of(x: Array, upper: bool, unit: bool) -> Array:
    def value(i: Index) -> float:
        if i[0] == i[1]:
            return 1.0 if unit else x[i]
        return x[i] if (i[1] > i[0]) == upper else 0.0

    return Array(x.shape, value)


def _column_sums(x: Array) -> Array:
    """The largest sum of magnitudes."""
    sums = x.fold(lambda values: norm(values, 1), (0,))
    return sums.fold(max, (0,))


def strong(x: ad.Tensor) -> ad.Tensor:
    """x, so small beside the identity that it has an inverse."""
    return x * 0.1 + ad.eye(x.shape[-1], dtype=x.dtype)


def positive(x: ad.Tensor) -> ad.Tensor:
    """A positive-definite matrix made from x."""
    return strong(x.mT @ x)


def spaced(x: ad.Tensor) -> ad.Tensor:
    """A matrix whose singular values are apart."""
    scales = ad.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    wide = ad.eye(x.shape[-2], dtype=x.dtype)[:, : x.shape[-1]]
    return x * 0.05 + wide * scales


def _qr(x: ad.Tensor) -> Any:
    q, r = linalg.qr(x * 0.1 + ad.eye(x.shape[0], dtype=x.dtype)[:, : x.shape[1]])
    signs = ad.einsum("ii->i", r[: r.shape[1]]).detach().sign()
    return q * signs + (r * signs.unsqueeze(1)).sum() * 0.5


def _qr_reference(x: Array) -> Array:
    a = dominant(x)
    q = _gram_schmidt(a)
    total = math.fsum(v for i, v in dot(turned(q), a).values.items() if i[1] >= i[0])
    return Array(q.shape, lambda i: q[i] + total * 0.5)


def _spectrum(x: Array) -> list[float]:
    """The eigenvalues of a symmetric 2 x 2 matrix, ascending."""
    middle, half = (x[0, 0] + x[1, 1]) / 2, (x[0, 0] - x[1, 1]) / 2
    radius = math.hypot(half, x[1, 0])
    return [middle - radius, middle + radius]


def _eigenvectors(x: Array) -> Array:
    """The squares of their elements: of (w - a11, a10), made of length 1."""
    values = _spectrum(x)

    def value(i: Index) -> float:
        v = (values[i[1]] - x[1, 1], x[1, 0])
        return float(v[i[0]] ** 2 / (v[0] ** 2 + v[1] ** 2))

    return Array((2, 2), value)


def _symmetric(x: ad.Tensor) -> ad.Tensor:
    return spaced(x) + spaced(x).mT


def spaced_array(x: Array) -> Array:
    return Array(x.shape, lambda i: x[i] * 0.05 + (i[0] == i[1]) * (i[1] + 1))


def _symmetric_array(x: Array) -> Array:
    y = spaced_array(x)
    return Array(x.shape, lambda i: y[i] + y[i[::-1]])


def singular(x: Array) -> Array:
    values = _spectrum(dot(turned(spaced_array(x)), spaced_array(x)))
    return Array((2,), lambda i: math.sqrt(values[1 - i[0]]))


def _squared_vectors(x: ad.Tensor) -> Any:
    u, s, vh = linalg.svd(spaced(x), full_matrices=False)
    return (u * u) @ (vh * vh) + (s * s).sum()


def _squared_reference(x: Array) -> Array:
    a = spaced_array(x)
    right, left = _eigenvectors(dot(turned(a), a)), _eigenvectors(dot(a, turned(a)))
    total = math.fsum(_spectrum(dot(turned(a), a)))
    both = einsum("ik,jk->ij", left, right)
    return Array((2, 2), lambda i: both[i] + total)


def _product_of(parts: Any) -> Any:
    return parts.U * parts.S @ parts.Vh


def pinv(x: Array) -> Array:
    return dot(inverse(dot(turned(x), x)), turned(x))


def solved(a: Array, b: Array) -> Array:
    return dot(inverse(dominant(a)), b)


def triangular(name: str, upper: bool, unit: bool) -> Case:
    """A solve with a triangle."""

    def call(a: ad.Tensor, b: ad.Tensor) -> Any:
        return linalg.solve_triangular(strong(a), b, upper=upper, unitriangular=unit)

    def reference(a: Array, b: Array) -> Array:
        return dot(inverse(_triangle_of(dominant(a), upper, unit)), b)

    return Case(name, call, small("n n", "n k"), reference)


LINEAR = [
    Case("inv", lambda x: linalg.inv(strong(x)), small("n n"), lambda x: inverse(dominant(x))),
    Case("solve", lambda a, b: linalg.solve(strong(a), b), small("n n", "n k"), solved),
    Case("solve_vector", lambda a, b: linalg.solve(strong(a), b), small("n n", "n", low=1),
         lambda a, b: einsum("ij,j->i", inverse(dominant(a)), b)),
    Case("solve_right", lambda a, b: linalg.solve(strong(a), b, left=False), small("n n", "k n"),
         lambda a, b: dot(b, inverse(dominant(a)))),
    Case("solve_broadcast", lambda a, b: linalg.solve(strong(a), b), small("n n", "2 n k", high=2),
         lambda a, b: einsum("ij,bjk->bik", inverse(dominant(a)), b)),
    triangular("solve_upper", True, False),
    triangular("solve_unit", False, True),
    Case("det", lambda x: x.det(), small("n n"), lambda x: Array((), lambda _: _det(_rows(x)))),
    Case("det_singular", lambda x: ad.cat([x, x[:1]]).det(), small("2 3"),
         lambda x: Array((), lambda _: 0.0)),
    Case("slogdet", lambda x: ad.slogdet(x * 0.1 - ad.eye(3, dtype=x.dtype))[1], small("3 3"),
         lambda x: Array((), lambda _: math.log(abs(_det([
             [x[i, j] / 10 - (i == j) for j in range(3)] for i in range(3)]))))),
    Case("logdet", lambda x: ad.logdet(strong(x)), small("n n"),
         lambda x: Array((), lambda _: math.log(_det(_rows(dominant(x)))))),
    Case("cholesky", lambda x: linalg.cholesky(positive(x)), small("n n"),
         lambda x: _cholesky(_positive(x))),
    Case("cholesky_upper", lambda x: linalg.cholesky(positive(x), upper=True), small("n n"),
         lambda x: turned(_cholesky(_positive(x)))),
    Case("matrix_power", lambda x: linalg.matrix_power(x, 3), small("n n"),
         lambda x: dot(x, dot(x, x))),
    Case("qr", _qr, small("3 n", high=3), _qr_reference),
    Case("householder_product", linalg.householder_product, small("3 2", "2"), _reflections),
    Case("eigvalsh", lambda x: linalg.eigvalsh(_symmetric(x)), small("2 2"),
         lambda x: Array((2,), lambda i: _spectrum(_symmetric_array(x))[i[0]])),
    Case("eigh", lambda x: linalg.eigh(_symmetric(x)).eigenvectors.square(), small("2 2"),
         lambda x: _eigenvectors(_symmetric_array(x))),
    Case("svdvals", lambda x: linalg.svdvals(spaced(x)), small("2 2"), singular),
    Case("svd", _squared_vectors, small("2 2"), _squared_reference),
    Case("svd_wide", lambda x: _product_of(linalg.svd(spaced(x.mT).mT, False)), small("2 3"),
         lambda x: Array((2, 3), lambda i: x[i] * 0.05 + (i[0] == i[1]) * (i[0] + 1))),
    Case("pinv", lambda x: linalg.pinv(spaced(x)), small("3 2"),
         lambda x: pinv(spaced_array(x))),
    Case("matrix_norm_1", lambda x: linalg.matrix_norm(x, 1), small("m n", low=1, distinct=True),
         _column_sums),
    Case("norm_fro", lambda x: linalg.norm(x, "fro"), small("m n", low=1, distinct=True),
         lambda x: Array((), lambda _: norm(x.flat(), 2))),
]  # fmt: skip

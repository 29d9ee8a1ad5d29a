"""Cases of what is composed of other families: slopes, copies with a part replaced, systems."""

from __future__ import annotations

import math
from collections.abc import Callable

import autodiff as ad
from autodiff import linalg
from autodiff.expr import ROOTS
from autodiff.testing.case import Case, small, turned
from autodiff.testing.cases_linalg import (
    dominant,
    inverse,
    pinv,
    singular,
    solved,
    spaced,
    spaced_array,
    strong,
)
from autodiff.testing.cases_products import dot, einsum, no_kink
from autodiff.testing.reference import Array, Index

POINTS = (0.0, 1.0, 3.0, 3.5)  # of samples that are not evenly spaced


def _columns(x: Array, rows: int, slope: Callable[[list[float]], list[float]]) -> Array:
    """A function of each column."""
    each = [slope([x[i, j] for i in range(x.shape[0])]) for j in range(x.shape[1])]
    return Array((rows, x.shape[1]), lambda i: each[i[1]][i[0]])


def _parabolic(f: list[float]) -> list[float]:
    """The slopes, at POINTS, of the parabola through three of them."""
    found = []
    for i, x in enumerate(POINTS):
        at = min(max(i - 1, 0), len(POINTS) - 3)
        p, q, r = POINTS[at : at + 3]
        found.append(
            f[at] * (2 * x - q - r) / ((p - q) * (p - r))
            + f[at + 1] * (2 * x - p - r) / ((q - p) * (q - r))
            + f[at + 2] * (2 * x - p - q) / ((r - p) * (r - q))
        )
    return found


def _even(f: list[float]) -> list[float]:
    """Differences of neighbours that are a half apart, at the edges to one side."""
    inner = [b - a for a, b in zip(f, f[2:], strict=False)]
    return [2 * (f[1] - f[0]), *inner, 2 * (f[-1] - f[-2])]


def _running_areas(f: list[float]) -> list[float]:
    return [math.fsum(f[:n] + f[1 : n + 1]) / 2 for n in range(1, len(f))]


def _renormed(x: Array) -> Array:
    x = no_kink(x)
    norms = x.fold(lambda row: math.hypot(*row), [1])
    return Array(x.shape, lambda i: x[i] if norms[i[:1]] <= 1 else x[i] / (norms[i[:1]] + 1e-7))


def _with(place: Callable[[Index], Index | None]) -> Callable[[Array, Array], Array]:
    """The first operand, but for the element of the second that a place is of."""

    def value(x: Array, y: Array, i: Index) -> float:
        at = place(i)
        return float(x[i] if at is None else y[at])

    return lambda x, y: Array(x.shape, lambda i: value(x, y, i))


def _reduced(kind: str) -> Callable[[Array, Array], Array]:
    """Rows 0, 1 and 3 of the source joined to row 0 of three, row 2 to row 2."""
    rows = {0: (0, 1, 3), 1: (), 2: (2,)}

    def value(x: Array, y: Array, i: Index) -> float:
        given = [x[i], *(y[r, i[1]] for r in rows[i[0]])]
        return math.prod(given) if kind == "prod" else math.fsum(given) / len(given)

    return lambda x, y: Array(x.shape, lambda i: value(x, y, i))


def _sum(x: Array, y: Array, share: float) -> Array:
    return Array(x.shape, lambda i: x[i] + y[i] * share)


def _exponential(x: Array) -> Array:
    """1 + x (1 + x / 2 (1 + x / 3 (...)))."""
    one = total = Array(x.shape, lambda i: float(i[0] == i[1]))
    for k in range(80, 0, -1):
        total = _sum(one, dot(x, total), 1 / k)
    return total


def _eliminated(x: Array) -> Array:
    """Gauss' elimination, the factors below the diagonal, of columns whose pivot is the largest."""
    given, n = dominant(x), x.shape[0]
    a = [[float(given[i, j]) for j in range(n)] for i in range(n)]
    for k in range(n):
        for i in range(k + 1, n):
            a[i][k] /= a[k][k]
            for j in range(k + 1, n):
                a[i][j] -= a[i][k] * a[k][j]
    return Array(x.shape, lambda i: a[i[0]][i[1]])


def _lower(x: ad.Tensor) -> ad.Tensor:
    return strong(x).tril()


def _product_of_lower(x: Array) -> Array:
    low = dominant(x)
    low = Array(x.shape, lambda i: low[i] if i[1] <= i[0] else 0.0)
    return dot(low, turned(low))


def _reduce(kind: str) -> Case:
    return Case(
        f"index_reduce_{kind}",
        lambda x, y: x.index_reduce(0, ad.tensor([0, 0, 2, 0]), y, kind),
        small("3 n", "4 n"),
        _reduced(kind),
    )


SEGMENTS = (0, 2), (2, 2), (2, 5)  # where parts of 5 rows begin and end


def _segments(kind: str, initial: float, join: Callable[[list[float]], float]) -> Case:
    lengths = ad.tensor([stop - start for start, stop in SEGMENTS])

    def reference(x: Array) -> Array:
        def value(i: Index) -> float:
            rows = range(*SEGMENTS[i[0]])
            total = join([initial, *(x[r, i[1]] for r in rows)])
            return total / max(len(rows), 1) if kind == "mean" else total

        return Array((3, x.shape[1]), value)

    def call(x: ad.Tensor) -> ad.Tensor:
        return ad.segment_reduce(x, kind, lengths=lengths, initial=initial)

    return Case(f"segment_reduce_{kind}", call, small("5 n", distinct=True), reference)


COMPOSED = [
    *(_segments(*row) for row in (("sum", 0.5, math.fsum), ("mean", 0.25, math.fsum),
                                  ("prod", 1.5, math.prod), ("max", -50.0, max))),
    Case("gradient", lambda x: ad.gradient(x, spacing=0.5, dim=0)[0], small("4 n"),
         lambda x: _columns(x, 4, _even)),
    Case("gradient_at_points", lambda x: ad.gradient(
         x, spacing=(ad.tensor(POINTS, dtype=x.dtype),), dim=0, edge_order=2)[0], small("4 n"),
         lambda x: _columns(x, 4, _parabolic)),
    Case("cumulative_trapezoid", lambda x: ad.cumulative_trapezoid(x, dim=0), small("4 n"),
         lambda x: _columns(x, 3, _running_areas)),
    Case("nansum", lambda x: ad.nansum(x, 0), small("m n"),
         lambda x: x.fold(math.fsum, [0])),
    Case("nextafter", lambda x, y: ad.nextafter(x, y + 100), small("m n", "n"),
         lambda x, y: Array(x.shape, lambda i: math.nextafter(x[i], math.inf))),
    Case("ldexp", lambda x: ad.ldexp(x, ad.tensor(3)), small("m n"),
         lambda x: Array(x.shape, lambda i: math.ldexp(x[i], 3))),
    *(Case(f"{name}_of_input", lambda x, a=a: (x * x + 1) ** a, small("m n"),
           lambda x, a=a: Array(x.shape, lambda i: (x[i] ** 2 + 1) ** a))
      for a, name in ROOTS.items()),
    Case("mvlgamma", lambda x: ad.mvlgamma(x * x + 2, 3), small("n"),
         lambda x: Array(x.shape, lambda i: 1.5 * math.log(math.pi) + math.fsum(
             math.lgamma(x[i] ** 2 + 2 - j / 2) for j in range(3)))),
    Case("vander", lambda x: ad.vander(x, 3), small("n"),
         lambda x: Array((x.shape[0], 3), lambda i: x[i[0],] ** (2 - i[1]))),
    Case("renorm", lambda x: ad.renorm(no_kink(x), 2, 0, 1.0),
         small("m n", low=1, distinct=True), _renormed),
    Case("select_scatter", lambda x, y: ad.select_scatter(x, y, 1, -1), small("m 2 n", "m n"),
         _with(lambda i: (i[0], i[2]) if i[1] == 1 else None)),
    Case("slice_scatter", lambda x, y: ad.slice_scatter(x, y, 0, 1, None, 2), small("4 n", "2 n"),
         _with(lambda i: (i[0] // 2, i[1]) if i[0] % 2 else None)),
    Case("diagonal_scatter", lambda x, y: ad.diagonal_scatter(x, y, 1), small("3 3", "2"),
         _with(lambda i: i[:1] if i[1] == i[0] + 1 else None)),
    Case("as_strided_scatter", lambda x, y: ad.as_strided_scatter(x, y, (2,), (4,), 1),
         small("2 3", "2"), _with(lambda i: i[:1] if i[1] == i[0] + 1 else None)),
    _reduce("prod"),
    _reduce("mean"),
    Case("vecdot", linalg.vecdot, small("m k", "k"),
         lambda x, y: einsum("mk,k->m", x, y)),
    Case("matrix_exp", linalg.matrix_exp, small("n n"), _exponential),
    Case("cond", lambda x: linalg.cond(spaced(x)), small("2 2"),
         lambda x: Array((), lambda _: singular(x)[0,] / singular(x)[1,])),
    Case("lstsq", lambda x, y: linalg.lstsq(spaced(x), y).solution, small("3 2", "3 k"),
         lambda x, y: dot(pinv(spaced_array(x)), y)),
    Case("solve_ex", lambda a, b: linalg.solve_ex(strong(a), b).result, small("n n", "n k"),
         solved),
    Case("lu_factor", lambda x: linalg.lu_factor(strong(x)).LU, small("n n"), _eliminated),
    Case("lu_solve", lambda a, b: linalg.lu_solve(*linalg.lu_factor(strong(a)), b),
         small("n n", "n k"), solved),
    Case("tensorinv", lambda x: linalg.tensorinv(strong(x).reshape(2, 2, 4)), small("4 4"),
         lambda x: Array((4, 2, 2), lambda i: inverse(dominant(x))[i[0], 2 * i[1] + i[2]])),
    Case("tensorsolve", lambda a, b: linalg.tensorsolve(strong(a).reshape(2, 2, 4), b),
         small("4 4", "2 2"), lambda a, b: Array((4,), lambda i: math.fsum(
             inverse(dominant(a))[i[0], 2 * j + k] * b[j, k] for j in (0, 1) for k in (0, 1)))),
    Case("cholesky_solve", lambda b, x: ad.cholesky_solve(b, _lower(x)), small("n k", "n n"),
         lambda b, x: dot(inverse(_product_of_lower(x)), b)),
    Case("cholesky_inverse", lambda x: ad.cholesky_inverse(_lower(x)), small("n n"),
         lambda x: inverse(_product_of_lower(x))),
]  # fmt: skip

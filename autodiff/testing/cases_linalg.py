"""Cases of products, einsum, norms, distances, and of linear algebra on small matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations, product
from typing import Any, NamedTuple

import autodiff as ad
from autodiff import linalg
from autodiff.nn import functional
from autodiff.testing.reference import Array, Index, pointwise

__all__ = ["LINEAR", "PRODUCTS", "Row"]


class Row(NamedTuple):
    """A call, the shapes of its operands and the bounds of their sizes, and its definition."""

    name: str
    call: Callable[..., Any]
    shapes: tuple[str, ...]
    reference: Callable[..., Array]
    low: int = 0
    high: int = 3
    distinct: bool = False


# ---- references ----


def einsum(equation: str, *operands: Array) -> Array:
    """The sum over every value of every letter, one term after the other."""
    left, right = equation.split("->")
    terms = left.split(",")
    sizes: dict[str, int] = {}
    for term, x in zip(terms, operands, strict=True):
        for letter, size in zip(term, x.shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1)) if size else 0
    inner = [letter for letter in sizes if letter not in right]

    def value(index: Index) -> float:
        at = dict(zip(right, index, strict=True))
        total = []
        for places in product(*(range(sizes[letter]) for letter in inner)):
            at.update(zip(inner, places, strict=True))
            total.append(
                math.prod(
                    x.broadcast([at[letter] for letter in term])
                    for term, x in zip(terms, operands, strict=True)
                )
            )
        return math.fsum(total)

    return Array([sizes[letter] for letter in right], value)


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


def dot(a: Array, b: Array) -> Array:
    return einsum("ij,jk->ik", a, b)


def turned(x: Array) -> Array:
    return Array(x.shape[::-1], lambda i: x[i[::-1]])


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


def _norm(values: list[float], order: float) -> float:
    sizes = list(map(abs, values))
    if order == math.inf:
        return max(sizes)
    if order == -math.inf:
        return min(sizes)
    if order == 0:
        return float(sum(v != 0 for v in values))
    return float(math.fsum(v**order for v in sizes) ** (1 / order))


def _norms(order: float) -> Callable[[Array], Array]:
    return lambda x: no_kink(x).fold(lambda values: _norm(values, order), (1,))


def _cosine(a: list[float], b: list[float]) -> float:
    return math.fsum(p * q for p, q in zip(a, b, strict=True)) / (_norm(a, 2) * _norm(b, 2))


def _column_sums(x: Array) -> Array:
    """The largest sum of magnitudes."""
    sums = x.fold(lambda values: _norm(values, 1), (0,))
    return sums.fold(max, (0,))


def _distances(order: float) -> Callable[[Array, Array], Array]:
    def reference(x: Array, y: Array) -> Array:
        def value(i: Index) -> float:
            k = range(x.shape[1])
            return _norm([x[i[0], c] - y[i[1], c] for c in k], order) if k else 0.0

        return Array((x.shape[0], y.shape[0]), value)

    return reference


def _covariances(x: Array, correction: float = 1) -> Array:
    m, n = x.shape
    means = [math.fsum(x[i, k] for k in range(n)) / n for i in range(m)]

    def value(i: Index) -> float:
        a, b = i
        terms = ((x[a, k] - means[a]) * (x[b, k] - means[b]) for k in range(n))
        return math.fsum(terms) / (n - correction)

    return Array((m, m), value) if m != 1 else Array((), lambda _: value((0, 0)))


def _correlations(x: Array) -> Array:
    c = _covariances(x)
    return Array(c.shape, lambda i: c[i] / math.sqrt(c[i[0], i[0]] * c[i[1], i[1]]))


def _blend(name: str) -> Callable[..., Array]:
    """2 x + 3 (the product an equation names)."""

    def reference(x: Array, a: Array, b: Array) -> Array:
        y = einsum(name, a, b)
        return Array(y.shape, lambda i: 2 * x.broadcast(i) + 3 * y[i])

    return reference


def _kron(a: Array, b: Array) -> Array:
    (m, n), (p, q) = a.shape, b.shape
    return Array((m * p, n * q), lambda i: a[i[0] // p, i[1] // q] * b[i[0] % p, i[1] % q])


def _blocks(a: Array, b: Array) -> Array:
    (m, n), (p, q) = a.shape, b.shape

    def value(i: Index) -> float:
        r, c = i
        inside = (r < m) == (c < n)
        return float((a[r, c] if r < m else b[r - m, c - n]) if inside else 0)

    return Array((m + p, n + q), value)


def _cross(a: Array, b: Array) -> Array:
    def value(i: Index) -> float:
        r, c = i
        j, k = (c + 1) % 3, (c + 2) % 3
        x, y = ([z.broadcast([r, d]) for d in range(3)] for z in (a, b))
        return float(x[j] * y[k] - x[k] * y[j])

    return Array((max(a.shape[0], b.shape[0]), 3), value)


# ---- operands and calls ----


def summed(equation: str, *shapes: str) -> Row:
    """einsum of operands of these shapes, or of those its letters tell."""
    terms = equation.split("->")[0].split(",")
    given = shapes or tuple(" ".join(term) for term in terms)
    return Row(
        f"einsum_{equation}",
        lambda *xs: ad.einsum(equation, *xs),
        given,
        lambda *xs: einsum(equation, *xs),
        high=2,
    )


def _away(y: Any) -> Any:
    """y a little aside, so that no difference of the elements of two operands is 0."""
    return Array(y.shape, lambda i: y[i] + 0.00625) if isinstance(y, Array) else y + 0.00625


def no_kink(x: Any) -> Any:
    """x between the numbers that are drawn: none is 0, and no two have the same magnitude."""
    return Array(x.shape, lambda i: x[i] + 0.0125) if isinstance(x, Array) else x + 0.0125


def _far(y: Any) -> Any:
    """y a few units aside, so that differences of squares are as exact as they are."""
    return Array(y.shape, lambda i: y[i] + 7) if isinstance(y, Array) else y + 7


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


def solved(a: Array, b: Array) -> Array:
    return dot(inverse(dominant(a)), b)


def triangular(name: str, upper: bool, unit: bool) -> Row:
    """A solve with a triangle."""

    def call(a: ad.Tensor, b: ad.Tensor) -> Any:
        return linalg.solve_triangular(strong(a), b, upper=upper, unitriangular=unit)

    def reference(a: Array, b: Array) -> Array:
        return dot(inverse(_triangle_of(dominant(a), upper, unit)), b)

    return Row(name, call, ("n n", "n k"), reference)


PRODUCTS = [
    summed("ij,jk->ik"),
    summed("ii->i", "2 2"),
    summed("iji->j", "2 n 2"),
    summed("ij->ji"),
    summed("ij,ij->i"),
    summed("i,j,k->kij"),
    summed("ij,jk,kl,ml->im"),
    summed("bij,bkj->bik"),
    summed("ij,jb->b", "m 1", "3 n"),
    summed("ij,k->i"),
    Row("einsum_ellipsis", lambda a, b: ad.einsum("...ij,j...->...i", a, b),
         ("2 m n", "n 2",), lambda a, b: einsum("bij,jb->bi", a, b), low=1),
    Row("einsum_lists", lambda a, b: ad.einsum(a, [0, 1], b, [1, 2], [2, 0]),
         ("m k", "k n",), lambda a, b: einsum("ij,jk->ki", a, b)),
    Row("tensordot", lambda a, b: ad.tensordot(a, b, ([2, 0], [0, 1])),
         ("j m k", "k j n",), lambda a, b: einsum("jmk,kjn->mn", a, b), high=2),
    Row("addmm", lambda x, a, b: x.addmm(a, b, beta=2, alpha=3), ("m 1", "m k", "k n",),
         _blend("ij,jk->ik")),
    Row("addmm_bias", lambda x, a, b: ad.addmm(x, a, b), ("n", "m k", "k n",),
         lambda x, a, b: pointwise(lambda p, q: p + q, x, dot(a, b))),
    Row("addmv", lambda x, a, b: x.addmv(a, b, beta=2, alpha=3), ("m", "m k", "k",),
         _blend("ij,j->i")),
    Row("addr", lambda x, a, b: x.addr(a, b, beta=2, alpha=3), ("n", "m", "n",),
         _blend("i,j->ij")),
    Row("baddbmm", lambda x, a, b: x.baddbmm(a, b, beta=2, alpha=3),
         ("m n", "2 m k", "2 k n",), _blend("bij,bjk->bik"), high=2),
    Row("addbmm", lambda x, a, b: x.addbmm(a, b, beta=2, alpha=3),
         ("n", "2 m k", "2 k n",), _blend("bij,bjk->ik"), high=2),
    Row("addmm_inplace", lambda x, a, b: x.clone().addmm_(a, b, beta=2, alpha=3),
         ("m n", "m k", "k n",), _blend("ij,jk->ik")),
    Row("addmm_beta_0", lambda x, a, b: ad.addmm(x, a, b, beta=0, alpha=3),
         ("m n", "m k", "k n",),
         lambda x, a, b: pointwise(lambda p: 3 * p, dot(a, b))),
    Row("inner", lambda a, b: a.inner(b), ("m k", "n k",),
         lambda a, b: einsum("ik,jk->ij", a, b)),
    Row("kron", lambda a, b: ad.kron(a, b), ("m n", "p q",), _kron, high=2),
    Row("block_diag", lambda a, b: ad.block_diag(a, b), ("m n", "p q",), _blocks),
    Row("cross", lambda a, b: linalg.cross(a, b), ("m 3", "1 3",), _cross, low=1),
    Row("trace", lambda x: x.trace(), ("m n",), lambda x: Array((), lambda _: math.fsum(
        x[i, i] for i in range(min(x.shape))))),
    Row("multi_dot", lambda a, b, c: linalg.multi_dot([a, b, c]), ("m", "m k", "k n",),
         lambda a, b, c: einsum("i,ij,jk->k", a, b, c)),
    Row("cov", lambda x: ad.cov(x), ("m 3",), _covariances),
    Row("cov_weights", lambda x: ad.cov(x, fweights=ad.tensor([1, 2])), ("m 2",),
         lambda x: _covariances(Array((x.shape[0], 3), lambda i: x[i[0], min(i[1], 1)]))),
    Row("corrcoef", lambda x: ad.corrcoef(x), ("2 3",), _correlations, distinct=True),
    *(Row(f"vector_norm_{order}", lambda x, order=order: linalg.vector_norm(no_kink(x), order, 1),
           ("m n",), _norms(order), low=1, distinct=True)
      for order in (1, 2, 3, 0.5, -1.5, math.inf, -math.inf)),
    *(Row(f"cdist_{order}", lambda x, y, order=order: ad.cdist(x, _away(y), order),
          ("m k", "n k"), lambda x, y, order=order: _distances(order)(x, _away(y)), 1,
          distinct=True) for order in (1, 2, 3, math.inf)),
    *(Row(f"pdist_{order}", lambda x, order=order: ad.pdist(x, order), ("3 k",),
          lambda x, order=order: Array((3,), lambda i: _distances(order)(x, x)[
              ((0, 1), (0, 2), (1, 2))[i[0]]]), 1, distinct=True) for order in (1, 2, 3)),
    Row("cosine_similarity", lambda x, y: functional.cosine_similarity(x + 4, y + 4),
        ("m k", "1 k"), lambda x, y: Array(x.shape[:1], lambda i: _cosine(
            [x[i[0], c] + 4 for c in range(x.shape[1])],
            [y[0, c] + 4 for c in range(x.shape[1])])), 1),
    Row("normalize", lambda x: functional.normalize(x + 4), ("m n",),
        lambda x: Array(x.shape, lambda i: (x[i] + 4) / _norm(
            [x[i[0], c] + 4 for c in range(x.shape[1])], 2)), 1),
    Row("pairwise_distance", lambda x, y: functional.pairwise_distance(x, _far(y), 3, 0.5),
        ("m k", "k"), lambda x, y: Array(x.shape[:1], lambda i: _norm(
            [x[i[0], c] - y[c,] - 6.5 for c in range(x.shape[1])], 3)), 1),
    Row("bilinear", lambda *xs: functional.bilinear(*xs), ("b m", "b n", "o m n", "o"),
        lambda x, y, w, b: pointwise(
            lambda p, q: p + q, einsum("bm,omn,bn->bo", x, w, y), b), high=2),
    Row("cdist_by_matmul", lambda x, y: ad.cdist(x, _far(y), 2, "use_mm_for_euclid_dist"),
        ("m k", "n k"), lambda x, y: _distances(2)(x, _far(y)), 1),
]  # fmt: skip

LINEAR = [
    Row("inv", lambda x: linalg.inv(strong(x)), ("n n",), lambda x: inverse(dominant(x))),
    Row("solve", lambda a, b: linalg.solve(strong(a), b), ("n n", "n k",), solved),
    Row("solve_vector", lambda a, b: linalg.solve(strong(a), b), ("n n", "n",),
         lambda a, b: einsum("ij,j->i", inverse(dominant(a)), b), low=1),
    Row("solve_right", lambda a, b: linalg.solve(strong(a), b, left=False), ("n n", "k n",),
         lambda a, b: dot(b, inverse(dominant(a)))),
    Row("solve_broadcast", lambda a, b: linalg.solve(strong(a), b), ("n n", "2 n k",),
         lambda a, b: einsum("ij,bjk->bik", inverse(dominant(a)), b), high=2),
    triangular("solve_upper", True, False),
    triangular("solve_unit", False, True),
    Row("det", lambda x: x.det(), ("n n",), lambda x: Array((), lambda _: _det(_rows(x)))),
    Row("det_singular", lambda x: ad.cat([x, x[:1]]).det(), ("2 3",),
         lambda x: Array((), lambda _: 0.0)),
    Row("slogdet", lambda x: ad.slogdet(x * 0.1 - ad.eye(3, dtype=x.dtype))[1], ("3 3",),
         lambda x: Array((), lambda _: math.log(abs(_det([
             [x[i, j] / 10 - (i == j) for j in range(3)] for i in range(3)]))))),
    Row("logdet", lambda x: ad.logdet(strong(x)), ("n n",),
         lambda x: Array((), lambda _: math.log(_det(_rows(dominant(x)))))),
    Row("cholesky", lambda x: linalg.cholesky(positive(x)), ("n n",),
         lambda x: _cholesky(_positive(x))),
    Row("cholesky_upper", lambda x: linalg.cholesky(positive(x), upper=True), ("n n",),
         lambda x: turned(_cholesky(_positive(x)))),
    Row("matrix_power", lambda x: linalg.matrix_power(x, 3), ("n n",),
         lambda x: dot(x, dot(x, x))),
    Row("qr", _qr, ("3 n",), _qr_reference, high=3),
    Row("householder_product", linalg.householder_product, ("3 2", "2"), _reflections),
    Row("eigvalsh", lambda x: linalg.eigvalsh(_symmetric(x)), ("2 2",),
         lambda x: Array((2,), lambda i: _spectrum(_symmetric_array(x))[i[0]])),
    Row("eigh", lambda x: linalg.eigh(_symmetric(x)).eigenvectors.square(), ("2 2",),
         lambda x: _eigenvectors(_symmetric_array(x))),
    Row("svdvals", lambda x: linalg.svdvals(spaced(x)), ("2 2",), singular),
    Row("svd", _squared_vectors, ("2 2",), _squared_reference),
    Row("svd_wide", lambda x: _product_of(linalg.svd(spaced(x.mT).mT, False)), ("2 3",),
         lambda x: Array((2, 3), lambda i: x[i] * 0.05 + (i[0] == i[1]) * (i[0] + 1))),
    Row("pinv", lambda x: linalg.pinv(spaced(x)), ("3 2",),
         lambda x: pinv(spaced_array(x))),
    Row("matrix_norm_1", lambda x: linalg.matrix_norm(x, 1), ("m n",),
         _column_sums, low=1, distinct=True),
    Row("norm_fro", lambda x: linalg.norm(x, "fro"), ("m n",),
         lambda x: Array((), lambda _: _norm(x.flat(), 2)), low=1, distinct=True),
]  # fmt: skip


def _product_of(parts: Any) -> Any:
    return parts.U * parts.S @ parts.Vh


def pinv(x: Array) -> Array:
    return dot(inverse(dot(turned(x), x)), turned(x))

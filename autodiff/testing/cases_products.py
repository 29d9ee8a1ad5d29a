"""Cases of products, einsum, norms and distances."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from operator import add
from typing import Any

import autodiff as ad
from autodiff import linalg
from autodiff.nn import functional
from autodiff.ops.contraction import linear
from autodiff.testing.case import Case, sized, small
from autodiff.testing.reference import Array, Index, pointwise

__all__ = ["PRODUCTS"]


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


def dot(a: Array, b: Array) -> Array:
    return einsum("ij,jk->ik", a, b)


def norm(values: list[float], order: float) -> float:
    sizes = list(map(abs, values))
    if order == math.inf:
        return max(sizes)
    if order == -math.inf:
        return min(sizes)
    if order == 0:
        return float(sum(v != 0 for v in values))
    return float(math.fsum(v**order for v in sizes) ** (1 / order))


def _norms(order: float) -> Callable[[Array], Array]:
    return lambda x: no_kink(x).fold(lambda values: norm(values, order), (1,))


def _cosine(a: list[float], b: list[float]) -> float:
    return math.fsum(p * q for p, q in zip(a, b, strict=True)) / (norm(a, 2) * norm(b, 2))


def _distances(order: float) -> Callable[[Array, Array], Array]:
    def reference(x: Array, y: Array) -> Array:
        def value(i: Index) -> float:
            k = range(x.shape[1])
            return norm([x[i[0], c] - y[i[1], c] for c in k], order) if k else 0.0

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


def summed(equation: str, *shapes: str) -> Case:
    """einsum of operands of these shapes, or of those its letters tell."""
    terms = equation.split("->")[0].split(",")
    given = shapes or tuple(" ".join(term) for term in terms)
    return Case(
        f"einsum_{equation}",
        lambda *xs: ad.einsum(equation, *xs),
        small(*given, high=2),
        lambda *xs: einsum(equation, *xs),
    )


def _aside(by: float) -> Callable[[Any], Any]:
    """What adds a number to a tensor, and to an Array."""
    return lambda x: Array(x.shape, lambda i: x[i] + by) if isinstance(x, Array) else x + by


_away = _aside(0.00625)  # no difference of the elements of two operands is 0
no_kink = _aside(0.0125)  # between what is drawn: none is 0, no two have the same magnitude
_far = _aside(7)  # differences of squares are as exact as they are


PRODUCTS = [
    Case("matmul", lambda a, b: a @ b, sized("m k", "k n"), dot),
    Case("matmul_batched", lambda a, b: a @ b, sized("b m k", "b k n"),
         lambda a, b: einsum("bik,bkj->bij", a, b)),
    Case("matmul_broadcast", lambda a, b: a @ b, sized("2 m k", "k n"),
         lambda a, b: einsum("bik,kj->bij", a, b)),
    Case("matmul_broadcast_left", lambda a, b: a @ b, sized("m k", "2 k n"),
         lambda a, b: einsum("ik,bkj->bij", a, b)),
    Case("mv", lambda a, b: a.mv(b), sized("m k", "k"), lambda a, b: einsum("ij,j->i", a, b)),
    Case("dot", lambda a, b: a.dot(b), sized("k", "k"), lambda a, b: einsum("i,i->", a, b)),
    Case("outer", lambda a, b: a.outer(b), sized("m", "n"), lambda a, b: einsum("i,j->ij", a, b)),
    Case("linear", linear, sized("m k", "n k", "n"),
         lambda x, w, b: pointwise(add, einsum("mk,nk->mn", x, w), b)),
    Case("linear_batched", linear, sized("b m k", "n k", "n"),
         lambda x, w, b: pointwise(add, einsum("bmk,nk->bmn", x, w), b)),
    Case("linear_plain", linear, sized("m k", "n k"),
         lambda x, w: einsum("mk,nk->mn", x, w)),
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
    Case("einsum_ellipsis", lambda a, b: ad.einsum("...ij,j...->...i", a, b),
         small("2 m n", "n 2", low=1), lambda a, b: einsum("bij,jb->bi", a, b)),
    Case("einsum_lists", lambda a, b: ad.einsum(a, [0, 1], b, [1, 2], [2, 0]),
         small("m k", "k n"), lambda a, b: einsum("ij,jk->ki", a, b)),
    Case("tensordot", lambda a, b: ad.tensordot(a, b, ([2, 0], [0, 1])),
         small("j m k", "k j n", high=2), lambda a, b: einsum("jmk,kjn->mn", a, b)),
    Case("addmm", lambda x, a, b: x.addmm(a, b, beta=2, alpha=3), small("m 1", "m k", "k n"),
         _blend("ij,jk->ik")),
    Case("addmm_bias", ad.addmm, small("n", "m k", "k n"),
         lambda x, a, b: pointwise(add, x, dot(a, b))),
    Case("addmv", lambda x, a, b: x.addmv(a, b, beta=2, alpha=3), small("m", "m k", "k"),
         _blend("ij,j->i")),
    Case("addr", lambda x, a, b: x.addr(a, b, beta=2, alpha=3), small("n", "m", "n"),
         _blend("i,j->ij")),
    Case("baddbmm", lambda x, a, b: x.baddbmm(a, b, beta=2, alpha=3),
         small("m n", "2 m k", "2 k n", high=2), _blend("bij,bjk->bik")),
    Case("addbmm", lambda x, a, b: x.addbmm(a, b, beta=2, alpha=3),
         small("n", "2 m k", "2 k n", high=2), _blend("bij,bjk->ik")),
    Case("addmm_inplace", lambda x, a, b: x.clone().addmm_(a, b, beta=2, alpha=3),
         small("m n", "m k", "k n"), _blend("ij,jk->ik")),
    Case("addmm_beta_0", lambda x, a, b: ad.addmm(x, a, b, beta=0, alpha=3),
         small("m n", "m k", "k n"),
         lambda x, a, b: pointwise(lambda p: 3 * p, dot(a, b))),
    Case("inner", lambda a, b: a.inner(b), small("m k", "n k"),
         lambda a, b: einsum("ik,jk->ij", a, b)),
    Case("kron", ad.kron, small("m n", "p q", high=2), _kron),
    Case("block_diag", ad.block_diag, small("m n", "p q"), _blocks),
    Case("cross", linalg.cross, small("m 3", "1 3", low=1), _cross),
    Case("trace", lambda x: x.trace(), small("m n"), lambda x: Array((), lambda _: math.fsum(
         x[i, i] for i in range(min(x.shape))))),
    Case("multi_dot", lambda a, b, c: linalg.multi_dot([a, b, c]), small("m", "m k", "k n"),
         lambda a, b, c: einsum("i,ij,jk->k", a, b, c)),
    Case("cov", ad.cov, small("m 3"), _covariances),
    Case("cov_weights", lambda x: ad.cov(x, fweights=ad.tensor([1, 2])), small("m 2"),
         lambda x: _covariances(Array((x.shape[0], 3), lambda i: x[i[0], min(i[1], 1)]))),
    Case("corrcoef", ad.corrcoef, small("2 3", distinct=True), _correlations),
    *(Case(f"vector_norm_{order}", lambda x, order=order: linalg.vector_norm(no_kink(x), order, 1),
           small("m n", low=1, distinct=True), _norms(order))
      for order in (1, 2, 3, 0.5, -1.5, math.inf, -math.inf)),
    *(Case(f"cdist_{order}", lambda x, y, order=order: ad.cdist(x, _away(y), order),
           small("m k", "n k", low=1, distinct=True),
           lambda x, y, order=order: _distances(order)(x, _away(y)))
      for order in (1, 2, 3, math.inf)),
    *(Case(f"pdist_{order}", lambda x, order=order: ad.pdist(x, order),
           small("3 k", low=1, distinct=True),
           lambda x, order=order: Array((3,), lambda i: _distances(order)(x, x)[
               ((0, 1), (0, 2), (1, 2))[i[0]]])) for order in (1, 2, 3)),
    Case("cosine_similarity", lambda x, y: functional.cosine_similarity(x + 4, y + 4),
         small("m k", "1 k", low=1), lambda x, y: Array(x.shape[:1], lambda i: _cosine(
             [x[i[0], c] + 4 for c in range(x.shape[1])],
             [y[0, c] + 4 for c in range(x.shape[1])]))),
    Case("normalize", lambda x: functional.normalize(x + 4), small("m n", low=1),
         lambda x: Array(x.shape, lambda i: (x[i] + 4) / norm(
             [x[i[0], c] + 4 for c in range(x.shape[1])], 2))),
    Case("pairwise_distance", lambda x, y: functional.pairwise_distance(x, _far(y), 3, 0.5),
         small("m k", "k", low=1), lambda x, y: Array(x.shape[:1], lambda i: norm(
             [x[i[0], c] - y[c,] - 6.5 for c in range(x.shape[1])], 3))),
    Case("bilinear", functional.bilinear,
         small("b m", "b n", "o m n", "o", high=2),
         lambda x, y, w, b: pointwise(add, einsum("bm,omn,bn->bo", x, w, y), b)),
    Case("cdist_by_matmul", lambda x, y: ad.cdist(x, _far(y), 2, "use_mm_for_euclid_dist"),
         small("m k", "n k", low=1), lambda x, y: _distances(2)(x, _far(y))),
]  # fmt: skip

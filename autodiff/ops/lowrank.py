"""The largest singular values of matrices, from a few random combinations of their columns.

Halko, Martinsson and Tropp, Finding structure with randomness (2009).
"""

from __future__ import annotations

from typing import Any

from autodiff.ops.contraction import matmul
from autodiff.ops.matrices import check_matrix
from autodiff.ops.random import randn
from autodiff.ops.spectral import qr, svd
from autodiff.ops.transposes import mT
from autodiff.tensor import Tensor


def _basis(A: Tensor, q: int, niter: int) -> Tensor:
    """Orthonormal columns that nearly span those of a matrix."""
    basis = qr(matmul(A, randn(A.shape[-1], q, dtype=A.dtype))).Q
    for _ in range(niter):
        rows = qr(matmul(mT(A), basis)).Q
        basis = qr(matmul(A, rows)).Q
    return basis


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V of A (less M), so that U diag(S) V^T is near it where its rank is about q.

    U is (..., m, q) and V (..., n, q), with orthonormal columns; S descends. Random numbers are
    drawn, and `niter` iterations bring what they find nearer.

    >>> x = ad.outer(ad.arange(4.0), ad.ones(3))
    >>> u, s, v = ad.svd_lowrank(x, q=1)
    >>> ad.allclose(u @ s.diag() @ v.T, x, atol=1e-5)
    True
    """
    check_matrix("svd_lowrank", A, square=False)
    x = A if M is None else A - M
    wide = x.shape[-2] < x.shape[-1]
    x = mT(x) if wide else x
    basis = _basis(x, 6 if q is None else q, 2 if niter is None else niter)
    found: Any = svd(matmul(mT(basis), x), full_matrices=False)
    u, v = matmul(basis, found.U), mT(found.Vh)
    return (v, found.S, u) if wide else (u, found.S, v)


def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """The principal components of rows: `svd_lowrank` of A, its columns' means taken off first.

    The columns of V are the directions; S^2 / (m - 1) are the variances along them. q is 6 unless
    given, or m or n where they are less. ValueError for a larger one, and a negative niter.

    >>> rows = ad.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> u, s, v = ad.pca_lowrank(rows, q=1)
    >>> v.abs()
    tensor([[0.7071],
            [0.7071]])
    """
    check_matrix("pca_lowrank", A, square=False)
    most = min(A.shape[-2:])
    if q is None:
        q = min(6, most)
    if not 0 <= q <= most:
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={most}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)

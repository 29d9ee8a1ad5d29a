"""Singular values and vectors of matrices of which few matter, by random projections."""

from __future__ import annotations

from autodiff.ops.contraction import matmul
from autodiff.ops.matrices import check_matrix
from autodiff.ops.random import randn
from autodiff.ops.reductions import mean
from autodiff.ops.spectral import qr, svd
from autodiff.ops.views import expand, mT
from autodiff.tensor import Tensor


def svd_lowrank(
    A: Tensor,  # noqa: N803
    q: int | None = 6,
    niter: int | None = 2,
    M: Tensor | None = None,  # noqa: N803
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V, of q columns, such that U diag(S) V.mT is near matrices A (..., m, n), or A - M.

    What A does to q random vectors tells its range, better with each of `niter` powers of A
    (Halko, Martinsson and Tropp, 2011); with q = min(m, n) it is the decomposition itself. `q` is
    best somewhat above the rank that is looked for.

    >>> x = ad.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    >>> ad.svd_lowrank(x, q=2)[1]
    tensor([4., 3.])
    """
    if M is not None:
        A = A - expand(M, A.shape)  # noqa: N806
    check_matrix("svd_lowrank", A, square=False)
    tall = A.shape[-2] >= A.shape[-1]
    A = A if tall else mT(A)  # noqa: N806
    basis = qr(matmul(A, randn(A.shape[-1], 6 if q is None else q, dtype=A.dtype))).Q
    for _ in range(2 if niter is None else niter):
        basis = qr(matmul(A, qr(matmul(mT(A), basis)).Q)).Q
    u, s, vh = svd(matmul(mT(basis), A), full_matrices=False)
    u, v = matmul(basis, u), mT(vh)
    return (u, s, v) if tall else (v, s, u)


def pca_lowrank(
    A: Tensor,  # noqa: N803
    q: int | None = None,
    center: bool = True,
    niter: int = 2,
) -> tuple[Tensor, Tensor, Tensor]:
    """The first q principal components of rows A (..., m, n), by default min(6, m, n).

    `svd_lowrank` of A, less the mean of its rows with `center`: the columns of V are the principal
    directions, and S ** 2 / (m - 1) the variances along them. ValueError for a q beyond
    min(m, n).

    >>> x = ad.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    >>> u, s, v = ad.pca_lowrank(x, q=1)
    >>> s ** 2 / 2
    tensor([4.])
    """
    check_matrix("pca_lowrank", A, square=False)
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - mean(A, -2, keepdim=True) if center else A, q, niter)

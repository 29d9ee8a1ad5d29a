"""Functions of matrices by the names at the top, with the names of their arguments there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from autodiff.ops.create import zeros
from autodiff.ops.determinants import det, logdet, slogdet, slogdet_result
from autodiff.ops.guard import strict
from autodiff.ops.out import written
from autodiff.ops.returned import returned
from autodiff.ops.spectral import pinv, qr, qr_result, svd, svdvals
from autodiff.ops.systems import inv, matrix_power
from autodiff.ops.triangular import factored
from autodiff.ops.views import mT
from autodiff.tensor import Tensor


def old_inverse(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`linalg.inv`: the inverse of square matrices. LinAlgError where one is singular.

    >>> ad.inverse(ad.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return inv(input, out=out)


def old_det(input: Tensor) -> Tensor:
    """`linalg.det`: the determinants of square matrices.

    >>> ad.det(ad.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    return det(input)


def old_slogdet(input: Tensor, *, out: Any = None) -> slogdet_result:
    """`linalg.slogdet`: the sign of the determinant and the logarithm of its magnitude.

    >>> ad.slogdet(ad.tensor([[0.0, 1.0], [1.0, 0.0]]))
    torch.return_types.linalg_slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(0.))
    """
    return slogdet(input, out=out)


def old_matrix_power(input: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """`linalg.matrix_power`: input multiplied n times; for a negative n, its inverse.

    >>> ad.matrix_power(ad.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    return matrix_power(input, n, out=out)


def old_cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """`linalg.cholesky`, under PyTorch's first name for it.

    >>> ad.cholesky(ad.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return written("cholesky", out, factored("cholesky", input, upper)[0], input)


@returned("svd")
class old_svd_result(NamedTuple):  # noqa: N801 - as PyTorch names it
    """A = U diag(S) V^T, as `svd` returns them."""

    U: Tensor
    S: Tensor
    V: Tensor


@strict
def old_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> old_svd_result:
    """`linalg.svd` with V itself, not transposed; `some` for reduced matrices.

    Without `compute_uv` U and V are zeros.

    >>> ad.svd(ad.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    if not compute_uv:
        *batch, m, n = input.shape
        return old_svd_result(
            zeros(*batch, m, m, dtype=input.dtype),
            svdvals(input),
            zeros(*batch, n, n, dtype=input.dtype),
        )
    u, s, vh = svd(input, full_matrices=not some)
    return old_svd_result(u, s, mT(vh))


@strict
def old_qr(input: Tensor, some: bool = True, *, out: Any = None) -> qr_result:
    """`linalg.qr`; `some` for reduced matrices.

    >>> ad.qr(ad.tensor([[2.0, 0.0], [0.0, 4.0]])).R.abs()
    tensor([[2., 0.],
            [0., 4.]])
    """
    return qr(input, "reduced" if some else "complete", out=out)


@strict
def old_pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv`: the pseudoinverse of Moore and Penrose.

    >>> ad.pinverse(ad.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    return pinv(input, rtol=rcond)


AT_TOP: dict[str, Callable[..., Any]] = {
    "cholesky": old_cholesky,
    "det": old_det,
    "inverse": old_inverse,
    "logdet": logdet,
    "matrix_power": old_matrix_power,
    "pinverse": old_pinverse,
    "qr": old_qr,
    "slogdet": old_slogdet,
    "svd": old_svd,
}
for _name, _function in AT_TOP.items():
    _function.__name__ = _function.__qualname__ = _name

"""Functions of matrices by the names at the top, with the names of their arguments there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.named import NamedTuple
from autodiff.ops import lu, spectral
from autodiff.ops.base import called
from autodiff.ops.create import zeros_like
from autodiff.ops.determinants import det, logdet, slogdet, slogdet_result
from autodiff.ops.guard import strict
from autodiff.ops.matrices import check_matrix
from autodiff.ops.out import written, written_all
from autodiff.ops.returned import returned
from autodiff.ops.systems import inv, matrix_power
from autodiff.ops.transposes import mT
from autodiff.ops.triangular import factored, solve_triangular
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


@called("CholeskyBackward0")
def old_cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """`linalg.cholesky`, under PyTorch's first name for it.

    >>> ad.cholesky(ad.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return written("cholesky", out, factored("cholesky", input, upper)[0], input)


def old_lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """`linalg.lu_factor` as a tuple, with `info` of `linalg.lu_factor_ex` where that is asked for.

    >>> ad.lu(ad.tensor([[1.0, 2.0], [2.0, 2.0]]))[1]
    tensor([2, 2], dtype=torch.int32)
    """
    found = lu.lu_factor_ex(A, pivot=pivot)
    return tuple(found) if get_infos else tuple(found[:2])


def old_lu_solve(
    input: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """`linalg.lu_solve`, the right hand side first.

    >>> factors = linalg.lu_factor(ad.tensor([[1.0, 2.0], [2.0, 2.0]]))
    >>> ad.lu_solve(ad.tensor([[3.0], [4.0]]), *factors)
    tensor([[1.],
            [1.]])
    """
    return lu.lu_solve(LU_data, LU_pivots, input, out=out)


@returned("svd")
class old_svd_result(NamedTuple):
    """What `svd` returns."""

    U: Tensor
    S: Tensor
    V: Tensor


def old_svd(
    input: Tensor, some: bool = True, compute_uv: bool = True, *, out: Any = None
) -> old_svd_result:
    """`linalg.svd`, with V in place of its transpose; U and V are square where not `some`, and
    zeros where not `compute_uv`.

    >>> ad.svd(ad.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    u, s, vh = spectral.svd(input, not (some and compute_uv))
    if not compute_uv:
        u, vh = zeros_like(u), zeros_like(vh)
    return old_svd_result(*written_all("svd", out, (u, s, mT(vh)), input))


@returned("qr")
class old_qr_result(NamedTuple):
    """What `qr` returns."""

    Q: Tensor
    R: Tensor


def old_qr(input: Tensor, some: bool = True, *, out: Any = None) -> old_qr_result:
    """`linalg.qr`, Q square where not `some`.

    >>> ad.qr(ad.tensor([[3.0], [4.0]])).R
    tensor([[-5.]])
    """
    return old_qr_result(*spectral.qr(input, "reduced" if some else "complete", out=out))


def old_pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv`, over the singular values above rcond times the largest.

    >>> ad.pinverse(ad.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    return spectral.pinv(input, rtol=rcond)


@returned("triangular_solve")
class triangular_solve_result(NamedTuple):
    """What `triangular_solve` returns."""

    solution: Tensor
    cloned_coefficient: Tensor


@called("TriangularSolveBackward0")
def old_triangular_solve(
    input: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
    *,
    out: Any = None,
) -> triangular_solve_result:
    """`linalg.solve_triangular` of A, or of its transpose, and a copy of A.

    >>> ad.triangular_solve(ad.tensor([[4.0]]), ad.tensor([[2.0]])).solution
    tensor([[2.]])
    """
    check_matrix("triangular_solve", A)
    a, high = (mT(A), not upper) if transpose else (A, upper)
    x = solve_triangular(a, input, upper=high, unitriangular=unitriangular)
    found = triangular_solve_result(x, A.clone())
    return triangular_solve_result(*written_all("triangular_solve", out, found, input, A))


AT_TOP: dict[str, Callable[..., Any]] = {
    "cholesky": old_cholesky,
    "det": old_det,
    "inverse": old_inverse,
    "logdet": logdet,
    "lu": old_lu,
    "lu_solve": old_lu_solve,
    "matrix_power": old_matrix_power,
    "pinverse": old_pinverse,
    "qr": old_qr,
    "slogdet": old_slogdet,
    "svd": old_svd,
    "triangular_solve": old_triangular_solve,
}
for _name, _function in AT_TOP.items():
    _function.__name__ = _function.__qualname__ = _name
    AT_TOP[_name] = strict(_function)

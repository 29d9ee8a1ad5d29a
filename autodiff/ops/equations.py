"""Least squares, exponentials and condition numbers of matrices; systems by a Cholesky factor and
of tensors: compositions of products and of solvers.
"""

from __future__ import annotations

import math
from typing import Any

from autodiff.dtypes import int64
from autodiff.named import NamedTuple
from autodiff.native import lib
from autodiff.ops.base import OUTPUT, Op, OpNode, backward_name, called
from autodiff.ops.contraction import matmul
from autodiff.ops.create import arange, eye, zeros_like
from autodiff.ops.diagonals import diag_embed
from autodiff.ops.diagonals import diagonal as diagonal_of
from autodiff.ops.guard import must_be, strict
from autodiff.ops.join import cat
from autodiff.ops.matrices import (
    LinAlgError,
    as_info,
    check_float,
    check_matrix,
    check_pair,
    common_batch,
    native,
    triangle,
)
from autodiff.ops.norms import norm
from autodiff.ops.out import written
from autodiff.ops.returned import returned
from autodiff.ops.spectral import epsilon, pseudo_inverse, svdvals
from autodiff.ops.systems import identity, inv, solve, solved
from autodiff.ops.transposes import mT
from autodiff.ops.triangular import solve_triangular
from autodiff.ops.views import narrow, squeeze, unsqueeze
from autodiff.tensor import Tensor, wrap


def _lstsq_rule(node: OpNode, g: Tensor, a: Tensor, b: Tensor, x: Tensor) -> tuple[Any, Any]:
    """X = P B, P the pseudo-inverse, and so, by Golub and Pereyra (as of pinv), with Y = P^T g and
    R = B - A X: dA = R (P Y)^T - Y X^T + P^T X (g - A^T Y)^T.
    """
    p, _ = _least(a, eye(a.shape[-2], dtype=a.dtype), *node.args[1:])
    y, ga = matmul(mT(p), g), None
    if node.needs(0):
        along = matmul(b - matmul(a, x), mT(matmul(p, y)))
        across = matmul(matmul(mT(p), x), mT(g - matmul(mT(a), y)))
        ga = along - matmul(y, mT(x)) + across
    return ga, y if node.needs(1) else None


_lstsq: Op = Op("lstsq", lambda a, b, x, least: lib.ad_alias(x), _lstsq_rule, saves=(0, 1, OUTPUT),
        shaped=False, grad_name="LinalgLstsqBackward0")  # fmt: skip


def _least(a: Tensor, b: Tensor, least: float) -> tuple[Tensor, Any]:
    """The least squares of matrices, and their ranks."""
    a, b = common_batch(a, b)
    turned = a.shape[-1] > a.shape[-2]
    higher = mT(a) if turned else a
    x, rank, _ = native(3, "linalg.lstsq", lib.ad_least_squares, higher._p, b._p, turned, least)
    return _lstsq.on((a, b), x, least), wrap(rank)


@returned("linalg_lstsq")
class lstsq_result(NamedTuple):
    """What `linalg.lstsq` returns."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


def _check_least(A: Tensor, B: Any, driver: Any) -> bool:
    """RuntimeError where A X = B cannot be; whether B is of vectors."""
    check_matrix("linalg.lstsq", A, square=False)
    if not isinstance(B, Tensor):
        raise must_be("linalg.lstsq", "B", "Tensor", B)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(
            "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )
    if not 0 <= A.ndim - B.ndim <= 1:
        raise RuntimeError(
            "torch.linalg.lstsq: input.dim() must be greater or equal to other.dim() and "
            f"(input.dim() - other.dim()) <= 1, but they are {A.ndim} and {B.ndim}"
        )
    vector = B.ndim < A.ndim
    if B.ndim < 2 - vector or B.shape[vector - 2] != A.shape[-2]:
        raise RuntimeError(
            "torch.linalg.lstsq: input.size(-2) should match other.size(-2), but they are of "
            f"sizes {list(A.shape)} and {list(B.shape)}"
        )
    if A.dtype is not B.dtype:
        raise RuntimeError(
            "torch.linalg.lstsq: Expected input and other to have the same dtype, but got "
            f"input's dtype {A.dtype!r} and other's dtype {B.dtype!r}"
        )
    return vector


@called("LinalgLstsqBackward0")
def lstsq(
    A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> lstsq_result:
    """The X of least norm of those for which A X - B is least: by QR where A has full rank for
    sure, else by the pseudo-inverse, over the singular values above rcond times the largest.

    What is not computed is empty: residuals for drivers but "gelsy", the default; singular values
    for "gelsd" and "gelss".

    >>> A, B = ad.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), ad.tensor([[1.0], [2.0], [3.0]])
    >>> linalg.lstsq(A, B).solution
    tensor([[1.0000],
            [1.0000]])
    """
    vector = _check_least(A, B, driver)
    b = unsqueeze(B, B.ndim) if vector else B
    m, n = A.shape[-2:]
    values = residuals = empty = A.new_empty(0)
    if driver in ("gelsd", "gelss"):
        inverse, values, small = pseudo_inverse(A, rtol=rcond)
        rank = (~small).sum(-1, dtype=int64)
        x = matmul(inverse, b)
    else:
        least = epsilon(A) * max(m, n) if rcond is None else max(float(rcond), 0.0)
        x, rank = _least(A, b, least)
    apart = m > n and driver not in (None, "gelsy")
    if apart and (driver == "gels" or bool((rank == n).all())):
        residuals = ((matmul(A, x) - b) ** 2).sum(-2)
    ranks = empty.long() if driver == "gels" else rank
    return lstsq_result(squeeze(x, -1) if vector else x, residuals, ranks, values)


@returned("linalg_solve_ex")
class solve_ex_result(NamedTuple):
    """What `linalg.solve_ex` returns."""

    result: Tensor
    info: Tensor


def solve_ex(
    A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False
) -> solve_ex_result:
    """`linalg.solve`, and for each matrix 0, or the place of the zero pivot: there X is of nan.

    LinAlgError where `check_errors`.

    >>> linalg.solve_ex(ad.tensor([[1.0, 2.0], [2.0, 4.0]]), ad.ones(2)).info
    tensor(2, dtype=torch.int32)
    """
    check_matrix("linalg.solve_ex", A)
    y, info = solved(A, B, left, check_errors)
    return solve_ex_result(y, as_info(info))


def _exp_rule(node: OpNode, g: Tensor, a: Tensor) -> tuple[Tensor]:
    """The derivative of exp at A^T in the direction g: a block of the exponential of
    [[A^T, g], [0, A^T]] (Mathias, SIAM J. Matrix Anal. 17, 1996).
    """
    n, at = a.shape[-1], mT(a)
    both = cat([cat([at, g], -1), cat([zeros_like(g), at], -1)], -2)
    return (narrow(narrow(_exp(both), -2, 0, n), -1, n, n),)


_exp: Op = Op("linalg.matrix_exp", lib.ad_matrix_exp, _exp_rule, saves=(0,), shaped=False,
        grad_name=backward_name("linalg_matrix_exp"))  # fmt: skip


def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of square matrices: a Taylor series of A / 2^s, squared s times.

    >>> linalg.matrix_exp(ad.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    check_matrix("linalg.matrix_exp", input)
    return _exp(input)


def cond(A: Tensor, p: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The condition number: the largest singular value over the least, the other way for p = -2,
    else the p-norm of A times that of its inverse; inf of singular matrices.

    >>> linalg.cond(ad.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor(2.)
    """
    check_matrix("linalg.cond", A, square=p not in (None, 2, -2))
    if p in (None, 2, -2):
        s = svdvals(A)
        first, last = s[..., 0], s[..., -1]
        return written("linalg_cond", out, last / first if p == -2 else first / last, A)
    size = norm(A, p, (-2, -1))
    try:
        y = size * norm(inv(A), p, (-2, -1))
    except LinAlgError:
        y = size * math.inf
    return written("linalg_cond", out, y, A)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1, out: Tensor | None = None) -> Tensor:
    """The sums of the products over a dimension; batches broadcast.

    >>> linalg.vecdot(ad.tensor([[1.0, 2.0], [3.0, 4.0]]), ad.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if x.dtype is not y.dtype:
        raise RuntimeError(
            "linalg.vecdot: Expected vectors with the same dtype, but found "
            f"{x.dtype.title} and {y.dtype.title} instead"
        )
    return written("linalg_vecdot", out, (x * y).sum(dim), x, y)


@strict
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, a view: `ad.diagonal` of the last two dimensions.

    >>> linalg.diagonal(ad.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return diagonal_of(A, offset, dim1, dim2)


@called("CatBackward0")
@strict
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers of elements, from 0 to N - 1 (or as many as there are), in a row each.

    >>> linalg.vander(ad.tensor([2, 3]), N=3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    x = x if x.ndim else unsqueeze(x, 0)
    if x.dtype.category == 0:
        raise RuntimeError("linalg.vander takes numbers, not Bool")
    count = x.shape[-1] if N is None else N
    if count <= 1:
        raise RuntimeError(f"N must be greater than 1, but is {count}.")
    y: Tensor = unsqueeze(x, x.ndim) ** arange(count)
    return y


@strict
def tensorinv(A: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor:
    """The inverse of a tensor as a map from its last dimensions to its first `ind`.

    >>> linalg.tensorinv(ad.eye(6).reshape(2, 3, 6)).shape
    torch.Size([6, 2, 3])
    """
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    rows, cols = A.shape[:ind], A.shape[ind:]
    m, n = math.prod(rows), math.prod(cols)
    if m != n:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {n} != {m}"
        )
    return written("linalg_tensorinv", out, inv(A.reshape(n, n)).reshape([*cols, *rows]), A)


def tensorsolve(A: Tensor, B: Tensor, dims: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The X of tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first.

    >>> linalg.tensorsolve(ad.eye(6).reshape(2, 3, 6), ad.ones(2, 3))
    tensor([1., 1., 1., 1., 1., 1.])
    """
    a = A if dims is None else A.movedim(list(dims), list(range(A.ndim - len(dims), A.ndim)))
    shape = a.shape[B.ndim :]
    n, m = math.prod(shape), math.prod(a.shape[: B.ndim])
    if n != m or m != B.numel():
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {n} != {m}"
        )
    x = solve(a.reshape(n, n), B.reshape(-1)).reshape(shape)
    return written("linalg_tensorsolve", out, x, A, B)


def _root_rule(node: OpNode, g: Tensor, a: Tensor, x: Tensor) -> tuple[Tensor | None, Tensor]:
    """L L^T X = B: dB = (L L^T)^-1 g, dL = the triangle of -(dB X^T + X dB^T) L."""
    (upper,) = node.args
    gb = _root_solution.on((a, g), upper)
    if not node.needs(0):
        return None, gb
    half = matmul(gb, mT(x))
    both = -(half + mT(half))
    return triangle(matmul(a, both) if upper else matmul(both, a), upper), gb


_root_solution: Op = Op("cholesky_solve", lib.ad_cholesky_solve, _root_rule, saves=(0, OUTPUT),
        shaped=False)  # fmt: skip


@called("CholeskySolveBackward0")
@strict
def cholesky_solve(
    input: Tensor, input2: Tensor, upper: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """X of A X = input, of A's Cholesky factor, input2, which may be `upper`.

    >>> ad.cholesky_solve(ad.tensor([[4.0], [9.0]]), ad.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor([[1.],
            [1.]])
    """
    check_matrix("cholesky_solve", input, square=False, what="b")
    check_matrix("cholesky_solve", input2)
    check_pair("cholesky_solve", input2, input, True)
    y = _root_solution.on(common_batch(input2, input), upper)
    return y if out is None else written("cholesky_solve", out, y, input, input2)


@called("CholeskyInverseBackward0")
@strict
def cholesky_inverse(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The inverse of A, of its Cholesky factor, the input, which may be `upper`.

    >>> ad.cholesky_inverse(ad.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([[0.2500, 0.0000],
            [0.0000, 1.0000]])
    """
    check_matrix("cholesky_inverse", input)
    y = _root_solution.on((input, identity(input)), upper)
    return y if out is None else written("cholesky_inverse", out, y, input)


@strict
def householder_product(A: Tensor, tau: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The first columns of H_1 H_2 ... H_k, with H_i = I - tau_i v_i v_i^T and v_i the part of A's
    column i below the diagonal, under a 1.

    As I - V T V^T: Schreiber and Van Loan, SIAM J. Sci. Stat. Comput. 10, 1989.

    >>> linalg.householder_product(ad.ones(3, 1), ad.tensor([0.5]))
    tensor([[ 0.5000],
            [-0.5000],
            [-0.5000]])
    """
    name = "torch.linalg.householder_product"
    if A.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    (m, n), k = A.shape[-2:], tau.shape[-1] if tau.ndim else 0
    if m < n:
        raise RuntimeError(f"{name}: input.shape[-2] must be at least input.shape[-1]: {m} < {n}")
    if tau.ndim != A.ndim - 1 or tau.shape[:-1] != A.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, and the same batch, but "
            f"got {list(tau.shape)} for {list(A.shape)}"
        )
    if n < k:
        raise RuntimeError(f"{name}: input.shape[-1] must be at least tau.shape[-1]: {n} < {k}")
    if A.dtype is not tau.dtype:
        raise RuntimeError(f"{name}: tau dtype {tau.dtype!r} does not match input's {A.dtype!r}")
    check_float(name, A)
    v = A[..., :k].tril(-1) + eye(m, k, dtype=A.dtype)
    scale = diag_embed(tau)
    between = eye(k, dtype=A.dtype) + scale @ (mT(v) @ v).triu(1)
    t = solve_triangular(between, scale, upper=True, unitriangular=True)
    return written(name, out, eye(m, n, dtype=A.dtype) - v @ (t @ mT(v[..., :n, :])), A, tau)

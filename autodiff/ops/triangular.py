"""Triangular solves, and Cholesky factors.

Each vjp is written with these solves themselves (Giles, An extended collection of matrix derivative
results, 2008), so there are derivatives of every order.
"""

from __future__ import annotations

from typing import Any

from autodiff.descriptor import fresh
from autodiff.named import NamedTuple
from autodiff.native import lib
from autodiff.ops.base import OUTPUT, Op, OpNode
from autodiff.ops.contraction import matmul
from autodiff.ops.matrices import (
    as_info,
    check_matrix,
    check_pair,
    check_success,
    common_batch,
    native,
    triangle,
)
from autodiff.ops.out import written
from autodiff.ops.returned import returned
from autodiff.ops.transposes import mT
from autodiff.tensor import Tensor


def _triangle_rule(node: OpNode, g: Tensor, a: Tensor, x: Tensor) -> tuple[Tensor | None, ...]:
    """X = A^-1 B: dB = A^-T g, dA = the triangle of -dB X^T."""
    upper, unit = node.args
    gb = triangular.on((mT(a), g), not upper, unit)
    if not node.needs(0):
        return None, gb
    ga = triangle(-matmul(gb, mT(x)), upper, (1 if upper else -1) if unit else 0)
    return ga, gb


triangular: Op = Op("solve_triangular", lib.ad_solve_triangular, _triangle_rule, saves=(0, OUTPUT),
        shaped=False, grad_name="LinalgSolveTriangularBackward0")  # fmt: skip


def solve_triangular(
    A: Tensor,
    B: Tensor,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """X of A X = B, or of X A = B where not `left`, for a triangle of A.

    The other triangle is not read, nor the diagonal where it is `unitriangular`. Batches broadcast.

    >>> L = ad.tensor([[2.0, 0.0], [1.0, 1.0]])
    >>> linalg.solve_triangular(L, ad.tensor([[2.0], [3.0]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    check_matrix("linalg.solve_triangular", A)
    check_matrix("linalg.solve_triangular", B, square=False, what="B")
    check_pair("linalg.solve_triangular", A, B, left)
    if left:
        y = triangular.on(common_batch(A, B), bool(upper), bool(unitriangular))
    else:
        y = mT(triangular.on(common_batch(mT(A), mT(B)), not upper, bool(unitriangular)))
    return written("linalg_solve_triangular", out, y, A, B)


# ---- Cholesky ----


def _cholesky_rule(node: OpNode, g: Tensor, y: Tensor) -> tuple[Tensor]:
    """A = U^T U: dA = U^-1 S U^-T, S half the symmetric matrix of the lower triangle of U g^T."""
    upper, _ = node.args
    u, gt = (y, mT(g)) if upper else (mT(y), g)
    low = triangle(matmul(u, gt), False)
    middle = (low + mT(triangle(low, False, -1))) * 0.5
    half = triangular.on((u, middle), True, False)
    return (triangular.on((u, mT(half)), True, False),)


def _turned(p: Any) -> Any:
    return lib.ad_transpose(p, p.ndim - 2, p.ndim - 1)


_cholesky: Op = Op("cholesky",
        lambda a, upper, value: lib.ad_alias(value) if upper else _turned(value), _cholesky_rule,
        saves=(OUTPUT,), shaped=False, grad_name="LinalgCholeskyExBackward0")  # fmt: skip
_NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite (the "
    "leading minor of order {n} is not positive-definite)."
)


@returned("linalg_cholesky_ex")
class cholesky_ex_result(NamedTuple):
    """What `linalg.cholesky_ex` returns."""

    L: Tensor
    info: Tensor


def factored(name: str, a: Tensor, upper: bool, check: bool = True) -> tuple[Tensor, Any]:
    """The factor, and for each matrix the order of the minor that is not positive, or 0."""
    check_matrix(name, a)
    p = a._p if upper else fresh(_turned(a._p), name, a._p)
    value, info = native(2, name, lib.ad_cholesky, p)
    if check:
        check_success(name, a, info, _NOT_POSITIVE)
    return _cholesky(a, bool(upper), value), info


def cholesky_ex(
    A: Tensor, *, upper: bool = False, check_errors: bool = False
) -> cholesky_ex_result:
    """`linalg.cholesky`, and for each matrix 0, or the order of the minor that is not positive.

    >>> linalg.cholesky_ex(ad.tensor([[1.0, 2.0], [2.0, 1.0]])).info
    tensor(2, dtype=torch.int32)
    """
    factor, info = factored("linalg.cholesky_ex", A, upper, check_errors)
    return cholesky_ex_result(factor, as_info(info))


def cholesky(A: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor:
    """The lower triangular L of A = L L^T, or the upper U of A = U^T U; that triangle of A is read.

    LinAlgError where A is not positive-definite.

    >>> linalg.cholesky(ad.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return written("linalg_cholesky", out, factored("linalg.cholesky", A, upper)[0], A)

"""Linear systems, inverses and powers of batches of square matrices."""

from __future__ import annotations

import math
from typing import Any

from autodiff.dtypes import plain
from autodiff.named import NamedTuple
from autodiff.native import lib, operand_text
from autodiff.ops.assign import masked_fill
from autodiff.ops.base import OUTPUT, Op, OpNode, called, titled
from autodiff.ops.contraction import matmul
from autodiff.ops.create import eye
from autodiff.ops.guard import must_be
from autodiff.ops.matrices import (
    as_info,
    check_matrix,
    check_pair,
    check_success,
    common_batch,
    native,
)
from autodiff.ops.out import written
from autodiff.ops.returned import returned
from autodiff.ops.transposes import mT
from autodiff.ops.views import expand, squeeze, unsqueeze
from autodiff.tensor import Tensor, wrap


class LU(NamedTuple):
    """PA = LU as `ad_lu` makes it."""

    lu: Any
    order: Any
    info: Any  # 1 + the first place of U's diagonal that is zero, or 0, a number a matrix
    det: Any = None  # the determinants, or their signs, where they were asked for


def factored(name: str, a: Tensor, determinant: int = 0) -> LU:
    """The factors of a batch, one native call."""
    return LU(*native(4 if determinant else 3, name, lib.ad_lu, a._p, determinant))


def _solve_rule(node: OpNode, g: Tensor, a: Tensor, x: Tensor) -> tuple[Tensor | None, ...]:
    """X = A^-1 B: dB = A^-T g, dA = -dB X^T; of A^T the same, transposed."""
    factors, transposed = node.args
    gb = solution.on((a, g), factors, not transposed)
    ga = None
    if node.needs(0):
        ga = -(matmul(x, mT(gb)) if transposed else matmul(gb, mT(x)))
    return ga, gb if node.needs(1) else None


solution: Op = Op("solve",
        lambda a, b, factors, transposed: lib.ad_lu_solve(factors.lu, factors.order, b, transposed),
        _solve_rule, saves=(0, OUTPUT), shaped=False,
        grad_name="LinalgSolveExBackward0")  # fmt: skip


def _inverse_rule(node: OpNode, g: Tensor, x: Tensor) -> tuple[Tensor]:
    """X = A^-1: dA = -X^T g X^T."""
    return (-matmul(mT(x), matmul(g, mT(x))),)


inverse: Op = Op("inv", lambda a, factors: lib.ad_lu_inverse(factors.lu, factors.order),
        _inverse_rule, saves=(OUTPUT,), shaped=False,
        grad_name="LinalgInvExBackward0")  # fmt: skip


def solve(A: Tensor, B: Tensor, *, left: bool = True, out: Tensor | None = None) -> Tensor:
    """X of A X = B, or of X A = B where not `left`; B may be a vector, or a batch of them.

    LinAlgError where A is singular.

    >>> linalg.solve(ad.tensor([[2.0, 0.0], [0.0, 4.0]]), ad.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    y, _ = solved(A, B, left, True)
    return written("linalg_solve", out, y, A, B)


def solved(A: Tensor, B: Tensor, left: bool, check: bool) -> tuple[Tensor, Any]:
    """X, and for each matrix 0, or the place of the zero pivot: an error, or X is of nan there."""
    check_matrix("linalg.solve", A)
    if not isinstance(B, Tensor):
        raise must_be("linalg.solve", "B", "Tensor", B)
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1])
    b = unsqueeze(B, B.ndim) if vector else B
    if b.ndim < 2:
        raise RuntimeError(
            "linalg.solve: The input tensor B must have at least 2 dimensions. It is "
            f"{operand_text(B._p)}"
        )
    check_pair("linalg.solve", A, b, left or vector)
    turned = not (left or vector)
    a, b = common_batch(A, mT(b) if turned else b)
    factors = factored("linalg.solve", a)
    singular = None
    if check:
        text = "The solver failed because the input matrix is singular."
        check_success("torch.linalg.solve", A, factors.info, text)
    else:
        singular = (wrap(factors.info) != 0)[..., None, None]
        factors = factors._replace(lu=identity(a).where(singular, wrap(factors.lu))._p)
    y = solution.on((a, b), factors, turned)
    if singular is not None:
        y = masked_fill(y, singular, math.nan)
    y = mT(y) if turned else y
    return titled(squeeze(y, -1) if vector else y, "LinalgSolveExBackward0"), factors.info


def identity(a: Tensor) -> Tensor:
    """The unit matrix in a's shape."""
    one = eye(a.shape[-1], dtype=a.dtype)
    return expand(one, a.shape) if a.ndim > 2 else one


@returned("linalg_inv_ex")
class inv_ex_result(NamedTuple):
    """What `linalg.inv_ex` returns."""

    inverse: Tensor
    info: Tensor


_NO_INVERSE = (
    "The diagonal element {n} is zero, the inversion could not be completed because the input "
    "matrix is singular."
)


def _inverse(name: str, a: Tensor, check: bool = True) -> tuple[Tensor, Any]:
    """The inverses, and for each 0, or the place of the zero pivot."""
    check_matrix(name, a)
    factors = factored(name, a)
    if check:
        check_success(name, a, factors.info, _NO_INVERSE)
    return inverse(a, factors), factors.info


@called("LinalgInvExBackward0")
def inv_ex(A: Tensor, *, check_errors: bool = False) -> inv_ex_result:
    """The inverses, and for each 0, or the place of the zero pivot that makes it worthless.

    >>> linalg.inv_ex(ad.tensor([[1.0, 2.0], [2.0, 4.0]])).info
    tensor(2, dtype=torch.int32)
    """
    name = "linalg.inv_ex" if check_errors else "linalg.inv"
    inverse, info = _inverse(name, A, check_errors)
    return inv_ex_result(inverse, as_info(info))


@called("LinalgInvExBackward0")
def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of a square matrix, or of each of a batch. LinAlgError where one is singular.

    >>> linalg.inv(ad.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return written("linalg_inv", out, _inverse("linalg.inv", A)[0], A)


# ---- powers ----


def matrix_power(A: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """A multiplied n times; for a negative n, its inverse.

    >>> linalg.matrix_power(ad.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    n = plain(n)
    if not isinstance(n, int) or isinstance(n, bool):
        raise must_be("linalg_matrix_power", "n", "int", n, 2)
    if abs(n) >= 2**63:
        raise OverflowError("int too big to convert to int64")
    if isinstance(A, Tensor) and not A.is_floating_point() and n >= 0:
        if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
            check_matrix("linalg.matrix_power", A.double())
    else:
        check_matrix("linalg.matrix_power", A)
    base, left, result = inv(A) if n < 0 else A, abs(n), None
    while left:
        if left & 1:
            result = base if result is None else matmul(result, base)
        left >>= 1
        base = matmul(base, base) if left else base
    if result is None or result is A:
        result = A.clone() if n else A.clone().copy_(identity(A))  # so its gradient is 0
    return written("linalg_matrix_power", out, result, A)

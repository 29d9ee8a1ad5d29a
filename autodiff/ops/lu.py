"""A = P L U: the factors, packed or apart, and systems solved by them.

P^T A has rows of A in another order, so what is differentiated is the factorization of a square
matrix that needs no exchanges, and triangular systems for what is beyond the square.
"""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import int32
from autodiff.named import NamedTuple
from autodiff.native import lib, refuse_any
from autodiff.ops.base import OUTPUT, Op, OpNode, called
from autodiff.ops.contraction import matmul
from autodiff.ops.create import eye
from autodiff.ops.gather import take_along_dim
from autodiff.ops.guard import strict
from autodiff.ops.join import cat
from autodiff.ops.matrices import check_matrix, triangle
from autodiff.ops.out import written, written_all
from autodiff.ops.returned import returned
from autodiff.ops.slices import index_select
from autodiff.ops.systems import factored, identity
from autodiff.ops.transposes import mT
from autodiff.ops.triangular import solve_triangular
from autodiff.ops.views import expand, narrow, unsqueeze
from autodiff.tensor import Tensor, own, wrap


def _rule(node: OpNode, g: Tensor, y: Tensor) -> tuple[Tensor]:
    """With Y = L - 1 + U: dA = L^-T (tril(L^T gL, -1) + triu(gU U^T)) U^-T."""
    low, high = triangle(y, False, -1) + identity(y), triangle(y, True)
    middle = triangle(matmul(mT(low), triangle(g, False, -1)), False, -1)
    middle = middle + triangle(matmul(triangle(g, True), mT(high)), True)
    left = solve_triangular(mT(low), middle, upper=True, unitriangular=True)
    return (solve_triangular(mT(high), left, upper=False, left=False),)


_packed: Op = Op("lu_factor", lambda a, value: lib.ad_clone(value), _rule, saves=(OUTPUT,),
        shaped=False, grad_name="LinalgLuFactorExBackward0")  # fmt: skip


@returned("linalg_lu")
class lu_result(NamedTuple):
    """What `linalg.lu` returns."""

    P: Tensor
    L: Tensor
    U: Tensor


@returned("lu_unpack")
class lu_unpack_result(NamedTuple):
    """What `lu_unpack` returns."""

    P: Tensor
    L: Tensor
    U: Tensor


@returned("linalg_lu_factor")
class lu_factor_result(NamedTuple):
    """What `linalg.lu_factor` returns."""

    LU: Tensor
    pivots: Tensor


@returned("linalg_lu_factor_ex")
class lu_factor_ex_result(NamedTuple):
    """What `linalg.lu_factor_ex` returns."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


def _factors(name: str, a: Tensor, pivot: bool, check: bool) -> tuple[Tensor, Tensor, Any]:
    """L and U in one matrix, the order of the rows, and the places of zero pivots."""
    if isinstance(a, Tensor) and not a.is_floating_point():
        kind = a.dtype.title
        raise NotImplementedError(f"{name}: not implemented for {kind!r}: it takes floats")
    check_matrix(name, a, square=False)
    if not pivot:
        raise RuntimeError(f"{name}: LU without pivoting is not implemented on the CPU")
    m, n = a.shape[-2:]
    k = min(m, n)
    whole = a.detach()
    if m != n:  # zeros beyond it change nothing of what is wanted
        side = max(m, n)
        whole = a.new_zeros([*a.shape[:-2], side, side])
        whole[..., :m, :n] = a.detach()
    factors = factored(name, whole)
    order = wrap(factors.order) if m == n else narrow(wrap(factors.order), -1, 0, m)
    info = wrap(factors.info)
    if m == n and not a.requires_grad:
        y = wrap(factors.lu)
    else:
        info = info * (info <= k)
        rows = take_along_dim(a, unsqueeze(order, order.ndim), -2)
        value = narrow(narrow(wrap(factors.lu), -1, 0, k), -2, 0, k)
        y = _packed(narrow(narrow(rows, -1, 0, k), -2, 0, k), value._p)
        if m > n:
            below = narrow(rows, -2, k, m - k)
            y = cat([y, solve_triangular(y, below, upper=True, left=False)], -2)
        elif n > m:
            beyond = narrow(rows, -1, k, n - k)
            y = cat([y, solve_triangular(y, beyond, upper=False, unitriangular=True)], -1)
    if check:
        refuse_any(info._p, RuntimeError, f"{name}: {_ZERO}", a._p)
    return y, order, info


def _pivots(order: Tensor, k: int) -> Tensor:
    """The exchanges that lead to an order of rows: with which row each was exchanged, from 1 on."""
    return own(lib.ad_lu_exchanges(order.contiguous()._p, k), "lu_factor")


def _order(name: str, pivots: Tensor, m: int, k: int) -> Tensor:
    """The order of m rows after these k exchanges. RuntimeError where they are none."""
    if not isinstance(pivots, Tensor) or pivots.dtype is not int32:
        kind = pivots.dtype.title if isinstance(pivots, Tensor) else type(pivots)
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type int32, not {kind}")
    if pivots.shape[-1:] != (k,):
        raise RuntimeError(f"{name}: expected {k} pivots per batch, got shape {list(pivots.shape)}")
    p = pivots.contiguous()
    refuse_any(
        ((p < 1) | (p > m))._p,
        RuntimeError,
        f"{name}: pivots must be between 1 and LU.size(-2), {m}. Did you properly pass the result "
        "of lu_factor?",
    )
    return own(lib.ad_lu_exchanged(p._p, m), name)


def _permutation(order: Tensor, like: Tensor) -> Tensor:
    """P, for which P^T A has A's rows in this order."""
    one = eye(order.shape[-1], dtype=like.dtype)
    return mT(index_select(one, 0, order) if order._p.ndim == 1 else one[order])


def _apart(y: Tensor) -> tuple[Tensor, Tensor]:
    """L, with its diagonal of ones, and U of packed factors."""
    m, n = y.shape[-2:]
    k = min(m, n)
    low = triangle(narrow(y, -1, 0, k), False, -1) + eye(m, k, dtype=y.dtype)
    return low, triangle(narrow(y, -2, 0, k), True)


@called("LinalgLuBackward0")
@strict
def lu(A: Tensor, *, pivot: bool = True, out: Any = None) -> lu_result:
    """A = P L U of matrices of any sizes: P permutes rows, L has ones on its diagonal.

    >>> linalg.lu(ad.tensor([[1.0, 2.0], [2.0, 2.0]])).U
    tensor([[2., 2.],
            [0., 1.]])
    """
    y, order, _ = _factors("linalg.lu", A, pivot, False)
    found = lu_result(_permutation(order, y), *_apart(y))
    return lu_result(*written_all("linalg_lu", out, found, A))


_ZERO = (
    "U[{n},{n}] is zero and using it on lu_solve would result in a division by zero. If you still "
    "want to perform the factorization, consider calling linalg.lu(A, pivot) or "
    "linalg.lu_factor_ex(A, pivot)"
)


@strict
def lu_factor_ex(
    A: Tensor, *, pivot: bool = True, check_errors: bool = False, out: Any = None
) -> lu_factor_ex_result:
    """`linalg.lu_factor`, and for each matrix 0, or the place of the first zero pivot.

    >>> linalg.lu_factor_ex(ad.tensor([[1.0, 2.0], [2.0, 4.0]])).info
    tensor(2, dtype=torch.int32)
    """
    y, order, info = _factors("torch.linalg.lu_factor_ex", A, pivot, check_errors)
    found = y, _pivots(order, min(A.shape[-2:])), info.to(int32)
    return lu_factor_ex_result(*written_all("linalg_lu_factor_ex", out, found, A))


@strict
def lu_factor(A: Tensor, *, pivot: bool = True, out: Any = None) -> lu_factor_result:
    """The factors of A = P L U in one matrix, and the exchanges of rows: what `lu_solve` takes.

    RuntimeError where U has a zero on its diagonal.

    >>> linalg.lu_factor(ad.tensor([[1.0, 2.0], [2.0, 2.0]])).pivots
    tensor([2, 2], dtype=torch.int32)
    """
    y, order, _ = _factors("torch.linalg.lu_factor", A, pivot, True)
    found = y, _pivots(order, min(A.shape[-2:]))
    return lu_factor_result(*written_all("linalg_lu_factor", out, found, A))


@called("LinalgLuSolveBackward0")
@strict
def lu_solve(
    LU: Tensor,
    pivots: Tensor,
    B: Tensor,
    *,
    left: bool = True,
    adjoint: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """X of A X = B, or of X A = B where not `left`, from what `lu_factor` made of A; of its
    transpose where `adjoint`.

    >>> a = ad.tensor([[1.0, 2.0], [2.0, 2.0]])
    >>> linalg.lu_solve(*linalg.lu_factor(a), ad.tensor([[3.0], [4.0]]))
    tensor([[1.],
            [1.]])
    """
    name = "linalg.lu_solve"
    check_matrix(name, LU, what="LU")
    check_matrix(name, B, square=False, what="B")
    order = _order(name, pivots, LU.shape[-2], LU.shape[-1])
    if pivots.shape != LU.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    b = B if left else mT(B)
    if LU.shape[-1] != b.shape[-2]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({LU.shape[-2]}x{LU.shape[-1]} and {B.shape[-2]}x{B.shape[-1]})"
        )
    p = _permutation(order, LU)
    if adjoint is left:  # A^T = U^T L^T P^T
        half = solve_triangular(mT(LU), b, upper=False)
        x = matmul(p, solve_triangular(mT(LU), half, upper=True, unitriangular=True))
    else:
        half = solve_triangular(LU, matmul(mT(p), b), upper=False, unitriangular=True)
        x = solve_triangular(LU, half, upper=True)
    return written("linalg_lu_solve", out, x if left else mT(x), LU, B)


@strict
def lu_unpack(
    LU_data: Tensor,
    LU_pivots: Tensor,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
    *,
    out: Any = None,
) -> lu_unpack_result:
    """P, L and U of what `linalg.lu_factor` made; what is not unpacked is empty.

    >>> ad.lu_unpack(*linalg.lu_factor(ad.tensor([[1.0, 2.0], [2.0, 2.0]]))).P
    tensor([[0., 1.],
            [1., 0.]])
    """
    check_matrix("lu_unpack", LU_data, square=False, what="LU_data")
    empty = LU_data.new_empty(0)
    p, low, high = empty, empty, empty
    if unpack_pivots:
        rows, k = LU_data.shape[-2], min(LU_data.shape[-2:])
        p = _permutation(_order("lu_unpack", LU_pivots, rows, k), LU_data)
        p = expand(p, [*LU_data.shape[:-2], *p.shape[-2:]])
    if unpack_data:
        low, high = _apart(LU_data)
    return lu_unpack_result(*written_all("lu_unpack", out, (p, low, high), LU_data))

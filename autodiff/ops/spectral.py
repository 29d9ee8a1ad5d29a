"""Orthogonal factors: QR, eigenvectors of symmetric matrices, singular values."""

from __future__ import annotations

from typing import Any

from autodiff.descriptor import fresh
from autodiff.dtypes import int64
from autodiff.expr import inputs
from autodiff.named import NamedTuple
from autodiff.native import lib
from autodiff.ops.assign import masked_fill
from autodiff.ops.base import OUTPUT, Op, OpNode
from autodiff.ops.contraction import matmul
from autodiff.ops.create import eye
from autodiff.ops.declare import where
from autodiff.ops.guard import must_be
from autodiff.ops.join import cat
from autodiff.ops.matrices import check_matrix, native, triangle
from autodiff.ops.out import written, written_all
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.returned import returned
from autodiff.ops.transposes import mT
from autodiff.ops.triangular import triangular
from autodiff.ops.views import narrow, unsqueeze
from autodiff.tensor import Tensor, wrap

# ---- QR ----


def _q_rule(node: OpNode, g: Tensor, a: Tensor, q: Tensor) -> tuple[Tensor]:
    """dA = (g - Q M) R^-T, M the symmetric matrix of the lower triangle of g^T Q."""
    if q.shape[-1] != a.shape[-1]:
        raise RuntimeError(
            "linalg.qr: the derivative of Q is not defined in mode 'complete' of matrices with "
            f"more rows than columns, {list(a.shape)}"
        )
    low = triangle(matmul(mT(g), q), False)
    inner = g - matmul(q, low + mT(triangle(low, False, -1)))
    r = triangle(matmul(mT(q), a), True)
    return (mT(triangular.on((r, mT(inner)), True, False)),)


_q: Op = Op("qr", lambda a, value: lib.ad_alias(value), _q_rule, saves=(0, OUTPUT), shaped=False,
        grad_name="LinalgQrBackward0")  # fmt: skip


def _r_rule(node: OpNode, g: Tensor, a: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """R is the triangle of Q^T A."""
    high = triangle(g, True)
    return matmul(q, high), matmul(a, mT(high))


_r: Op = Op("qr_r", lambda a, q, value: lib.ad_alias(value), _r_rule, saves=(0, 1), shaped=False,
        grad_name="LinalgQrBackward0")  # fmt: skip


@returned("linalg_qr")
class qr_result(NamedTuple):
    """What `linalg.qr` returns."""

    Q: Tensor
    R: Tensor


def qr(A: Tensor, mode: str = "reduced", *, out: Any = None) -> qr_result:
    """A = Q R: the columns of Q orthonormal, R upper triangular.

    Of an m x n matrix, Q has min(m, n) columns, or m in mode "complete"; it is empty in mode "r".

    >>> q, r = linalg.qr(ad.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> ad.allclose(q @ r, ad.tensor([[3.0, 1.0], [4.0, 2.0]]))
    True
    """
    check_matrix("linalg.qr", A, square=False)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    m, n = A.shape[-2:]
    cols = m if mode == "complete" else min(m, n)
    value, rows = native(2, "linalg.qr", lib.ad_qr, A._p, cols)
    if cols < m:
        top = fresh(lib.ad_slice(rows, A.ndim - 2, 0, cols, 1), "linalg.qr")
        rows = fresh(lib.ad_contiguous(top, top.dtype), "linalg.qr")
    first = A if n <= m else narrow(A, -1, 0, m)  # all that Q depends on
    q = _q(first, value)
    found = (A.new_empty(0) if mode == "r" else q, _r.on((A, q), rows))
    return qr_result(*written_all("linalg_qr", out, found, A))


# ---- symmetric matrices ----


def _gaps(values: Tensor) -> Tensor:
    """1 / (w[j] - w[i]), and 0 on the diagonal."""
    n = values.shape[-1]
    off = unsqueeze(values, values.ndim - 1) - unsqueeze(values, values.ndim)
    same = eye(n, dtype=values.dtype).bool()
    return masked_fill(1 / masked_fill(off, same, 1), same, 0)


def _vectors_rule(node: OpNode, g: Tensor, a: Tensor, v: Tensor) -> tuple[Tensor]:
    """dA = V (V^T g / gaps) V^T, where the eigenvalues differ."""
    w = _values.on((a,), *node.args)
    inner = matmul(mT(v), g) * _gaps(w)
    return (_symmetric(matmul(matmul(v, inner), mT(v))),)


def _values_rule(node: OpNode, g: Tensor, a: Tensor) -> tuple[Tensor]:
    """dA = V diag(g) V^T."""
    v = _vectors.on((a,), *node.args)
    return (matmul(v * unsqueeze(g, g.ndim - 1), mT(v)),)


def _symmetric(x: Tensor) -> Tensor:
    return (x + mT(x)) * 0.5


_vectors: Op = Op("eigenvectors", lambda a, vectors, values: lib.ad_alias(vectors), _vectors_rule,
        saves=(0, OUTPUT), shaped=False, grad_name="LinalgEighBackward0")  # fmt: skip
_values: Op = Op("eigenvalues", lambda a, vectors, values: lib.ad_alias(values), _values_rule,
        saves=(0,), shaped=False, grad_name="LinalgEighBackward0")  # fmt: skip


def _lower(a: Tensor, uplo: str) -> Tensor:
    """The matrices whose lower triangle is read."""
    check_matrix("linalg.eigh", a)
    if uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")
    return a if uplo.upper() == "L" else mT(a)


@returned("linalg_eigh")
class eigh_result(NamedTuple):
    """What `linalg.eigh` returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def eigh(A: Tensor, UPLO: str = "L", *, out: Any = None) -> eigh_result:
    """The eigenvalues of symmetric matrices, ascending, and their vectors in columns.

    One triangle is read, the lower ("L") or the upper ("U"). The derivative of the vectors takes
    eigenvalues that differ.

    >>> values, vectors = linalg.eigh(ad.tensor([[2.0, 1.0], [1.0, 2.0]]))
    >>> values
    tensor([1., 3.])
    >>> vectors.abs()
    tensor([[0.7071, 0.7071],
            [0.7071, 0.7071]])
    """
    a = _lower(A, UPLO)
    vectors, values = native(2, "linalg.eigh", lib.ad_eigh, a._p, False)
    found = (_values(a, vectors, values), _vectors(a, vectors, values))
    return eigh_result(*written_all("linalg_eigh", out, found, A))


def eigvalsh(A: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Tensor:
    """The eigenvalues of symmetric matrices, ascending.

    >>> linalg.eigvalsh(ad.tensor([[2.0, 1.0], [1.0, 2.0]]))
    tensor([1., 3.])
    """
    if A.requires_grad:
        return written("linalg_eigvalsh", out, eigh(A, UPLO).eigenvalues, A)
    _, values = native(2, "linalg.eigh", lib.ad_eigh, _lower(A, UPLO)._p, True)
    return written("linalg_eigvalsh", out, wrap(values), A)


# ---- singular values ----


_a, _b = inputs(2)


def native_svd(a: Tensor) -> tuple[Any, Any, Any]:
    """Descriptors of U, S and V of matrices no wider than high."""
    return tuple(native(3, "linalg.svd", lib.ad_svd, a._p))


def _left_rule(node: OpNode, g: Tensor, a: Tensor, u: Tensor) -> tuple[Tensor]:
    """dA = (U (K + K^T) S + (g - U U^T g) / S) V^T, K = U^T g / gaps of S^2."""
    s, v = (op.on((a,), *node.args) for op in (_spectrum, _right))
    row = unsqueeze(s, s.ndim - 1)
    inner = matmul(mT(u), g)
    k = inner * _gaps(s * s)
    core = matmul(u, (k + mT(k)) * row)
    rest = (g - matmul(u, inner)) / row if u.shape[-2] > u.shape[-1] else None
    return (matmul(core if rest is None else core + rest, mT(v)),)


def _right_rule(node: OpNode, g: Tensor, a: Tensor, v: Tensor) -> tuple[Tensor]:
    """dA = U S (K + K^T) V^T, K = V^T g / gaps of S^2."""
    u, s = (op.on((a,), *node.args) for op in (_left, _spectrum))
    k = matmul(mT(v), g) * _gaps(s * s)
    return (matmul(u * unsqueeze(s, s.ndim - 1), matmul(k + mT(k), mT(v))),)


def _spectrum_rule(node: OpNode, g: Tensor, a: Tensor) -> tuple[Tensor]:
    """dA = U diag(g) V^T."""
    u, v = (op.on((a,), *node.args) for op in (_left, _right))
    return (matmul(u * unsqueeze(g, g.ndim - 1), mT(v)),)


def _part(name: str, which: int, rule: Any, *saves: int) -> Op:
    return Op(name, lambda a, *parts: lib.ad_alias(parts[which]), rule, saves=saves, shaped=False,
            grad_name="LinalgSvdBackward0")  # fmt: skip


_left: Op = _part("svd_left", 0, _left_rule, 0, OUTPUT)
_spectrum: Op = _part("svd_values", 1, _spectrum_rule, 0)
_right: Op = _part("svd_right", 2, _right_rule, 0, OUTPUT)


@returned("linalg_svd")
class svd_result(NamedTuple):
    """What `linalg.svd` returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def svd(
    A: Tensor, full_matrices: bool = True, *, driver: str | None = None, out: Any = None
) -> svd_result:
    """A = U diag(S) Vh: columns of U and rows of Vh orthonormal, S descending.

    U and Vh are square where `full_matrices`; else they have as many columns and rows as S. What
    is beyond S has no derivative, and the vectors' takes singular values that differ.

    >>> linalg.svd(ad.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    check_matrix("linalg.svd", A, square=False)
    m, n = A.shape[-2:]
    a = A if n <= m else mT(A)
    parts = native_svd(a)
    left, s, right = (op(a, *parts) for op in (_left, _spectrum, _right))
    if full_matrices and m != n:
        whole = wrap(native(2, "linalg.svd", lib.ad_qr, parts[0], max(m, n))[0])
        left = cat([left, narrow(whole, -1, min(m, n), abs(m - n))], -1)
    found = (left, s, mT(right)) if n <= m else (right, s, mT(left))
    return svd_result(*written_all("linalg_svd", out, found, A))


def svdvals(A: Tensor, *, driver: str | None = None, out: Tensor | None = None) -> Tensor:
    """The singular values of matrices, descending.

    >>> linalg.svdvals(ad.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    if not A.requires_grad:
        check_matrix("linalg.svd", A, square=False)
        a = A if A.shape[-1] <= A.shape[-2] else mT(A)
        return written("linalg_svdvals", out, wrap(native_svd(a)[1]), A)
    return written("linalg_svdvals", out, svd(A, False).S, A)


def epsilon(x: Tensor) -> float:
    """The dtype's distance from 1 to the next number."""
    return 2.0**-23 if x.dtype.itemsize == 4 else 2.0**-52


def _threshold(s: Tensor, shape: Any, atol: Any, rtol: Any) -> Tensor:
    """What singular values must exceed to count."""
    if rtol is None:
        rtol = (
            epsilon(s) * max(shape)
            if atol is None or (isinstance(atol, float) and atol <= 0)
            else 0.0
        )
    atol = 0.0 if atol is None else atol
    largest = s.narrow(-1, 0, 1) if s.shape[-1] else s.sum(-1, keepdim=True)
    if atol == 0.0 and isinstance(rtol, float) and rtol >= 0:
        return largest * rtol
    absolute, relative = (
        unsqueeze(x, x.ndim) if isinstance(x, Tensor) else s.new_full((), x) for x in (atol, rtol)
    )
    return (largest * relative).maximum(absolute)


def _either(function: str, new: Any, another: Any, **older: Any) -> Any:
    """A tolerance by its older name, which goes with no newer one, or by its new one."""
    ((name, value),) = older.items()
    if value is None:
        return new
    if new is not None or another is not None:
        raise TypeError(f"linalg.{function}(): {name} is given, and so is atol or rtol")
    if isinstance(value, str) or not (isinstance(value, Tensor) or hasattr(value, "__float__")):
        raise must_be(f"linalg.{function}", name, "float", value)
    return value if isinstance(value, Tensor) else float(value)


def pinv(
    A: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The pseudo-inverse V diag(1 / S) U^T, over the singular values above max(atol, rtol S[0]).

    rtol, or `rcond`, is the dtype's epsilon times the larger size, unless given. The derivative
    holds where the rank does not change.

    >>> linalg.pinv(ad.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    rtol = _either("pinv", rtol, atol, rcond=rcond)
    check_matrix("linalg.pinv", A, square=hermitian)
    a = A if not hermitian else _symmetric(A)
    y, _, _ = pseudo_inverse(a, atol, rtol)
    return written("linalg_pinv", out, y, A)


_INVERSE = PointwiseOp("inverse", where(_a, 0.0, 1 / where(_a, 1.0, _b)), 2)


def pseudo_inverse(a: Tensor, atol: Any = None, rtol: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    """The pseudo-inverse, the singular values, and which of them do not count."""
    u, s, vh = svd(a.detach(), False)
    small = s <= _threshold(s, a.shape[-2:], atol, rtol)
    inverse = _INVERSE.call(small, s)
    y = _pinv(a, (mT(vh) * unsqueeze(inverse, inverse.ndim - 1) @ mT(u))._p)
    return y, s, small


def _pinv_rule(node: OpNode, g: Tensor, a: Tensor, y: Tensor) -> tuple[Tensor]:
    """Golub and Pereyra, SIAM J. Numer. Anal. 10, 1973: with B the pseudo-inverse,
    dA = -B^T g B^T + (1 - A B) g^T B B^T + B^T B g^T (1 - B A).
    """
    b, bt, gt = y, mT(y), mT(g)
    first = matmul(matmul(bt, g), bt)
    right = matmul(matmul(gt, b), bt)
    left = matmul(bt, matmul(b, gt))
    return (right - matmul(a, matmul(b, right)) + left - matmul(matmul(left, b), a) - first,)


_pinv: Op = Op("pinv", lambda a, value: lib.ad_alias(value), _pinv_rule, saves=(0, OUTPUT),
        shaped=False, grad_name="LinalgPinvBackward0")  # fmt: skip


def matrix_rank(
    A: Tensor,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """How many singular values are above max(atol, rtol S[0]); rtol as of `pinv`; tol is atol.

    >>> linalg.matrix_rank(ad.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    atol = _either("matrix_rank", atol, rtol, tol=tol)
    check_matrix("linalg.matrix_rank", A, square=hermitian)
    s = svdvals(A.detach())
    count = (s > _threshold(s, A.shape[-2:], atol, rtol)).sum(-1, dtype=int64)
    return written("linalg_matrix_rank", out, count, A)

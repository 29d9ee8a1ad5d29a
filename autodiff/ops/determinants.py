"""Determinants of batches of square matrices."""

from __future__ import annotations

from typing import Any, cast

from autodiff import graph
from autodiff.named import NamedTuple
from autodiff.native import lib, looked_at
from autodiff.ops.base import Op, OpNode, called
from autodiff.ops.contraction import matmul
from autodiff.ops.create import arange
from autodiff.ops.diagonals import diag_embed, diagonal
from autodiff.ops.join import cat, stack
from autodiff.ops.matrices import check_matrix
from autodiff.ops.out import written, written_all
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.returned import returned
from autodiff.ops.spectral import native_svd
from autodiff.ops.systems import factored, inverse
from autodiff.ops.transposes import mT
from autodiff.ops.views import alias, expand, unsqueeze
from autodiff.tensor import Tensor, wrap


def _last_two(g: Tensor) -> Tensor:
    return unsqueeze(unsqueeze(g, g.ndim), g.ndim + 1)


def _inverse_of_transpose(node: OpNode, a: Tensor) -> Tensor:
    return mT(inverse.on((a,), node.args[0]))


def _minors(a: Tensor) -> Tensor:
    """The derivative of det at each element, by determinants of minors."""
    n = a.shape[-1]
    if n == 1:
        return a.new_ones(a.shape)
    keep = [[k for k in range(n) if k != i] for i in range(n)]
    rows = []
    for i in range(n):
        without = a[..., keep[i], :]
        minors = [det(without[..., keep[j]]) * (-1) ** (i + j) for j in range(n)]
        rows.append(stack(minors, -1))
    return stack(rows, -2)


def _all_but_two(s: Tensor) -> Tensor:
    """The product of all of s but i and j, at (i, j); 0 on the diagonal."""
    n = s.shape[-1]
    one, places = s.new_ones([*s.shape[:-1], 1]), arange(n)
    later = unsqueeze(places, 0) > unsqueeze(places, 1)
    between = unsqueeze(s, s.ndim - 1).where(later, 1.0).cumprod(-1)[..., :-1]
    between = cat([expand(unsqueeze(one, s.ndim), [*s.shape, 1]), between], -1)
    before = cat([one, s.cumprod(-1)[..., :-1]], -1)
    behind = cat([one, s.flip(-1).cumprod(-1)[..., :-1]], -1).flip(-1)
    half = unsqueeze(before, s.ndim) * between * unsqueeze(behind, s.ndim - 1)
    half = half.where(later, 0.0)
    return half + mT(half)


def _slope_of_cofactors(h: Tensor, a: Tensor) -> Tensor:
    """The derivative of the sum of h times the cofactors, of matrices of any rank: by A = U S V^T,
    the cofactors are det(U V^T) U cof(S) V^T, and those of S + E are known to first order.
    """
    if not a.numel():
        return a
    u, s, v = map(wrap, native_svd(a))
    sign = wrap(factored("linalg.det", matmul(u, mT(v)), lib.AD_LU_SIGN).det)
    inner, products = matmul(matmul(mT(u), h), v), _all_but_two(s)
    sums = (products * unsqueeze(diagonal(inner, 0, -2, -1), s.ndim - 1)).sum(-1)
    inner = diag_embed(sums) - products * mT(inner)
    return matmul(matmul(u, inner), mT(v)) * _last_two(sign)


def _by_inverse(h: Tensor, a: Tensor) -> Tensor:
    """The same as it is differentiated: with C = det B, B = A^-T: B <h, C> - B h^T C; of singular
    matrices, by their minors.
    """
    factors = factored("linalg.det", a, lib.AD_LU_DETERMINANT)
    looked_at()
    if any(wrap(factors.info).flatten().tolist()):
        x = alias(a)
        slopes: Any = graph.grad(_minors(x), [x], h, create_graph=True)
        return cast("Tensor", slopes[0])
    b, c = mT(inverse.on((a,), factors)), _cofactors.on((a,), factors)
    total = (h * c).sum((-2, -1), keepdim=True)
    return b * total - matmul(b, matmul(mT(h), c))


_slope: Op = Op("cofactors_slope", lambda h, a, value: lib.ad_alias(value),
        lambda node, g, h, a: cotangents_of(_by_inverse, node, g, (h, a)), saves=(0, 1),
        shaped=False)  # fmt: skip


def _cofactors_rule(node: OpNode, h: Tensor, a: Tensor) -> tuple[Tensor]:
    value = _slope_of_cofactors(h.detach(), a.detach())
    return (_slope.on((h, a), value._p),)


# The derivatives of det, which there are of a singular matrix, too.
_cofactors: Op = Op("cofactors", lambda a, factors: lib.ad_cofactors(a, *factors), _cofactors_rule,
        saves=(0,), shaped=False, grad_name="LinalgDetBackward0")  # fmt: skip


def _det_rule(node: OpNode, g: Tensor, a: Tensor) -> tuple[Tensor]:
    return (_last_two(g) * _cofactors.on((a,), node.args[0]),)


_det: Op = Op(
    "linalg_det", lambda a, factors: lib.ad_alias(factors.det), _det_rule, saves=(0,), shaped=False
)


def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinant of each square matrix; 1 of one without elements.

    >>> linalg.det(ad.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    check_matrix("linalg.det", A)
    y = _det(A, factored("linalg.det", A, lib.AD_LU_DETERMINANT))
    return written("linalg_det", out, y, A)


_logabsdet: Op = Op("linalg_slogdet", lambda a, factors, value: lib.ad_alias(value),
        lambda node, g, a: (_last_two(g) * _inverse_of_transpose(node, a),), saves=(0,),
        shaped=False)  # fmt: skip


@returned("linalg_slogdet")
class slogdet_result(NamedTuple):
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


def slogdet(A: Tensor, *, out: Any = None) -> slogdet_result:
    """The sign of the determinant, and the logarithm of its magnitude, which does not overflow.

    0 and -inf of a singular matrix. The sign has no derivative.

    >>> linalg.slogdet(ad.tensor([[0.0, 1.0], [1.0, 0.0]]))
    torch.return_types.linalg_slogdet(
    sign=tensor(-1.),
    logabsdet=tensor(0.))
    """
    check_matrix("linalg.slogdet", A)
    factors = factored("linalg.slogdet", A, lib.AD_LU_SIGN)
    pivots = diagonal(wrap(factors.lu), 0, A.ndim - 2, A.ndim - 1)
    size = pivots.abs().log().sum(-1)
    found = slogdet_result(wrap(factors.det), _logabsdet(A, factors, size._p))
    return slogdet_result(*written_all("linalg_slogdet", out, found, A))


@called("WhereBackward0")
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: nan where that is negative, -inf where it is 0.

    >>> ad.logdet(ad.tensor([[2.0, 0.0], [0.0, 3.0]]))
    tensor(1.7918)
    """
    check_matrix("logdet", input)
    sign, size = slogdet(input)
    found: Tensor = size + sign.log()
    return found

"""Determinants of batches of square matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

from autodiff.native import ffi, lib, looked_at
from autodiff.ops.base import Op, OpNode, called
from autodiff.ops.contraction import matmul
from autodiff.ops.diagonals import diagonal
from autodiff.ops.join import stack
from autodiff.ops.matrices import check_matrix
from autodiff.ops.out import written, written_all
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.returned import returned
from autodiff.ops.systems import factored, identity, solution
from autodiff.ops.views import mT, unsqueeze
from autodiff.tensor import Tensor, wrap


def _last_two(g: Tensor) -> Tensor:
    return unsqueeze(unsqueeze(g, g.ndim), g.ndim + 1)


def _inverse_of_transpose(node: OpNode, a: Tensor) -> Tensor:
    return solution.on((a, identity(a)), node.args[0], True)


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


def _cofactors_rule(node: OpNode, h: Tensor, a: Tensor) -> tuple[Tensor | None]:
    """C = det B, B = A^-T: dA = B <h, C> - B h^T C; of singular matrices, that of their minors."""
    looked_at()
    info = node.args[0].info
    if any(ffi.unpack(ffi.cast("int64_t *", info.data), info.numel) if info.numel else ()):
        return (cotangents_of(_minors, node, h, (a,))[0],)
    b, c = _inverse_of_transpose(node, a), _cofactors.on((a,), node.args[0])
    total = (h * c).sum((-2, -1), keepdim=True)
    return (b * total - matmul(b, matmul(mT(h), c)),)


# The derivatives of det, which there are of a singular matrix, too.
_cofactors: Op = Op(
    "cofactors",
    lambda a, factors: lib.ad_cofactors(a, *factors),
    _cofactors_rule,
    saves=(0,),
    shaped=False,
    grad_name="LinalgDetBackward0",
)


def _det_rule(node: OpNode, g: Tensor, a: Tensor) -> tuple[Tensor]:
    return (_last_two(g) * _cofactors.on((a,), node.args[0]),)


_det: Op = Op(
    "linalg_det",
    lambda a, factors: lib.ad_alias(factors.det),
    _det_rule,
    saves=(0,),
    shaped=False,
)


def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:  # noqa: N803
    """The determinant of each square matrix; 1 of one without elements.

    >>> linalg.det(ad.tensor([[2.0, 0.0], [1.0, 3.0]]))
    tensor(6.)
    """
    check_matrix("linalg.det", A)
    y = _det(A, factored("linalg.det", A, lib.AD_LU_DETERMINANT))
    return written("linalg_det", out, y, A)


def _logabsdet_rule(node: OpNode, g: Tensor, a: Tensor) -> tuple[Tensor]:
    return (_last_two(g) * _inverse_of_transpose(node, a),)


_logabsdet: Op = Op(
    "linalg_slogdet",
    lambda a, factors, value: lib.ad_alias(value),
    _logabsdet_rule,
    saves=(0,),
    shaped=False,
)


@returned("linalg_slogdet")
class slogdet_result(NamedTuple):  # noqa: N801 - as max_result
    """What `slogdet` returns."""

    sign: Tensor
    logabsdet: Tensor


def slogdet(A: Tensor, *, out: Any = None) -> slogdet_result:  # noqa: N803
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

"""Transposes of matrices, and of batches of them."""

from __future__ import annotations

from autodiff.anomaly import warn
from autodiff.native import lib
from autodiff.ops.base import Op
from autodiff.ops.views import _alias, _permute, _transpose, transpose
from autodiff.tensor import Tensor

_t: Op = Op("t", lib.ad_transpose, lambda node, g: (_t(g, 0, 1),), view=True, shaped=False,
        grad_name="TBackward0")  # fmt: skip
_same_t = _alias.named("TBackward0")
_reversed: Op = Op(  # .T of a matrix
    "reversed_dims",
    lib.ad_transpose,
    lambda node, g: (_reversed(g, 0, 1),),
    view=True,
    shaped=False,
    grad_name="PermuteBackward0",
)
_t_at_once, _reversed_at_once, _mt_at_once = [  # of matrices
    op.direct(lib.ad_transpose_matrix, always=(0, 1)) for op in (_t, _reversed, _transpose)
]


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; tensors of fewer dimensions as they are. RuntimeError for more.

    >>> ad.tensor([[1, 2], [3, 4]]).t()
    tensor([[1, 3],
            [2, 4]])
    """
    y: Tensor | None = _t_at_once(input)
    if y is not None:
        return y
    n = input._p.ndim
    if n > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {n}D")
    return _t.call(input, 0, 1) if n == 2 else _same_t.call(input)


def of_a_number(name: str) -> None:
    """A warning for who transposes a tensor without dimensions."""
    warn(f"Tensor.{name} of a 0-d tensor is deprecated: it is the tensor itself")


def mT(x: Tensor) -> Tensor:
    """The last two dimensions swapped: a view.

    >>> ad.zeros(5, 2, 3).mT.shape
    torch.Size([5, 3, 2])
    """
    y: Tensor | None = _mt_at_once(x)
    if y is not None:
        return y
    n = x._p.ndim
    if n == 0:
        of_a_number("mT")
        return _same_t(x)
    if n < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of them, got {n}-D")
    return _transpose.call(x, n - 2, n - 1)


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions swapped, as a view; of real numbers there is nothing to conjugate.

    >>> ad.zeros(4, 2, 3).adjoint().shape
    torch.Size([4, 3, 2])
    """
    if input.ndim == 1:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    return transpose(input, -2, -1) if input.ndim else transpose(input, 0, 0)


def mH(x: Tensor) -> Tensor:
    """`adjoint()`.

    >>> ad.zeros(5, 2, 3).mH.shape
    torch.Size([5, 3, 2])
    """
    if x.ndim == 1:
        raise RuntimeError(
            "tensor.mH is only supported on matrices or batches of matrices. Got "
            f"{x.ndim}-D tensor."
        )
    return adjoint(x)


def T(x: Tensor) -> Tensor:
    """All dimensions reversed. A warning of others than two: `mT` transposes matrices of a batch.

    >>> ad.tensor([[1, 2], [3, 4]]).T
    tensor([[1, 3],
            [2, 4]])
    """
    y: Tensor | None = _reversed_at_once(x)
    if y is not None:
        return y
    n = x._p.ndim
    if n == 2:
        return _reversed.call(x, 0, 1)
    if n == 0:
        of_a_number("T")
    else:
        warn(
            f"x.T of a tensor of {n} dimensions is deprecated: take x.mT for a batch of matrices, "
            "or x.permute(*range(x.ndim)[::-1]) to reverse the dimensions"
        )
    return _permute(x, list(range(n))[::-1])


def H(x: Tensor) -> Tensor:
    """The transpose of a matrix, of real numbers the conjugate one. RuntimeError of others.

    >>> ad.tensor([[1, 2], [3, 4]]).H
    tensor([[1, 3],
            [2, 4]])
    """
    if x.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {x.ndim}-D tensor."
        )
    if not x.ndim:
        of_a_number("H")
    return adjoint(x)

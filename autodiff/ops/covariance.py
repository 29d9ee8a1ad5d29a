"""Covariances and correlations of variables observed together."""

from __future__ import annotations

import operator

from autodiff import dtypes
from autodiff.native import refuse_any
from autodiff.ops.base import called
from autodiff.ops.contraction import matmul
from autodiff.ops.diagonals import diagonal
from autodiff.ops.elementwise import div
from autodiff.ops.halves import in_float32
from autodiff.ops.transposes import t
from autodiff.ops.views import unsqueeze
from autodiff.tensor import Tensor


def _check_weights(name: str, w: Tensor, count: int, integral: bool) -> None:
    if w.ndim > 1:
        raise RuntimeError(
            f"cov(): expected {name} to have one or fewer dimensions but got {name} with {w.ndim} "
            "dimensions"
        )
    if integral and (w.is_floating_point() or w.dtype is dtypes.bool):
        raise RuntimeError(
            f"cov(): expected {name} to have integral dtype but got {name} with "
            f"{w.dtype.title} dtype"
        )
    if not integral and not w.is_floating_point():
        raise RuntimeError(
            f"cov(): expected {name} to have floating point dtype but got {name} with "
            f"{w.dtype.title} dtype"
        )
    if w.numel() != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input "
            f"but got {w.numel()} != {count}"
        )
    refuse_any((w.detach() < 0)._p, RuntimeError, f"cov(): {name} cannot be negative")


def _check_rows(name: str, x: Tensor) -> None:
    if x.ndim > 2:
        raise RuntimeError(
            f"{name}(): expected input to have two or fewer dimensions but got an input with "
            f"{x.ndim} dimensions"
        )


@called("SqueezeBackward0")
def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariances of variables (rows) over observations (columns); of one row, its variance.

    `fweights` says how often each was observed, `aweights` how much each counts. The sums are
    divided by the weights' sum less `correction`, or by 0 where that is negative.

    >>> ad.cov(ad.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    _check_rows("cov", input)
    if input.dtype is dtypes.bool:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    correction = operator.index(correction)
    if not -(2**63) <= correction < 2**63:
        raise OverflowError("int too big to convert to int64")
    single = input.ndim < 2
    x = input.reshape(1, -1) if single else input
    x = x if x.is_floating_point() else x.to(dtypes.get_default_dtype())
    if aweights is not None and aweights.is_floating_point():
        x = x.to(dtypes.promote_types(x.dtype, aweights.dtype))
    count = x.shape[1]
    weights: Tensor | None = None
    if fweights is not None:
        _check_weights("fweights", fweights, count, True)
        weights = fweights.reshape(-1).to(x.dtype)
    if aweights is not None:
        _check_weights("aweights", aweights, count, False)
        own = aweights.reshape(-1).to(x.dtype)
        weights = own if weights is None else own * weights
    if weights is None:
        centred = x - x.mean(1, keepdim=True)
        y = matmul(centred, t(centred)) / max(count - correction, 0)
    else:
        total = weights.sum()
        if count:
            text = "cov(): weights sum to zero, can't be normalized"
            refuse_any((total.detach() == 0)._p, RuntimeError, text)
        squares = weights if aweights is None else weights * aweights.reshape(-1)
        freedom = total - correction * (squares.sum() / total)
        centred = x - (x * weights).sum(1, keepdim=True) / total
        y = matmul(centred * weights, t(centred)) / freedom.clamp(min=0)
    return y.reshape(()) if x.shape[0] == 1 else y


def corrcoef(input: Tensor) -> Tensor:
    """The correlations of variables (rows) over observations (columns), within [-1, 1].

    >>> ad.corrcoef(ad.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    _check_rows("corrcoef", input)
    return _correlations(input)


@in_float32
def _correlations(x: Tensor) -> Tensor:
    c = cov(x)
    if c.ndim == 0:
        return div.call(c, c)
    spread = diagonal(c).sqrt()
    found: Tensor = (c / unsqueeze(spread, 1) / spread).clamp(-1, 1)
    return found

"""`distributions.utils`: what makers of distributions share."""

from __future__ import annotations

from typing import Any

from autodiff.distributions.distribution import broadcast_all as broadcast_all
from autodiff.distributions.distribution import lazy as lazy_property
from autodiff.distributions.distribution import sum_rightmost as _sum_rightmost  # noqa: F401
from autodiff.dtypes import finfo
from autodiff.functions import log, log1p, ones, randn, sigmoid, softmax, tril
from autodiff.tensor import Tensor

__all__ = [
    "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits",
    "tril_matrix_to_vec", "vec_to_tril_matrix",
]  # fmt: skip


def _standard_normal(shape: Any, dtype: Any, device: Any) -> Tensor:
    return randn(tuple(shape), dtype=dtype, device=device)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities limited to where their logits are finite.

    >>> ad.distributions.utils.clamp_probs(ad.tensor([0.0, 0.5]))
    tensor([1.1921e-07, 5.0000e-01])
    """
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities from logits: of the last dimension's categories, or each of two.

    >>> ad.distributions.utils.logits_to_probs(ad.zeros(2))
    tensor([0.5000, 0.5000])
    """
    return sigmoid(logits) if is_binary else softmax(logits, -1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Logits from probabilities, which are limited first.

    >>> ad.distributions.utils.probs_to_logits(ad.tensor([0.5]), is_binary=True)
    tensor([0.])
    """
    limited = clamp_probs(probs)
    return log(limited) - log1p(-limited) if is_binary else log(limited)


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Lower triangular matrices from their elements, row by row, up to a diagonal.

    >>> ad.distributions.utils.vec_to_tril_matrix(ad.tensor([1.0, 2.0, 3.0]))
    tensor([[1., 0.],
            [2., 3.]])
    """
    shift, count = 1 + 2 * diag, vec.shape[-1]
    n = (-shift + (shift**2 + 8 * count + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    size = round(n)
    if abs(n - size) > finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {count} which cannot be expressed as the lower "
            "triangular part of a square D x D matrix."
        )
    matrix = vec.new_zeros((*vec.shape[:-1], size, size))
    matrix[..., _below(size, diag)] = vec
    return matrix


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements of lower triangular matrices, row by row, up to a diagonal.

    >>> ad.distributions.utils.tril_matrix_to_vec(ad.tensor([[1.0, 0.0], [2.0, 3.0]]))
    tensor([1., 2., 3.])
    """
    n = mat.shape[-1]
    if mat.ndim < 2 or not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., _below(n, diag)]


def _below(n: int, diag: int) -> Any:
    return tril(ones(n, n), diag) > 0

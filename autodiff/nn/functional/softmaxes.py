"""Softmax as functions, along a dimension that may be left out."""

from __future__ import annotations

import warnings

from autodiff.dtypes import dtype
from autodiff.ops import normalize
from autodiff.tensor import Tensor

__all__ = ["log_softmax", "softmax", "softmin"]


def _implicit_dim(name: str, ndim: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, *, dtype: dtype | None = None) -> Tensor:
    """exp(input) divided by its sum along `dim`.

    >>> F.softmax(ad.zeros(2), dim=-1)
    tensor([0.5000, 0.5000])
    """
    d = _implicit_dim("softmax", input.ndim) if dim is None else dim
    return normalize.softmax(input, d, dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, *, dtype: dtype | None = None) -> Tensor:
    """The logarithm of softmax, exact also where softmax rounds to zero.

    >>> F.log_softmax(ad.zeros(2), dim=-1)
    tensor([-0.6931, -0.6931])
    """
    d = _implicit_dim("log_softmax", input.ndim) if dim is None else dim
    return normalize.log_softmax(input, d, dtype=dtype)


def softmin(input: Tensor, dim: int | None = None, *, dtype: dtype | None = None) -> Tensor:
    """softmax(-input).

    >>> F.softmin(ad.tensor([0.0, 1.0]), dim=-1)
    tensor([0.7311, 0.2689])
    """
    d = _implicit_dim("softmin", input.ndim) if dim is None else dim
    return normalize.softmax(-input, d, dtype=dtype)

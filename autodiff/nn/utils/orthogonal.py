"""Weights with orthonormal columns, or rows: a parametrization."""

from __future__ import annotations

from typing import Any

from autodiff import linalg
from autodiff.dtypes import finfo
from autodiff.functions import allclose, cat, copysign, eye, matrix_exp, randn, where
from autodiff.grad_mode import no_grad
from autodiff.nn.module import Module
from autodiff.nn.utils.parametrize import register_parametrization
from autodiff.tensor import Tensor

__all__ = ["orthogonal"]

_MAPS = ("matrix_exp", "cayley", "householder")


def _eye(n: int, k: int, like: Tensor) -> Tensor:
    return eye(n, k, dtype=like.dtype)


def _reflected(x: Tensor) -> Tensor:
    """The first columns of the product of the reflections by the columns v below x's diagonal, on
    which 1 stands: I - V S^-1 V^T with S + S^T = V^T V, S being upper triangular.
    """
    n, k = x.shape[-2:]
    v = x.tril(-1) + _eye(n, k, x)
    products = v.mT @ v
    s = products.triu(1) + (products.diagonal(dim1=-2, dim2=-1) / 2).diag_embed()
    return _eye(n, k, x) - v @ linalg.solve_triangular(s, v[..., :k, :].mT, upper=True)


def _reflections(q: Tensor) -> Tensor:
    """q as its QR decomposition's reflections, and signs on the diagonal for those of R."""
    a = q.clone()
    for j in range(q.shape[-1]):
        first, rest = a[..., j : j + 1, j], a[..., j + 1 :, j]
        plain = (rest == 0).all(-1, keepdim=True)
        size = linalg.vector_norm(a[..., j:, j], dim=-1, keepdim=True)
        r = where(plain, first, copysign(size, -first))
        factor = where(plain, 0.0, (r - first) / r)
        below = where(plain, 0.0, rest / (first - r))
        v = cat([first * 0 + 1, below], -1)[..., None]
        block = a[..., j:, j:].clone()
        a[..., j:, j:] = block - factor[..., None] * v @ (v.mT @ block)
        a[..., j + 1 :, j] = below
        a[..., j : j + 1, j] = where(plain, -first.sign(), r.sign())
    return a


def _nearby(a: Tensor) -> Tensor:
    """The Q of a = QR, where R has no negative number on its diagonal."""
    q, r = linalg.qr(a)
    signed: Tensor = q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
    return signed


class _Orthogonal(Module):
    base: Tensor

    def __init__(self, weight: Tensor, kind: str, use_trivialization: bool) -> None:
        super().__init__()
        self.shape, self.kind = weight.shape, kind
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[-2] < x.shape[-1]
        x = x.mT if wide else x
        n, k = x.shape[-2:]
        if self.kind == "householder":
            q = _reflected(x) * x.diagonal(dim1=-2, dim2=-1).int()[..., None, :]
        else:
            low = x.tril()
            if n != k:
                low = cat([low, x.new_zeros(*x.shape[:-1], n - k)], -1)
            skew, one = low - low.mT, _eye(n, n, x)
            if self.kind == "matrix_exp":
                q = matrix_exp(skew)
            else:
                q = linalg.solve(one - skew / 2, one + skew / 2)
            q = q[..., :k] if n != k else q
        q = self.base @ q if hasattr(self, "base") else q
        return q.mT if wide else q

    def right_inverse(self, value: Tensor) -> Tensor:
        """What the weight is computed from; with a base, that is made of the weight."""
        if value.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of "
                f"shape {value.shape}."
            )
        with no_grad():
            wide = value.shape[-2] < value.shape[-1]
            q = value.mT if wide else value
            n, k = q.shape[-2:]
            if not hasattr(self, "base"):
                if self.kind != "householder":
                    raise NotImplementedError(
                        "It is not possible to assign to the matrix exponential or the Cayley "
                        "parametrizations when use_trivialization=False."
                    )
                found = _reflections(q)
                return found.mT if wide else found
            if n != k:
                self.base = _nearby(cat([q, randn(*q.shape[:-1], n - k, dtype=q.dtype)], -1))
            elif allclose(q.mT @ q, _eye(n, n, q), atol=10.0 * n * finfo(q.dtype).eps):
                self.base = q.clone()
            else:
                self.base = _nearby(q)
            zero: Tensor = value * 0
            return zero - _eye(value.shape[-2], value.shape[-1], value)


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Let a weight (..., n, k) have orthonormal columns, or rows where they are fewer.

    It is computed from a matrix by its `orthogonal_map`: of its lower triangle less the transpose,
    the "matrix_exp" or "cayley", (I - A/2)^-1 (I + A/2); or "householder", the product of
    reflections by its columns (by default, unless n = k). With use_trivialization that is times a
    base, so that the weight begins as it is, or near it.

    >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(3, 2))
    >>> ad.allclose(layer.weight @ layer.weight.T, ad.eye(2), atol=1e-5)
    True
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions."
        )
    if orthogonal_map is None:
        orthogonal_map = "householder" if weight.shape[-2] != weight.shape[-1] else "matrix_exp"
    if orthogonal_map not in _MAPS:
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
            f"Got: {orthogonal_map}"
        )
    kept = _Orthogonal(weight, orthogonal_map, use_trivialization)
    return register_parametrization(module, name, kept, unsafe=True)

"""Parametrizations of weights: by norm and direction, by the largest singular value, orthogonal."""

from __future__ import annotations

from typing import Any

from autodiff.grad_mode import no_grad
from autodiff.nn.module import Module
from autodiff.nn.utils.orthogonal import orthogonal
from autodiff.nn.utils.parametrize import register_parametrization
from autodiff.ops.contraction import dot, mv
from autodiff.ops.views import reshape
from autodiff.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        if dim is not None and not isinstance(dim, int):
            raise TypeError(f"weight_norm: dim must be int or None, not {type(dim).__name__}")
        self.dim = -1 if dim is None else dim

    def _norm(self, v: Tensor) -> Tensor:
        """The norms of v over all dimensions but dim; over all where that is -1."""
        if self.dim == -1:
            return (v * v).sum().sqrt()
        if not -v.ndim <= self.dim < v.ndim:
            raise IndexError(
                "Dimension out of range (expected to be in range of "
                f"[-{v.ndim}, {v.ndim - 1}] but got {self.dim})"
            )
        kept = self.dim % v.ndim
        dims = tuple(d for d in range(v.ndim) if d != kept)
        squares = v * v
        return (squares.sum(dims, keepdim=True) if dims else squares).sqrt()

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / self._norm(weight_v))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Norms and directions of a weight."""
        return self._norm(weight), weight.detach()


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let a weight be g v / |v|, with a norm g for each index of `dim`, or one of all for None.

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


def _unit(x: Tensor, eps: float) -> Tensor:
    unit: Tensor = x / dot(x, x).sqrt().clamp(min=eps)
    return unit


def _matrix(weight: Tensor, dim: int) -> Tensor:
    """A weight as rows along a dimension."""
    if dim:
        weight = weight.permute(dim, *[d for d in range(weight.ndim) if d != dim])
    return reshape(weight, (weight.shape[0], -1))


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(
        self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                "Dimension out of range (expected to be in range of "
                f"[-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            with no_grad():
                matrix = _matrix(weight, self.dim)
                u, v = (matrix.new_empty((n,)).normal_(0, 1) for n in matrix.shape)
                self.register_buffer("_u", _unit(u, eps))
                self.register_buffer("_v", _unit(v, eps))
                self._iterate(matrix, 15)

    def _iterate(self, matrix: Tensor, count: int) -> None:
        with no_grad():
            for _ in range(count):
                self._u.copy_(_unit(mv(matrix, self._v), self.eps))
                self._v.copy_(_unit(mv(matrix.t(), self._u), self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return _unit(weight, self.eps)
        matrix = _matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        sigma = dot(self._u.clone(), mv(matrix, self._v.clone()))
        return weight / sigma

    def right_inverse(self, value: Tensor) -> Tensor:
        """The weight itself."""
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Let a weight be divided by its largest singular value, which each use in training refines.

    The weight is a matrix of rows along `dim`, by default 0, or 1 of transposed convolutions.

    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3), n_power_iterations=50)
    >>> round(linalg.svdvals(layer.weight)[0].item(), 3)
    1.0
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    norm = _SpectralNorm(weight, n_power_iterations, dim, eps)
    return register_parametrization(module, name, norm)

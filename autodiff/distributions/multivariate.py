"""The normal distribution of vectors."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autodiff import linalg
from autodiff.distributions import constraints
from autodiff.distributions.distribution import Distribution, lazy, moment
from autodiff.distributions.univariate import LOG_2PI
from autodiff.functions import broadcast_shapes, eye, randn
from autodiff.tensor import Tensor

__all__ = ["MultivariateNormal"]


def mahalanobis(lower: Tensor, x: Tensor) -> Any:
    """|L^-1 x|^2: one triangular solve for all vectors that share a matrix."""
    if lower.dim() == 2:
        flat = x.reshape(-1, x.shape[-1])
        return (
            linalg.solve_triangular(lower, flat.T, upper=False).pow(2).sum(0).reshape(x.shape[:-1])
        )
    batch = broadcast_shapes(lower.shape[:-2], x.shape[:-1])
    solved = linalg.solve_triangular(
        lower.expand(batch + lower.shape[-2:]),
        x.expand(batch + x.shape[-1:]).unsqueeze(-1),
        upper=False,
    )
    return solved.pow(2).sum([-2, -1])


def half_log_det(lower: Tensor) -> Any:
    """log |det L|, half of that of the covariance L L^T."""
    return lower.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class MultivariateNormal(Distribution):
    """The normal distribution of mean `loc`, and of its covariance, that one's inverse or factor.

    One of `covariance_matrix`, `precision_matrix` and `scale_tril`, which is lower triangular.

    >>> d = distributions.MultivariateNormal(ad.zeros(2), ad.tensor([[2.0, 1.0], [1.0, 2.0]]))
    >>> d.log_prob(ad.zeros(2))
    tensor(-2.3872)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    mean = mode = moment(lambda loc: loc)

    def __init__(
        self,
        loc: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        all_three = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = [(name, matrix) for name, matrix in all_three.items() if matrix is not None]
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given
        if matrix.dim() < 2:
            what = name if name.endswith("matrix") else f"{name} matrix"
            raise ValueError(
                f"{what} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand([*batch, -1])
        self.__dict__[name] = matrix.expand([*batch, -1, -1])
        super().__init__(batch, self.loc.shape[-1:], validate_args)
        if name == "covariance_matrix":
            matrix = linalg.cholesky(matrix)
        elif name == "precision_matrix":
            turned = linalg.cholesky(matrix.flip(-2, -1)).flip(-2, -1).mT
            identity = eye(matrix.shape[-1], dtype=matrix.dtype)
            matrix = linalg.solve_triangular(turned, identity, upper=False)
        self._unbroadcasted_scale_tril = matrix

    def _expanded(self, x: Any) -> Any:
        return x.expand(self._batch_shape + x.shape[x.dim() - 2 :])

    @lazy
    def scale_tril(self) -> Any:
        return self._expanded(self._unbroadcasted_scale_tril)

    @lazy
    def covariance_matrix(self) -> Any:
        lower = self._unbroadcasted_scale_tril
        return self._expanded(lower @ lower.mT)

    @lazy
    def precision_matrix(self) -> Any:
        lower = self._unbroadcasted_scale_tril
        identity = eye(lower.shape[-1], dtype=lower.dtype)
        inverse = linalg.solve_triangular(lower, identity, upper=False)
        return self._expanded(inverse.mT @ inverse)

    @property
    def variance(self) -> Any:
        squares = self._unbroadcasted_scale_tril.pow(2).sum(-1)
        return squares.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        noise = randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self._unbroadcasted_scale_tril @ noise.unsqueeze(-1)).squeeze(-1)

    def _log_prob(self, value: Any) -> Any:
        lower = self._unbroadcasted_scale_tril
        distance = mahalanobis(lower, value - self.loc)
        return -0.5 * (self._event_shape[0] * LOG_2PI + distance) - half_log_det(lower)

    def entropy(self) -> Any:
        n = self._event_shape[0]
        each = 0.5 * n * (1 + LOG_2PI) + half_log_det(self._unbroadcasted_scale_tril)
        return each.expand(self._batch_shape)

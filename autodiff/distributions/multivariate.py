"""The normal distribution of vectors."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autodiff import linalg
from autodiff.distributions import constraints
from autodiff.distributions.distribution import Distribution, lazy, moment
from autodiff.distributions.univariate import LOG_2PI
from autodiff.functions import broadcast_shapes, broadcast_tensors, diag_embed, eye, randn
from autodiff.tensor import Tensor

__all__ = ["LowRankMultivariateNormal", "MultivariateNormal"]


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


class OfCovariance(Distribution):
    """What has a covariance, given by itself, by its inverse or by its Cholesky factor."""

    def _take_matrix(self, batch: Any, name: str, matrix: Any) -> None:
        """Keep the matrix that is given, for a batch."""
        self.__dict__[name] = matrix.expand([*batch, -1, -1])
        self._given = name, matrix

    def _factorize(self) -> None:
        """Set the Cholesky factor of the covariance, once what is given was checked."""
        name, matrix = self.__dict__.pop("_given")
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


MATRICES = {
    "covariance_matrix": constraints.positive_definite,
    "precision_matrix": constraints.positive_definite,
    "scale_tril": constraints.lower_cholesky,
}


class MultivariateNormal(OfCovariance):
    """The normal distribution of mean `loc`, and of its covariance, that one's inverse or factor.

    One of `covariance_matrix`, `precision_matrix` and `scale_tril`, which is lower triangular.

    >>> d = distributions.MultivariateNormal(ad.zeros(2), ad.tensor([[2.0, 1.0], [1.0, 2.0]]))
    >>> d.log_prob(ad.zeros(2))
    tensor(-2.3872)
    """

    arg_constraints = {"loc": constraints.real_vector, **MATRICES}
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
        self._take_matrix(batch, name, matrix)
        super().__init__(batch, self.loc.shape[-1:], validate_args)
        self._factorize()

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


class LowRankMultivariateNormal(Distribution):
    """The normal distribution of covariance W W^T + diag(d): W is `cov_factor`, d is `cov_diag`.

    Determinant and inverse are those of a matrix of the size of the rank (Woodbury).

    >>> normal = distributions.LowRankMultivariateNormal
    >>> normal(ad.zeros(2), ad.ones(2, 1), ad.ones(2)).covariance_matrix
    tensor([[2., 1.],
            [1., 2.]])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True
    mean = mode = moment(lambda loc: loc)
    variance = moment(lambda cov_factor, cov_diag: cov_factor.pow(2).sum(-1) + cov_diag)

    def __init__(
        self, loc: Any, cov_factor: Any, cov_diag: Any, validate_args: bool | None = None
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        n = loc.shape[-1]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if cov_factor.shape[-2] != n:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {n} x m")
        if cov_diag.shape[-1:] != (n,):
            raise ValueError(f"cov_diag must be a batch of vectors with shape {loc.shape[-1:]}")
        try:
            column, factor, diag = broadcast_tensors(
                loc.unsqueeze(-1), cov_factor, cov_diag.unsqueeze(-1)
            )
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, "
                f"cov_diag {cov_diag.shape}"
            ) from error
        self.loc, self.cov_factor, self.cov_diag = column[..., 0], factor, diag[..., 0]
        self._factor, self._diag = cov_factor, cov_diag
        self._turned = cov_factor.mT / cov_diag.unsqueeze(-2)
        within = self._turned @ cov_factor
        self._capacitance_tril = linalg.cholesky(within + eye(within.shape[-1], dtype=within.dtype))
        super().__init__(self.loc.shape[:-1], loc.shape[-1:], validate_args)

    def _whole(self, x: Any) -> Any:
        return x.expand(self._batch_shape + self._event_shape * 2)

    @lazy
    def _unbroadcasted_scale_tril(self) -> Any:
        root = self._diag.sqrt().unsqueeze(-1)
        scaled = self._factor / root
        near_one = scaled @ scaled.mT + eye(*self._event_shape, dtype=root.dtype)
        return root * linalg.cholesky(near_one)

    @property
    def scale_tril(self) -> Any:
        return self._whole(self._unbroadcasted_scale_tril)

    @property
    def covariance_matrix(self) -> Any:
        return self._whole(self._factor @ self._factor.mT + diag_embed(self._diag))

    @property
    def precision_matrix(self) -> Any:
        a = linalg.solve_triangular(self._capacitance_tril, self._turned, upper=False)
        return self._whole(diag_embed(self._diag.reciprocal()) - a.mT @ a)

    @property
    def _log_det(self) -> Any:
        return 2 * half_log_det(self._capacitance_tril) + self._diag.log().sum(-1)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        shape, d = self._extended_shape(sample_shape), self.loc.dtype
        common = randn(*shape[:-1], self.cov_factor.shape[-1], dtype=d)
        moved = (self._factor @ common.unsqueeze(-1)).squeeze(-1)
        return self.loc + moved + self._diag.sqrt() * randn(shape, dtype=d)

    def _log_prob(self, value: Any) -> Any:
        x = value - self.loc
        within = (self._turned @ x.unsqueeze(-1)).squeeze(-1)
        distance = (x.pow(2) / self._diag).sum(-1) - mahalanobis(self._capacitance_tril, within)
        return -0.5 * (self._event_shape[0] * LOG_2PI + self._log_det + distance)

    def entropy(self) -> Any:
        return (0.5 * (self._event_shape[0] * (1 + LOG_2PI) + self._log_det)).expand(
            self._batch_shape
        )

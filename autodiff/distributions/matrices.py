"""Distributions of covariances, and of factors of correlations."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autodiff import linalg
from autodiff.distributions import constraints
from autodiff.distributions.distribution import Distribution, broadcast_all, moment
from autodiff.distributions.exp_family import ExponentialFamily
from autodiff.distributions.gamma import Beta, Chi2
from autodiff.distributions.multivariate import MATRICES, OfCovariance, half_log_det
from autodiff.dtypes import finfo
from autodiff.functions import (
    arange,
    broadcast_tensors,
    cat,
    cholesky_solve,
    diag_embed,
    digamma,
    lgamma,
    logdet,
    mvlgamma,
    randn,
    tril_indices,
    where,
    zeros,
)
from autodiff.grad_mode import no_grad
from autodiff.shapes import Size

__all__ = ["LKJCholesky", "Wishart"]


class LKJCholesky(Distribution):
    """Cholesky factors of correlations R of `dim` numbers, of density ~ det(R)^(concentration - 1).

    >>> d = distributions.LKJCholesky(3)
    >>> d.support.check(d.sample((2,)))
    tensor([True, True])
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(
        self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    @no_grad()
    def sample(self, sample_shape: Iterable[int] = ()) -> Any:
        """The onion method: each row is a direction, and the beta number of its length."""
        n, d = self.dim, self.concentration.dtype
        row = cat([zeros(1, dtype=d), arange(n - 1, dtype=d)])
        rest = (self.concentration + 0.5 * (n - 2)).unsqueeze(-1) - 0.5 * row
        lengths = Beta(row + 0.5, rest).sample(sample_shape).unsqueeze(-1)
        x = randn(self._extended_shape(sample_shape), dtype=d).tril(-1)
        norm = linalg.vector_norm(x, dim=-1, keepdim=True)
        lower = lengths.sqrt() * where(norm == 0, 0.0, x / norm)
        diagonal = (1 - lower.pow(2).sum(-1)).clamp(min=finfo(d).tiny).sqrt()
        return lower + diag_embed(diagonal)

    def _log_prob(self, value: Any) -> Any:
        n, more = self.dim, self.dim - 1
        order = 2 * (self.concentration - 1).unsqueeze(-1) + n - arange(2, n + 1)
        free = (order * value.diagonal(0, -2, -1)[..., 1:].log()).sum(-1)
        alpha = self.concentration + 0.5 * more
        whole = 0.5 * more * math.log(math.pi) + mvlgamma(alpha - 0.5, more)
        return free - (whole - lgamma(alpha) * more)


class Wishart(OfCovariance, ExponentialFamily):
    """The sum of x x^T over `df` normal vectors x of mean 0, of a covariance that is given.

    One of `covariance_matrix`, `precision_matrix` and `scale_tril`; df > d - 1 need not be whole.

    >>> distributions.Wishart(ad.tensor(3.0), ad.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    arg_constraints = moment(
        lambda _event_shape: {**MATRICES, "df": constraints.greater_than(_event_shape[-1] - 1)}
    )
    support = constraints.positive_definite
    has_rsample = True
    _df = moment(lambda df: df[..., None, None])
    mean = moment(lambda _df, covariance_matrix: _df * covariance_matrix)
    _natural_params = moment(
        lambda precision_matrix, df, _event_shape: (
            -precision_matrix / 2,
            (df - _event_shape[-1] - 1) / 2,
        )
    )
    _mean_carrier_measure = 0

    def __init__(
        self,
        df: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        all_three = zip(MATRICES, (covariance_matrix, precision_matrix, scale_tril), strict=True)
        given = [(name, matrix) for name, matrix in all_three if matrix is not None]
        if len(given) != 1:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given
        if matrix.dim() < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions"
            )
        (df, _) = broadcast_all(df, matrix[..., 0, 0])
        n = matrix.shape[-1]
        if (df <= n - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        self.df = df
        self._take_matrix(df.shape, name, matrix)
        super().__init__(df.shape, matrix.shape[-2:], validate_args)
        self._factorize()

    @property
    def mode(self) -> Any:
        more = self._df - self._event_shape[-1] - 1
        return where(more <= 0, math.nan, more) * self.covariance_matrix

    @property
    def variance(self) -> Any:
        v = self.covariance_matrix
        each = v.diagonal(0, -2, -1)
        return self._df * (v.pow(2) + each.unsqueeze(-1) * each.unsqueeze(-2))

    def _bartlett(self, sample_shape: Size) -> Any:
        """Of a triangle of normal numbers below square roots of chi-squared ones (1934)."""
        n, d = self._event_shape[-1], self._unbroadcasted_scale_tril.dtype
        chi2 = Chi2(self.df.unsqueeze(-1) - arange(n, dtype=d)).rsample(sample_shape)
        noise = diag_embed(chi2.sqrt().clamp(min=finfo(d).eps))
        rows, columns = tril_indices(n, n, -1)
        shape = sample_shape + self._batch_shape
        noise[..., rows, columns] = randn(*shape, len(rows), dtype=d)
        factor = self._unbroadcasted_scale_tril @ noise
        return factor @ factor.mT

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        """Draws anew, some times, what rounding made singular."""
        shape = Size(sample_shape)
        self._bartlett(shape)  # PyTorch's first draws, which it replaces
        x = self._bartlett(shape)
        for _ in range(10):
            if (valid := self.support.check(x)).all():
                break
            x = where(valid[..., None, None], x, self._bartlett(shape))
        return x

    def _log_prob(self, value: Any) -> Any:
        n, lower = self._event_shape[-1], self._unbroadcasted_scale_tril
        x, lower = broadcast_tensors(value, lower)
        inverse = cholesky_solve(x, lower)
        return (
            -self.df * (n * math.log(2) / 2 + half_log_det(lower))
            - mvlgamma(self.df / 2, n)
            + (self.df - n - 1) / 2 * logdet(value)
            - inverse.diagonal(0, -2, -1).sum(-1) / 2
        )

    _slopes = moment(  # of mvlgamma(df / 2)
        lambda df, _event_shape: digamma(
            (df.unsqueeze(-1) - arange(_event_shape[-1], dtype=df.dtype)) / 2
        ).sum(-1)
    )

    def _log_normalizer(self, x: Any, y: Any) -> Any:
        n = self._event_shape[-1]
        freedom = y + (n + 1) / 2  # half of it
        return freedom * (n * math.log(2) - logdet(-2 * x)) + mvlgamma(freedom, n)

    def entropy(self) -> Any:
        n, df = self._event_shape[-1], self.df
        return (
            (n + 1) * (n * math.log(2) / 2 + half_log_det(self._unbroadcasted_scale_tril))
            + mvlgamma(df / 2, n)
            - (df - n - 1) / 2 * self._slopes
            + df * n / 2
        )

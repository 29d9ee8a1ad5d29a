"""Distributions of what transforms make of another's draws."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autodiff.distributions import constraints
from autodiff.distributions.compound import Independent
from autodiff.distributions.distribution import (
    Distribution,
    broadcast_all,
    formula,
    moment,
    sum_rightmost,
)
from autodiff.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    Transform,
)
from autodiff.distributions.univariate import EULER, Cauchy, Exponential, Normal, Uniform
from autodiff.dtypes import finfo
from autodiff.functions import exp, full_like, log, ones_like, where
from autodiff.grad_mode import no_grad

__all__ = [
    *("Gumbel", "HalfCauchy", "HalfNormal", "LogNormal", "Pareto"),
    "TransformedDistribution",
]


class TransformedDistribution(Distribution):
    """What transforms, one after another, make of the draws of a distribution.

    log p(y) = log p(x) - log |dy / dx|.

    >>> base = distributions.Uniform(0.0, 1.0)
    >>> transforms = [distributions.SigmoidTransform().inv, distributions.AffineTransform(1.0, 2.0)]
    >>> logistic = distributions.TransformedDistribution(base, transforms)
    >>> logistic.cdf(ad.tensor(1.0))
    tensor(0.5000)
    """

    arg_constraints = {}
    has_rsample = moment(lambda base_dist: base_dist.has_rsample)

    def __init__(
        self, base_distribution: Any, transforms: Any, validate_args: bool | None = None
    ) -> None:
        if isinstance(transforms, Transform):
            transforms = [transforms]
        if not isinstance(transforms, list):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        if not all(isinstance(t, Transform) for t in transforms):
            raise ValueError("transforms must be a Transform or a list of Transforms")
        base, whole = base_distribution, ComposeTransform(transforms)
        n, shape = len(base.event_shape), base.batch_shape + base.event_shape
        taken, given = whole.domain.event_dim, whole.codomain.event_dim
        if len(shape) < taken:
            raise ValueError(
                "base_distribution needs to have shape with size at least "
                f"{taken}, but got {shape}."
            )
        result = whole.forward_shape(shape)
        needed = whole.inverse_shape(result)
        if needed != shape:
            base = base.expand(needed[: len(needed) - n])
        if taken > n:
            base = Independent(base, taken - n)
        self.base_dist, self.transforms = base, transforms
        cut = len(result) - max(given, n + given - taken)
        super().__init__(result[:cut], result[cut:], validate_args)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        shape = ComposeTransform(self.transforms).inverse_shape(new._batch_shape + self.event_shape)
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        return new

    @property
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        last = self.transforms[-1].codomain
        more = len(self.event_shape) - last.event_dim
        return constraints.independent(last, more) if more > 0 else last

    def _forward(self, x: Any) -> Any:
        for transform in self.transforms:
            x = transform(x)
        return x

    def sample(self, sample_shape: Iterable[int] = ()) -> Any:
        with no_grad():
            return self._forward(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        return self._forward(self.base_dist.rsample(sample_shape))

    def _log_prob(self, value: Any) -> Any:
        n, y, total = len(self.event_shape), value, 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            n += transform.domain.event_dim - transform.codomain.event_dim
            slope = transform.log_abs_det_jacobian(x, y)
            total = total - sum_rightmost(slope, n - transform.domain.event_dim)
            y = x
        return total + sum_rightmost(
            self.base_dist.log_prob(y), n - len(self.base_dist.event_shape)
        )

    def _rising(self, p: Any) -> Any:
        """A probability, or what is left to 1 where the transforms fall."""
        sign = math.prod(t.sign for t in self.transforms)
        return p if isinstance(sign, int) and sign == 1 else sign * (p - 0.5) + 0.5

    def cdf(self, value: Any) -> Any:
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._rising(self.base_dist.cdf(value))

    def icdf(self, value: Any) -> Any:
        return self._forward(self.base_dist.icdf(self._rising(value)))


class LogNormal(TransformedDistribution):
    """exp of a normal number of mean `loc` and standard deviation `scale`.

    >>> distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints = Normal.arg_constraints
    support = constraints.positive
    loc = moment(lambda base_dist: base_dist.loc)
    scale = moment(lambda base_dist: base_dist.scale)
    mean = moment(lambda loc, scale: (loc + scale.pow(2) / 2).exp())
    mode = moment(lambda loc, scale: (loc - scale.square()).exp())
    variance = moment(lambda loc, scale: scale.pow(2).expm1() * (2 * loc + scale.pow(2)).exp())

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(loc, scale, validate_args), ExpTransform(), validate_args)

    def entropy(self) -> Any:
        return self.base_dist.entropy() + self.loc


class Half(TransformedDistribution):
    """|x| of a number x that is as often below 0 as above it."""

    arg_constraints = {"scale": constraints.positive}
    support = constraints.nonnegative
    scale = moment(lambda base_dist: base_dist.scale)
    mode = moment(lambda scale: scale * 0)
    _base: Any

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        base = self._base(0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args)

    def _log_prob(self, value: Any) -> Any:
        return where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value: Any) -> Any:
        return 2 * self.base_dist.cdf(self._checked(value)) - 1

    def icdf(self, value: Any) -> Any:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Any:
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(Half):
    """|x| of a normal number x of mean 0 and standard deviation `scale`.

    >>> distributions.HalfNormal(1.0).log_prob(ad.tensor(0.0))
    tensor(-0.2258)
    """

    _base = Normal
    mean = moment(lambda scale: scale * math.sqrt(2 / math.pi))
    variance = moment(lambda scale: scale.pow(2) * (1 - 2 / math.pi))


class HalfCauchy(Half):
    """|x| of a number x from `Cauchy(0, scale)`.

    >>> distributions.HalfCauchy(1.0).cdf(ad.tensor(1.0))
    tensor(0.5000)
    """

    _base = Cauchy
    mean = moment(lambda scale: full_like(scale, math.inf))
    variance = moment(lambda base_dist: base_dist.variance)


class Pareto(TransformedDistribution):
    """The density alpha scale^alpha / x^(alpha + 1) of x >= scale.

    >>> distributions.Pareto(1.0, 3.0).mean
    tensor(1.5000)
    """

    arg_constraints = {"alpha": constraints.positive, "scale": constraints.positive}
    support = moment(lambda scale: constraints.greater_than_eq(scale))
    mean = moment(lambda scale, alpha: alpha.clamp(min=1) * scale / (alpha.clamp(min=1) - 1))
    mode = moment(lambda scale: scale)

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        transforms = [ExpTransform(), AffineTransform(0, self.scale)]
        super().__init__(Exponential(self.alpha, validate_args), transforms, validate_args)

    @property
    def variance(self) -> Any:
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    def entropy(self) -> Any:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())


class Gumbel(TransformedDistribution):
    """The largest of many: loc - scale log(-log u) of a uniform u.

    >>> distributions.Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    arg_constraints = Normal.arg_constraints
    support = constraints.real
    mean = moment(lambda loc, scale: loc + scale * EULER)
    mode = moment(lambda loc: loc)
    stddev = moment(lambda scale: math.pi / math.sqrt(6) * scale)
    variance = moment(lambda stddev: stddev.pow(2))
    _log_prob = formula(
        lambda x, loc, scale: (loc - x) / scale - exp((loc - x) / scale) - log(scale)
    )
    _entropy = formula(lambda scale: log(scale) + (1 + EULER))

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        of = finfo(self.loc.dtype)
        low, high = full_like(self.loc, of.tiny), full_like(self.loc, 1 - of.eps)
        transforms = [
            ExpTransform().inv,
            AffineTransform(0, -ones_like(self.scale)),
            ExpTransform().inv,
            AffineTransform(loc, -self.scale),
        ]
        super().__init__(Uniform(low, high, validate_args), transforms, validate_args)

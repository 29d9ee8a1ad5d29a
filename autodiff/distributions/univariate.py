"""Distributions of numbers, each declared by its parameters and formulas of them."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

import math
from typing import Any

from autodiff.distributions import constraints
from autodiff.distributions.distribution import Distribution, formula, moment
from autodiff.dtypes import finfo
from autodiff.functions import (
    abs,
    atan,
    clamp,
    erf,
    erfinv,
    expm1,
    full_like,
    lgamma,
    log,
    log1p,
    poisson,
    sign,
    tan,
    where,
    xlogy,
)
from autodiff.tensor import Tensor

__all__ = ["Cauchy", "Exponential", "Laplace", "Normal", "Poisson", "Uniform"]
LOG_2PI = math.log(2 * math.pi)
EULER = 0.57721566490153286060


class LocScale(Distribution):
    """A distribution that is moved by `loc` and stretched by `scale`."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True
    mean = mode = moment(lambda loc: loc)

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, loc=loc, scale=scale)


class Normal(LocScale):
    """The normal distribution of mean `loc` and standard deviation `scale`.

    >>> d = distributions.Normal(ad.tensor([0.0, 1.0]), 2.0)
    >>> d.log_prob(ad.tensor(1.0))
    tensor([-1.7371, -1.6121])
    >>> d.rsample().shape
    torch.Size([2])
    """

    variance = moment(lambda scale: scale.pow(2))
    stddev = moment(lambda scale: scale)
    _noise = staticmethod(Tensor.normal_)
    _sample = formula(lambda noise, loc, scale: loc + noise * scale)
    _log_prob = formula(
        lambda x, loc, scale: -((x - loc) ** 2) / (2 * scale**2) - log(scale) - LOG_2PI / 2
    )
    _cdf = formula(lambda x, loc, scale: 0.5 * (1 + erf((x - loc) / scale / math.sqrt(2))))
    _icdf = formula(lambda p, loc, scale: loc + scale * erfinv(2 * p - 1) * math.sqrt(2))
    _entropy = formula(lambda scale: 0.5 + LOG_2PI / 2 + log(scale))


class Laplace(LocScale):
    """The density exp(-|x - loc| / scale) / (2 scale).

    >>> distributions.Laplace(0.0, 1.0).cdf(ad.tensor([-1.0, 0.0]))
    tensor([0.1839, 0.5000])
    """

    variance = moment(lambda scale: 2 * scale.pow(2))
    stddev = moment(lambda scale: 2**0.5 * scale)
    _noise = staticmethod(lambda x: x.uniform_(finfo(x.dtype).eps - 1, 1))
    _sample = formula(lambda u, loc, scale: loc - scale * sign(u) * log1p(-abs(u)))
    _log_prob = formula(lambda x, loc, scale: -log(2 * scale) - abs(x - loc) / scale)
    _cdf = formula(lambda x, loc, scale: 0.5 - 0.5 * sign(x - loc) * expm1(-abs(x - loc) / scale))
    _icdf = formula(lambda p, loc, scale: loc - scale * sign(p - 0.5) * log1p(-2 * abs(p - 0.5)))
    _entropy = formula(lambda scale: 1 + log(2 * scale))


class Cauchy(LocScale):
    """The density 1 / (pi scale (1 + ((x - loc) / scale)^2)); it has no mean.

    >>> distributions.Cauchy(0.0, 1.0).icdf(ad.tensor(0.75))
    tensor(1.0000)
    """

    mean = moment(lambda loc: full_like(loc, math.nan))
    variance = moment(lambda loc: full_like(loc, math.inf))
    _noise = staticmethod(Tensor.cauchy_)
    _sample = formula(lambda noise, loc, scale: loc + noise * scale)
    _log_prob = formula(
        lambda x, loc, scale: -math.log(math.pi) - log(scale) - log1p(((x - loc) / scale) ** 2)
    )
    _cdf = formula(lambda x, loc, scale: atan((x - loc) / scale) / math.pi + 0.5)
    _icdf = formula(lambda p, loc, scale: tan(math.pi * (p - 0.5)) * scale + loc)
    _entropy = formula(lambda scale: math.log(4 * math.pi) + log(scale))


class Uniform(Distribution):
    """The uniform distribution on [low, high).

    >>> distributions.Uniform(0.0, 4.0).log_prob(ad.tensor(1.0))
    tensor(-1.3863)
    """

    has_rsample = True
    mean = moment(lambda low, high: (high + low) / 2)
    mode = moment(lambda high: math.nan * high)
    variance = moment(lambda low, high: (high - low).pow(2) / 12)
    stddev = moment(lambda low, high: (high - low) / 12**0.5)
    support = moment(lambda low, high: constraints.interval(low, high))
    arg_constraints = moment(
        lambda low, high: {
            "low": constraints.less_than(high),
            "high": constraints.greater_than(low),
        }
    )
    _noise = staticmethod(Tensor.uniform_)
    _sample = formula(lambda u, low, high: low + u * (high - low))
    _log_prob = formula(
        lambda x, low, high: where((low <= x) & (high > x), low - low, -math.inf) - log(high - low)
    )
    _cdf = formula(lambda x, low, high: clamp((x - low) / (high - low), 0, 1))
    _icdf = formula(lambda p, low, high: p * (high - low) + low)
    _entropy = formula(lambda low, high: log(high - low))

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, low=low, high=high)


class Exponential(Distribution):
    """The density rate exp(-rate x) of x >= 0.

    >>> distributions.Exponential(2.0).mean
    tensor(0.5000)
    """

    arg_constraints = {"rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    mean = stddev = moment(lambda rate: rate.reciprocal())
    mode = moment(lambda rate: rate * 0)
    variance = moment(lambda rate: rate.pow(-2))
    _mean_log = moment(lambda rate: -EULER - log(rate))
    _noise = staticmethod(Tensor.exponential_)
    _sample = formula(lambda noise, rate: noise / rate)
    _log_prob = formula(lambda x, rate: log(rate) - rate * x)
    _cdf = formula(lambda x, rate: -expm1(-rate * x))
    _icdf = formula(lambda p, rate: -log1p(-p) / rate)
    _entropy = formula(lambda rate: 1 - log(rate))

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, rate=rate)


class Poisson(Distribution):
    """Counts k of probability rate^k exp(-rate) / k!.

    >>> distributions.Poisson(2.0).log_prob(ad.tensor(0.0))
    tensor(-2.)
    """

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer
    mean = variance = moment(lambda rate: rate)
    mode = moment(lambda rate: rate.floor())
    _log_prob = formula(lambda x, rate: xlogy(x, rate) - rate - lgamma(x + 1))
    rate: Any

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, rate=rate)

    def _drawn(self, sample_shape: Any) -> Any:
        return poisson(self.rate.expand(self._extended_shape(sample_shape)))

"""Distributions of numbers, each declared by its parameters and formulas of them."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autodiff.distributions import constraints
from autodiff.distributions.distribution import Distribution, formula, moment
from autodiff.distributions.exp_family import ExponentialFamily
from autodiff.dtypes import finfo, float64
from autodiff.functions import (
    abs,
    atan,
    clamp,
    cos,
    erf,
    erfinv,
    exp,
    expm1,
    full_like,
    lgamma,
    log,
    log1p,
    poisson,
    rand,
    sign,
    tan,
    where,
    xlogy,
)
from autodiff.grad_mode import no_grad
from autodiff.special import i0e, i1e
from autodiff.tensor import Tensor

__all__ = [
    *("Cauchy", "Exponential", "GeneralizedPareto", "Laplace", "Normal", "Poisson", "Uniform"),
    "VonMises",
]
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


class Normal(LocScale, ExponentialFamily):
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
    entropy = Distribution.entropy
    _natural_params = moment(
        lambda loc, scale: (loc / scale.pow(2), -0.5 * scale.pow(2).reciprocal())
    )
    _log_normalizer = staticmethod(lambda x, y: -(x.pow(2)) / y / 4 + (-math.pi / y).log() / 2)
    _mean_carrier_measure = 0


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
    tensor(1.)
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


class Exponential(ExponentialFamily):
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
    entropy = Distribution.entropy
    _natural_params = moment(lambda rate: (-rate,))
    _log_normalizer = staticmethod(lambda x: -(-x).log())
    _mean_carrier_measure = 0

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, rate=rate)


class Poisson(ExponentialFamily):
    """Counts k of probability rate^k exp(-rate) / k!.

    >>> distributions.Poisson(2.0).log_prob(ad.tensor(0.0))
    tensor(-2.)
    """

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer
    mean = variance = moment(lambda rate: rate)
    mode = moment(lambda rate: rate.floor())
    _log_prob = formula(lambda x, rate: xlogy(x, rate) - rate - lgamma(x + 1))
    _natural_params = moment(lambda rate: (rate.log(),))
    _log_normalizer = staticmethod(exp)
    rate: Any

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, rate=rate)

    def _drawn(self, sample_shape: Any) -> Any:
        return poisson(self.rate.expand(self._extended_shape(sample_shape)))


def _log_left(x: Any, loc: Any, scale: Any, c: Any) -> Any:
    """log of the probability of more than x, which is exponential where c is 0."""
    safe, z = where(abs(c) <= 1e-8, 1.0, c), (x - loc) / scale
    return where(abs(c) <= 1e-8, -z, -log1p(safe * z) / safe)


class GeneralizedPareto(Distribution):
    """What is left of x > loc falls as (1 + c (x - loc) / scale)^(-1 / c): c is `concentration`.

    >>> distributions.GeneralizedPareto(0.0, 1.0, 0.0).cdf(ad.tensor(1.0))
    tensor(0.6321)
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True
    mode = moment(lambda loc: loc)
    support = moment(
        lambda loc, scale, concentration: constraints.interval(
            loc, where(concentration < 0, loc - scale / concentration, math.inf)
        )
    )
    _noise = staticmethod(Tensor.uniform_)
    _left = formula(lambda x, loc, scale, concentration: _log_left(x, loc, scale, concentration))
    _log_prob = formula(
        lambda x, loc, scale, concentration: (
            where(
                concentration == -1,
                0.0 * x,
                _log_left(x, loc, scale, concentration)
                - log1p(where(abs(concentration) <= 1e-8, 0.0, concentration) * (x - loc) / scale),
            )
            - log(scale)
        )
    )
    _icdf = _sample = formula(
        lambda u, loc, scale, concentration: where(
            abs(concentration) <= 1e-8,
            loc - scale * log1p(-u),
            loc
            + scale
            / where(abs(concentration) <= 1e-8, 1.0, concentration)
            * expm1(-where(abs(concentration) <= 1e-8, 1.0, concentration) * log1p(-u)),
        )
    )
    _log_cdf = formula(
        lambda x, loc, scale, concentration: log1p(-exp(_log_left(x, loc, scale, concentration)))
    )
    _cdf = formula(
        lambda x, loc, scale, concentration: -expm1(_log_left(x, loc, scale, concentration))
    )
    _entropy = formula(lambda scale, concentration: log(scale) + concentration + 1)

    def __init__(
        self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None
    ) -> None:
        self._take(validate_args, loc=loc, scale=scale, concentration=concentration)

    loc: Any
    scale: Any
    concentration: Any

    def log_survival_function(self, value: Any) -> Any:
        """The logarithm of the probability of a draw that is greater."""
        return self._left(self._checked(value))

    def log_cdf(self, value: Any) -> Any:
        """The logarithm of `cdf`."""
        return self._log_cdf(self._checked(value))

    @property
    def mean(self) -> Any:
        c = where(self.concentration < 1, self.concentration, math.nan)
        return self.loc + self.scale / (1 - c)

    @property
    def variance(self) -> Any:
        c = where(self.concentration < 0.5, self.concentration, math.nan)
        return self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c))


class VonMises(LocScale):
    """Angles, of density proportional to exp(concentration cos(x - loc)).

    `mean` and `variance` are the circular ones.

    >>> distributions.VonMises(0.0, 1.0).variance
    tensor(0.5536)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    has_rsample = False
    variance = moment(lambda concentration: 1 - i1e(concentration) / i0e(concentration))

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, loc=loc, concentration=concentration)

    loc: Any
    concentration: Any

    def _log_prob(self, value: Any) -> Any:
        c = self.concentration
        return c * (cos(value - self.loc) - 1) - LOG_2PI - i0e(c).log()

    @no_grad()
    def sample(self, sample_shape: Iterable[int] = ()) -> Any:
        """Best and Fisher, Efficient simulation of the von Mises distribution (1979)."""
        c, loc = self.concentration.to(float64), self.loc.to(float64)
        tau = 1 + (1 + 4 * c**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * c)
        r = where(c < 1e-5, 1 / c + c, (1 + rho**2) / (2 * rho))
        x: Any = loc.expand(self._extended_shape(sample_shape)) * 0
        done = x != x
        while not bool(done.all()):
            u1, u2, u3 = rand(3, *x.shape, dtype=float64).unbind()
            z = cos(math.pi * u1)
            f = (1 + r * z) / (r + z)
            of = c * (r - f)
            accept = (of * (2 - of) - u2 > 0) | ((of / u2).log() + 1 - of >= 0)
            x = where(accept, (u3 - 0.5).sign() * f.acos(), x)
            done = done | accept
        return ((x + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)

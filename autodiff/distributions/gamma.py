"""Distributions made of gamma numbers, whose draws are differentiated implicitly."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autodiff.autograd import Function
from autodiff.autograd.function import once_differentiable
from autodiff.distributions import constraints
from autodiff.distributions.distribution import Distribution, broadcast_all, formula, moment
from autodiff.distributions.exp_family import ExponentialFamily
from autodiff.dtypes import finfo
from autodiff.functions import (
    abs,
    digamma,
    empty,
    exp,
    igamma,
    lgamma,
    log,
    log1p,
    minimum,
    randn,
    stack,
    where,
    xlogy,
    zeros_like,
)
from autodiff.native import lib
from autodiff.nn.functional import one_hot, softplus
from autodiff.ops.draws import draw_into
from autodiff.ops.fused import pointwise
from autodiff.ops.matrices import native
from autodiff.shapes import Size
from autodiff.tensor import wrap

__all__ = ["Beta", "Chi2", "Dirichlet", "FisherSnedecor", "Gamma", "StudentT"]
LARGE = 1e4  # from which the slope by a normal number has six digits


class StandardGamma(Function):
    """Gamma numbers of rate 1 in float64; the slope keeps the probability of less than each."""

    @staticmethod
    def forward(ctx: Any, concentration: Any) -> Any:
        a = concentration.double().contiguous()
        x = draw_into(empty(a.shape, dtype=a.dtype), "gamma", None, a._p)
        ctx.save_for_backward(concentration, x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Any) -> Any:
        """From P(a, x) = x^a e^-x / gamma(a) times the sum of x^n / (a (a + 1) ... (a + n)).

        For large a, from x = a + z sqrt(a) + (z^2 - 1) / 3 + (z^3 - 7 z) / (36 sqrt(a)), z normal.
        """
        a, x = ctx.saved_tensors
        a = a.double()
        root, far = a.sqrt(), a > LARGE
        w = (x - a) / root
        z = w - (w * w - 1) / (3 * root)
        cubic = (z**3 - 7 * z) / (36 * a)
        z = w - (z * z - 1) / (3 * root) - cubic
        by_normal = 1 + (z - cubic) / (2 * root)
        a, x = (where(far, 1.0, each).contiguous() for each in (a, x))
        total, slope = map(wrap, native(2, "gamma", lib.ad_gamma_series, a._p, x._p))
        by_series = x * (slope - total * (x.clamp(min=1e-300).log() - digamma(a)))
        return g * where(far, by_normal, by_series)


def standard_gamma(concentration: Any) -> Any:
    """Draws of the concentrations, in float64."""
    return StandardGamma.apply(concentration)


class Shares(Function):
    """Gamma numbers over their sum; the slope of each keeps the probability of less than it."""

    @staticmethod
    def forward(ctx: Any, concentration: Any) -> Any:
        x = standard_gamma(concentration)
        x = x / x.sum(-1, True)
        of = finfo(concentration.dtype)
        x = x.clamp(of.tiny, 1 - of.eps / 2)
        ctx.save_for_backward(concentration, x)
        return x.to(concentration.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Any) -> Any:
        """A larger concentration moves its share, at the others' cost by what they have."""
        c, x = (each.double() for each in ctx.saved_tensors)
        return x * _slope_of_share(c, c.sum(-1, True), x) * (g - (x * g).sum(-1, True))


def _slope_of_share(a: Any, total: Any, x: Any) -> Any:
    """The slope in a of a share x of Beta(a, total - a), over x (1 - x).

    It is minus the integral over u < x of (log u - E log u) times the density, over the density at
    x, or that over u > x. In the logit of u the density is log-concave, so on the side of x without
    its mode the integrand falls like an exponential, for which there is Takahasi and Mori's rule.
    """
    down = total * x - a  # how the log density falls there
    above = down > 0
    least = minimum((total * x * (1 - x)).sqrt(), where(above, total - a, a))
    width = where(above, 1.0, -1.0) / (abs(down) + least)
    odds, mean, slope = log(x) - log1p(-x), digamma(a) - digamma(total), zeros_like(x)
    start = softplus(-odds, 1, 40)
    for k in range(-30, 41):
        shrink = math.exp(-k / 10)
        far = math.exp(k / 10 - shrink)
        weight = far * (1 + shrink) / 10
        slope = slope + _beyond(a, total, odds, start, mean, width, far, weight)
    return slope * width


@pointwise
def _beyond(
    a: Any, total: Any, odds: Any, start: Any, mean: Any, width: Any, far: Any, weight: Any
) -> Any:
    """What is integrated some widths of the logit away, times its weight."""
    step = width * far
    here = softplus(-odds - step, 1, 40)  # -log u
    return -exp(total * (start - here) - (total - a) * step) * (here + mean) * weight


class Gamma(ExponentialFamily):
    """The density rate^c x^(c - 1) exp(-rate x) / gamma(c) of x > 0, where c is `concentration`.

    >>> distributions.Gamma(2.0, 4.0).mean
    tensor(0.5000)
    """

    arg_constraints: Any = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    mean = moment(lambda concentration, rate: concentration / rate)
    mode = moment(lambda concentration, rate: ((concentration - 1) / rate).clamp(min=0))
    variance = moment(lambda mean, rate: mean / rate)
    _mean_log = moment(lambda concentration, rate: digamma(concentration) - log(rate))
    _log_prob = formula(
        lambda x, concentration, rate: (
            xlogy(concentration, rate)
            + (xlogy(concentration - 1, x) - rate * x - lgamma(concentration))
        )
    )
    _cdf = formula(lambda x, concentration, rate: igamma(concentration, rate * x))
    _entropy = formula(
        lambda concentration, rate: (
            (concentration - log(rate) + lgamma(concentration))
            + (1 - concentration) * digamma(concentration)
        )
    )
    entropy = Distribution.entropy
    _natural_params = moment(lambda concentration, rate: (concentration - 1, -rate))
    _log_normalizer = staticmethod(lambda x, y: lgamma(x + 1) + (x + 1) * log(-y.reciprocal()))
    _mean_carrier_measure = 0
    concentration: Any
    rate: Any

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, concentration=concentration, rate=rate)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        c = self.concentration.expand(self._extended_shape(sample_shape))
        x = standard_gamma(c).to(c.dtype).clamp(min=finfo(c.dtype).tiny)
        return x / self.rate


class Chi2(Gamma):
    """The sum of the squares of `df` standard normal numbers: Gamma(df / 2, 1 / 2).

    >>> distributions.Chi2(3.0).variance
    tensor(6.)
    """

    arg_constraints = {"df": constraints.positive}
    df = moment(lambda concentration: concentration * 2)

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        (df,) = broadcast_all(df)
        self._take(validate_args, concentration=0.5 * df, rate=0.5)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new.concentration = self.concentration.expand(batch_shape)
        new.rate = self.rate.expand(batch_shape)
        return new


class Dirichlet(ExponentialFamily):
    """Probabilities of the density prod x_i^(c_i - 1) / B(c), where c is `concentration`.

    >>> distributions.Dirichlet(ad.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True
    _total = moment(lambda concentration: concentration.sum(-1, True))
    mean = moment(lambda concentration, _total: concentration / _total)
    variance = moment(lambda mean, _total: mean * (1 - mean) / (_total + 1))
    _natural_params = moment(lambda concentration: (concentration,))
    _log_normalizer = staticmethod(lambda x: lgamma(x).sum(-1) - lgamma(x.sum(-1)))

    def __init__(self, concentration: Any, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    @property
    def mode(self) -> Any:
        more = (self.concentration - 1).clamp(min=0)
        shares = more / more.sum(-1, True)
        first = one_hot(shares.argmax(-1), more.shape[-1]).to(shares)
        return where((self.concentration < 1).all(-1, True), first, shares)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        c = self.concentration.expand(self._extended_shape(sample_shape))
        return Shares.apply(c)

    def _log_prob(self, value: Any) -> Any:
        c = self.concentration
        return (xlogy(c - 1, value) - lgamma(c)).sum(-1) + lgamma(c.sum(-1))

    def entropy(self) -> Any:
        c, total = self.concentration, self.concentration.sum(-1)
        each = lgamma(c) - (c - 1) * digamma(c)
        return each.sum(-1) - lgamma(total) - (c.shape[-1] - total) * digamma(total)


class Beta(ExponentialFamily):
    """The first of two probabilities drawn from a `Dirichlet`.

    >>> distributions.Beta(2.0, 2.0).log_prob(ad.tensor(0.5)).exp()
    tensor(1.5000)
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True
    concentration1 = moment(lambda _dirichlet: _dirichlet.concentration[..., 0])
    concentration0 = moment(lambda _dirichlet: _dirichlet.concentration[..., 1])
    mean = moment(lambda _dirichlet: _dirichlet.mean[..., 0])
    mode = moment(lambda _dirichlet: _dirichlet.mode[..., 0])
    variance = moment(lambda _dirichlet: _dirichlet.variance[..., 0])
    _entropy = moment(lambda _dirichlet: _dirichlet.entropy)
    entropy = Distribution.entropy
    _natural_params = moment(
        lambda concentration1, concentration0: (concentration1, concentration0)
    )
    _log_normalizer = staticmethod(lambda x, y: lgamma(x) + lgamma(y) - lgamma(x + y))
    _mean_log = moment(
        lambda concentration1, concentration0: (
            digamma(concentration1) - digamma(concentration1 + concentration0)
        )
    )

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        both = stack(broadcast_all(concentration1, concentration0), -1)
        self._dirichlet = Dirichlet(both, validate_args)
        super().__init__(both.shape[:-1], validate_args=validate_args)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._dirichlet = self._dirichlet.expand(Size(batch_shape))
        return new

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        return self._dirichlet.rsample(sample_shape)[..., 0]

    def _log_prob(self, value: Any) -> Any:
        return self._dirichlet.log_prob(stack([value, 1 - value], -1))


class StudentT(Distribution):
    """loc + scale * x / sqrt(y / df) of a standard normal x and y from `Chi2(df)`.

    >>> distributions.StudentT(4.0).variance
    tensor(2.)
    """

    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True
    mean = moment(lambda df, loc: where(df <= 1, math.nan, loc))
    mode = moment(lambda loc: loc)
    variance = moment(
        lambda df, scale: where(
            df > 2, scale.pow(2) * df / (df - 2), where(df > 1, math.inf, math.nan)
        )
    )
    _log_beta = moment(lambda df: lgamma(df / 2) + math.log(math.pi) / 2 - lgamma((df + 1) / 2))
    _log_prob = formula(
        lambda x, df, loc, scale, _log_beta: (
            -(df + 1) / 2 * log1p(((x - loc) / scale) ** 2 / df)
            - (log(scale) + log(df) / 2 + _log_beta)
        )
    )
    _entropy = formula(
        lambda df, scale, _log_beta: (
            (log(scale) + log(df) / 2 + _log_beta)
            + (df + 1) / 2 * (digamma((df + 1) / 2) - digamma(df / 2))
        )
    )
    df: Any
    loc: Any
    scale: Any

    def __init__(
        self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        self._take(validate_args, df=df, loc=loc, scale=scale)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        x = randn(shape, dtype=self.loc.dtype)
        y = Chi2(self.df, validate_args=False).rsample(sample_shape)
        return self.loc + self.scale * (x * (y / self.df).rsqrt())


class FisherSnedecor(Distribution):
    """The ratio of two numbers from `Chi2`, of `df1` and `df2`, each divided by its df.

    >>> distributions.FisherSnedecor(2.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True
    mean = moment(lambda df2: where(df2 <= 2, math.nan, df2) / (df2 - 2))
    mode = moment(lambda df1, df2: where(df1 <= 2, math.nan, (df1 - 2) / df1 * df2 / (df2 + 2)))
    variance = moment(
        lambda df1, df2: (
            2
            * where(df2 <= 4, math.nan, df2).pow(2)
            * (df1 + df2 - 2)
            / (df1 * (df2 - 2).pow(2) * (df2 - 4))
        )
    )
    _log_prob = formula(
        lambda x, df1, df2: (
            (lgamma((df1 + df2) / 2) - lgamma(df1 / 2) - lgamma(df2 / 2))
            + (df1 / 2 * log(df1 / df2) + (df1 / 2 - 1) * log(x))
            - (df1 + df2) / 2 * log1p(df1 / df2 * x)
        )
    )
    df1: Any
    df2: Any

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self._take(validate_args, df1=df1, df2=df2)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        x1, x2 = (Gamma(df / 2, df, False).rsample(sample_shape) for df in (self.df1, self.df2))
        tiny = finfo(x2.dtype).tiny
        return (x1 / x2.clamp(min=tiny)).clamp(min=tiny)

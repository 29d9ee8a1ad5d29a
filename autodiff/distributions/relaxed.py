"""Distributions between categories and numbers: relaxed, continuous, or of shares."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autodiff.distributions import constraints
from autodiff.distributions.discrete import OfCategories, Trials
from autodiff.distributions.distribution import Distribution, broadcast_all, formula, lazy, moment
from autodiff.distributions.exp_family import ExponentialFamily
from autodiff.distributions.transformed import TransformedDistribution
from autodiff.distributions.transforms import ExpTransform, SigmoidTransform
from autodiff.distributions.univariate import Normal
from autodiff.distributions.vector_transforms import StickBreakingTransform
from autodiff.dtypes import finfo
from autodiff.functions import abs, expm1, log, log1p, rand, where
from autodiff.nn.functional import softplus

__all__ = [
    *("ContinuousBernoulli", "ExpRelaxedCategorical", "LogisticNormal", "LogitRelaxedBernoulli"),
    *("RelaxedBernoulli", "RelaxedOneHotCategorical"),
]


def _clamped(p: Any) -> Any:
    eps = finfo(p.dtype).eps
    return p.clamp(eps, 1 - eps)


class _Tempered(Distribution):
    """What has a temperature besides its probabilities."""

    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        super().__init__(probs, logits, validate_args)


class LogitRelaxedBernoulli(_Tempered, Trials):
    """(logits + log u - log(1 - u)) / temperature of a uniform u.

    >>> d = distributions.LogitRelaxedBernoulli(ad.tensor(0.5), 0.25)
    >>> d.log_prob(ad.tensor(0.0)).exp()
    tensor(0.0938)
    """

    support = constraints.real

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        p = _clamped(self.probs.expand(self._extended_shape(sample_shape)))
        u = _clamped(rand(p.shape, dtype=p.dtype))
        return (u.log() - (-u).log1p() + p.log() - (-p).log1p()) / self.temperature

    def _log_prob(self, value: Any) -> Any:
        apart = self.logits - value * self.temperature
        return self.temperature.log() + apart - 2 * softplus(apart)


class _Relaxed(TransformedDistribution):
    """A transform of what has a temperature, probabilities and logits."""

    temperature = moment(lambda base_dist: base_dist.temperature)
    logits = moment(lambda base_dist: base_dist.logits)
    probs = moment(lambda base_dist: base_dist.probs)


class RelaxedBernoulli(_Relaxed):
    """Between 0 and 1: the lower the temperature, the nearer to a `Bernoulli`.

    >>> distributions.RelaxedBernoulli(ad.tensor(1.0), 0.5).log_prob(ad.tensor(0.5)).exp()
    tensor(1.)
    """

    arg_constraints = Trials.arg_constraints
    support = constraints.unit_interval

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args)


class ExpRelaxedCategorical(_Tempered, OfCategories):
    """The logarithms of what `RelaxedOneHotCategorical` draws.

    >>> distributions.ExpRelaxedCategorical(ad.tensor(1.0), ad.ones(2)).rsample().shape
    torch.Size([2])
    """

    support = constraints.real_vector

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        u = _clamped(rand(shape, dtype=self.logits.dtype))
        return ((self.logits - (-u.log()).log()) / self.temperature).log_softmax(-1)

    def _log_prob(self, value: Any) -> Any:
        n, t = self._event_shape[0], self.temperature
        scores = (self.logits - value * t).log_softmax(-1).sum(-1)
        return scores + (math.lgamma(n) + t.log() * (n - 1))


class RelaxedOneHotCategorical(_Relaxed):
    """Probabilities: the lower the temperature, the nearer to a `OneHotCategorical`.

    >>> distributions.RelaxedOneHotCategorical(ad.tensor(1.0), ad.ones(2)).support
    Simplex()
    """

    arg_constraints = OfCategories.arg_constraints
    support = constraints.simplex

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args)
        super().__init__(base, ExpTransform(), validate_args)


class LogisticNormal(TransformedDistribution):
    """Probabilities that `StickBreakingTransform` makes of normal numbers, one more than of these.

    >>> distributions.LogisticNormal(ad.zeros(2), ad.ones(2)).sample((5,)).shape
    torch.Size([5, 3])
    """

    arg_constraints = Normal.arg_constraints
    support = constraints.simplex
    loc = moment(lambda base_dist: base_dist.base_dist.loc)
    scale = moment(lambda base_dist: base_dist.base_dist.scale)

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args)
        if not base.batch_shape:
            base = base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args)


class ContinuousBernoulli(Trials, ExponentialFamily):
    """The density proportional to p^x (1 - p)^(1 - x) of x from 0 to 1.

    Where p lies between the `lims`, near 1 / 2, a Taylor expansion takes the place of formulas that
    would divide 0 by 0.

    >>> distributions.ContinuousBernoulli(0.25).mean
    tensor(0.4102)
    """

    support = constraints.unit_interval
    has_rsample = True
    _cut = moment(
        lambda probs, _lims: where((probs <= _lims[0]) | (probs > _lims[1]), probs, _lims[0])
    )
    mean = moment(lambda _mean: _mean())
    variance = moment(lambda _variance: _variance())
    _noise = staticmethod(lambda x: x.uniform_())
    _log_norm = formula(
        lambda _cut, probs: where(
            _cut == probs,
            log(abs(log1p(-_cut) - log(_cut)))
            - where(
                _cut <= 0.5,
                log1p(-2 * where(_cut <= 0.5, _cut, 0.0)),
                log(2 * where(_cut >= 0.5, _cut, 1.0) - 1),
            ),
            math.log(2) + (4 / 3 + 104 / 45 * (probs - 0.5) ** 2) * (probs - 0.5) ** 2,
        )
    )
    _mean = formula(
        lambda _cut, probs: where(
            _cut == probs,
            _cut / (2 * _cut - 1) + 1 / (log1p(-_cut) - log(_cut)),
            0.5 + (1 / 3 + 16 / 45 * (probs - 0.5) ** 2) * (probs - 0.5),
        )
    )
    _variance = formula(
        lambda _cut, probs: where(
            _cut == probs,
            _cut * (_cut - 1) / (1 - 2 * _cut) ** 2 + 1 / (log1p(-_cut) - log(_cut)) ** 2,
            1 / 12 - (1 / 15 - 128 / 945 * (probs - 0.5) ** 2) * (probs - 0.5) ** 2,
        )
    )
    _natural_params = moment(lambda logits: (logits,))
    _mean_carrier_measure = 0
    _cdf = formula(
        lambda x, _cut, probs: where(
            x <= 0,
            0.0,
            where(
                x >= 1,
                1.0,
                where(
                    _cut == probs, (_cut**x * (1 - _cut) ** (1 - x) + _cut - 1) / (2 * _cut - 1), x
                ),
            ),
        )
    )
    _icdf = _sample = formula(
        lambda u, _cut, probs: where(
            _cut == probs,
            (log1p(-_cut + u * (2 * _cut - 1)) - log1p(-_cut)) / (log(_cut) - log1p(-_cut)),
            u,
        )
    )

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        name, value = self._given_one(probs, logits)
        (value,) = broadcast_all(value)
        if name == "probs":
            if validate_args and not self.arg_constraints["probs"].check(value).all():
                raise ValueError("The parameter probs has invalid values")
            value = _clamped(value)
        self.__dict__[name], self._lims = value, lims
        Distribution.__init__(self, value.shape, validate_args=validate_args)

    @lazy
    def probs(self) -> Any:
        return _clamped(self.logits.sigmoid())

    def _log_normalizer(self, x: Any) -> Any:
        low, high = (lim - 0.5 for lim in self._lims)
        far = (x <= low) | (x > high)
        cut = where(far, x, low)
        by_taylor = x / 2 + x**2 / 24 - x**4 / 2880
        return where(far, log(abs(expm1(cut))) - log(abs(cut)), by_taylor)

    def _log_prob(self, value: Any) -> Any:
        return self.logits * value - softplus(self.logits) + self._log_norm()

    def entropy(self) -> Any:
        no, yes = (-self.probs).log1p(), self.probs.log()
        return self.mean * (no - yes) - self._log_norm() - no

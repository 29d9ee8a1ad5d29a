"""The divergence of two distributions: a formula for each pair of types.

Where the expectation of -log q(x) is known from what p tells of itself (moments, entropy), one
formula serves every p.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

from autodiff.distributions.compound import Independent
from autodiff.distributions.discrete import (
    Bernoulli,
    Binomial,
    Categorical,
    Geometric,
    OneHotCategorical,
)
from autodiff.distributions.distribution import Distribution, names_of, sum_rightmost
from autodiff.distributions.gamma import Beta, Dirichlet, Gamma
from autodiff.distributions.matrices import Wishart
from autodiff.distributions.multivariate import (
    LowRankMultivariateNormal,
    MultivariateNormal,
    half_log_det,
    mahalanobis,
)
from autodiff.distributions.relaxed import ContinuousBernoulli
from autodiff.distributions.transformed import Gumbel, HalfNormal, Pareto, TransformedDistribution
from autodiff.distributions.univariate import (
    LOG_2PI,
    Cauchy,
    Exponential,
    Laplace,
    Normal,
    Poisson,
    Uniform,
)
from autodiff.functions import (
    abs,
    digamma,
    erf,
    exp,
    full,
    lgamma,
    log,
    log1p,
    mvlgamma,
    where,
    xlogy,
)
from autodiff.native import refuse_any
from autodiff.nn.functional import softplus
from autodiff.ops.fused import pointwise
from autodiff.tensor import Tensor

__all__ = ["kl_divergence", "register_kl"]
_KL: dict[tuple[type, type], Callable[[Any, Any], Any]] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Any], Any]:
    """Make a function the divergence of two types, and of their subclasses without a nearer one:
    of any types, as PyTorch takes bases that distributions share.

    >>> class Mine(distributions.Normal): ...
    >>> @distributions.register_kl(Mine, distributions.Normal)
    ... def kl(p, q): return "mine"
    >>> distributions.kl_divergence(Mine(0.0, 1.0), distributions.Normal(0.0, 1.0))
    'mine'
    """
    for name, given in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(given, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {given}")

    def decorator(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        _KL[type_p, type_q] = function
        _nearest.cache_clear()
        return function

    return decorator


@functools.cache
def _nearest(type_p: type, type_q: type) -> Any:
    """The function of the classes that are the nearest ancestors, p's first; None without any."""
    ps, qs = type_p.__mro__, type_q.__mro__
    found = [(ps.index(p), qs.index(q)) for p, q in _KL if p in ps and q in qs]
    if not found:
        return None
    (i, j), (k, m) = min(found), min(found, key=lambda at: at[::-1])
    if _KL[ps[i], qs[j]] is not _KL[ps[k], qs[m]]:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please "
            f"register_kl({ps[i].__name__}, {qs[m].__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL[ps[i], qs[j]]


def kl_divergence(p: Distribution, q: Distribution) -> Any:
    """The expectation of log p(x) - log q(x) under p, of shape batch_shape.

    NotImplementedError for types between which none is registered.

    >>> D = distributions
    >>> D.kl_divergence(D.Normal(1.0, 1.0), D.Normal(0.0, 1.0))
    tensor(0.5000)
    """
    types: Any = type(p), type(q)
    function = _nearest(*types)
    if function is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type "
            f"{type(q).__name__}"
        )
    return function(p, q)


def _pair(types_p: Any, type_q: type, function: Callable[..., Any]) -> None:
    """Register one kernel that is given p's and q's parameters, moments or entropy by name."""
    kernel = pointwise(function)
    kernel.__name__ = "kl_divergence"
    named = [(name[0], name[2:]) for name in names_of(function)]

    def of(d: Any, name: str) -> Any:
        value = getattr(d, name)
        return value if isinstance(value, Tensor) else value()

    def divergence(p: Any, q: Any) -> Any:
        return kernel(*(of(p if which == "p" else q, name) for which, name in named))

    for type_p in types_p:
        register_kl(type_p, type_q)(divergence)


def _infinite(p: Any, q: Any) -> Any:
    """Of p that has draws where q has none."""
    return full(p.batch_shape, math.inf, dtype=p.mean.dtype)


def _term(p: Any, q: Any, value: Any) -> Any:
    """p log(p / q), by its value where neither is 0."""
    return where(p == 0, 0.0, where(q == 0, math.inf, value))


def _mean_log(low: Any, high: Any) -> Any:
    """The expectation of log x of a uniform x."""
    return (xlogy(high, high) - xlogy(low, low)) / (high - low) - 1


# fmt: off
_pair([Normal], Normal, lambda p_loc, p_scale, q_loc, q_scale:
      ((p_scale / q_scale) ** 2 - 1 + ((p_loc - q_loc) / q_scale) ** 2) / 2
      - log(p_scale / q_scale))
_pair([Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Uniform], Normal,
      lambda p_entropy, p_mean, p_variance, q_loc, q_scale:
      log(q_scale) + LOG_2PI / 2 + (p_variance + (p_mean - q_loc) ** 2) / (2 * q_scale ** 2)
      - p_entropy)
_pair([Exponential], Exponential, lambda p_rate, q_rate:
      q_rate / p_rate - 1 - log(q_rate / p_rate))
_pair([Beta, ContinuousBernoulli, Gamma], Exponential, lambda p_entropy, p_mean, q_rate:
      q_rate * p_mean - log(q_rate) - p_entropy)
_pair([Beta, Exponential, Gamma], Gamma,
      lambda p_entropy, p_mean, p__mean_log, q_concentration, q_rate:
      lgamma(q_concentration) - q_concentration * log(q_rate) + q_rate * p_mean
      - (q_concentration - 1) * p__mean_log - p_entropy)
_pair([Uniform], Exponential, lambda p_entropy, p_mean, p_low, q_rate:
      where(p_low < 0, math.inf, q_rate * p_mean - log(q_rate) - p_entropy))
_pair([Uniform], Gamma, lambda p_entropy, p_mean, p_low, p_high, q_concentration, q_rate:
      where(p_low < 0, math.inf,
            lgamma(q_concentration) - q_concentration * log(q_rate) + q_rate * p_mean
            - (q_concentration - 1) * _mean_log(p_low, p_high) - p_entropy))
_pair([Uniform], Beta, lambda p_entropy, p_low, p_high, q_concentration1, q_concentration0:
      where((p_high > 1) | (p_low < 0), math.inf,
            lgamma(q_concentration1) + lgamma(q_concentration0)
            - lgamma(q_concentration1 + q_concentration0)
            - (q_concentration1 - 1) * _mean_log(p_low, p_high)
            - (q_concentration0 - 1) * _mean_log(1 - p_high, 1 - p_low) - p_entropy))
_pair([Beta], Uniform, lambda p_entropy, q_low, q_high:
      where((q_low > 0) | (q_high < 1), math.inf, log(q_high - q_low) - p_entropy))
_pair([Uniform], Uniform, lambda p_low, p_high, q_low, q_high:
      where((q_low > p_low) | (q_high < p_high), math.inf,
            log((q_high - q_low) / (p_high - p_low))))
_pair([ContinuousBernoulli], Uniform, lambda p_entropy, q_low, q_high:
      where((q_low >= 0) | (q_high <= 1), math.inf, log(q_high - q_low) - p_entropy))
_pair([Beta, ContinuousBernoulli], ContinuousBernoulli,
      lambda p_entropy, p_mean, q_logits, q__log_norm:
      softplus(q_logits) - q_logits * p_mean - q__log_norm - p_entropy)
_pair([Uniform], ContinuousBernoulli,
      lambda p_entropy, p_mean, p_low, p_high, q_logits, q__log_norm:
      where((p_low <= 0) | (p_high >= 1), math.inf,
            softplus(q_logits) - q_logits * p_mean - q__log_norm - p_entropy))
_pair([Pareto], Pareto, lambda p_scale, p_alpha, q_scale, q_alpha:
      where(p_scale < q_scale, math.inf, q_alpha * log(p_scale / q_scale)
            - log(q_alpha / p_alpha) + q_alpha / p_alpha - 1))
_pair([Pareto], Exponential, lambda p_entropy, p_scale, p_alpha, q_rate:
      where(p_alpha <= 1, math.inf,
            q_rate * p_scale * p_alpha / (p_alpha - 1) - log(q_rate) - p_entropy))
_pair([Pareto], Gamma,
      lambda p_entropy, p_scale, p_alpha, q_concentration, q_rate:
      where(p_alpha <= 1, math.inf,
            lgamma(q_concentration) - q_concentration * log(q_rate)
            + q_rate * p_scale * p_alpha / (p_alpha - 1)
            - (q_concentration - 1) * (log(p_scale) + 1 / p_alpha) - p_entropy))
_pair([Pareto], Normal, lambda p_entropy, p_scale, p_alpha, q_loc, q_scale:
      where(p_alpha <= 2, math.inf,
            log(q_scale) + LOG_2PI / 2 - p_entropy
            + ((p_scale / (p_alpha - 1)) ** 2 * p_alpha / (p_alpha - 2)
               + (p_scale * p_alpha / (p_alpha - 1) - q_loc) ** 2) / (2 * q_scale ** 2)))
_pair([Uniform], Pareto, lambda p_low, p_high, q_scale, q_alpha:
      where(p_low < q_scale, math.inf,
            (q_alpha + 1) * _mean_log(p_low, p_high)
            - log(q_alpha * (p_high - p_low)) - q_alpha * log(q_scale)))
_pair([Laplace], Laplace, lambda p_loc, p_scale, q_loc, q_scale:
      abs(p_loc - q_loc) / q_scale + p_scale / q_scale * exp(-abs(p_loc - q_loc) / p_scale)
      - log(p_scale / q_scale) - 1)
_pair([Normal], Laplace, lambda p_entropy, p_loc, p_scale, q_loc, q_scale:
      (math.sqrt(2 / math.pi) * p_scale * exp(-((p_loc - q_loc) / p_scale) ** 2 / 2)
       + (p_loc - q_loc) * erf((p_loc - q_loc) / p_scale / math.sqrt(2))) / q_scale
      + log(2 * q_scale) - p_entropy)
_pair([Cauchy], Cauchy, lambda p_loc, p_scale, q_loc, q_scale:
      log((p_scale + q_scale) ** 2 + (p_loc - q_loc) ** 2) - log(4 * p_scale * q_scale))


def _to_gumbel(mean: Any, loc: Any, scale: Any, entropy: Any, log_expected: Any) -> Any:
    """Given the logarithm of the expectation of exp((loc - x) / scale)."""
    return log(scale) + (mean - loc) / scale + exp(log_expected) - entropy


_pair([Exponential], Gumbel, lambda p_entropy, p_mean, p_rate, q_loc, q_scale:
      _to_gumbel(p_mean, q_loc, q_scale, p_entropy,
                 q_loc / q_scale - log1p(1 / (p_rate * q_scale))))
_pair([Gamma], Gumbel, lambda p_entropy, p_mean, p_concentration, p_rate, q_loc, q_scale:
      _to_gumbel(p_mean, q_loc, q_scale, p_entropy,
                 q_loc / q_scale - p_concentration * log1p(1 / (p_rate * q_scale))))
_pair([Normal], Gumbel, lambda p_entropy, p_loc, p_scale, q_loc, q_scale:
      _to_gumbel(p_loc, q_loc, q_scale, p_entropy,
                 (q_loc - p_loc) / q_scale + (p_scale / q_scale) ** 2 / 2))
_pair([Gumbel], Gumbel, lambda p_entropy, p_mean, p_loc, p_scale, q_loc, q_scale:
      _to_gumbel(p_mean, q_loc, q_scale, p_entropy,
                 (q_loc - p_loc) / q_scale + lgamma(1 + p_scale / q_scale)))
_pair([Uniform], Gumbel, lambda p_entropy, p_mean, p_low, p_high, q_loc, q_scale:
      _to_gumbel(p_mean, q_loc, q_scale, p_entropy,
                 log((exp((q_loc - p_low) / q_scale) - exp((q_loc - p_high) / q_scale))
                     * q_scale / (p_high - p_low))))
_pair([Poisson], Poisson, lambda p_rate, q_rate:
      p_rate * (log(p_rate) - log(q_rate)) - (p_rate - q_rate))
_pair([Bernoulli], Poisson, lambda p_entropy, p_probs, q_rate:
      q_rate - p_probs * log(q_rate) - p_entropy)
_pair([Geometric], Geometric, lambda p_entropy, p_probs, q_probs, q_logits:
      -p_entropy - log1p(-q_probs) / p_probs - q_logits)
_pair([Bernoulli], Bernoulli, lambda p_probs, p_logits, q_probs, q_logits:
      _term(p_probs, q_probs, p_probs * (softplus(-q_logits) - softplus(-p_logits)))
      + _term(1 - p_probs, 1 - q_probs,
              (1 - p_probs) * (softplus(q_logits) - softplus(p_logits))))
_p: type
for _p in (Exponential, Gamma, Gumbel, Laplace, Normal):
    register_kl(_p, Uniform)(_infinite)
    register_kl(_p, Beta)(_infinite)
for _p in (Gumbel, Laplace, Normal):
    register_kl(_p, Exponential)(_infinite)
    register_kl(_p, Gamma)(_infinite)
for _p in (Bernoulli, Binomial):
    register_kl(Poisson, _p)(_infinite)
for _p in (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Normal):
    register_kl(_p, Pareto)(_infinite)
for _p in (Exponential, Gamma, Gumbel, Laplace, Normal, Pareto):
    register_kl(_p, ContinuousBernoulli)(_infinite)
for _p in (Beta, Uniform):
    register_kl(Pareto, _p)(_infinite)
# fmt: on

_share = pointwise(lambda p, q, log_p, log_q: _term(p, q, p * (log_p - log_q)))


@register_kl(OneHotCategorical, OneHotCategorical)
@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Any:
    return _share(p.probs, q.probs, p.logits, q.logits).sum(-1)


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Any:
    text = "KL between Binomials where q.total_count > p.total_count is not implemented"
    refuse_any((p.total_count < q.total_count)._p, NotImplementedError, text)
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return where(p.total_count > q.total_count, math.inf, p.total_count * each)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Any:
    of_p, of_q = p.concentration, q.concentration
    total = of_p.sum(-1)
    each = (of_p - of_q) * (digamma(of_p) - digamma(total.unsqueeze(-1)))
    return (each - lgamma(of_p) + lgamma(of_q)).sum(-1) + lgamma(total) - lgamma(of_q.sum(-1))


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Any:
    return kl_divergence(p._dirichlet, q._dirichlet)


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate(p: Any, q: Any) -> Any:
    n = p.event_shape[0]
    if q.event_shape != (n,):
        raise ValueError(
            "KL-divergence between two Multivariate Normals with                          "
            "different event shapes cannot be computed"
        )
    of_p, of_q = p._unbroadcasted_scale_tril, q._unbroadcasted_scale_tril
    ratio = mahalanobis(of_q.unsqueeze(-3), of_p.mT).sum(-1)
    apart = mahalanobis(of_q, q.loc - p.loc)
    return half_log_det(of_q) - half_log_det(of_p) + 0.5 * (ratio + apart - n)


@register_kl(Wishart, Wishart)
def _wishart(p: Any, q: Any) -> Any:
    n, of_p, of_q = p.event_shape[0], p._unbroadcasted_scale_tril, q._unbroadcasted_scale_tril
    ratio = mahalanobis(of_q.unsqueeze(-3), of_p.mT).sum(-1)
    return (
        q.df * (half_log_det(of_q) - half_log_det(of_p))
        + p.df / 2 * (ratio - n)
        + mvlgamma(q.df / 2, n)
        - mvlgamma(p.df / 2, n)
        + (p.df - q.df) / 2 * p._slopes
    )


@register_kl(HalfNormal, HalfNormal)
def _halves(p: Any, q: Any) -> Any:
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Any:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Any:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)

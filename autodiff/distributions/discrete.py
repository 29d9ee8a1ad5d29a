"""Distributions given by probabilities or logits: of trials, of categories, and of their counts."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autodiff.distributions import constraints
from autodiff.distributions.binomial import draw
from autodiff.distributions.distribution import (
    Distribution,
    OfProbsOrLogits,
    broadcast_all,
    formula,
    moment,
)
from autodiff.distributions.exp_family import ExponentialFamily
from autodiff.distributions.gamma import Gamma
from autodiff.dtypes import finfo
from autodiff.functions import (
    arange,
    bernoulli,
    broadcast_tensors,
    eye,
    floor,
    full_like,
    lgamma,
    log,
    log1p,
    multinomial,
    poisson,
    where,
    zeros_like,
)
from autodiff.nn.functional import one_hot, softplus
from autodiff.ops.fused import pointwise
from autodiff.shapes import Size

__all__ = [
    *("Bernoulli", "Binomial", "Categorical", "Geometric", "Multinomial", "NegativeBinomial"),
    *("OneHotCategorical", "OneHotCategoricalStraightThrough"),
]


class Trials(OfProbsOrLogits):
    """What is given by the probability of success."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        name, value = self._given_one(probs, logits)
        self._take(validate_args, **{name: value})


class Bernoulli(Trials, ExponentialFamily):
    """One with probability `probs`, whose log-odds are `logits`; else zero.

    >>> d = distributions.Bernoulli(logits=ad.tensor([0.0, 2.0]))
    >>> d.probs, d.log_prob(ad.tensor([1.0, 0.0]))
    (tensor([0.5000, 0.8808]), tensor([-0.6931, -2.1269]))
    """

    support = constraints.boolean
    has_enumerate_support = True
    mean = moment(lambda probs: probs)
    mode = moment(lambda probs: where(probs == 0.5, math.nan, (probs >= 0.5).to(probs)))
    variance = moment(lambda probs: probs * (1 - probs))
    _log_prob = formula(lambda x, logits: logits * x - softplus(logits))
    _entropy = formula(lambda probs, logits: softplus(logits) - logits * probs)
    entropy = Distribution.entropy
    _natural_params = moment(lambda logits: (logits,))
    _log_normalizer = staticmethod(softplus)
    _mean_carrier_measure = 0

    def _drawn(self, sample_shape: Iterable[int]) -> Any:
        return bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def enumerate_support(self, expand: bool = True) -> Any:
        return self._enumerated(arange(2, dtype=self._param.dtype), expand)


class Geometric(Trials):
    """The number of failures before the first success, k with probability (1 - probs)^k probs.

    >>> distributions.Geometric(0.25).mean
    tensor(3.)
    """

    support = constraints.nonnegative_integer
    mean = moment(lambda probs: 1 / probs - 1)
    mode = moment(lambda probs: zeros_like(probs))
    variance = moment(lambda mean, probs: mean / probs)
    _noise = staticmethod(lambda x: x.uniform_(finfo(x.dtype).tiny, 1))
    _sample = formula(lambda u, probs: floor(log(u) / log1p(-probs)))
    _log_prob = formula(
        lambda x, probs: x * log1p(-where((probs == 1) & (x == 0), 0.0, probs)) + log(probs)
    )
    _entropy = formula(lambda probs, logits: (softplus(logits) - logits * probs) / probs)

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(probs, logits, validate_args)
        if self._validate_args and probs is not None:
            self._check("probs", constraints.positive, "to be positive")


class Binomial(OfProbsOrLogits):
    """The number of successes in `total_count` trials.

    >>> distributions.Binomial(3, ad.tensor(0.5)).log_prob(ad.tensor([0.0, 1.0])).exp()
    tensor([0.1250, 0.3750])
    """

    arg_constraints = {"total_count": constraints.nonnegative_integer, **Trials.arg_constraints}
    support = moment(lambda total_count: constraints.integer_interval(0, total_count))
    has_enumerate_support = True
    mean = moment(lambda total_count, probs: total_count * probs)
    mode = moment(
        lambda total_count, probs: ((total_count + 1) * probs).floor().clamp(max=total_count)
    )
    variance = moment(lambda mean, probs: mean * (1 - probs))
    _log_prob = formula(
        lambda x, total_count, logits: (
            (x * logits - total_count * softplus(logits) + lgamma(total_count + 1))
            - (lgamma(x + 1) + lgamma(total_count - x + 1))
        )
    )
    total_count: Any

    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        name, value = self._given_one(probs, logits)
        total, value = broadcast_all(total_count, value)
        self._take(validate_args, total_count=total.to(value), **{name: value})

    def _drawn(self, sample_shape: Iterable[int]) -> Any:
        shape = self._extended_shape(sample_shape)
        return draw(self.total_count.expand(shape), self.probs.expand(shape))

    def entropy(self) -> Any:
        log_prob = self.log_prob(self._counts("entropy", False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Any:
        return self._counts("enumerate_support", expand)

    def _counts(self, function: str, expand: bool) -> Any:
        last = int(self.total_count.max())
        if self.total_count.min() != last:
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{function}`.")
        return self._enumerated(arange(1 + last, dtype=self._param.dtype), expand)


class NegativeBinomial(OfProbsOrLogits):
    """The number of successes, of probability `probs`, before `total_count` failures.

    >>> distributions.NegativeBinomial(2.0, ad.tensor(0.5)).mean
    tensor(2.)
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    mean = moment(lambda total_count, logits: total_count * logits.exp())
    mode = moment(lambda total_count, logits: ((total_count - 1) * logits.exp()).floor().clamp(0))
    variance = moment(lambda mean, logits: mean / (-logits).sigmoid())
    _log_prob = formula(
        lambda x, total_count, logits: (
            -total_count * softplus(logits)
            - x * softplus(-logits)
            - where(
                total_count + x == 0,
                0.0,
                lgamma(1 + x) + lgamma(total_count) - lgamma(total_count + x),
            )
        )
    )
    total_count: Any

    def __init__(
        self,
        total_count: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        name, value = self._given_one(probs, logits)
        total, value = broadcast_all(total_count, value)
        self._take(validate_args, total_count=total.to(value), **{name: value})

    def _drawn(self, sample_shape: Iterable[int]) -> Any:
        rates = Gamma(self.total_count, (-self.logits).exp(), validate_args=False)
        return poisson(rates.sample(sample_shape))


class Categorical(OfProbsOrLogits):
    """Indices from 0 to K - 1; `probs` or `logits` have a last dimension of K, and are normalized.

    >>> d = distributions.Categorical(ad.tensor([1.0, 3.0]))
    >>> d.probs, d.log_prob(ad.tensor(0))
    (tensor([0.2500, 0.7500]), tensor(-1.3863))
    """

    _binary = False
    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _num_events = moment(lambda _param: _param.shape[-1])
    mean = variance = moment(lambda _param: full_like(_param[..., 0], math.nan))
    mode = moment(lambda probs: probs.argmax(-1))
    support = moment(lambda _num_events: constraints.integer_interval(0, _num_events - 1))

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        name, x = self._given_one(probs, logits)
        if x.dim() < 1:
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        normal = x - x.logsumexp(-1, True) if probs is None else x / x.sum(-1, True)
        self.__dict__[name] = normal
        Distribution.__init__(self, x.shape[:-1], validate_args=validate_args)

    def sample(self, sample_shape: Iterable[int] = ()) -> Any:
        shape = Size(sample_shape)
        flat = self.probs.detach().reshape(-1, self._num_events)
        return multinomial(flat, shape.numel(), True).T.reshape(self._extended_shape(shape))

    def _log_prob(self, value: Any) -> Any:
        index, logits = broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, index[..., :1]).squeeze(-1)

    def entropy(self) -> Any:
        finite = self.logits.clamp(min=finfo(self.logits.dtype).min)
        return -(finite * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Any:
        return self._enumerated(arange(self._num_events), expand)


class OfCategories(Distribution):
    """What is drawn as categories, and told as vectors over them."""

    arg_constraints = Categorical.arg_constraints
    probs = moment(lambda _categorical: _categorical.probs)
    logits = moment(lambda _categorical: _categorical.logits)
    param_shape = moment(lambda _categorical: _categorical.param_shape)

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._categorical = self._categorical.expand(batch_shape)
        return new


class OneHotCategorical(OfCategories):
    """A `Categorical` whose draws are rows of the identity.

    >>> distributions.OneHotCategorical(ad.ones(3)).enumerate_support()[1]
    tensor([0., 1., 0.])
    """

    support = constraints.one_hot
    has_enumerate_support = True
    mean = moment(lambda probs: probs)
    mode = moment(lambda probs: one_hot(probs.argmax(-1), probs.shape[-1]).to(probs))
    variance = moment(lambda probs: probs * (1 - probs))
    _entropy = moment(lambda _categorical: _categorical.entropy)
    _log_prob = moment(lambda _categorical: lambda x: _categorical.log_prob(x.argmax(-1)))

    def sample(self, sample_shape: Iterable[int] = ()) -> Any:
        return one_hot(self._categorical.sample(sample_shape), *self._event_shape).to(self.probs)

    def enumerate_support(self, expand: bool = True) -> Any:
        return self._enumerated(eye(*self._event_shape, dtype=self.probs.dtype), expand)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """A `OneHotCategorical` whose draws have the gradient of `probs`.

    >>> distributions.OneHotCategoricalStraightThrough(ad.tensor([0.0, 1.0])).rsample()
    tensor([0., 1.])
    """

    has_rsample = True

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


@pointwise
def _count_term(x: Any, logits: Any) -> Any:
    """log(p^x / x!), where 0^0 is 1."""
    return where((x == 0) & (logits == -math.inf), 0.0, x * logits) - lgamma(x + 1)


class Multinomial(OfCategories):
    """How often each category is drawn in `total_count` draws.

    >>> d = distributions.Multinomial(4, ad.tensor([1.0, 1.0]))
    >>> d.mean, d.log_prob(ad.tensor([2.0, 2.0])).exp()
    (tensor([2., 2.]), tensor(0.3750))
    """

    support = moment(lambda total_count: constraints.multinomial(total_count))
    mean = moment(lambda probs, total_count: probs * total_count)
    variance = moment(lambda mean, probs: mean * (1 - probs))

    def __init__(
        self,
        total_count: int = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        super().__init__(probs, logits, validate_args)
        if total_count < 0 and self._validate_args:
            raise ValueError(
                f"Expected parameter total_count of distribution {self!r} to satisfy the "
                f"constraint IntegerGreaterThan(lower_bound=0), but found {total_count}"
            )

    def sample(self, sample_shape: Iterable[int] = ()) -> Any:
        drawn = self._categorical.sample((self.total_count, *sample_shape))
        return one_hot(drawn, *self._event_shape).sum(0).to(self.probs)

    def _log_prob(self, value: Any) -> Any:
        return _count_term(value, self.logits).sum(-1) + lgamma(value.sum(-1) + 1)

    def entropy(self) -> Any:
        n, each = self.total_count, Binomial(self.total_count, self.probs)
        counts = each.enumerate_support(False)[1:]
        of_counts = (each.log_prob(counts).exp() * lgamma(counts + 1)).sum([0, -1])
        return n * self._categorical.entropy() - math.lgamma(n + 1) + of_counts

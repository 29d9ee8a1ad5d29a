"""Distributions of what is made of another's draws: by transforms, of several, by choosing one."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autodiff.distributions import constraints
from autodiff.distributions.discrete import Categorical
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
from autodiff.shapes import Size

__all__ = [
    *("Gumbel", "HalfCauchy", "HalfNormal", "Independent", "LogNormal", "MixtureSameFamily"),
    *("Pareto", "TransformedDistribution"),
]


class Independent(Distribution):
    """A distribution of which the last `reinterpreted_batch_ndims` of the batch are one event.

    >>> d = distributions.Independent(distributions.Normal(ad.zeros(3, 2), 1.0), 1)
    >>> d.batch_shape, d.event_shape, d.log_prob(ad.zeros(2)).shape
    (torch.Size([3]), torch.Size([2]), torch.Size([3]))
    """

    arg_constraints = {}
    mean = moment(lambda base_dist: base_dist.mean)
    mode = moment(lambda base_dist: base_dist.mode)
    variance = moment(lambda base_dist: base_dist.variance)
    has_rsample = moment(lambda base_dist: base_dist.has_rsample)

    def __init__(
        self,
        base_distribution: Any,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        base, n = base_distribution, reinterpreted_batch_ndims
        if n > len(base.batch_shape):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), "
                f"actual {n} vs {len(base.batch_shape)}"
            )
        shape = base.batch_shape + base.event_shape
        cut = len(base.batch_shape) - n
        self.base_dist, self.reinterpreted_batch_ndims = base, n
        super().__init__(shape[:cut], shape[cut:], validate_args)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        inner = self.event_shape[: self.reinterpreted_batch_ndims]
        new.base_dist = self.base_dist.expand(Size(batch_shape) + inner)
        return new

    @property
    def has_enumerate_support(self) -> bool:
        return self.reinterpreted_batch_ndims == 0 and self.base_dist.has_enumerate_support

    @property
    def support(self) -> Any:
        inner, n = self.base_dist.support, self.reinterpreted_batch_ndims
        return constraints.independent(inner, n) if n else inner

    def sample(self, sample_shape: Iterable[int] = ()) -> Any:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Iterable[int] = ()) -> Any:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Any) -> Any:
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Any:
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand: bool = True) -> Any:
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_dist}, {self.reinterpreted_batch_ndims})"


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


class MixtureSameFamily(Distribution):
    """One of the last dimension of a batch of distributions, chosen by a `Categorical`.

    >>> components = distributions.Normal(ad.tensor([-1.0, 1.0]), 0.5)
    >>> d = distributions.MixtureSameFamily(distributions.Categorical(ad.ones(2)), components)
    >>> d.mean, d.variance
    (tensor(0.), tensor(1.2500))
    """

    arg_constraints = {}
    mixture_distribution = moment(lambda _mixture_distribution: _mixture_distribution)
    component_distribution = moment(lambda _component_distribution: _component_distribution)
    support = moment(
        lambda component_distribution: constraints.MixtureSameFamilyConstraint(
            component_distribution.support
        )
    )

    def __init__(
        self,
        mixture_distribution: Any,
        component_distribution: Any,
        validate_args: bool | None = None,
    ) -> None:
        mixture, component = mixture_distribution, component_distribution
        if not isinstance(mixture, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of "
                "torch.distributions.Categorical"
            )
        if not isinstance(component, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of "
                "torch.distributions.Distribution"
            )
        chosen, batch = mixture.batch_shape, component.batch_shape[:-1]
        pairs = zip(reversed(chosen), reversed(batch), strict=False)
        if any(1 != a != b != 1 for a, b in pairs):
            raise ValueError(
                f"`mixture_distribution.batch_shape` ({chosen}) is not compatible with "
                f"`component_distribution.batch_shape`({batch})"
            )
        k, of = mixture.logits.shape[-1], component.batch_shape[-1]
        if k != of:
            raise ValueError(
                f"`mixture_distribution component` ({k}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({of})"
            )
        self._mixture_distribution, self._component_distribution = mixture, component
        super().__init__(batch, component.event_shape, validate_args)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new, shape = super().expand(batch_shape, _instance), Size(batch_shape)
        new._mixture_distribution = self.mixture_distribution.expand(shape)
        count = self.component_distribution.batch_shape[-1:]
        new._component_distribution = self.component_distribution.expand(shape + count)
        return new

    def _each(self, value: Any) -> Any:
        return value.unsqueeze(-1 - len(self.event_shape))

    def _mixed(self, x: Any) -> Any:
        """The mean over the components of what each of them has."""
        n = len(self.event_shape)
        weights = self.mixture_distribution.probs
        return (weights.reshape([*weights.shape, *[1] * n]) * x).sum(-1 - n)

    @property
    def mean(self) -> Any:
        return self._mixed(self.component_distribution.mean)

    @property
    def variance(self) -> Any:
        apart = self.component_distribution.mean - self._each(self.mean)
        return self._mixed(self.component_distribution.variance) + self._mixed(apart.pow(2))

    def cdf(self, x: Any) -> Any:
        return (
            self.component_distribution.cdf(self._each(x)) * self.mixture_distribution.probs
        ).sum(-1)

    def _log_prob(self, x: Any) -> Any:
        parts = self.component_distribution.log_prob(self._each(x))
        return (parts + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Iterable[int] = ()) -> Any:
        with no_grad():
            chosen = self.mixture_distribution.sample(sample_shape)
            parts = self.component_distribution.sample(sample_shape)
            n = len(self.event_shape)
            index = chosen.reshape([*chosen.shape, *[1] * (n + 1)])
            dim = parts.dim() - n - 1
            shape = [*parts.shape[:dim], 1, *self.event_shape]
            return parts.gather(dim, index.expand(shape)).squeeze(dim)

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
        )

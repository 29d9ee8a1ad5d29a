"""Distributions of several draws of another as one event, and of one chosen among several."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autodiff.distributions import constraints
from autodiff.distributions.discrete import Categorical
from autodiff.distributions.distribution import Distribution, moment, sum_rightmost
from autodiff.grad_mode import no_grad
from autodiff.shapes import Size

__all__ = ["Independent", "MixtureSameFamily"]


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

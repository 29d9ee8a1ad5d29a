"""Distributions of powers of what others draw."""

# ruff: noqa: RUF012 - constraints are told as PyTorch tells them

from __future__ import annotations

import math
from typing import Any

from autodiff.distributions import constraints
from autodiff.distributions.distribution import broadcast_all, formula, moment
from autodiff.distributions.gamma import Gamma
from autodiff.distributions.transformed import TransformedDistribution
from autodiff.distributions.transforms import AffineTransform, PowerTransform
from autodiff.distributions.univariate import EULER, Exponential, Uniform
from autodiff.functions import digamma, full_like, lgamma, log, ones_like, where, zeros_like

__all__ = ["InverseGamma", "Kumaraswamy", "Weibull"]


class Weibull(TransformedDistribution):
    """The density c x^(c - 1) exp(-x^c) of x / scale, where c is `concentration`.

    >>> distributions.Weibull(2.0, 1.0).mean
    tensor(2.)
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive
    concentration_reciprocal = moment(lambda concentration: concentration.reciprocal())
    _growth = moment(lambda concentration_reciprocal: lgamma(1 + concentration_reciprocal))
    mean = moment(lambda scale, _growth: scale * _growth.exp())
    mode = moment(
        lambda scale, concentration: scale * (1 - 1 / concentration) ** (1 / concentration)
    )
    _entropy = formula(
        lambda scale, concentration: (
            EULER * (1 - 1 / concentration) + log(scale / concentration) + 1
        )
    )

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        transforms = [PowerTransform(self.concentration_reciprocal), AffineTransform(0, self.scale)]
        super().__init__(
            Exponential(ones_like(self.scale), validate_args), transforms, validate_args
        )

    @property
    def variance(self) -> Any:
        square = lgamma(1 + 2 * self.concentration_reciprocal).exp()
        return self.scale.pow(2) * (square - (2 * self._growth).exp())


class InverseGamma(TransformedDistribution):
    """1 / x of a number x from `Gamma(concentration, rate)`.

    >>> distributions.InverseGamma(3.0, 1.0).mean
    tensor(0.5000)
    """

    arg_constraints = Gamma.arg_constraints
    support = constraints.positive
    concentration = moment(lambda base_dist: base_dist.concentration)
    rate = moment(lambda base_dist: base_dist.rate)
    mode = moment(lambda rate, concentration: rate / (concentration + 1))
    mean = moment(
        lambda rate, concentration: where(concentration > 1, rate / (concentration - 1), math.inf)
    )
    _entropy = formula(
        lambda concentration, rate: (
            concentration
            + log(rate)
            + lgamma(concentration)
            - (1 + concentration) * digamma(concentration)
        )
    )

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args)
        super().__init__(base, PowerTransform(-ones_like(base.rate)), validate_args)

    @property
    def variance(self) -> Any:
        c = self.concentration
        return where(c > 2, self.rate.square() / ((c - 1).square() * (c - 2)), math.inf)


class Kumaraswamy(TransformedDistribution):
    """The density a b x^(a - 1) (1 - x^a)^(b - 1) of x from 0 to 1.

    a is `concentration1`, b is `concentration0`.

    >>> distributions.Kumaraswamy(1.0, 1.0).mean
    tensor(0.5000)
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    mean = moment(lambda _moment: _moment(1))
    variance = moment(lambda _moment, mean: _moment(2) - mean.pow(2))
    _entropy = formula(
        lambda concentration1, concentration0: (
            (1 - 1 / concentration0)
            + (1 - 1 / concentration1) * (digamma(concentration0 + 1) + EULER)
            - log(concentration1)
            - log(concentration0)
        )
    )

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        self.concentration1, b = broadcast_all(concentration1, concentration0)
        self.concentration0 = b
        transforms = [
            PowerTransform(b.reciprocal()),
            AffineTransform(1.0, -1.0),
            PowerTransform(self.concentration1.reciprocal()),
        ]
        base = Uniform(zeros_like(b), ones_like(b), validate_args)
        super().__init__(base, transforms, validate_args)

    def _moment(self, n: int) -> Any:
        """The mean of x^n: b times the beta function of 1 + n / a and b."""
        a, b = self.concentration1, self.concentration0
        return b * (lgamma(1 + n / a) + lgamma(b) - lgamma(1 + n / a + b)).exp()

    @property
    def mode(self) -> Any:
        a, b = self.concentration1, self.concentration0
        found = ((-b).log1p() / b - (-b * a).log1p()).exp()  # as PyTorch has it
        return where((a < 1) | (b < 1), full_like(a, math.nan), found)

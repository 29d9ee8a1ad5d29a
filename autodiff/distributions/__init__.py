"""`autodiff.distributions`: what to draw from, and the probability of what was drawn."""

from autodiff.distributions import (
    constraints,
    discrete,
    distribution,
    gamma,
    kl,
    multivariate,
    transformed,
    transforms,
    univariate,
)
from autodiff.distributions.discrete import *  # noqa: F403 - each lists what is public
from autodiff.distributions.distribution import *  # noqa: F403
from autodiff.distributions.gamma import *  # noqa: F403
from autodiff.distributions.kl import *  # noqa: F403
from autodiff.distributions.multivariate import *  # noqa: F403
from autodiff.distributions.transformed import *  # noqa: F403
from autodiff.distributions.transforms import *  # noqa: F403
from autodiff.distributions.univariate import *  # noqa: F403
from autodiff.places import also_at

__all__ = ["constraints", "kl", "transforms"]
__all__ += discrete.__all__ + distribution.__all__ + kl.__all__ + multivariate.__all__
__all__ += gamma.__all__ + transformed.__all__ + transforms.__all__ + univariate.__all__

also_at(
    __name__,
    "bernoulli beta categorical cauchy chi2 continuous_bernoulli dirichlet exponential geometric "
    "gumbel half_cauchy half_normal independent inverse_gamma kumaraswamy laplace log_normal "
    "logistic_normal lowrank_multivariate_normal mixture_same_family multinomial "
    "multivariate_normal negative_binomial normal one_hot_categorical pareto poisson "
    "relaxed_bernoulli relaxed_categorical studentT transformed_distribution uniform von_mises "
    "weibull",
)

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

__all__ = ["constraints", "kl", "transforms"]
__all__ += discrete.__all__ + distribution.__all__ + kl.__all__ + multivariate.__all__
__all__ += gamma.__all__ + transformed.__all__ + transforms.__all__ + univariate.__all__

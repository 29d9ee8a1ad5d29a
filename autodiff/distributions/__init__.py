"""`autodiff.distributions`: what to draw from, and the probability of what was drawn."""

from autodiff.distributions import (
    compound,
    constraints,
    discrete,
    distribution,
    exp_family,
    gamma,
    kl,
    matrices,
    multivariate,
    powered,
    registry,
    relaxed,
    transformed,
    transforms,
    univariate,
    utils,
    vector_transforms,
)
from autodiff.distributions.compound import *  # noqa: F403 - each lists what is public
from autodiff.distributions.discrete import *  # noqa: F403
from autodiff.distributions.distribution import *  # noqa: F403
from autodiff.distributions.exp_family import *  # noqa: F403
from autodiff.distributions.gamma import *  # noqa: F403
from autodiff.distributions.kl import *  # noqa: F403
from autodiff.distributions.matrices import *  # noqa: F403
from autodiff.distributions.multivariate import *  # noqa: F403
from autodiff.distributions.powered import *  # noqa: F403
from autodiff.distributions.registry import *  # noqa: F403
from autodiff.distributions.relaxed import *  # noqa: F403
from autodiff.distributions.transformed import *  # noqa: F403
from autodiff.distributions.transforms import *  # noqa: F403
from autodiff.distributions.univariate import *  # noqa: F403
from autodiff.distributions.vector_transforms import *  # noqa: F403
from autodiff.places import also_at

_PARTS = [
    *(compound, discrete, distribution, exp_family, gamma, kl, matrices, multivariate, powered),
    *(registry, relaxed, transformed, transforms, univariate, vector_transforms),
]
__all__ = ["constraints", "kl", "transforms", "utils"]
__all__ += [name for part in _PARTS for name in part.__all__]

for _name in vector_transforms.__all__:  # which PyTorch has in transforms
    setattr(transforms, _name, getattr(vector_transforms, _name))
also_at(
    __name__,
    "bernoulli beta categorical cauchy chi2 constraint_registry continuous_bernoulli dirichlet "
    "exponential fishersnedecor generalized_pareto geometric gumbel half_cauchy half_normal "
    "independent inverse_gamma kumaraswamy laplace lkj_cholesky log_normal logistic_normal "
    "lowrank_multivariate_normal mixture_same_family multinomial "
    "multivariate_normal negative_binomial normal one_hot_categorical pareto poisson "
    "relaxed_bernoulli relaxed_categorical studentT transformed_distribution uniform von_mises "
    "weibull wishart",
)

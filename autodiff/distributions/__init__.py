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
from autodiff.distributions.compound import *
from autodiff.distributions.discrete import *
from autodiff.distributions.distribution import *
from autodiff.distributions.exp_family import *
from autodiff.distributions.gamma import *
from autodiff.distributions.kl import *
from autodiff.distributions.matrices import *
from autodiff.distributions.multivariate import *
from autodiff.distributions.powered import *
from autodiff.distributions.registry import *
from autodiff.distributions.relaxed import *
from autodiff.distributions.transformed import *
from autodiff.distributions.transforms import *
from autodiff.distributions.univariate import *
from autodiff.distributions.vector_transforms import *
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

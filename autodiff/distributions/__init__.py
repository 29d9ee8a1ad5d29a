"""`autodiff.distributions`: what to draw from, and the probability of what was drawn."""

from autodiff.distributions import (
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
from autodiff.distributions.discrete import *  # noqa: F403 - each lists what is public
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

__all__ = ["constraints", "kl", "transforms", "utils"]
__all__ += (
    discrete.__all__ + distribution.__all__ + exp_family.__all__ + kl.__all__ + multivariate.__all__
)
__all__ += gamma.__all__ + transformed.__all__ + transforms.__all__ + univariate.__all__
__all__ += (
    matrices.__all__
    + powered.__all__
    + registry.__all__
    + relaxed.__all__
    + vector_transforms.__all__
)

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

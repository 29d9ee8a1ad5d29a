"""Records what PyTorch's distributions draw and say as distributions.json (see recording.py).

A distribution is a text, in which `t` makes a parameter: the test runs the same on both libraries.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from golden.recording import failure, plain, write

GOLDEN = Path(__file__).with_name("distributions.json")
MATRIX = "t([[2.0, 0.5], [0.5, 1.0]])"
LOWER = "t([[[1.5, 0.0], [0.5, 1.0]], [[1.0, 0.0], [-0.5, 0.75]]])"
# Distributions, and values of theirs.
DISTRIBUTIONS = {
    "Normal(t([0.5, -1.0]), t([1.0, 2.5]))": [[0.25, -3.0], [1.0, 0.0]],
    "Normal(t(0.5), 2.0)": [0.25, -3.0],
    "LogNormal(t([0.5, -1.0]), t([1.0, 0.5]))": [[0.25, 3.0], [1.0, 0.5]],
    "HalfNormal(t([0.5, 2.0]))": [[0.25, 3.0], [1.0, 0.5]],
    "HalfCauchy(t([0.5, 2.0]))": [[0.25, 3.0], [1.0, 0.5]],
    "Pareto(t([0.5, 2.0]), t([1.5, 3.0]))": [[0.75, 3.0], [1.0, 2.5]],
    "Pareto(t(0.5), t([0.75, 1.5]))": [0.75, 3.0],
    "Uniform(t([-1.0, 0.0]), t([2.0, 0.5]))": [[-0.5, 0.25], [1.5, 0.0]],
    "Laplace(t([0.5, -1.0]), t([1.0, 2.5]))": [[0.25, -3.0], [1.0, 0.0]],
    "Cauchy(t([0.5, -1.0]), t([1.0, 2.5]))": [[0.25, -3.0], [1.0, 0.0]],
    "Gumbel(t([0.5, -1.0]), t([1.0, 2.5]))": [[0.25, -3.0], [1.0, 0.0]],
    "Exponential(t([0.5, 2.0]))": [[0.25, 3.0], [1.0, 0.0]],
    "Gamma(t([0.5, 3.0]), t([1.0, 2.0]))": [[0.25, 3.0], [1.0, 0.5]],
    "Chi2(t([0.5, 30.0]))": [[0.25, 3.0], [1.0, 0.5]],
    "Beta(t([0.5, 3.0]), t([1.5, 2.0]))": [[0.25, 0.5], [0.75, 0.125]],
    "Beta(2.0, t(0.75))": [0.25, 0.5],
    "Dirichlet(t([[0.5, 0.25, 0.75], [3.0, 1.0, 2.0]]))": [[0.25, 0.5, 0.25], [0.5, 0.125, 0.375]],
    "StudentT(t([0.5, 1.5, 5.0]), t([0.5, -1.0, 0.0]), t(2.0))": [0.25, -3.0, 0.0],
    "Poisson(t([0.5, 4.0]))": [[0.0, 3.0], [1.0, 10.0]],
    "Bernoulli(t([0.25, 0.5]))": [[0.0, 1.0], [1.0, 0.0]],
    "Bernoulli(logits=t([-1.5, 3.0]))": [[0.0, 1.0], [1.0, 0.0]],
    "Geometric(t([0.25, 0.9]))": [[0.0, 1.0], [4.0, 0.0]],
    "Geometric(logits=t([-1.5, 3.0]))": [[0.0, 1.0], [4.0, 0.0]],
    "Binomial(4, t([0.25, 0.8]))": [[0.0, 4.0], [3.0, 1.0]],
    "Binomial(40, logits=t([-0.5, 0.75]))": [[0.0, 31.0], [13.0, 1.0]],
    "Categorical(t([[1.0, 2.0, 1.0], [0.2, 0.2, 0.6]]))": [[0, 2], [1, 1]],
    "Categorical(logits=t([0.5, -1.0, 2.0]))": [0, 2],
    "OneHotCategorical(t([[1.0, 2.0, 1.0], [0.2, 0.2, 0.6]]))": [[0.0, 1, 0], [0.0, 0, 1]],
    "OneHotCategorical(logits=t([0.5, -1.0, 2.0]))": [[0.0, 1, 0], [0.0, 0, 1]],
    "OneHotCategoricalStraightThrough(t([[1.0, 2.0, 1.0], [0.2, 0.2, 0.6]]))": [
        *([0.0, 1, 0], [0.0, 0, 1]),
    ],
    "Multinomial(4, t([[1.0, 2.0, 2.0], [0.2, 0.2, 0.6]]))": [[0.0, 1, 3], [2.0, 0, 2]],
    "Multinomial(3, logits=t([0.5, -1.0, 2.0]))": [[0.0, 1, 2], [1.0, 1, 1]],
    f"MultivariateNormal(t([0.5, -1.0]), {MATRIX})": [[0.25, -3.0], [1.0, 0.0]],
    f"MultivariateNormal(t([[0.5, -1.0], [0.0, 1.0]]), scale_tril={LOWER})": [0.25, -3.0],
    f"MultivariateNormal(t([0.5, -1.0]), scale_tril={LOWER})": [[[0.25, -3.0]], [[1.0, 0.0]]],
    f"MultivariateNormal(t([[0.5, -1.0], [0.0, 1.0]]), precision_matrix={MATRIX})": [0.25, -3.0],
    "Independent(Normal(t([[0.5, -1.0, 2.0]]), t([1.0, 2.5, 0.5])), 1)": [0.25, -3.0, 1.0],
    "Independent(Bernoulli(t([[0.5, 0.25]])), 2)": [[0.0, 1.0]],
    "Weibull(t([0.5, 2.0]), t([1.5, 3.0]))": [[0.25, 3.0], [1.0, 0.5]],
    "InverseGamma(t([1.5, 3.0]), t([1.0, 2.0]))": [[0.25, 3.0], [1.0, 0.5]],
    "Kumaraswamy(t([1.5, 3.0]), t([1.25, 2.0]))": [[0.25, 0.5], [0.75, 0.125]],
    "LogisticNormal(t([0.5, -1.0]), t([1.0, 2.5]))": [[0.25, 0.5, 0.25], [0.5, 0.125, 0.375]],
    "NegativeBinomial(t([1.5, 4.0]), t([0.25, 0.8]))": [[0.0, 4.0], [3.0, 1.0]],
    "NegativeBinomial(3, logits=t([-0.5, 0.75]))": [[0.0, 4.0], [3.0, 1.0]],
    "FisherSnedecor(t([0.5, 3.0]), t([4.5, 6.0]))": [[0.25, 3.0], [1.0, 0.5]],
    "GeneralizedPareto(t([0.5, -1.0]), t([1.0, 2.5]), t([0.25, -0.5]))": [[0.75, 3.0], [1.0, 0.5]],
    "GeneralizedPareto(t([0.5, -1.0]), 2.0, 0.0)": [[0.75, 3.0], [1.0, 0.5]],
    "VonMises(t([0.5, -1.0]), t([1.0, 2.5]))": [[0.25, -3.0], [1.0, 0.5]],
    "ContinuousBernoulli(t([0.25, 0.5, 0.9]))": [[0.25, 0.5, 1.0], [0.75, 0.125, 0.0]],
    "ContinuousBernoulli(logits=t([-1.5, 3.0]))": [[0.25, 0.5], [0.75, 0.125]],
    "RelaxedBernoulli(t(0.5), t([0.25, 0.5]))": [[0.25, 0.5], [0.75, 0.125]],
    "LogitRelaxedBernoulli(t(0.5), logits=t([-1.5, 3.0]))": [[0.25, -0.5], [0.75, 0.125]],
    "RelaxedOneHotCategorical(t(0.75), t([[1.0, 2.0, 1.0], [0.2, 0.2, 0.6]]))": [
        *([0.25, 0.5, 0.25], [0.5, 0.125, 0.375]),
    ],
    "ExpRelaxedCategorical(t(0.75), logits=t([0.5, -1.0, 2.0]))": [-0.25, -0.5, -1.25],
    "LowRankMultivariateNormal(t([0.5, -1.0, 0.0]), t([[0.5], [1.0], [-0.25]]), "
    "t([1.0, 0.5, 2.0]))": [[0.25, -3.0, 1.0], [1.0, 0.0, 0.5]],
    "LowRankMultivariateNormal(t([[0.5, -1.0], [0.0, 1.0]]), t([[0.5, 0.25], [1.0, -1.0]]), "
    "t([1.0, 0.5]))": [0.25, -3.0],
    f"Wishart(t([2.5, 4.0]), {MATRIX})": [[[2.0, 0.5], [0.5, 1.5]]],
    f"Wishart(4, precision_matrix={MATRIX})": [[2.0, 0.5], [0.5, 1.5]],
    "LKJCholesky(3, t([0.5, 2.0]))": [[[1.0, 0, 0], [0.0, 1, 0], [0.0, 0, 1]]],
    "MixtureSameFamily(Categorical(t([1.0, 3.0])), Normal(t([-1.0, 1.0]), t([0.5, 1.0])))": [
        *(0.25, -3.0),
    ],
    f"MixtureSameFamily(Categorical(t([1.0, 3.0])), MultivariateNormal(t([0.5, -1.0]), "
    f"scale_tril={LOWER}))": [[0.25, -3.0], [1.0, 0.0]],
    "MixtureSameFamily(Categorical(t([[1.0, 3.0], [2.0, 1.0]])), "
    "Poisson(t([[1.0, 5.0], [2.0, 8.0]])))": [[0.0, 3.0]],
    "TransformedDistribution(Normal(t([0.5, -1.0]), 1.0), TanhTransform())": [0.25, -0.5],
    "TransformedDistribution(Uniform(t([0.0]), 1.0), "
    "[SigmoidTransform().inv, AffineTransform(t(0.5), t(-2.0))])": [[0.25], [1.0]],
    "TransformedDistribution(Normal(t(0.5), 1.0), [SigmoidTransform(), AffineTransform(1.0, "
    "t([2.0, 3.0]))])": [1.5, 2.5],
    "TransformedDistribution(Independent(Normal(t([0.5, 1.0]), 1.0), 1), "
    "[ExpTransform(), AffineTransform(0.0, 2.0, event_dim=1)])": [1.5, 2.5],
}
# Draws by rejection; PyTorch's slopes are good to three digits, and of shares they are others.
GAMMAS = (
    "Gamma",
    "Chi2",
    "Beta",
    "Dirichlet",
    "StudentT",
    "FisherSnedecor",
    "InverseGamma",
    "Wishart",
)
IMPLICIT = [text for text in DISTRIBUTIONS if text.startswith(GAMMAS)]
RELAXED = ("relaxed_bernoulli", "relaxed_categorical")  # modules of what PyTorch has not above
FACTS = ("mean", "mode", "variance", "stddev", "support", "batch_shape", "event_shape")
PAIRS = {
    "Normal(t([0.5, -1.0]), t([1.0, 2.5]))": ("Normal", "Laplace", "Gumbel", "Uniform"),
    "Laplace(t([0.5, -1.0]), t([1.0, 2.5]))": ("Normal", "Laplace", "Exponential"),
    "Gumbel(t([0.5, -1.0]), t([1.0, 2.5]))": ("Normal", "Gumbel", "Uniform"),
    "Cauchy(t([0.5, -1.0]), t([1.0, 2.5]))": ("Cauchy", "Normal"),
    "Uniform(t([0.0, 0.25]), t([1.0, 0.5]))": ("Normal", "Gumbel", "Uniform", "Exponential"),
    "Uniform(t([-1.0, 0.25]), t([1.0, 0.5]))": ("Exponential", "Uniform"),
    "Exponential(t([0.5, 2.0]))": (
        "Normal",
        "Gumbel",
        "Uniform",
        "Exponential",
        "Laplace",
        "Gamma",
    ),
    "LogNormal(t([0.5, -1.0]), t([1.0, 2.5]))": ("LogNormal", "HalfNormal"),
    "HalfNormal(t([0.5, 2.0]))": ("HalfNormal", "Normal"),
    "Gamma(t([0.5, 3.0]), t([1.0, 2.0]))": ("Gamma", "Exponential", "Normal", "Uniform", "Beta"),
    "Beta(t([0.5, 3.0]), t([1.5, 2.0]))": ("Beta", "Gamma", "Exponential", "Normal"),
    "Dirichlet(t([[0.5, 0.25, 0.75], [3.0, 1.0, 2.0]]))": ("Dirichlet",),
    "Chi2(t([0.5, 30.0]))": ("Gamma", "Chi2"),
    "Poisson(t([0.5, 4.0]))": ("Poisson", "Bernoulli", "Binomial"),
    "Bernoulli(t([0.25, 0.5]))": ("Bernoulli", "Poisson"),
    "Bernoulli(t([0.0, 1.0]))": ("Bernoulli",),
    "Geometric(t([0.25, 0.9]))": ("Geometric",),
    "Binomial(4, t([0.25, 0.8]))": ("Binomial",),
    "Binomial(5, t([0.25, 0.8]))": ("Binomial",),
    "Binomial(3, t([0.25, 0.8]))": ("Binomial",),
    "Categorical(t([1.0, 2.0, 1.0]))": ("Categorical",),
    "Categorical(t([0.0, 2.0, 1.0]))": ("Categorical", "Categorical0"),
    "OneHotCategorical(t([1.0, 2.0, 1.0]))": ("OneHotCategorical",),
    f"MultivariateNormal(t([0.5, -1.0]), {MATRIX})": ("MultivariateNormal", "Multivariates"),
    f"MultivariateNormal(t([0.5, -1.0]), scale_tril={LOWER})": ("MultivariateNormal",),
    f"MultivariateNormal(t([0.5, -1.5]), {MATRIX})": ("LowRank",),
    "LowRankMultivariateNormal(t([0.5, -1.0]), t([[0.5], [1.0]]), t([1.0, 0.5]))": (
        *("LowRank", "MultivariateNormal"),
    ),
    "Pareto(t([0.5, 2.0]), t([1.5, 3.0]))": (
        *("Pareto", "Exponential", "Gamma", "Normal", "Beta", "ContinuousBernoulli", "Uniform"),
    ),
    "ContinuousBernoulli(t([0.25, 0.9]))": (
        *("ContinuousBernoulli", "Exponential", "Normal", "Uniform", "Pareto"),
    ),
    "Beta(t([1.5, 3.0]), t([1.5, 2.0]))": ("ContinuousBernoulli", "Pareto", "Wide"),
    "Uniform(t([0.5, 2.0]), t([0.75, 3.0]))": ("ContinuousBernoulli", "Pareto", "Gamma", "Beta"),
    "Uniform(t([-0.5, 0.25]), t([0.75, 0.5]))": ("Gamma", "Beta"),
    "Gamma(t([1.5, 3.0]), t([1.0, 2.0]))": ("Gumbel",),
    "Laplace(t([0.5, -1.0]), t([1.0, 0.5]))": ("ContinuousBernoulli", "Pareto"),
    "Independent(Normal(t([[0.5, -1.0]]), t([1.0, 2.5])), 1)": ("Independent", "Normal"),
    "TransformedDistribution(Normal(t([0.5, -1.0]), 1.0), TanhTransform())": ("Transformed",),
}
OTHERS = {
    "Wide": "Uniform(t([-2.0, 0.25]), t([2.0, 1.5]))",
    "LowRank": "LowRankMultivariateNormal(t([0.0, 1.0]), t([[1.0], [0.25]]), t([0.5, 2.0]))",
    "Pareto": "Pareto(t([0.25, 2.5]), t([2.5, 1.0]))",
    "ContinuousBernoulli": "ContinuousBernoulli(t([0.75, 0.4]))",
    "Normal": "Normal(t([0.0, 1.0]), t([2.0, 0.5]))",
    "LogNormal": "LogNormal(t([0.0, 1.0]), t([2.0, 0.5]))",
    "HalfNormal": "HalfNormal(t([2.0, 0.5]))",
    "Laplace": "Laplace(t([0.0, 1.0]), t([2.0, 0.5]))",
    "Gumbel": "Gumbel(t([0.0, 1.0]), t([2.0, 3.0]))",
    "Cauchy": "Cauchy(t([0.0, 1.0]), t([2.0, 0.5]))",
    "Uniform": "Uniform(t([-2.0, 0.3]), t([2.0, 0.5]))",
    "Exponential": "Exponential(t([2.0, 0.5]))",
    "Gamma": "Gamma(t([2.0, 0.5]), t([0.5, 3.0]))",
    "Chi2": "Chi2(t([2.0, 0.5]))",
    "Beta": "Beta(t([2.0, 0.5]), t([0.5, 3.0]))",
    "Dirichlet": "Dirichlet(t([2.0, 0.5, 1.0]))",
    "Poisson": "Poisson(t([2.0, 0.5]))",
    "Bernoulli": "Bernoulli(t([0.5, 1.0]))",
    "Geometric": "Geometric(t([0.5, 0.75]))",
    "Binomial": "Binomial(4, t([0.5, 0.75]))",
    "Categorical": "Categorical(t([0.5, 0.75, 0.25]))",
    "Categorical0": "Categorical(t([0.0, 0.75, 0.0]))",
    "OneHotCategorical": "OneHotCategorical(logits=t([0.5, 0.75, 0.25]))",
    "MultivariateNormal": "MultivariateNormal(t([0.0, 1.0]), t([[1.0, 0.25], [0.25, 3.0]]))",
    "Multivariates": f"MultivariateNormal(t([0.5, -1.0]), scale_tril={LOWER})",
    "Independent": "Independent(Normal(t([[0.0, 1.0], [1.0, 0.0]]), t([2.0, 0.5])), 1)",
    "Transformed": "TransformedDistribution(Normal(t([0.0, 1.0]), 2.0), TanhTransform())",
}
REFUSED = """
Normal("a", 1.0)
Normal(0.0, -1.0)
Normal(t([0.0, nan]), 1.0)
Normal(0.0, 1.0).log_prob(0.5)
Normal(t([0.0, 1.0]), 1.0).log_prob(t([1.0, 2.0, 3.0]))
Normal(0.0, 1.0).log_prob(t(nan))
Normal(0.0, 1.0).enumerate_support()
Normal(0.0, 1.0).expand(3)
Uniform(1.0, 0.0)
Uniform(0.0, 1.0).log_prob(t(2.0))
Poisson(1.0).cdf(t(1.0))
Poisson(1.0).rsample()
Poisson(1.0).entropy()
Poisson(-1.0)
Poisson(1.0).log_prob(t(0.5))
Gamma(0.0, 1.0)
Beta(1.0, 1.0).log_prob(t(2.0))
Dirichlet(t(1.0))
Dirichlet(t([1.0, 1.0])).log_prob(t([0.5, 0.75]))
Bernoulli()
Bernoulli(0.5, 0.0)
Bernoulli(1.5)
Bernoulli(0.5).log_prob(t(0.5))
Bernoulli(0.5).rsample()
Geometric(0.0)
Binomial(3, t(0.5)).log_prob(t(4.0))
Binomial(t([3.0, 4.0]), t(0.5)).entropy()
Binomial(t([3.0, 4.0]), t(0.5)).enumerate_support()
Binomial(-1, t(0.5))
Categorical(t(0.5))
Categorical(logits=t(0.5))
Categorical(t([0.5, -0.5, 1.0]))
Categorical(t([0.5, 0.5])).log_prob(t(2.0))
OneHotCategorical(t([0.5, 0.5])).log_prob(t([1.0, 1.0]))
Multinomial(t(3.0), t([0.5, 0.5]))
Multinomial(3, t([0.5, 0.5])).log_prob(t([3.0, 1.0]))
MultivariateNormal(t(0.0), t([[1.0]]))
MultivariateNormal(t([0.0]))
MultivariateNormal(t([0.0]), t([1.0]))
MultivariateNormal(t([0.0]), t([[-1.0]]))
MultivariateNormal(t([0.0, 0.0]), scale_tril=t([[1.0, 1.0], [0.0, 1.0]]))
MultivariateNormal(t([0.0, 0.0]), t([[1.0, 0.0], [0.0, 1.0]])).log_prob(t([1.0]))
LowRankMultivariateNormal(t(0.0), t([[1.0]]), t([1.0]))
LowRankMultivariateNormal(t([0.0]), t([1.0]), t([1.0]))
LowRankMultivariateNormal(t([0.0]), t([[1.0], [1.0]]), t([1.0]))
LowRankMultivariateNormal(t([0.0]), t([[1.0]]), t([1.0, 1.0]))
LowRankMultivariateNormal(t([[0.0]] * 2), t([[[1.0]]] * 3), t([1.0]))
LKJCholesky(1)
Wishart(t(0.5), t([[1.0, 0.0], [0.0, 1.0]]))
Wishart(t(3.0))
Wishart(t(3.0), t([[1.0, 2.0], [2.0, 1.0]]))
NegativeBinomial(1.0)
NegativeBinomial(1.0, t(1.0))
NegativeBinomial(1.0, t(0.5)).log_prob(t(0.5))
ContinuousBernoulli(t(1.5), validate_args=True)
ContinuousBernoulli(0.5).log_prob(t(1.5))
RelaxedBernoulli(t(0.5))
RelaxedBernoulli(t(0.5), 0.25).log_prob(t(1.5))
VonMises(0.0, -1.0)
VonMises(0.0, 1.0).rsample()
Weibull(-1.0, 1.0)
GeneralizedPareto(0.0, 1.0, -0.5).log_prob(t(2.5))
transform_to.register(3, 4)
constraints.dependent.check(t(1.0))
constraints.dependent.is_discrete
Independent(Normal(0.0, 1.0), 1)
Independent(Bernoulli(t([0.5])), 1).enumerate_support()
MixtureSameFamily(Normal(0.0, 1.0), Normal(t([0.0]), 1.0))
MixtureSameFamily(Categorical(t([1.0, 1.0])), 3)
MixtureSameFamily(Categorical(t([1.0, 1.0])), Normal(t([0.0, 1.0, 2.0]), 1.0))
MixtureSameFamily(Categorical(t([[1.0, 1.0]] * 2)), Normal(t([[0.0, 1.0]] * 3), 1.0))
TransformedDistribution(Normal(0.0, 1.0), 3)
TransformedDistribution(Normal(0.0, 1.0), [3])
TransformedDistribution(Normal(0.0, 1.0), AffineTransform(0.0, 1.0, event_dim=1))
ExpTransform(cache_size=2)
kl_divergence(Cauchy(0.0, 1.0), Poisson(1.0))
kl_divergence(Independent(Normal(t([0.0]), 1.0), 1), Independent(Normal(t([0.0]), 1.0), 0))
SoftmaxTransform().sign
StickBreakingTransform().inv.sign
TransformedDistribution(Normal(0.0, 1.0), [AbsTransform()]).cdf(t(0.5))
Transform()(t(0.5))
Distribution(validate_args=False).variance
Distribution(validate_args=False).mean
Distribution.set_default_validate_args(3)
""".strip().splitlines()
PLAIN = """
Normal(0.0, 1.0)
Normal(t([0.5, 1.0]), 1)
LogNormal(0.0, 1.0)
Gumbel(0.0, 1.0)
HalfNormal(1.0)
Bernoulli(0.5)
Bernoulli(logits=t([1.0, 2.0]))
Binomial(3, t([0.5, 0.5]))
Multinomial(3, t([0.5, 0.5]))
OneHotCategorical(t([0.5, 0.5]))
MultivariateNormal(t([0.0]), t([[2.0]]))
Independent(Normal(t([0.0, 1.0]), 1.0), 1)
MixtureSameFamily(Categorical(t([1.0, 3.0])), Normal(t([-1.0, 1.0]), 1.0))
TransformedDistribution(Normal(0.0, 1.0), [ExpTransform()])
ComposeTransform([ExpTransform(), TanhTransform().inv, AffineTransform(0, 1)])
ExpTransform() == ExpTransform()
AffineTransform(0, t([1.0])) == AffineTransform(0, 1.0)
AffineTransform(0, t([1.0])) == AffineTransform(0, 2.0)
ExpTransform().inv == ExpTransform().inv
ExpTransform().inv.inv == ExpTransform()
constraints.dependent_property(is_discrete=True, event_dim=0).is_discrete
TanhTransform().sign, AffineTransform(0, -2).sign, ExpTransform().inv.sign
TanhTransform(cache_size=1).with_cache(0)
Normal(0, 1).sample_n(2).shape
Normal(0, 1).perplexity()
Normal(0, 1, validate_args=False).log_prob(t(nan))
Uniform(0.0, 1.0, validate_args=False).log_prob(t([-1.0, 0.0, 0.5, 1.0, 2.0]))
Bernoulli(t([0.0, 1.0])).logits
Geometric(t(1.0)).log_prob(t(0.0))
Multinomial(2, t([0.0, 1.0])).log_prob(t([0.0, 2.0]))
Categorical(t([0.0, 1.0])).entropy()
Categorical(t([0.25, 0.75])).enumerate_support()
Categorical(t([[0.25, 0.75]] * 3)).expand((2, 3)).enumerate_support(False)
Bernoulli(t([0.5, 0.5])).enumerate_support()
OneHotCategorical(t([[0.25, 0.75]])).enumerate_support()
Binomial(2, t([0.25, 0.75])).enumerate_support(expand=False)
HalfNormal(t(1.0)).log_prob(t(0.5))
MultivariateNormal(t([0.0, 1.0]), t([[2.0, 0.5], [0.5, 1.0]])).precision_matrix
MultivariateNormal(t([0.0, 1.0]), t([[2.0, 0.5], [0.5, 1.0]])).scale_tril
constraints.simplex.check(t([[0.5, 0.5], [0.5, 0.6]])), constraints.simplex
constraints.integer_interval(0, 3).check(t([0.5, 3.0, 4.0])), constraints.integer_interval(0, 3)
constraints.half_open_interval(0, 3).check(t([0.0, 3.0])), constraints.half_open_interval(0, 3)
constraints.positive_definite.check(t([[1.0, 2.0], [2.0, 1.0]])), constraints.positive_definite
constraints.lower_triangular.check(t([[1.0, 2.0], [2.0, 1.0]])), constraints.lower_triangular
constraints.one_hot.check(t([[1.0, 0.0], [1.0, 1.0]])), constraints.one_hot
constraints.less_than(2.0), constraints.unit_interval, constraints.positive_integer
constraints.corr_cholesky.check(t([[1.0, 0.0], [0.6, 0.8]])), constraints.corr_cholesky
constraints.square.check(t([[1.0, 0.0]])), constraints.symmetric.check(t([[1.0, 0.0], [0.5, 1.0]]))
constraints.positive_semidefinite.check(t([[1.0, 1.0], [1.0, 1.0]]))
constraints.cat([constraints.positive, constraints.real], 0, [2, 1]).check(t([1.0, -1.0, -1.0]))
constraints.stack([constraints.positive, constraints.real], -1).check(t([[1.0, -1.0], [-1.0, 1.0]]))
constraints.is_dependent(constraints.dependent), constraints.dependent(event_dim=1).event_dim
LowRankMultivariateNormal(t([0.0, 1.0]), t([[2.0], [0.5]]), t([0.5, 1.0])).precision_matrix
LowRankMultivariateNormal(t([0.0, 1.0]), t([[2.0], [0.5]]), t([0.5, 1.0])).scale_tril
LowRankMultivariateNormal(t([0.0, 1.0]), t([[2.0], [0.5]]), t([0.5, 1.0])).covariance_matrix
NegativeBinomial(t([0.0, 0.0, 2.0]), t(0.5)).log_prob(t([0.0, 1.0, 3.0]))
Wishart(t(3.0), scale_tril=t([[[1.0, 0.0], [0.5, 2.0]]])).log_prob(t([[2.0, 0.5], [0.5, 1.5]]))
Wishart(t(3.0), scale_tril=t([[[1.0, 0.0], [0.5, 2.0]]])).precision_matrix
GeneralizedPareto(0.0, 1.0, t([0.5, 0.0])).log_survival_function(t(2.0))
GeneralizedPareto(0.0, 1.0, t([0.5, -0.5])).log_cdf(t(1.0))
GeneralizedPareto(0.0, 1.0, t(-1.0)).log_prob(t(0.5))
VonMises(t(0.0), t([1e-6, 1e-3, 50.0])).log_prob(t(0.5)), VonMises(t(0.0), t([0.5, 50.0])).variance
PowerTransform(2.0) == PowerTransform(t(2.0)), PowerTransform(-2.0).sign
IndependentTransform(ExpTransform(), 1), ReshapeTransform((4,), (2, 2)).inverse_shape((3, 2, 2))
StickBreakingTransform().forward_shape((2, 3)), CorrCholeskyTransform().forward_shape((2, 3))
identity_transform(t(2.0)), identity_transform.sign, SoftmaxTransform().bijective
ends(SoftmaxTransform(), t([0.5, -1.0]))
ends(StickBreakingTransform(), t([[0.5, -1.0], [30.0, -3.0]]))
ends(LowerCholeskyTransform(), t([[0.5, -1.0], [2.0, -3.0]]))
ends(PositiveDefiniteTransform(), t([[0.5, -1.0], [2.0, -0.5]]))
ends(CorrCholeskyTransform(), t([[0.5, -1.0, 0.25], [2.0, -0.5, 0.0]]))
ends(SoftplusTransform(), t([0.5, -1.0, 25.0]))
ends(PowerTransform(t([0.5, -2.0])), t([0.5, 2.0]))
ends(CumulativeDistributionTransform(Normal(t(0.5), 2.0)), t([0.5, -1.0]))
ends(IndependentTransform(ExpTransform(), 1), t([[0.5, -1.0]]))
ends(ReshapeTransform((4,), (2, 2)), t([[0.5, -1.0, 2.0, 3.0]]))
ends(StackTransform([ExpTransform(), identity_transform], -1), t([[0.5, -1.0]]))
ends(CatTransform([ExpTransform(), TanhTransform()], 1, [2, 1]), t([[0.5, -1.0, 2.0]]))
ends(CatTransform([ExpTransform(), IndependentTransform(TanhTransform(), 1)], -1), t([[0.5, -1.0]]))
ends(biject_to(constraints.positive), t([0.5, -1.0]))
ends(biject_to(constraints.less_than(3.0)), t([0.5, -1.0]))
ends(biject_to(constraints.interval(-1.0, t([3.0, 1.0]))), t([0.5, -1.0]))
ends(biject_to(constraints.unit_interval), t([0.5, -1.0]))
ends(biject_to(constraints.simplex), t([0.5, -1.0]))
ends(biject_to(constraints.independent(constraints.greater_than_eq(2.0), 1)), t([0.5, -1.0]))
ends(biject_to(c.cat([c.positive, c.real], 0, [2, 1])), t([0.5, -1.0, 2.0]))
ends(transform_to(constraints.simplex), t([0.5, -1.0]))
ends(transform_to(c.stack([c.positive, c.real], -1)), t([[0.5, -1.0]]))
ends(transform_to(constraints.lower_cholesky), t([[0.5, -1.0], [2.0, -3.0]]))
ends(transform_to(constraints.positive_semidefinite), t([[0.5, -1.0], [2.0, -0.5]]))
ends(transform_to(constraints.corr_cholesky), t([0.5, -1.0, 0.25]))
ends(transform_to(Uniform(1.0, 2.0).support), t([0.5, -1.0]))
CatTransform([ExpTransform()], 0, [2]).with_cache(1)(t([0.0, 0.0]))
""".strip().splitlines()


def ends(transform: Any, x: Any) -> Any:
    """What a transform makes of x, what it makes of that, and the logarithm of its slope."""
    y = transform(x)
    found = y, transform.inv(y), transform.domain.event_dim, transform.codomain.event_dim
    return (*found, transform.log_abs_det_jacobian(x, y)) if transform.bijective else found


class Scope(dict):  # type: ignore[type-arg]
    """What the texts may name; `made` are the parameters in it, or what stands for them."""

    def __init__(self, lib: Any, dtype: str, given: Sequence[Any] = ()) -> None:
        self.made: list[Any] = []
        self.given = list(given)
        self.lib, self.dtype = lib, getattr(lib, dtype)
        self.update(t=self.parameter, nan=float("nan"), ends=ends, c=lib.distributions.constraints)

    def parameter(self, values: Any) -> Any:
        made = self.lib.tensor(values, dtype=self.dtype, requires_grad=True)
        self.made.append(self.given.pop(0) if self.given else made)
        return self.made[-1]

    def __missing__(self, name: str) -> Any:
        for place in (self.lib.distributions, *RELAXED):
            where = getattr(self.lib.distributions, place) if isinstance(place, str) else place
            if hasattr(where, name):
                return getattr(where, name)
        raise KeyError(name)


def evaluated(lib: Any, text: str, dtype: str, given: Sequence[Any] = ()) -> tuple[Any, list[Any]]:
    """What a text makes, and the parameters in it, which are those given if any are."""
    scope = Scope(lib, dtype, given)
    return eval(text, {}, scope), scope.made


def told(run: Any) -> Any:
    """A result as JSON holds it, or the type and text of the exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = run()
        except Exception as error:
            return failure(run) if not isinstance(error, NotImplementedError) else "missing"
    return rounded(value)


def rounded(value: Any) -> Any:
    """Tensors as lists, tuples of sizes as lists, else the text."""
    if isinstance(value, tuple):
        return [rounded(each) for each in value]
    value = plain(value)
    return value if isinstance(value, (list, int, float, str)) else repr(value)


def derivatives(lib: Any, value: Any, leaves: list[Any], order: int = 2) -> Any:
    """A result with its first derivatives, and the second of the first one that has any."""
    if not getattr(value, "requires_grad", False):
        return [rounded(value)]
    weights = lib.arange(1, value.numel() + 1, dtype=value.dtype).reshape(value.shape) / 4
    options = {"create_graph": order == 2, "allow_unused": True}
    first = lib.autograd.grad((value * weights).sum(), leaves, **options)
    total = sum((g * g).sum() for g in first if g is not None)
    second = [None] * len(leaves)
    if order == 2 and getattr(total, "requires_grad", False):
        second = lib.autograd.grad(total, leaves, **(options | {"create_graph": False}))
    flat = [[0.0 if g is None else rounded(g) for g in each] for each in (first, second)]
    # where one library says 0 and the other nothing, neither has a derivative
    zeros = [[0.0 if g == plain(0 * x) else g for g, x in zip(each, leaves, strict=True)]
             for each in flat]  # fmt: skip
    return [rounded(value), *zeros]


def dtype_of(text: str) -> str:
    """PyTorch has generalized Pareto distributions of float32 alone."""
    return "float32" if text.startswith("GeneralizedPareto") else "float64"


def facts(lib: Any, text: str, values: Any) -> dict[str, Any]:
    """What a distribution says of itself, and of values."""

    def drawn(d: Any, x: Any) -> Any:
        return _seeded(lib, lambda: d.rsample((2,)))

    d, _ = evaluated(lib, text, dtype_of(text))
    found = {"repr": repr(d)}
    found |= {name: told(lambda name=name: getattr(d, name)) for name in FACTS}
    if isinstance(found["support"], list):
        found["support"] = found["support"][0]
    for name, call in {
        "log_prob": lambda d, x: d.log_prob(x),
        "cdf": lambda d, x: d.cdf(x),
        "icdf": lambda d, x: d.icdf(d.cdf(x).detach()),
        "entropy": lambda d, x: d.entropy(),
        "expanded": lambda d, x: d.expand((2, *d.batch_shape)).log_prob(x),
        "drawn": drawn,
    }.items():
        found[name] = told(lambda call=call: _of_values(lib, text, values, call))
    return found


def _of_values(lib: Any, text: str, values: Any, call: Any) -> Any:
    d, leaves = evaluated(lib, text, dtype_of(text))
    x = lib.tensor(values)
    x = x.to(getattr(lib, dtype_of(text))).requires_grad_() if x.is_floating_point() else x
    order = 1 if text in IMPLICIT and call.__name__ == "drawn" else 2
    return derivatives(lib, call(d, x), leaves + [x] * x.requires_grad, order)


def _seeded(lib: Any, run: Any) -> Any:
    lib.manual_seed(3)
    return run()


def samples(lib: Any, text: str) -> Any:
    """Draws for a seed in both dtypes, few and many, their sum, and the number that comes next."""
    found = []
    for dtype, shape in (("float32", ()), ("float32", (20,)), (dtype_of(text), (3, 200))):
        d, _ = evaluated(lib, text, dtype)
        x = _seeded(lib, lambda d=d, shape=shape: d.sample(shape))
        rest = [x.double().abs().sum().item(), lib.rand(()).item()]
        found.append([*rest, str(x.dtype), list(x.shape), x.flatten()[:24].tolist()])
    return found


def divergence(lib: Any, p: str, q: str) -> Any:
    """A divergence and its derivatives."""

    def run() -> Any:
        first, leaves = evaluated(lib, p, "float64")
        second, more = evaluated(lib, OTHERS[q], "float64")
        return derivatives(lib, lib.distributions.kl_divergence(first, second), leaves + more)

    return told(run)


def gamma_slopes() -> list[list[float]]:
    """Concentrations, gamma numbers, and the slope of these that keeps their probability."""
    import mpmath

    found = []
    mpmath.mp.dps = 40
    for a in (0.05, 0.5, 1.0, 3.0, 40.0, 1000.0, 11000.0):
        for z in (-2, 0, 1, 4):
            x = max(a + z * a**0.5, a / 1000)
            below = mpmath.diff(lambda c, x=x: mpmath.gammainc(c, 0, x, regularized=True), a)
            density = mpmath.exp((a - 1) * mpmath.log(x) - x - mpmath.loggamma(a))
            found.append([a, x, float(-below / density)])
    return found


def main() -> None:
    """Writes the file."""
    import torch

    write(
        GOLDEN,
        facts={text: facts(torch, text, values) for text, values in DISTRIBUTIONS.items()},
        samples={text: samples(torch, text) for text in DISTRIBUTIONS},
        gamma_slopes=gamma_slopes(),
        kl={f"{p} to {q}": divergence(torch, p, q) for p, qs in PAIRS.items() for q in qs},
        refused={
            text: failure(lambda text=text: evaluated(torch, text, "float32")) for text in REFUSED
        },
        plain={
            text: told(lambda text=text: evaluated(torch, text, "float32")[0]) for text in PLAIN
        },
    )


if __name__ == "__main__":
    main()

"""Distributions of density exp(<statistics of x, natural parameters> - normalizer + k(x))."""

from __future__ import annotations

from typing import Any

from autodiff.autograd import grad
from autodiff.distributions.distribution import Distribution, missing
from autodiff.grad_mode import enable_grad

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """The base of distributions of an exponential family, which tell their `_natural_params` (a
    tuple of tensors), the `_log_normalizer` of those, and `_mean_carrier_measure`, the mean of k.

    These make the entropy, by the Bregman divergence of the normalizer. Who has a formula uses it.

    >>> class Exponential(distributions.ExponentialFamily):
    ...     arg_constraints = {}
    ...     _natural_params = (ad.tensor([-2.0]),)
    ...     _mean_carrier_measure = 0
    ...     def _log_normalizer(self, x):
    ...         return -ad.log(-x)
    >>> Exponential((1,)).entropy(), distributions.Exponential(ad.tensor([2.0])).entropy()
    (tensor([0.3069], grad_fn=<SubBackward0>), tensor([0.3069]))
    """

    _natural_params: Any = property(missing)
    _mean_carrier_measure: Any = property(missing)
    _log_normalizer: Any = staticmethod(missing)

    def entropy(self) -> Any:
        """The expectation of -log_prob, of shape batch_shape, from what the family tells.

        Gradients of it go no further than to the natural parameters.
        """
        carried = self._mean_carrier_measure
        given = [x.detach().requires_grad_() for x in self._natural_params]
        with enable_grad():
            normalizer = self._log_normalizer(*given)
            means = grad(normalizer.sum(), given, create_graph=True)
        result = normalizer - carried
        for x, mean in zip(given, means, strict=True):
            result = result - (x * mean).reshape((*self._batch_shape, -1)).sum(-1)
        return result

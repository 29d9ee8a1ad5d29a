"""Transforms from all real numbers to what satisfies a constraint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff.distributions import constraints as c
from autodiff.distributions.transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    SigmoidTransform,
    identity_transform,
)
from autodiff.distributions.vector_transforms import (
    CatTransform,
    CorrCholeskyTransform,
    IndependentTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    SoftmaxTransform,
    StackTransform,
    StickBreakingTransform,
)

__all__ = ["ConstraintRegistry", "biject_to", "transform_to"]


class ConstraintRegistry:
    """What makes a transform of a constraint: `biject_to` a bijective one, `transform_to` any.

    NotImplementedError for constraints of which none is registered.

    >>> to_positive = distributions.transform_to(distributions.constraints.positive)
    >>> to_positive(ad.tensor(0.0))
    tensor(1.)
    """

    def __init__(self) -> None:
        self._registry: dict[type, Callable[[Any], Any]] = {}

    def register(self, constraint: Any, factory: Callable[[Any], Any] | None = None) -> Any:
        """Have `factory` called for constraints of a class; without a factory, a decorator."""
        if factory is None:
            return lambda factory: self.register(constraint, factory)
        kind = type(constraint) if isinstance(constraint, c.Constraint) else constraint
        if not (isinstance(kind, type) and issubclass(kind, c.Constraint)):
            raise TypeError(
                "Expected constraint to be either a Constraint subclass or instance, but got "
                f"{constraint}"
            )
        self._registry[kind] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        factory = self._registry.get(type(constraint))
        if factory is None:
            raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints")
        return factory(constraint)


def _beyond(bound: Any, sign: int) -> Any:
    return ComposeTransform([ExpTransform(), AffineTransform(bound, sign)])


def _between(of: Any) -> Any:
    low, high = of.lower_bound, of.upper_bound
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and (low, high) == (0, 1):
        return SigmoidTransform()
    return ComposeTransform([SigmoidTransform(), AffineTransform(low, high - low)])


def _parts_of(to: ConstraintRegistry) -> None:
    """Constraints of which the transform is made of those of others."""
    to.register(
        c.independent,
        lambda of: IndependentTransform(to(of.base_constraint), of.reinterpreted_batch_ndims),
    )
    to.register(c.cat, lambda of: CatTransform([to(x) for x in of.cseq], of.dim, of.lengths))
    to.register(c.stack, lambda of: StackTransform([to(x) for x in of.cseq], of.dim))


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()
for _to in (biject_to, transform_to):
    _parts_of(_to)
    _to.register(c.real, lambda of: identity_transform)
    _to.register(c.less_than, lambda of: _beyond(of.upper_bound, -1))
    _to.register(c.corr_cholesky, lambda of: CorrCholeskyTransform())
    for _kind in (c.greater_than, c.greater_than_eq):
        _to.register(_kind, lambda of: _beyond(of.lower_bound, 1))
    for _kind in (c.interval, c.half_open_interval):
        _to.register(_kind, _between)
biject_to.register(c.simplex, lambda of: StickBreakingTransform())
transform_to.register(c.simplex, lambda of: SoftmaxTransform())
transform_to.register(c.lower_cholesky, lambda of: LowerCholeskyTransform())
for _kind in (c.positive_definite, c.positive_semidefinite):
    transform_to.register(_kind, lambda of: PositiveDefiniteTransform())

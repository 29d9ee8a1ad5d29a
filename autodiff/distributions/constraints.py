"""What parameters and values must satisfy: `positive`, `simplex`, `interval(low, high)`..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff import linalg
from autodiff.functions import full, isclose
from autodiff.tensor import Tensor

__all__ = ["Constraint", "MixtureSameFamilyConstraint", "independent"]


class Constraint:
    """A region of values; a subclass says by `check` which events lie inside.

    There are `real`, `positive`, `nonnegative`, `unit_interval`, `boolean`, `simplex`, `one_hot`,
    `real_vector`, `nonnegative_integer`, `positive_integer`, `lower_triangular`, `lower_cholesky`,
    `positive_definite`; and by their bounds `greater_than(low)`, `greater_than_eq(low)`,
    `less_than(high)`, `interval(low, high)`, `half_open_interval`, `integer_interval`.

    >>> distributions.constraints.positive.check(ad.tensor([-1.0, 2.0]))
    tensor([False,  True])
    """

    is_discrete = False
    event_dim = 0  # how many of the last dimensions are one event

    def check(self, value: Any) -> Any:
        """Whether each event is inside, as a tensor of bools."""
        raise NotImplementedError

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v}" for k, v in self.__dict__.items() if k.endswith("_bound"))
        return f"{type(self).__name__}({shown})"


_KINDS: dict[str, Any] = {}


def _kind(
    name: str, rule: Callable[..., Any], *bounds: str, n: int = 0, whole: bool = False
) -> Any:
    """A class of constraints of n dimensions: the rule is given a value and the bounds."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        self.__dict__.update(dict(zip(bounds, args, strict=False)), **kwargs)

    def check(self: Any, value: Tensor) -> Any:
        return rule(value, *(getattr(self, bound) for bound in bounds))

    def reduce(self: Any) -> Any:
        return _again, (name, self.__dict__)

    members = {"__init__": init, "check": check, "__reduce__": reduce, "__module__": __name__}
    _KINDS[name] = type(name, (Constraint,), {**members, "event_dim": n, "is_discrete": whole})
    return _KINDS[name]


def _again(name: str, bounds: dict[str, Any]) -> Any:
    """A constraint that was pickled."""
    return _KINDS[name](**bounds)


def _is_lower(x: Tensor) -> Any:
    return (x.tril() == x).flatten(-2).all(-1)


def _is_positive_definite(x: Tensor) -> Any:
    if x.shape[-2] != x.shape[-1]:
        return full(x.shape[:-2], False)
    return isclose(x, x.mT, atol=1e-6).flatten(-2).all(-1) & (linalg.cholesky_ex(x).info == 0)


# fmt: off
BOUNDS = ("lower_bound", "upper_bound")
greater_than = _kind("GreaterThan", lambda x, low: low < x, "lower_bound")
greater_than_eq = _kind("GreaterThanEq", lambda x, low: low <= x, "lower_bound")
less_than = _kind("LessThan", lambda x, high: x < high, "upper_bound")
interval = _kind("Interval", lambda x, low, high: (low <= x) & (x <= high), *BOUNDS)
half_open_interval = _kind(
    "HalfOpenInterval", lambda x, low, high: (low <= x) & (x < high), *BOUNDS)
integer_interval = _kind(
    "IntegerInterval", lambda x, low, high: (x % 1 == 0) & (low <= x) & (x <= high), *BOUNDS,
    whole=True)
_integer_from = _kind(
    "IntegerGreaterThan", lambda x, low: (x % 1 == 0) & (x >= low), "lower_bound", whole=True)
multinomial = _kind(
    "Multinomial", lambda x, n: (x >= 0).all(-1) & (x.sum(-1) <= n), "total", n=1, whole=True)

real = _kind("Real", lambda x: x == x)()
positive, nonnegative = greater_than(0.0), greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
nonnegative_integer, positive_integer = _integer_from(0), _integer_from(1)
boolean = _kind("Boolean", lambda x: (x == 0) | (x == 1), whole=True)()
one_hot = _kind(
    "OneHot", lambda x: ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1), n=1, whole=True)()
simplex = _kind(
    "Simplex", lambda x: (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6), n=1)()
lower_triangular = _kind("LowerTriangular", _is_lower, n=2)()
lower_cholesky = _kind(
    "LowerCholesky", lambda x: _is_lower(x) & (x.diagonal(0, -2, -1) > 0).all(-1), n=2)()
positive_definite = _kind("PositiveDefinite", _is_positive_definite, n=2)()
# fmt: on


class independent(Constraint):  # noqa: N801 - called as PyTorch calls it
    """A constraint of which the last dimensions are one event, inside where all of it is.

    >>> distributions.constraints.independent(distributions.constraints.real, 1)
    IndependentConstraint(Real(), 1)
    """

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint, self.n = base_constraint, reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Any:
        valid = self.base_constraint.check(value)
        if valid.dim() < self.n:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.dim()}")
        return valid.reshape([*valid.shape[: valid.dim() - self.n], -1]).all(-1)

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint!r}, {self.n})"


class MixtureSameFamilyConstraint(Constraint):
    """The constraint of a mixture's components, on values without their dimension.

    >>> distributions.constraints.MixtureSameFamilyConstraint(distributions.constraints.real)
    MixtureSameFamilyConstraint(Real())
    """

    def __init__(self, base_constraint: Constraint) -> None:
        self.base_constraint = base_constraint
        self.is_discrete, self.event_dim = base_constraint.is_discrete, base_constraint.event_dim

    def check(self, value: Tensor) -> Any:
        valid = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        return valid.reshape([*value.shape[: value.dim() - self.event_dim], -1]).all(-1)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_constraint!r})"


real_vector = independent(real, 1)

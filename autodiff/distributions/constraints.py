"""What parameters and values must satisfy: `positive`, `simplex`, `interval(low, high)`..."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodiff import linalg
from autodiff.dtypes import finfo
from autodiff.functions import cat as joined
from autodiff.functions import full, isclose
from autodiff.functions import stack as stacked
from autodiff.tensor import Tensor

__all__ = [
    *("Constraint", "MixtureSameFamilyConstraint", "cat", "dependent_property", "independent"),
    *("is_dependent", "stack"),
]


class Constraint:
    """A region of values; a subclass says by `check` which events lie inside.

    There are `real`, `positive`, `nonnegative`, `unit_interval`, `boolean`, `simplex`, `one_hot`,
    `real_vector`, `nonnegative_integer`, `positive_integer`, `lower_triangular`, `lower_cholesky`,
    `positive_definite`, `positive_semidefinite`, `symmetric`, `square`, `corr_cholesky`, and
    `dependent`, of what is only known of an instance; and by their bounds `greater_than(low)`,
    `greater_than_eq(low)`, `less_than(high)`, `interval(low, high)`, `half_open_interval`,
    `integer_interval`.

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


def _is_square(x: Tensor) -> Any:
    return full(x.shape[:-2], x.shape[-2] == x.shape[-1])


def _is_symmetric(x: Tensor) -> Any:
    if x.shape[-2] != x.shape[-1]:
        return _is_square(x)
    return isclose(x, x.mT, atol=1e-6).flatten(-2).all(-1)


def _is_positive_definite(x: Tensor) -> Any:
    valid = _is_symmetric(x)  # where one is not, PyTorch looks no further; without a look at values
    return valid & ((linalg.cholesky_ex(x).info == 0) | ~valid.all())


def _is_positive_semidefinite(x: Tensor) -> Any:
    valid = _is_symmetric(x)
    return valid & (linalg.eigvalsh(x) >= 0).all(-1) if valid.all() else valid


def _is_lower_cholesky(x: Tensor) -> Any:
    return _is_lower(x) & (x.diagonal(0, -2, -1) > 0).all(-1)


def _is_corr_cholesky(x: Tensor) -> Any:
    apart = (linalg.vector_norm(x.detach(), dim=-1) - 1).abs()
    return _is_lower_cholesky(x) & (apart <= finfo(x.dtype).eps * x.shape[-1] * 10).all(-1)


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
lower_cholesky = _kind("LowerCholesky", _is_lower_cholesky, n=2)()
corr_cholesky = _kind("CorrCholesky", _is_corr_cholesky, n=2)()
square = _kind("Square", _is_square, n=2)()
symmetric = _kind("Symmetric", _is_symmetric, n=2)()
positive_definite = _kind("PositiveDefinite", _is_positive_definite, n=2)()
positive_semidefinite = _kind("PositiveSemidefinite", _is_positive_semidefinite, n=2)()
# fmt: on


class independent(Constraint):  # noqa: N801 - called as PyTorch calls it
    """A constraint of which the last dimensions are one event, inside where all of it is.

    >>> distributions.constraints.independent(distributions.constraints.real, 1)
    IndependentConstraint(Real(), 1)
    """

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = self.n = reinterpreted_batch_ndims
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


class cat(Constraint):  # noqa: N801 - called as PyTorch calls it
    """Constraints of parts along a dimension, of `lengths` each (by default of one).

    >>> c = distributions.constraints
    >>> c.cat([c.positive, c.real], lengths=[2, 1]).check(ad.tensor([1.0, -1.0, -1.0]))
    tensor([ True, False,  True])
    """

    def __init__(self, cseq: Any, dim: int = 0, lengths: Any = None) -> None:
        self.cseq, self.dim = list(cseq), dim
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            counts = f"{len(self.lengths)} lengths for {len(self.cseq)} constraints"
            raise AssertionError(f"cat: {counts}: give one for each")
        self.is_discrete = any(c.is_discrete for c in self.cseq)
        self.event_dim = max(c.event_dim for c in self.cseq)

    def check(self, value: Tensor) -> Any:
        parts = zip(self.cseq, value.split(self.lengths, self.dim), strict=True)
        return joined([c.check(x) for c, x in parts], self.dim)


class stack(Constraint):  # noqa: N801 - called as PyTorch calls it
    """Constraints of the slices along a dimension.

    >>> c = distributions.constraints
    >>> c.stack([c.positive, c.real]).check(ad.tensor([-1.0, -1.0]))
    tensor([False,  True])
    """

    def __init__(self, cseq: Any, dim: int = 0) -> None:
        self.cseq, self.dim = list(cseq), dim
        self.is_discrete = any(c.is_discrete for c in self.cseq)
        n = max(c.event_dim for c in self.cseq)
        self.event_dim = n + (dim + n < 0)

    def check(self, value: Tensor) -> Any:
        parts = zip(self.cseq, value.unbind(self.dim), strict=True)
        return stacked([c.check(x) for c, x in parts], self.dim)


class Dependent(Constraint):
    """What only an instance knows; `is_discrete` and `event_dim` may be known of its class."""

    def __init__(self, **known: Any) -> None:
        self._known = known

    def __call__(self, **known: Any) -> Dependent:
        return Dependent(**self._known | known)

    def __getattribute__(self, name: str) -> Any:
        if name in ("is_discrete", "event_dim"):
            if name not in self._known:
                raise NotImplementedError(f".{name} cannot be determined statically")
            return self._known[name]
        return super().__getattribute__(name)

    def check(self, value: Any) -> Any:
        raise ValueError("Cannot determine validity of dependent constraint")


dependent = Dependent()


class dependent_property(property, Dependent):  # noqa: N801 - a decorator
    """A constraint that is made by an instance; `dependent` when asked of its class.

    >>> class Below(distributions.Distribution):
    ...     @distributions.constraints.dependent_property(is_discrete=False, event_dim=0)
    ...     def support(self):
    ...         return distributions.constraints.less_than(self.high)
    >>> distributions.constraints.is_dependent(Below.support)
    True
    """

    __getattribute__ = Dependent.__getattribute__

    def __init__(self, fn: Any = None, **known: Any) -> None:
        property.__init__(self, fn)
        self._known = known

    def __call__(self, fn: Any) -> Any:  # type: ignore[override]
        return dependent_property(fn, **self._known)


def is_dependent(constraint: Any) -> bool:
    """Whether a constraint is only known of an instance.

    >>> distributions.constraints.is_dependent(distributions.constraints.positive)
    False
    """
    return isinstance(constraint, Dependent)

"""Invertible functions of draws, with the logarithm of their slope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff.distributions import constraints
from autodiff.distributions.distribution import broadcast_all, sum_rightmost
from autodiff.dtypes import finfo
from autodiff.functions import (
    atanh,
    broadcast_shapes,
    exp,
    expm1,
    full_like,
    log,
    log1p,
    tanh,
    zeros_like,
)
from autodiff.nn.functional import softplus
from autodiff.ops.fused import pointwise
from autodiff.shapes import Size

__all__ = [
    *("AbsTransform", "AffineTransform", "ComposeTransform", "CumulativeDistributionTransform"),
    *("ExpTransform", "PowerTransform", "SigmoidTransform", "SoftplusTransform", "TanhTransform"),
    *("Transform", "identity_transform"),
]


def _unknown(self: Any, *_: Any) -> Any:
    raise NotImplementedError


class Transform:
    """The base of transforms: a subclass has `_call`, `_inverse` and `log_abs_det_jacobian`.

    `t.inv` is the inverse, itself a transform. With `cache_size=1` the inverse of the last result
    is what it was made of, with all its digits.

    >>> t = distributions.ExpTransform()
    >>> t.inv(t(ad.tensor(2.0)))
    tensor(2.)
    """

    bijective = True
    domain: Any = constraints.real
    codomain: Any = constraints.real
    sign: Any = property(_unknown)  # 1 where it rises everywhere, -1 where it falls
    _inv: Any = None
    _call: Any = _unknown
    _inverse: Any = _unknown
    _log_slope: Any = None

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._ends: tuple[Any, Any] = None, None

    def _facts(self) -> tuple[Any, ...]:
        """The arguments, which are equal of equal transforms of a class."""
        return ()

    def __eq__(self, other: Any) -> bool:
        if type(self) is not type(other):
            return False
        same = [a == b for a, b in zip(self._facts(), other._facts(), strict=True)]
        return all(each if isinstance(each, bool) else bool(each.all()) for each in same)

    __hash__ = object.__hash__

    @property
    def event_dim(self) -> int:
        """How many dimensions one event has, before and after."""
        n: int = self.domain.event_dim
        if n != self.codomain.event_dim:
            raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")
        return n

    @property
    def inv(self) -> Any:
        """The inverse."""
        if self._inv is None:
            self._inv = _InverseTransform(self)
        return self._inv

    def with_cache(self, cache_size: int = 1) -> Any:
        """The same transform with another size of the cache."""
        made: Any = type(self)
        same = self._cache_size == cache_size
        return self if same else made(*self._facts(), cache_size=cache_size)

    def __call__(self, x: Any) -> Any:
        return self._remembered(0, x, self._call)

    def _remembered(self, side: int, value: Any, function: Any) -> Any:
        if not self._cache_size:
            return function(value)
        if self._ends[side] is not value:
            made = function(value)
            self._ends = (made, value) if side else (value, made)
        return self._ends[1 - side]

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        """The logarithm of |dy / dx|, given both ends."""
        if self._log_slope is None:
            raise NotImplementedError
        return self._log_slope(x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def forward_shape(self, shape: Sequence[int]) -> Size:
        """The shape of what is made of a shape."""
        return Size(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        """The shape of what a shape is made of."""
        return Size(shape)


class _InverseTransform(Transform):
    """The inverse of a transform, which remembers for both."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self._inv, self.bijective = transform, transform.bijective
        self.domain, self.codomain = transform.codomain, transform.domain
        self.forward_shape = transform.inverse_shape  # type: ignore[method-assign]
        self.inverse_shape = transform.forward_shape  # type: ignore[method-assign]

    sign = property(lambda self: self._inv.sign)

    def _facts(self) -> tuple[Any, ...]:
        return (self._inv,)

    def with_cache(self, cache_size: int = 1) -> Any:
        return self._inv.with_cache(cache_size).inv

    def __call__(self, x: Any) -> Any:
        return self._inv._remembered(1, x, self._inv._inverse)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -self._inv.log_abs_det_jacobian(y, x)

    def __repr__(self) -> str:
        return f"_InverseTransform({self._inv!r})"


class ComposeTransform(Transform):
    """Transforms one after another.

    >>> t = distributions.ComposeTransform([distributions.ExpTransform().inv])
    >>> t(ad.tensor(1.0))
    tensor(0.)
    """

    def __init__(self, parts: list[Any], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = [part.with_cache(1) for part in parts] if cache_size else parts
        self.bijective = all(part.bijective for part in parts)
        if parts:
            self.domain = self._end([part.inv for part in reversed(parts)])
            self.codomain = self._end(parts)

    sign = property(lambda self: math.prod(part.sign for part in self.parts))

    @staticmethod
    def _end(parts: Sequence[Any]) -> Any:
        """The codomain of the last part, with all dimensions that a part makes one event."""
        n, last = parts[0].domain.event_dim, parts[-1].codomain
        for part in parts:
            n = max(n + part.codomain.event_dim - part.domain.event_dim, part.codomain.event_dim)
        return constraints.independent(last, n - last.event_dim) if n > last.event_dim else last

    def _facts(self) -> tuple[Any, ...]:
        return (self.parts,)

    @property
    def inv(self) -> Any:
        if self._inv is None:
            self._inv = ComposeTransform([part.inv for part in reversed(self.parts)])
            self._inv._inv = self
        return self._inv

    def __call__(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        if not self.parts:
            return zeros_like(x)
        total, n, last = 0.0, self.domain.event_dim, self.parts[-1]
        for part in self.parts:
            end = y if part is last else part(x)
            slope = part.log_abs_det_jacobian(x, end)
            total = total + sum_rightmost(slope, n - part.domain.event_dim)
            n += part.codomain.event_dim - part.domain.event_dim
            x = end
        return total

    def forward_shape(self, shape: Sequence[int]) -> Size:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return Size(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return Size(shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(\n    " + ",\n    ".join(map(repr, self.parts)) + "\n)"


class ExpTransform(Transform):
    """exp(x).

    >>> distributions.ExpTransform().log_abs_det_jacobian(ad.tensor(2.0), None)
    tensor(2.)
    """

    sign = 1
    codomain = constraints.positive
    _call = staticmethod(exp)
    _inverse = staticmethod(log)
    _log_slope = staticmethod(lambda x: x)


_log_odds = pointwise(lambda p: log(p) - log1p(-p))


def _inside(p: Any) -> Any:
    """Clamped, so that its logit is finite."""
    return p.clamp(finfo(p.dtype).tiny, 1 - finfo(p.dtype).eps)


class SigmoidTransform(Transform):
    """1 / (1 + exp(-x)), kept inside (0, 1).

    >>> distributions.SigmoidTransform()(ad.tensor(0.0))
    tensor(0.5000)
    """

    sign = 1
    codomain = constraints.unit_interval
    _call = staticmethod(lambda x: _inside(x.sigmoid()))
    _inverse = staticmethod(lambda y: _log_odds(_inside(y)))
    _log_slope = pointwise(lambda x: -softplus(-x) - softplus(x))


class TanhTransform(Transform):
    """tanh(x); for what rounds to 1, only a cache knows the inverse.

    >>> distributions.TanhTransform().log_abs_det_jacobian(ad.tensor(0.0), None)
    tensor(0.)
    """

    sign = 1
    codomain = constraints.interval(-1.0, 1.0)
    _call = staticmethod(tanh)
    _inverse = staticmethod(atanh)
    _log_slope = pointwise(lambda x: 2 * (math.log(2) - x - softplus(-2 * x)))


class SoftplusTransform(Transform):
    """log(1 + exp(x)).

    >>> distributions.SoftplusTransform()(ad.tensor(0.0))
    tensor(0.6931)
    """

    sign = 1
    codomain = constraints.positive
    _call = staticmethod(softplus)
    _inverse = pointwise(lambda y: log(-expm1(-y)) + y)
    _log_slope = pointwise(lambda x: -softplus(-x))


class PowerTransform(Transform):
    """x to the power of `exponent`, a number or a tensor, of x > 0.

    >>> distributions.PowerTransform(2.0).inv(ad.tensor(9.0))
    tensor(3.)
    """

    domain = codomain = constraints.positive

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        (self.exponent,) = broadcast_all(exponent)

    sign = property(lambda self: self.exponent.sign())

    def _facts(self) -> tuple[Any, ...]:
        return (self.exponent,)

    def _call(self, x: Any) -> Any:
        return x.pow(self.exponent)

    def _inverse(self, y: Any) -> Any:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Sequence[int]) -> Size:
        return broadcast_shapes(shape, self.exponent.shape)

    inverse_shape = forward_shape


class CumulativeDistributionTransform(Transform):
    """The probability of less than x, by a distribution's `cdf`; back by its `icdf`.

    >>> t = distributions.CumulativeDistributionTransform(distributions.Normal(0.0, 1.0))
    >>> t(ad.tensor(0.0))
    tensor(0.5000)
    """

    sign = 1
    codomain = constraints.unit_interval
    domain = property(lambda self: self.distribution.support)
    _call = property(lambda self: self.distribution.cdf)
    _inverse = property(lambda self: self.distribution.icdf)
    _log_slope = property(lambda self: self.distribution.log_prob)

    def __init__(self, distribution: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.distribution = distribution

    def _facts(self) -> tuple[Any, ...]:
        return (self.distribution,)


class AbsTransform(Transform):
    """|x|, which has no inverse: `inv` gives what is positive.

    >>> distributions.AbsTransform()(ad.tensor(-2.0))
    tensor(2.)
    """

    bijective = False
    codomain = constraints.positive
    _call = staticmethod(abs)
    _inverse = staticmethod(lambda y: y)


class AffineTransform(Transform):
    """loc + scale * x, of numbers or tensors; the last `event_dim` dimensions are one event.

    >>> distributions.AffineTransform(1.0, ad.tensor([2.0, 3.0]))(ad.tensor(1.0))
    tensor([3., 4.])
    """

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale = loc, scale
        if event_dim:
            self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    @property
    def sign(self) -> Any:
        """1, or -1 for a negative scale, 0 for one of 0."""
        scale = self.scale
        return (scale > 0) - (scale < 0) if isinstance(scale, (int, float)) else scale.sign()

    def _facts(self) -> tuple[Any, ...]:
        return self.loc, self.scale, self.event_dim

    def _call(self, x: Any) -> Any:
        return self.loc + self.scale * x

    def _inverse(self, y: Any) -> Any:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        if isinstance(self.scale, (int, float)):
            return sum_rightmost(full_like(x, math.log(abs(self.scale))), self.event_dim)
        return sum_rightmost(self.scale.abs().log().expand(x.shape), self.event_dim)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        parts = (getattr(x, "shape", ()) for x in (self.loc, self.scale))
        return broadcast_shapes(shape, *parts)

    inverse_shape = forward_shape


identity_transform = ComposeTransform([])

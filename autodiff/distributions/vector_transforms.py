"""Transforms of vectors and matrices, and of parts of them by other transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autodiff import linalg
from autodiff.distributions import constraints
from autodiff.distributions.distribution import sum_rightmost
from autodiff.distributions.transforms import Transform, _inside
from autodiff.dtypes import finfo
from autodiff.functions import arange, cat, eye, stack, tril_indices, zeros
from autodiff.nn.functional import logsigmoid, pad, softplus
from autodiff.shapes import Size

__all__ = [
    *("CatTransform", "CorrCholeskyTransform", "IndependentTransform", "LowerCholeskyTransform"),
    *("PositiveDefiniteTransform", "ReshapeTransform", "SoftmaxTransform", "StackTransform"),
    "StickBreakingTransform",
]


def _check_few(shape: Sequence[int], n: int) -> None:
    if len(shape) < n:
        raise ValueError(f"Too few dimensions on input: {len(shape)}, of at least {n}")


class IndependentTransform(Transform):
    """Another transform, of which the last dimensions are one event.

    >>> t = distributions.IndependentTransform(distributions.ExpTransform(), 1)
    >>> t.log_abs_det_jacobian(ad.tensor([1.0, 2.0]), None)
    tensor(3.)
    """

    def __init__(
        self, base_transform: Any, reinterpreted_batch_ndims: int, cache_size: int = 0
    ) -> None:
        super().__init__(cache_size)
        base, n = base_transform.with_cache(cache_size), reinterpreted_batch_ndims
        self.base_transform, self.reinterpreted_batch_ndims = base, n
        self.domain = constraints.independent(base.domain, n)
        self.codomain = constraints.independent(base.codomain, n)
        self.bijective = base.bijective

    sign = property(lambda self: self.base_transform.sign)

    def _facts(self) -> tuple[Any, ...]:
        return self.base_transform, self.reinterpreted_batch_ndims

    def _call(self, x: Any) -> Any:
        _check_few(x.shape, self.domain.event_dim)
        return self.base_transform(x)

    def _inverse(self, y: Any) -> Any:
        _check_few(y.shape, self.codomain.event_dim)
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        slope = self.base_transform.log_abs_det_jacobian(x, y)
        return sum_rightmost(slope, self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_transform!r}, {self.reinterpreted_batch_ndims})"

    def forward_shape(self, shape: Sequence[int]) -> Size:
        return Size(self.base_transform.forward_shape(shape))

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        return Size(self.base_transform.inverse_shape(shape))


class ReshapeTransform(Transform):
    """Events of `in_shape` as events of `out_shape`.

    >>> distributions.ReshapeTransform((4,), (2, 2))(ad.ones(3, 4)).shape
    torch.Size([3, 2, 2])
    """

    def __init__(
        self, in_shape: Sequence[int], out_shape: Sequence[int], cache_size: int = 0
    ) -> None:
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError(
                "in_shape, out_shape have different numbers of elements: "
                f"{tuple(in_shape)} and {tuple(out_shape)}"
            )
        super().__init__(cache_size)
        self.domain = constraints.independent(constraints.real, len(self.in_shape))
        self.codomain = constraints.independent(constraints.real, len(self.out_shape))

    def _facts(self) -> tuple[Any, ...]:
        return self.in_shape, self.out_shape

    def _call(self, x: Any) -> Any:
        return x.reshape(self.forward_shape(x.shape))

    def _inverse(self, y: Any) -> Any:
        return y.reshape(self.inverse_shape(y.shape))

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return zeros(x.shape[: x.dim() - len(self.in_shape)], dtype=x.dtype)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        return self._swapped(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        return self._swapped(shape, self.out_shape, self.in_shape)

    def _swapped(self, shape: Sequence[int], old: Size, new: Size) -> Size:
        _check_few(shape, len(old))
        cut = len(shape) - len(old)
        if tuple(shape[cut:]) != tuple(old):
            raise ValueError(f"Shape mismatch: expected {old} but got {shape[cut:]}")
        return Size((*shape[:cut], *new))


class SoftmaxTransform(Transform):
    """softmax(x) over the last dimension, which many x have in common: `inv` gives log y.

    >>> distributions.SoftmaxTransform()(ad.zeros(2))
    tensor([0.5000, 0.5000])
    """

    bijective = False
    domain, codomain = constraints.real_vector, constraints.simplex
    _call = staticmethod(lambda x: x.softmax(-1))
    _inverse = staticmethod(lambda y: y.log())

    def forward_shape(self, shape: Sequence[int]) -> Size:
        _check_few(shape, 1)
        return Size(shape)

    inverse_shape = forward_shape


def _offset(x: Any, n: int) -> Any:
    """log n, ..., log 1: what makes all shares equal where x is 0."""
    return arange(n, 0, -1, dtype=x.dtype).log()


class StickBreakingTransform(Transform):
    """Shares of a stick, of which a vector of one less tells how much of the rest each takes.

    >>> distributions.StickBreakingTransform()(ad.zeros(1))
    tensor([0.5000, 0.5000])
    """

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x: Any) -> Any:
        z = _inside((x - _offset(x, x.shape[-1])).sigmoid())
        return pad(z, [0, 1], value=1) * pad((1 - z).cumprod(-1), [1, 0], value=1)

    def _inverse(self, y: Any) -> Any:
        first = y[..., :-1]
        rest = (1 - first.cumsum(-1)).clamp(min=finfo(y.dtype).tiny)
        return first.log() - rest.log() + _offset(y, first.shape[-1])

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        x = x - _offset(x, x.shape[-1])
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        _check_few(shape, 1)
        return Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        _check_few(shape, 1)
        return Size((*shape[:-1], shape[-1] - 1))


class LowerCholeskyTransform(Transform):
    """The lower triangle, its diagonal made positive by exp.

    >>> distributions.LowerCholeskyTransform()(ad.zeros(1, 1))
    tensor([[1.]])
    """

    bijective = False
    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Any) -> Any:
        return x.tril(-1) + x.diagonal(0, -2, -1).exp().diag_embed()

    def _inverse(self, y: Any) -> Any:
        return y.tril(-1) + y.diagonal(0, -2, -1).log().diag_embed()


class PositiveDefiniteTransform(LowerCholeskyTransform):
    """L L^T of the matrix that `LowerCholeskyTransform` makes.

    >>> distributions.PositiveDefiniteTransform()(ad.zeros(1, 1))
    tensor([[1.]])
    """

    codomain = constraints.positive_definite

    def _call(self, x: Any) -> Any:
        lower = super()._call(x)
        return lower @ lower.mT

    def _inverse(self, y: Any) -> Any:
        return super()._inverse(linalg.cholesky(y))


def _below(x: Any, diagonal: int) -> Any:
    """The entries of matrices on and below a diagonal, by rows."""
    rows, columns = tril_indices(x.shape[-2], x.shape[-1], diagonal)
    return x[..., rows, columns]


class CorrCholeskyTransform(Transform):
    """Vectors of D (D - 1) / 2 as Cholesky factors of correlations, whose rows have norm 1.

    >>> distributions.CorrCholeskyTransform()(ad.zeros(1))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain, codomain = constraints.real_vector, constraints.corr_cholesky

    def _call(self, x: Any) -> Any:
        eps = finfo(x.dtype).eps
        shape = self.forward_shape(x.shape)
        rows, columns = tril_indices(shape[-2], shape[-1], -1)
        r = zeros(shape, dtype=x.dtype)
        r[..., rows, columns] = x.tanh().clamp(-1 + eps, 1 - eps)
        left = (1 - r**2).sqrt().cumprod(-1)
        return (r + eye(shape[-1], dtype=x.dtype)) * pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Any) -> Any:
        left = pad((1 - (y * y).cumsum(-1))[..., :-1], [1, 0], value=1)
        return (_below(y, -1) / _below(left, -1).sqrt()).atanh()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        left = _below(1 - (y * y).cumsum(-1), -2).log().sum(-1)
        return 0.5 * left - 2 * (x + softplus(-2 * x) - math.log(2)).sum(-1)

    def forward_shape(self, shape: Sequence[int]) -> Size:
        _check_few(shape, 1)
        n = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if n * (n - 1) // 2 != shape[-1]:
            raise ValueError(f"Input is not a flattened lower-diagonal number: {shape[-1]}")
        return Size((*shape[:-1], n, n))

    def inverse_shape(self, shape: Sequence[int]) -> Size:
        _check_few(shape, 2)
        if shape[-2] != shape[-1]:
            raise ValueError(f"Input is not square: {tuple(shape)}")
        return Size((*shape[:-2], shape[-1] * (shape[-1] - 1) // 2))


class OfParts(Transform):
    """Transforms of parts along a dimension."""

    _region: Any
    _joined: Any

    def __init__(self, tseq: Sequence[Any], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        for t in tseq:
            if not isinstance(t, Transform):
                raise AssertionError(f"{type(self).__name__} is of transforms, not {t!r}")
        self.transforms = [t.with_cache(cache_size) if cache_size else t for t in tseq]
        self.dim = dim
        self.bijective = all(t.bijective for t in self.transforms)

    domain = property(lambda self: self._region([t.domain for t in self.transforms]))
    codomain = property(lambda self: self._region([t.codomain for t in self.transforms]))

    def _parts(self, x: Any) -> Any:
        raise NotImplementedError

    def _call(self, x: Any) -> Any:
        pairs = zip(self.transforms, self._parts(x), strict=True)
        return self._joined([t(part) for t, part in pairs])

    def _inverse(self, y: Any) -> Any:
        pairs = zip(self.transforms, self._parts(y), strict=True)
        return self._joined([t.inv(part) for t, part in pairs])


class StackTransform(OfParts):
    """A transform for each slice along a dimension.

    >>> d = distributions
    >>> d.StackTransform([d.ExpTransform(), d.identity_transform])(ad.zeros(2))
    tensor([1., 0.])
    """

    def _facts(self) -> tuple[Any, ...]:
        return self.transforms, self.dim

    def _region(self, parts: list[Any]) -> Any:
        return constraints.stack(parts, self.dim)

    def _joined(self, parts: list[Any]) -> Any:
        return stack(parts, self.dim)

    def _parts(self, x: Any) -> Any:
        if x.shape[self.dim] != len(self.transforms):
            raise AssertionError(
                f"StackTransform: {x.shape[self.dim]} slices along dimension {self.dim} for "
                f"{len(self.transforms)} transforms"
            )
        return x.unbind(self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        pairs = zip(self.transforms, self._parts(x), self._parts(y), strict=True)
        return stack([t.log_abs_det_jacobian(*ends) for t, *ends in pairs], self.dim)


class CatTransform(OfParts):
    """A transform for each of the parts, of `lengths` (by default of one), along a dimension.

    >>> d = distributions
    >>> d.CatTransform([d.ExpTransform(), d.identity_transform], lengths=[2, 1])(ad.zeros(3))
    tensor([1., 1., 0.])
    """

    def __init__(
        self, tseq: Sequence[Any], dim: int = 0, lengths: Any = None, cache_size: int = 0
    ) -> None:
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            counts = f"{len(self.lengths)} lengths for {len(self.transforms)} transforms"
            raise AssertionError(f"CatTransform: {counts}: give one for each")
        self.length = sum(self.lengths)

    event_dim = property(lambda self: max(t.event_dim for t in self.transforms))

    def _facts(self) -> tuple[Any, ...]:
        return self.transforms, self.dim, self.lengths

    def _region(self, parts: list[Any]) -> Any:
        return constraints.cat(parts, self.dim, self.lengths)

    def _joined(self, parts: list[Any]) -> Any:
        return cat(parts, self.dim)

    def _parts(self, x: Any) -> Any:
        if x.shape[self.dim] != self.length:
            raise AssertionError(
                f"CatTransform: a size of {x.shape[self.dim]} along dimension {self.dim} for "
                f"lengths {self.lengths}, whose sum is {self.length}"
            )
        return x.split(self.lengths, self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        n = self.event_dim
        slopes = [
            sum_rightmost(t.log_abs_det_jacobian(*ends), n - t.event_dim)
            for t, *ends in zip(self.transforms, self._parts(x), self._parts(y), strict=True)
        ]
        at = (self.dim - x.dim() if self.dim >= 0 else self.dim) + n
        return cat(slopes, at) if at < 0 else sum(slopes)

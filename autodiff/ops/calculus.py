"""Slopes and running integrals of sampled functions, powers of points, and norms made smaller."""

from __future__ import annotations

from typing import Any

from autodiff.expr import build, inputs
from autodiff.ops.base import called
from autodiff.ops.create import arange
from autodiff.ops.declare import where
from autodiff.ops.derived import diff
from autodiff.ops.elementwise import mul
from autodiff.ops.guard import strict
from autodiff.ops.join import cat
from autodiff.ops.norms import _norm, vector_norm
from autodiff.ops.numbers import number_of
from autodiff.ops.pointwise import PointwiseOp
from autodiff.shapes import dim_index, present_dim
from autodiff.tensor import Tensor


def _slope(x: Tensor, d: int, space: Any, edge_order: int) -> Tensor:
    """The derivative along d: of a parabola through each point and its neighbours."""
    n = x.shape[d]
    if isinstance(space, Tensor):
        if space.ndim != 1 or space.numel() != n:
            raise RuntimeError(
                f"torch.gradient expected each coordinates tensor to have {n} elements, one for "
                f"each point of dimension {d}, but got {list(space.shape)}"
            )
        steps = diff(space).reshape([-1, *[1] * (x.ndim - d - 1)])
        slopes = diff(x, dim=d) / steps
        before, after = slopes.narrow(d, 0, n - 2), slopes.narrow(d, 1, n - 2)
        h, k = steps.narrow(0, 0, n - 2), steps.narrow(0, 1, n - 2)
        inner = (before * k + after * h) / (h + k)
    else:  # the point itself counts for nothing, whatever is there
        slopes = diff(x, dim=d) / space
        inner = (x.narrow(d, 2, n - 2) - x.narrow(d, 0, n - 2)) / (2 * space)
    first, last = slopes.narrow(d, 0, 1), slopes.narrow(d, n - 2, 1)
    if edge_order == 2:
        first = first + (first - inner.narrow(d, 0, 1))
        last = last + (last - inner.narrow(d, n - 3, 1))
    return cat([first, inner, last], d)


def gradient(
    input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """The derivatives of a sampled function along each of `dim`, or all; a tensor each.

    The samples are `spacing` apart: a number, or a number or a vector of coordinates for each
    dimension. At the edges differences are of order 1 or 2.

    >>> ad.gradient(ad.tensor([1.0, 2.0, 4.0, 8.0]))
    (tensor([1.0000, 1.5000, 3.0000, 4.0000]),)
    """
    over = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    dims = [dim_index(d, input.ndim) for d in over]
    if len(set(dims)) != len(dims):
        raise RuntimeError("dim appears multiple times in the list of dims")
    spacing = 1 if spacing is None else spacing
    spaces = list(spacing) if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if len(spaces) != len(dims):
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim "
            f"arguments to have the same length, but got a spacing argument of length {len(spaces)}"
            f" and a dim argument of length {len(dims)}."
        )
    if input.dtype.category == 0:
        raise RuntimeError("torch.gradient takes numbers, not Bool")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    for space in spaces:
        if isinstance(space, str) or not isinstance(space, (int, float, Tensor)):
            raise TypeError(
                f"gradient(): a spacing is a number or Tensor, not {type(space).__name__}"
            )
    if any(input.shape[d] <= edge_order for d in dims):
        raise RuntimeError(
            "torch.gradient expected each dimension size to be at least edge_order+1"
        )
    pairs = zip(dims, spaces, strict=True)
    return tuple(_slope(input, d, space, edge_order) for d, space in pairs)


def _areas(y: Tensor, x: Any, dx: Any, d: int) -> Tensor:
    """Twice what is under y, between each two of its points along d."""
    n = y.shape[d]
    if x is not None:
        if x.ndim == 1:
            if x.numel() != n:
                raise RuntimeError(
                    f"There must be one `x` value for each sample point: {n}, not {x.numel()}"
                )
            x = x.reshape([-1, *[1] * (y.ndim - d - 1)])
        dx = diff(x, dim=d - y.ndim)
    steps = max(n - 1, 0)
    heights = y.narrow(d, 0, steps) + y.narrow(d, n - steps, steps)
    areas: Tensor = heights * dx
    return areas


@called("MulBackward1")
def trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The integral of y over `dim` by the trapezoidal rule, of steps `dx` or between points x.

    x has y's size along `dim`, or broadcasts with y.

    >>> ad.trapezoid(ad.tensor([1.0, 2.0, 4.0]), ad.tensor([0.0, 1.0, 3.0]))
    tensor(7.5000)
    """
    d = present_dim(dim, y.ndim)
    if x is not None or isinstance(dx, Tensor) or not y.shape[d]:
        return _areas(y, x, dx, d).sum(d) / 2
    integral: Tensor = (y.sum(d) - (y.select(d, 0) + y.select(d, -1)) / 2) * dx
    return integral


@called("CumsumBackward0")
def cumulative_trapezoid(y: Tensor, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The running integral of y over `dim` by the trapezoidal rule, as `trapezoid`: one less.

    >>> ad.cumulative_trapezoid(ad.tensor([1.0, 2.0, 4.0]))
    tensor([1.5000, 4.5000])
    """
    d = dim_index(dim, y.ndim)
    if not y.ndim:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    return _areas(y, x, dx, d).cumsum(d) / 2


@strict
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector's elements, N (or as many as there are) in a row each, 1 last.

    >>> ad.vander(ad.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.numel() if N is None else N
    if count < 0:
        raise RuntimeError(f"N must be non-negative: {count}")
    powers = x[:, None] ** arange(count)
    return powers if increasing else powers.flip(1)


def _factor() -> PointwiseOp:
    """What a slice of this norm is multiplied by."""
    norm, most = inputs(2)
    large = build("lt", most, norm)  # which nan is not
    return PointwiseOp("renorm", where(large, most / (where(large, norm, 1.0) + 1e-7), 1.0), 2)


_RENORM = _factor()


@called("RenormBackward0")
@strict
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """The slices along a dimension, scaled down to the p-norm `maxnorm` where theirs is larger.

    >>> ad.renorm(ad.tensor([[3.0, 4.0], [0.0, 1.0]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])
    """
    if not p > 0:
        raise RuntimeError(f"renorm: non-positive norm not supported: {p}")
    if not maxnorm >= 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    n = input._p.ndim
    if n < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions"
        )
    d = dim_index(dim, n)
    if input._p.numel and input.is_floating_point():
        norms = _norm.call(input, (1 << n) - 1 - (1 << d), True, p)
    else:
        norms = vector_norm(input, p, [k for k in range(input.ndim) if k != d], True)
    return mul.call(input, _RENORM.call(norms, number_of(float(maxnorm))))

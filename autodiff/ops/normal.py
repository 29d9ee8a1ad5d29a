"""Norms whose weight and bias go with channels: batch and instance norm are one operation.

x less the mean of what a mask of dimensions takes together, over the root of its variance plus eps,
times a weight plus a bias that broadcast against x and are one number wherever one mean is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from autodiff.expr import build, inputs
from autodiff.native import lib
from autodiff.ops.base import Op, OpNode
from autodiff.ops.elementwise import mul
from autodiff.ops.halves import in_float32
from autodiff.ops.pointwise import PointwiseOp, number
from autodiff.ops.reductions import _sum_dim, _sum_to, mean
from autodiff.ops.statistics import _PAIRS, Spread, _deviations, _var
from autodiff.tensor import Tensor, wrap

__all__ = [
    "Moments",
    "affine",
    "blend_",
    "channel_norm",
    "fixed_norm",
    "rms_norm",
    "row_cotangents",
]

_a, _b, _c, _d, _e = inputs(5)
_inverse_root = PointwiseOp("layer_norm_rstd", build("rsqrt", _a + _b), 2)
# Of the cotangent of the normalized rows, its mean, the rows, the mean of both's product, 1 / std.
_rows_vjp = PointwiseOp("layer_norm_vjp", (_a - _b - _c * _d) * _e, 5)
_shifted = PointwiseOp("channel_norm", (_a - _b) * _c + _d, 4, "NativeBatchNormBackward0")
_product = PointwiseOp("channel_norm_product", _a * (_b - _c) * _d, 4)
# Of the cotangent, its mean, x, its mean, the mean of the product over std, and the scale.
_g, _gm, _x, _xm, _pm, _s = inputs(6)
_channel_vjp = PointwiseOp("channel_norm_vjp", (_g - _gm - (_x - _xm) * _pm) * _s, 6)


def row_cotangents(
    node: OpNode, g: Tensor, x: Tensor, weight: Tensor | None, mask: int, eps: float
) -> list[Tensor | None]:
    """dx = (h - mean(h) - rows mean(h rows)) / std, h being g times the weight; and dw, db."""
    shape = x.shape
    dims = tuple(d for d in range(len(shape)) if mask >> d & 1)
    rstd = _inverse_root.call(_var(x, mask, True, Spread(0.0, False)), number(eps))
    rows = _deviations.on((x, rstd), mask, 1.0)
    cotangents: list[Tensor | None] = [None] * len(node.edges)
    if node.needs(0):
        h = g if weight is None else mul.call(g, weight)
        first, second = (mean(a, dims, keepdim=True) for a in (h, mul.call(h, rows)))
        cotangents[0] = _rows_vjp.call(h, first, rows, second, rstd)
    if weight is not None and node.needs(1):
        cotangents[1] = mul.call(g, rows).sum_to_size(weight.shape)
    if weight is not None and len(node.edges) == 3 and node.needs(2):
        cotangents[2] = g.sum_to_size(weight.shape)
    return cotangents


class Normal(NamedTuple):
    """What is taken together, what is added to its variance, and the mean and 1 / std there are."""

    mask: int
    eps: float
    mean: Tensor
    rstd: Tensor


def _forward(p: Any, w: Any, b: Any, normal: Normal) -> Any:
    scale = mul.call(normal.rstd, wrap(w))
    return lib.ad_alias(_shifted.plain(wrap(p), (normal.mean._p, scale._p, b))._p)


def _sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
    mask, _, average, rstd = node.args[0]
    p, w = node.unpack()
    x, weight = wrap(p), wrap(w)
    product = _product.plain(g, (p, average._p, rstd._p))
    sums = [_sum_dim(a, mask, True, p.dtype) for a in (product, g)]
    cotangents: list[Tensor | None] = [None] * len(node.edges)
    if node.needs(0):
        count = p.numel // max(1, rstd.numel())
        slope, level = mul.call(sums[0], rstd) / count, sums[1] / count
        given = (g, level, x, average, slope, mul.call(rstd, weight))
        cotangents[0] = wrap(_channel_vjp.run(given))
    for i in (1, 2):
        if node.needs(i):
            cotangents[i] = _sum_to(sums[i - 1], weight.shape)
    return cotangents


def _rule(node: OpNode, g: Tensor, x: Tensor, weight: Tensor) -> Sequence[Tensor | None]:
    return row_cotangents(node, g, x, weight, node.args[0].mask, node.args[0].eps)


_norm = Op(
    "batch_norm",
    _forward,
    _rule,
    saves=(0, 1),
    grad_name="NativeBatchNormBackward0",
    sweep=_sweep,
)


class Moments(NamedTuple):
    """The mean and the variance of what was taken together, outside the graph."""

    mean: Tensor
    var: Tensor


@in_float32
def channel_norm(
    x: Tensor, mask: int, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Moments]:
    """x normalized by its own moments over a mask of dimensions."""
    plain = x.detach()
    var = _var(plain, mask, True, Spread(0.0, False))
    average = _PAIRS["var_mean"][1](plain, mask, True)
    normal = Normal(mask, eps, average, _inverse_root.call(var, number(eps)))
    return _norm.on((x, weight, bias), normal), Moments(average, var)


@in_float32
def fixed_norm(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """x normalized by moments that are given."""
    scale = _inverse_root.call(var, number(eps))
    scale = scale if weight is None else mul.call(scale, weight)
    shift = -mul.call(mean, scale)
    return affine(x, scale, shift if bias is None else bias + shift)


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x weight + bias, which broadcast against it."""
    return _scaled_and_moved.call(x, weight, bias)


@in_float32
def rms_norm(x: Tensor, mask: int, weight: Tensor | None, eps: float) -> Tensor:
    """x over the root of the mean of its squares plus eps, times a weight."""
    dims = tuple(d for d in range(x.ndim) if mask >> d & 1)
    scale = _inverse_root.call(mean(mul.call(x, x), dims, keepdim=True), number(eps))
    return mul.call(x, scale) if weight is None else _scaled.call(x, scale, weight)


_scaled = PointwiseOp("rms_norm", _a * _b * _c, 3, "MulBackward0")
_scaled_and_moved = PointwiseOp("affine", build("fma", _a, _b, _c), 3, "AddcmulBackward0")
_blend = PointwiseOp("blend", _a + (_b - _a) * _c, 3)


def blend_(held: Tensor, new: Tensor, share: Any) -> None:
    """Move a running statistic by its share (a number, or 0-d) towards a new one, in place."""
    share = share if isinstance(share, Tensor) else number(float(share))
    _blend.into(held, (held, new.reshape(held.shape), share))

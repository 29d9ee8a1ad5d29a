"""Layer norm: rows less their mean, divided by their deviation, times a weight plus a bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.expr import build, inputs
from autodiff.native import lib
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode, fresh
from autodiff.ops.elementwise import mul
from autodiff.ops.pointwise import PointwiseOp, number
from autodiff.ops.reductions import mean
from autodiff.ops.statistics import Spread, _deviations, _var
from autodiff.tensor import Tensor, wrap

__all__ = ["layer_norm"]

_a, _b, _c, _d, _e = inputs(5)
_inverse_root = PointwiseOp("layer_norm_rstd", build("rsqrt", _a + _b), 2)
_scaled = PointwiseOp("layer_norm_scale", _a * _b, 2)
_affine = PointwiseOp("layer_norm_affine", _a * _b + _c, 3)
# Of the cotangent of the normalized rows, its mean, the rows, the mean of both's product, 1 / std.
_rows_vjp = PointwiseOp("layer_norm_vjp", (_a - _b - _c * _d) * _e, 5)


class Normal:
    """The dimensions of rows, what is added to their variance, and 1 / std for backward."""

    __slots__ = ("eps", "mask", "rstd")
    rstd: Tensor

    def __init__(self, mask: int, eps: float) -> None:
        self.mask, self.eps = mask, number(eps)

    def of(self, x: Tensor) -> Tensor:
        """1 / std of the rows of x: with a graph where one is wanted, else as forward kept it."""
        if not mode.grad:
            return self.rstd
        return _inverse_root.call(_var(x, self.mask, True, Spread(0.0, False)), self.eps)


def _forward(p: Any, *rest: Any) -> Any:
    *scale, normal = rest
    count = 1
    for d in range(p.ndim):
        if normal.mask >> d & 1:
            count *= p.shape[d]
    spread = fresh(lib.ad_spread(p, normal.mask, 1, float(count), 0), "layer_norm", p)
    normal.rstd = wrap(_inverse_root.call(wrap(spread), normal.eps)._p)
    y = fresh(lib.ad_deviations(p, normal.rstd._p, normal.mask, 1.0), "layer_norm", p)
    if scale:
        program = _scaled if len(scale) == 1 else _affine
        y = program.call(wrap(y), *map(wrap, scale))._p
    return lib.ad_alias(y)


def _rule(node: OpNode, g: Tensor, x: Tensor, *scale: Tensor) -> Sequence[Tensor | None]:
    """dx = (h - mean(h) - rows mean(h rows)) / std, h being g times the weight."""
    normal: Normal = node.args[0]
    rstd = normal.of(x)
    rows = _deviations.on((x, rstd), normal.mask, 1.0)
    cotangents: list[Tensor | None] = [None] * len(node.edges)
    if node.needs(0):
        h = mul.call(g, scale[0]) if scale else g
        product = mul.call(h, rows)
        first, second = (mean(a, _dims_of(node), keepdim=True) for a in (h, product))
        cotangents[0] = _rows_vjp.call(h, first, rows, second, rstd)
    if scale and node.needs(1):
        cotangents[1] = mul.call(g, rows).sum_to_size(scale[0].shape)
    if len(node.edges) == 3 and node.needs(2):
        cotangents[2] = g.sum_to_size(scale[0].shape)
    return cotangents


def _dims_of(node: OpNode) -> tuple[int, ...]:
    return tuple(d for d in range(len(node.shape)) if node.args[0].mask >> d & 1)


_OPS = [
    Op("layer_norm", _forward, _rule, saves=(0,), grad_name="NativeLayerNormBackward0"),
    Op("layer_norm_weight", _forward, _rule, saves=(0, 1), grad_name="NativeLayerNormBackward0"),
    Op("layer_norm_bias", _forward, _rule, saves=(0, 1), grad_name="NativeLayerNormBackward0"),
]


def layer_norm(
    x: Tensor, ndim: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """The last `ndim` dimensions of x normalized; a bias only beside a weight."""
    given = [x] if weight is None else [x, weight] if bias is None else [x, weight, bias]
    mask = ((1 << ndim) - 1) << x.ndim - ndim
    return _OPS[len(given) - 1].on(given, Normal(mask, eps))

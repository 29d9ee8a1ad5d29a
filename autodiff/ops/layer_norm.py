"""Layer norm: rows less their mean, divided by their deviation, times a weight plus a bias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.expr import build, inputs
from autodiff.native import NULL, error, ffi, lib
from autodiff.ops.base import Op, OpNode, fresh
from autodiff.ops.elementwise import mul
from autodiff.ops.pointwise import PointwiseOp, number
from autodiff.ops.reductions import mean
from autodiff.ops.statistics import Spread, _deviations, _var
from autodiff.shapes import dim_mask
from autodiff.tensor import Tensor, _free, _gc, wrap

__all__ = ["layer_norm"]

_slot = ffi.new
_a, _b, _c, _d, _e = inputs(5)
_inverse_root = PointwiseOp("layer_norm_rstd", build("rsqrt", _a + _b), 2)
# Of the cotangent of the normalized rows, its mean, the rows, the mean of both's product, 1 / std.
_rows_vjp = PointwiseOp("layer_norm_vjp", (_a - _b - _c * _d) * _e, 5)


class Normal:
    """The shape of rows, what is added to their variance, and what backward needs."""

    __slots__ = ("eps", "shape", "stats")
    stats: Any  # of each row: its mean, the mean's rest, 1 / std

    def __init__(self, shape: Sequence[int], eps: float) -> None:
        self.shape, self.eps = shape, eps


def _forward(p: Any, w: Any, b: Any, normal: Normal) -> Any:
    stats = _slot("ad_tensor **")
    shape = normal.shape
    y = lib.ad_layer_norm(p, len(shape), shape, w, b, normal.eps, stats)
    if y:
        normal.stats = _gc(stats[0], _free)
    return y


def _sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
    normal: Normal = node.args[0]
    x, *scale = node.unpack()
    wanted = sum(1 << i for i, edge in enumerate(node.edges) if edge is not None)
    out = ffi.new("ad_tensor *[3]")
    w = scale[0] if scale else NULL
    if lib.ad_layer_norm_vjp(g._p, x, len(normal.shape), w, normal.stats, wanted, out):
        raise error("layer_norm", g._p, x)
    return [wrap(fresh(out[i], "layer_norm")) if out[i] else None for i in range(len(node.edges))]


def _rule(node: OpNode, g: Tensor, x: Tensor, *scale: Tensor) -> Sequence[Tensor | None]:
    """dx = (h - mean(h) - rows mean(h rows)) / std, h being g times the weight."""
    normal: Normal = node.args[0]
    dims = tuple(range(len(node.shape) - len(normal.shape), len(node.shape)))
    mask = dim_mask(dims, len(node.shape))
    spread = _var(x, mask, True, Spread(0.0, False))
    rstd = _inverse_root.call(spread, number(normal.eps))
    rows = _deviations.on((x, rstd), mask, 1.0)
    cotangents: list[Tensor | None] = [None] * len(node.edges)
    if node.needs(0):
        h = mul.call(g, scale[0]) if scale else g
        product = mul.call(h, rows)
        first, second = (mean(a, dims, keepdim=True) for a in (h, product))
        cotangents[0] = _rows_vjp.call(h, first, rows, second, rstd)
    if scale and node.needs(1):
        cotangents[1] = mul.call(g, rows).sum_to_size(scale[0].shape)
    if len(node.edges) == 3 and node.needs(2):
        cotangents[2] = g.sum_to_size(scale[0].shape)
    return cotangents


def _op(name: str, forward: Callable[..., Any], saves: tuple[int, ...]) -> Op:
    grad_name = "NativeLayerNormBackward0"
    return Op(name, forward, _rule, saves=saves, grad_name=grad_name, sweep=_sweep)


_OPS = [
    _op("layer_norm", lambda p, normal: _forward(p, NULL, NULL, normal), (0,)),
    _op("layer_norm_weight", lambda p, w, normal: _forward(p, w, NULL, normal), (0, 1)),
    _op("layer_norm_bias", _forward, (0, 1)),
]


def layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """The last dimensions of x, of this shape, normalized; a bias only beside a weight."""
    given = [x] if weight is None else [x, weight] if bias is None else [x, weight, bias]
    return _OPS[len(given) - 1].on(given, Normal(shape, eps))

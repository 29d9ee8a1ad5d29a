"""Layer norm: rows less their mean, divided by their deviation, times a weight plus a bias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.native import NULL, error, ffi, lib
from autodiff.ops.base import Op, OpNode, fresh
from autodiff.ops.normal import row_cotangents
from autodiff.tensor import Tensor, _free, _gc, wrap

__all__ = ["layer_norm"]

_slot = ffi.new


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
    normal: Normal = node.args[0]
    mask = (1 << x.ndim) - (1 << (x.ndim - len(normal.shape)))
    return row_cotangents(node, g, x, scale[0] if scale else None, mask, normal.eps)


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

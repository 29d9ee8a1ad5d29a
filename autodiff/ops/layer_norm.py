"""Layer and group norm: rows less their mean, over their deviation, times a weight plus a bias."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.native import NULL, error, ffi, lib
from autodiff.ops.base import Op, OpNode, fresh
from autodiff.ops.normal import affine, row_cotangents
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.views import reshape, unsqueeze
from autodiff.tensor import Tensor, _free, _gc, wrap

__all__ = ["composed_group_norm", "group_norm", "layer_norm"]

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


def _sweep_by(vjp: Callable[..., int], rows: Callable[[Normal], int]) -> Callable[..., Any]:
    def sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
        normal: Normal = node.args[0]
        x, *scale = node.unpack()
        wanted = sum(1 << i for i, edge in enumerate(node.edges) if edge is not None)
        out = ffi.new("ad_tensor *[3]")
        w = scale[0] if scale else NULL
        if vjp(g._p, x, rows(normal), w, normal.stats, wanted, out):
            raise error(node.op.name, g._p, x)
        n = len(node.edges)
        return [wrap(fresh(out[i], node.op.name)) if out[i] else None for i in range(n)]

    return sweep


_sweep = _sweep_by(lib.ad_layer_norm_vjp, lambda normal: len(normal.shape))


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


def _group_forward(p: Any, w: Any, b: Any, normal: Normal) -> Any:
    stats = _slot("ad_tensor **")
    y = lib.ad_group_norm(p, normal.shape[0], w, b, normal.eps, stats)
    if y:
        normal.stats = _gc(stats[0], _free)
    return y


def composed_group_norm(x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
    """`group_norm` of other operations."""
    shape = list(x.shape)
    rows = reshape(x, [shape[0], groups, -1])
    y = reshape(layer_norm(rows, rows.shape[2:], None, None, eps), [*shape[:2], -1])
    return reshape(affine(y, unsqueeze(weight, 1), unsqueeze(bias, 1)), shape)


def _group_rule(node: OpNode, g: Tensor, x: Tensor, weight: Tensor) -> Sequence[Tensor | None]:
    def composed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return composed_group_norm(x, weight, bias, normal.shape[0], normal.eps)

    normal: Normal = node.args[0]
    return cotangents_of(composed, node, g, (x, weight, weight))  # the bias is only added


_group = Op(
    "group_norm",
    _group_forward,
    _group_rule,
    saves=(0, 1),
    grad_name="NativeGroupNormBackward0",
    sweep=_sweep_by(lib.ad_group_norm_vjp, lambda normal: normal.shape[0]),
)


def group_norm(x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Groups of channels of each element of the batch, normalized; a weight and a bias of each."""
    return _group.on((x, weight, bias), Normal((groups,), eps))

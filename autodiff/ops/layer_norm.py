"""Rows less their mean, over their deviation, times a weight plus a bias.

Rows are the last dimensions (layer norm; without a mean, root mean square norm), groups of the
channels of each element of the batch (group, instance norm), or a channel over the batch (batch).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.native import NULL, ffi, hold, lib
from autodiff.ops.base import Op, OpNode
from autodiff.ops.halves import in_float32
from autodiff.ops.normal import affine, composed_rms_norm, per_channel, row_cotangents, sweep_by
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.reductions import mean
from autodiff.ops.statistics import Spread, _var
from autodiff.ops.views import reshape, select
from autodiff.shapes import mask_dims
from autodiff.tensor import Tensor, wrap

_slot = ffi.new


class Normal:
    """The shape of rows, what is added to their variance, and what backward needs."""

    __slots__ = ("centred", "eps", "shape", "stats")
    stats: Any  # of each row: its mean, the mean's rest, 1 / std, the variance

    def __init__(self, shape: Sequence[int], eps: float, centred: bool = True) -> None:
        self.shape, self.eps, self.centred, self.stats = shape, eps, centred, None


def _forward(p: Any, w: Any, b: Any, normal: Normal) -> Any:
    stats = _slot("ad_tensor **")
    shape = normal.shape
    y = lib.ad_layer_norm(p, len(shape), shape, w, b, normal.eps, normal.centred, stats)
    if y:
        normal.stats = hold(stats[0])
    return y


def _vjp(g: Any, x: Any, w: Any, node: OpNode, *wanted: Any) -> Any:
    normal: Normal = node.args[0]
    rows = len(normal.shape)
    return lib.ad_layer_norm_vjp(g, x, rows, w, normal.stats, normal.centred, *wanted)


def _rule(node: OpNode, g: Tensor, x: Tensor, *scale: Tensor) -> Sequence[Tensor | None]:
    normal: Normal = node.args[0]
    mask = (1 << x.ndim) - (1 << (x.ndim - len(normal.shape)))
    if not normal.centred:
        return cotangents_of(
            lambda x, *w: composed_rms_norm(x, mask, *w, eps=normal.eps), node, g, (x, *scale)
        )
    return row_cotangents(node, g, x, scale[0] if scale else None, mask, normal.eps)


def _op(name: str, forward: Callable[..., Any], saves: tuple[int, ...]) -> Op:
    grad_name = "MulBackward0" if name.startswith("rms") else "NativeLayerNormBackward0"
    return Op(name, forward, _rule, saves=saves, grad_name=grad_name, sweep=sweep_by(_vjp))


def _plain(p: Any, normal: Normal) -> Any:
    return _forward(p, NULL, NULL, normal)


def _weighted(p: Any, w: Any, normal: Normal) -> Any:
    return _forward(p, w, NULL, normal)


_OPS = [
    _op("layer_norm", _plain, (0,)),
    _op("layer_norm_weight", _weighted, (0, 1)),
    _op("layer_norm_bias", _forward, (0, 1)),
]
_RMS = [_op("rms_norm", _plain, (0,)), _op("rms_norm_weight", _weighted, (0, 1))]


def layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """The last dimensions of x, of this shape, normalized; a bias only beside a weight."""
    given = [x] if weight is None else [x, weight] if bias is None else [x, weight, bias]
    return _OPS[len(given) - 1].on(given, Normal(shape, eps))


def rms_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None, eps: float) -> Tensor:
    """The last dimensions of x over the root of their mean square plus eps, times a weight."""
    given = [x] if weight is None else [x, weight]
    return _RMS[len(given) - 1].on(given, Normal(shape, eps, False))


# ---- by channel: normal.shape is the number of groups, or 0 where rows go over the batch ----


def _channel_forward(p: Any, w: Any, b: Any, normal: Normal) -> Any:
    stats = _slot("ad_tensor **")
    y = lib.ad_channel_norm(p, normal.shape[0], w, b, normal.eps, stats)
    if y:
        normal.stats = hold(stats[0])
    return y


def _channel_vjp(g: Any, x: Any, w: Any, node: OpNode, *wanted: Any) -> Any:
    normal: Normal = node.args[0]
    return lib.ad_channel_norm_vjp(g, x, normal.shape[0], w, normal.stats, *wanted)


def composed_group_norm(x: Tensor, weight: Tensor, bias: Tensor, normal: Normal) -> Tensor:
    """`group_norm` of other operations."""
    shape = list(x.shape)
    rows = reshape(x, [shape[0], normal.shape[0], -1])
    y = reshape(layer_norm(rows, rows.shape[2:], None, None, normal.eps), [*shape[:2], -1])
    return reshape(affine(y, weight, bias), shape)


def _group_rule(node: OpNode, g: Tensor, x: Tensor, weight: Tensor) -> Sequence[Tensor | None]:
    def composed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return composed_group_norm(x, weight, bias, node.args[0])

    bias = weight.detach().requires_grad_(node.needs(2))  # it is only added: any numbers will do
    return cotangents_of(composed, node, g, (x, weight, bias))


def _batch_rule(node: OpNode, g: Tensor, x: Tensor, weight: Tensor) -> Sequence[Tensor | None]:
    mask, w = _batch_mask(x), per_channel(weight, x)
    dx, *others = row_cotangents(node, g, x, w, mask, node.args[0].eps)
    return [dx, *(None if each is None else reshape(each, weight.shape) for each in others)]


def _channel_op(name: str, rule: Callable[..., Sequence[Tensor | None]]) -> Op:
    grad_name = f"Native{name.title().replace('_', '')}Backward0"
    sweep = sweep_by(_channel_vjp)
    return Op(name, _channel_forward, rule, saves=(0, 1), grad_name=grad_name, sweep=sweep)


_group, _batch = _channel_op("group_norm", _group_rule), _channel_op("batch_norm", _batch_rule)


@in_float32
def group_norm(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float
) -> tuple[Tensor, Normal]:
    """Groups of channels of each element of the batch, normalized; a weight and a bias of each."""
    normal = Normal((groups,), eps)
    return _group.on((x, weight, bias), normal), normal


@in_float32
def batch_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Normal]:
    """Each channel over the batch, normalized."""
    normal = Normal((0,), eps)
    return _batch.on((x, weight, bias), normal), normal


def _batch_mask(x: Tensor) -> int:
    return (1 << x.ndim) - 1 - 2


def moments(x: Tensor, normal: Normal) -> tuple[Tensor, Tensor]:
    """The means and the variances that a norm by channel has found, outside the graph."""
    if normal.stats is not None:
        stats = wrap(normal.stats)
        return select(stats, 0, 0), select(stats, 0, 3)
    mask, plain = _batch_mask(x) - (1 if normal.shape[0] else 0), x.detach()
    dims = mask_dims(mask, x.ndim)
    return mean(plain, dims), _var(plain, mask, False, Spread(0.0, False))

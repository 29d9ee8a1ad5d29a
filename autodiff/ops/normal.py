"""What norms are made of besides their native calls: rules, and norms by moments that are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.expr import build, inputs
from autodiff.grad_mode import no_grad
from autodiff.native import NULL, error, ffi, hold, lib
from autodiff.ops.base import Op, OpNode, has_history
from autodiff.ops.elementwise import mul
from autodiff.ops.halves import in_float32
from autodiff.ops.numbers import number, number_of
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import mean
from autodiff.ops.statistics import Spread, _deviations, _var
from autodiff.ops.views import _view, reshape
from autodiff.shapes import mask_dims
from autodiff.tensor import Tensor, wrap

_a, _b, _c, _d, _e, _f = inputs(6)
_inverse_root = PointwiseOp("layer_norm_rstd", build("rsqrt", _a + _b), 2)
# Of the cotangent of the normalized rows, its mean, the rows, the mean of both's product, 1 / std.
_rows_vjp = PointwiseOp("layer_norm_vjp", (_a - _b - _c * _d) * _e, 5)


def row_cotangents(
    node: OpNode, g: Tensor, x: Tensor, weight: Tensor | None, mask: int, eps: float
) -> list[Tensor | None]:
    """dx = (h - mean(h) - rows mean(h rows)) / std, h being g times the weight; and dw, db."""
    shape = x.shape
    dims = mask_dims(mask, len(shape))
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


def sweep_by(vjp: Callable[..., int]) -> Callable[..., Any]:
    """A sweep by vjp(g, x, weight or NULL, node, wanted, out)."""

    def sweep(node: OpNode, g: Tensor) -> Sequence[Tensor | None]:
        x, *scale = node.unpack()
        wanted = sum(1 << i for i, edge in enumerate(node.edges) if edge is not None)
        out = ffi.new("ad_tensor *[3]")
        if vjp(g._p, x, scale[0] if scale else NULL, node, wanted, out):
            raise error(node.op.name, g._p, x)
        n = len(node.edges)
        return [wrap(hold(out[i])) if out[i] else None for i in range(n)]

    return sweep


# ---- a number for each channel (dimension 1) ----


def per_channel(one: Tensor, x: Tensor) -> Tensor:
    """A number for each channel, shaped to broadcast against x."""
    n = x._p.ndim
    return one if n == 2 else _view(one, [-1] + [1] * (n - 2))


def composed_affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`affine` of other operations."""
    return _scaled_and_moved.call(x, per_channel(weight, x), per_channel(bias, x))


def _affine_rule(node: OpNode, g: Tensor, x: Tensor, weight: Tensor) -> Sequence[Tensor | None]:
    def of(a: Tensor) -> Tensor:
        return reshape(a.sum_to_size(w.shape), weight.shape)

    w, (first, second, third) = per_channel(weight, x), node.edges
    return (
        None if first is None else mul.call(g, w),
        None if second is None else of(mul.call(g, x)),
        None if third is None else of(g),
    )


_affine = Op(
    "affine",
    lambda p, w, b: lib.ad_alias(composed_affine(wrap(p), wrap(w), wrap(b))._p),
    _affine_rule,
    saves=(0, 1),
    grad_name="NativeBatchNormBackward0",
    sweep=sweep_by(
        lambda g, x, w, node, *wanted: lib.ad_channel_norm_vjp(g, x, 0, w, NULL, *wanted)
    ),
)


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x weight + bias, which have a number for each channel.

    Where the numbers of a channel follow one another, one call is the way back.
    """
    p = x._p
    few = not p.numel or p.numel < 8 * p.shape[0] * p.shape[1]
    if few or not has_history((x, weight, bias)):
        return composed_affine(x, weight, bias)
    return _affine.on((x, weight, bias))


@in_float32
def fixed_norm(
    x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """x normalized by moments of the channels that are given."""
    floor = number_of(eps)
    if weight is None:
        scale = _inverse_root.call(var, floor)
    elif bias is not None and x._p.ndim == 2 and x._p.numel < 4096:
        # Where numbers are few, calls take longer than to find each scale anew.
        return _fixed_norm.call(x, mean, var, floor, weight, bias)
    else:
        scale = _channel_scale.call(var, floor, weight)
    shift = _opposite.call(mean, scale) if bias is None else _shift.call(mean, scale, bias)
    return affine(x, scale, shift)


@in_float32
def composed_rms_norm(x: Tensor, mask: int, weight: Tensor | None = None, *, eps: float) -> Tensor:
    """x over the root of the mean of its squares plus eps, times a weight."""
    dims = mask_dims(mask, x.ndim)
    scale = _inverse_root.call(mean(mul.call(x, x), dims, keepdim=True), number(eps))
    return mul.call(x, scale) if weight is None else _scaled.call(x, scale, weight)


_channel_scale = PointwiseOp("channel_scale", build("rsqrt", _a + _b) * _c, 3)
_opposite = PointwiseOp("channel_shift", -(_a * _b), 2)
_shift = PointwiseOp("channel_shift", _c + -(_a * _b), 3)
_scaled = PointwiseOp("rms_norm", _a * _b * _c, 3, "MulBackward0")
_scaled_and_moved = PointwiseOp("affine", build("fma", _a, _b, _c), 3, "AddcmulBackward0")
_scale = build("rsqrt", _c + _d) * _e
_fixed_norm = PointwiseOp(
    "fixed_norm", build("fma", _a, _scale, _f + -(_b * _scale)), 6, "NativeBatchNormBackward0"
)
_blend = PointwiseOp("blend", _a * (1 - _c) + _b * _c, 3)  # a share of 1 leaves nothing of a


def blend_(held: Tensor, new: Tensor, share: Any) -> None:
    """Move a running statistic by its share (a number, or 0-d) towards a new one, in place."""
    share = share if isinstance(share, Tensor) else number_of(float(share))
    p, q = held._p, new._p
    alike = p.ndim == q.ndim == 1 and p.numel == q.numel
    given = (held, new if alike else new.reshape(held.shape), share)
    if _blend.to(held, *given) is None:
        with no_grad():
            _blend.into(held, given)

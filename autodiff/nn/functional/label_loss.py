"""Losses of several labels, or of margins between classes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.dtypes import SCALAR_NAMES
from autodiff.expr import build, inputs
from autodiff.native import NULL, ffi, hold, lib, refusal
from autodiff.nn.functional.activation import logsigmoid
from autodiff.nn.functional.reduction import (
    check_constant,
    check_floating,
    check_tensors,
    reduced,
    reduction_of,
)
from autodiff.node import mode
from autodiff.ops.base import Op, OpNode, has_history, titled
from autodiff.ops.clones import contiguous
from autodiff.ops.create import arange
from autodiff.ops.declare import where
from autodiff.ops.elementwise import mul
from autodiff.ops.gather import gather, index_along
from autodiff.ops.guard import kind_of
from autodiff.ops.halves import in_float32
from autodiff.ops.losses import REDUCTIONS
from autodiff.ops.numbers import number_of, operand
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.reductions import mean
from autodiff.ops.views import reshape, unsqueeze
from autodiff.tensor import Tensor, wrap

__all__ = ["multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss"]


class _Margins:
    """How labels count, and what their losses keep: the slopes."""

    __slots__ = ("args", "reduction", "slopes")
    slopes: Any  # NULL where no gradient is wanted

    def __init__(self, reduction: str, *args: Any) -> None:
        self.reduction = reduction
        self.args = args


def _forward(x: Any, target: Any, how: _Margins) -> Any:
    weight, power, margin, reason, wanted = how.args
    slopes = ffi.new("ad_tensor **") if wanted else NULL
    reduction = REDUCTIONS[how.reduction]
    loss = lib.ad_margin_loss(x, target, weight, power, margin, reduction, reason, slopes)
    if loss and wanted:
        how.slopes = hold(slopes[0])
    return loss


def _vjp(node: OpNode, g: Tensor, *_: Any) -> tuple[Tensor, None]:
    how: _Margins = node.args[0]
    return mul.call(wrap(how.slopes), unsqueeze(g, 1) if how.reduction == "none" else g), None


def _rule(node: OpNode, g: Tensor, x: Tensor, target: Tensor) -> Sequence[Tensor | None]:
    """Slopes of squares alone have slopes."""
    how: _Margins = node.args[0]
    if how.args[1] != 2 or not mode.grad:
        return _vjp(node, g)
    return cotangents_of(functools.partial(_squares, how), node, g, (x, target))


_a, _b, _c, _d, _e, _f = inputs(6)
_short = build("clamp", _a - _b + _c, 0, math.inf)
_SQUARE = PointwiseOp("multi_margin_loss", where(build("eq", _e, _f), 0, _short * _short * _d), 6)


def _squares(how: _Margins, x: Tensor, target: Tensor) -> Tensor:
    """The losses of power 2 by differentiable operations."""
    weight, _, margin = how.args[:3]
    target = reshape(target, -1)
    each = number_of(1) if weight is NULL else unsqueeze(index_along(wrap(weight), 0, target), 1)
    labels = unsqueeze(target, 1)
    given = (number_of(margin), gather(x, 1, labels), x, each, labels, arange(x.shape[1]))
    return reduced(mean(_SQUARE.call(*given), 1), how.reduction)


def _name(node: OpNode) -> str:
    return f"Multi{'' if node.args[0].args[1] else 'label'}MarginLossBackward0"


_op = Op("margin_loss", _forward, _rule, saves=(0, 1), shaped=False, sweep=_vjp, grad_name=_name)


def _one(loss: Tensor) -> Tensor:
    title = loss._node and loss._node.name()
    return titled(loss.squeeze(0), title) if title else loss.squeeze(0)


_OUTSIDE = [
    refusal(RuntimeError, text)
    for text in ("argument #2 'target' is out of range", *["target out of range"] * 2)
]


@in_float32
def _losses(
    x: Tensor, labels: Tensor, weight: Tensor | None, power: int, margin: float, reduction: str
) -> Tensor:
    given = NULL if weight is None else contiguous(weight)._p
    labels = labels if labels._p.contiguous else contiguous(labels)
    wanted = mode.grad and has_history((x,))
    how = _Margins(reduction, given, power, margin, _OUTSIDE[power], wanted)
    return _op.on((x, labels), how)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The cross-entropy of sigmoid(input) and labels of 0 and 1, averaged over the classes.

    >>> F.multilabel_soft_margin_loss(ad.zeros(1, 2), ad.tensor([[0.0, 1.0]]))
    tensor(0.6931)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("multilabel_soft_margin_loss", input=input, target=target)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    loss = loss if weight is None else loss * weight
    return reduced(loss.sum(-1) / input.size(-1), reduction)  # a weight may have more


def _rows(name: str, input: Tensor) -> Tensor:
    """Inputs of (n, classes), (classes) or a number, which is one class, as rows."""
    ndim = input._p.ndim
    if ndim > 2 or (ndim and not input.shape[-1]):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(input.shape)}"
        )
    check_floating(name, input)
    return input if ndim == 2 else input.reshape(1, -1)


def _labels(target: Tensor) -> Tensor:
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {SCALAR_NAMES[target._p.dtype]}")
    return target


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """For each label and each other class, max(0, 1 - its input + the other's), over the classes.

    target has the shape of input, (n, classes) or (classes): labels, up to the first -1.

    >>> F.multilabel_margin_loss(ad.tensor([0.1, 0.2, 0.4, 0.8]), ad.tensor([3, 0, -1, 1]))
    tensor(0.8500)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("multilabel_margin_loss", input=input, target=target)
    x = _rows("multilabel_margin_loss", input)
    if target.shape != input.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    labels = _labels(target)
    loss = _losses(x, labels, None, 0, 1.0, reduction)
    return loss if input.ndim == 2 or reduction != "none" else _one(loss)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Over the classes, max(0, margin - the target's input + the other's) to the power p.

    p is 1 or 2; a weight for each class multiplies the losses of its targets.

    >>> F.multi_margin_loss(ad.tensor([[0.1, 0.2, 0.8]]), ad.tensor([2]))
    tensor(0.2333)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("multi_margin_loss", input=input, target=target)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if type(margin) is not float and operand(margin) is None:
        kind = kind_of(margin)
        raise TypeError(f"multi_margin_loss(): argument 'margin' must be Number, not {kind}")
    if weight is not None:
        check_constant("multi_margin_loss", weight=weight)
        if weight.dim() != 1:
            raise ValueError("weight must be one-dimensional")
    x = _rows("multi_margin_loss", input)
    n, classes = x.shape
    if target._p.ndim > 1 or target._p.numel != n:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{n}], but got {list(target.shape)}. "
            f"Input has shape {list(input.shape)}."
        )
    labels = _labels(target)
    if weight is not None and weight.shape[0] != classes:
        raise RuntimeError(
            f"inconsistent weight size, expected {classes} but got {list(weight.shape)}"
        )
    if weight is not None and weight.dtype is not input.dtype:
        raise RuntimeError(
            f"expected scalar type {input.dtype.title} but found {weight.dtype.title}"
        )
    loss = _losses(x, labels, weight, int(p), float(margin), reduction)
    return _one(loss) if target.ndim == 0 and reduction == "none" else loss

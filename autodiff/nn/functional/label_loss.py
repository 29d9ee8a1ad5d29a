"""Losses of several labels, or of margins between classes."""

from __future__ import annotations

import math

from autodiff import dtypes
from autodiff.dtypes import SCALAR_NAMES
from autodiff.expr import Expr, build, inputs
from autodiff.native import refuse_any
from autodiff.nn.functional.activation import logsigmoid
from autodiff.nn.functional.reduction import (
    check_floating,
    check_tensors,
    reduced,
    reduction_of,
)
from autodiff.ops.base import called
from autodiff.ops.create import arange
from autodiff.ops.declare import where
from autodiff.ops.gather import gather
from autodiff.ops.guard import kind_of
from autodiff.ops.numbers import number_of, operand
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import mean
from autodiff.ops.scan import cumsum
from autodiff.ops.views import reshape, unsqueeze
from autodiff.tensor import Tensor

__all__ = [
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
]


_a, _b, _c, _d, _e, _f = inputs(6)
_OUTSIDE = PointwiseOp("outside", build("logical_or", build("lt", _a, _b), build("ge", _a, _c)), 3)


def _above(x: Expr) -> Expr:
    return build("clamp", x, 0, math.inf)


_short = _above(_a - _b + _c)
_SHORT = {
    p: PointwiseOp("multi_margin_loss", where(build("eq", _e, _f), 0, short * _d), 6)
    for p, short in ((1, _short), (2, _short * _short))
}
_ENDS = PointwiseOp("ends", where(build("lt", _a, 0), 1, 0), 1)
_LABEL = PointwiseOp("label", build("maximum", _a, 0), 1)
_HIT = PointwiseOp("hit", build("logical_and", build("eq", _a, _b), build("eq", _c, 0)), 3)
_SHORT_OF_LABELS = PointwiseOp(
    "multilabel_margin_loss",
    where(build("logical_or", build("ne", _c, 0), _d), 0, _above(1 - _a + _b)),
    4,
)


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
    return reduced(loss.mean(-1), reduction)


def _rows(name: str, input: Tensor) -> Tensor:
    """Inputs of (n, classes), (classes) or a number, which is one class, as rows."""
    if input.ndim > 2 or (input.ndim and not input.shape[-1]):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(input.shape)}"
        )
    check_floating(name, input)
    return input if input.ndim == 2 else input.reshape(1, -1)


def _labels(target: Tensor) -> Tensor:
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {SCALAR_NAMES[target._p.dtype]}")
    return target


@called("MultilabelMarginLossBackward0")
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
    classes = x.shape[1]
    labels = reshape(_labels(target), x.shape)
    outside = _OUTSIDE.call(labels, number_of(-1), number_of(classes))
    refuse_any(outside._p, RuntimeError, "argument #2 'target' is out of range")
    ends = unsqueeze(cumsum(_ENDS.call(labels), 1), 2)  # 0 before the first -1
    hit = _HIT.call(unsqueeze(labels, 2), arange(classes), ends).any(1, True)
    own = unsqueeze(gather(x, 1, _LABEL.call(labels)), 2)
    loss = _SHORT_OF_LABELS.call(own, unsqueeze(x, 1), ends, hit).sum((1, 2)) / classes
    return reduced(loss if input.ndim == 2 else loss.squeeze(0), reduction)


@called("MultiMarginLossBackward0")
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
    if (least := operand(margin)) is None:
        kind = kind_of(margin)
        raise TypeError(f"multi_margin_loss(): argument 'margin' must be Number, not {kind}")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    x = _rows("multi_margin_loss", input)
    n, classes = x.shape
    if target.ndim > 1 or target.numel() != n:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{n}], but got {list(target.shape)}. "
            f"Input has shape {list(input.shape)}."
        )
    labels = reshape(_labels(target), n, 1)
    if weight is not None and weight.shape[0] != classes:
        raise RuntimeError(
            f"inconsistent weight size, expected {classes} but got {list(weight.shape)}"
        )
    outside = _OUTSIDE.call(labels, number_of(0), number_of(classes))
    refuse_any(outside._p, RuntimeError, "target out of range")
    each = number_of(1) if weight is None else weight[labels.reshape(-1)].unsqueeze(1)
    given = (least, gather(x, 1, labels), x, each, labels, arange(classes))
    loss = mean(_SHORT[p].call(*given), 1)
    return reduced(loss.squeeze(0) if target.ndim == 0 else loss, reduction)

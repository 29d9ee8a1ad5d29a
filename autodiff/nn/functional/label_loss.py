"""Losses of several labels, or of margins between classes, and of alignments (CTC)."""

from __future__ import annotations

import math
from typing import Any

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
from autodiff.ops.cast import to_dtype
from autodiff.ops.convert import tensor
from autodiff.ops.create import arange, full
from autodiff.ops.declare import where
from autodiff.ops.join import cat
from autodiff.ops.pointwise import PointwiseOp
from autodiff.tensor import Tensor

__all__ = [
    "ctc_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
]


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
    """Inputs of (n, classes) or (classes) as rows."""
    if input.ndim not in (1, 2) or not input.shape[-1]:
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(input.shape)}"
        )
    check_floating(name, input)
    return input.unsqueeze(0) if input.ndim == 1 else input


def _labels(target: Tensor) -> Tensor:
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {SCALAR_NAMES[target._p.dtype]}")
    return target.detach()


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
    labels = _labels(target).reshape(x.shape)
    outside = (labels < -1) | (labels >= classes)
    refuse_any(outside._p, RuntimeError, "argument #2 'target' is out of range")
    real = (labels < 0).cumsum(1) == 0
    hits = (labels.unsqueeze(2) == arange(classes)) & real.unsqueeze(2)
    others = hits.any(1).logical_not()
    own = x.gather(1, labels.clamp(min=0))
    short = (1 - own.unsqueeze(2) + x.unsqueeze(1)).clamp(min=0)
    counted = real.unsqueeze(2) & others.unsqueeze(1)
    loss = short.masked_fill(counted.logical_not(), 0.0).sum((1, 2)) / classes
    return reduced(loss.squeeze(0) if input.ndim == 1 else loss, reduction)


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
    labels = _labels(target).reshape(n, 1)
    if weight is not None and weight.shape[0] != classes:
        raise RuntimeError(
            f"inconsistent weight size, expected {classes} but got {list(weight.shape)}"
        )
    outside = (labels < 0) | (labels >= classes)
    refuse_any(outside._p, RuntimeError, "target out of range")
    short = (margin - x.gather(1, labels) + x).clamp(min=0)
    short = short if p == 1 else short * short
    short = short if weight is None else short * weight[labels.reshape(-1)].unsqueeze(1)
    loss = short.masked_fill(labels == arange(classes), 0.0).sum(1) / classes
    return reduced(loss.squeeze(0) if target.ndim == 0 else loss, reduction)


# ---- connectionist temporal classification ----

NEVER = -1e30  # the logarithm of a probability of nothing; finite, so that differences are 0
_a, _b, _c, _d, _e = inputs(5)


def _logaddexp(a: Expr, b: Expr) -> Expr:
    less = build("lt", a, b)  # one branch has all derivatives, also where both are equal
    return where(less, b, a) + build("log1p", build("exp", where(less, a - b, b - a)))


_either = PointwiseOp("ctc_either", _logaddexp(_a, _b), 2)
_step = PointwiseOp(
    "ctc_step",
    where(_e, _logaddexp(_logaddexp(_a, _b), _c) + _d, _a),
    5,
    "CtcLossBackward0",
)
_ended = PointwiseOp("ctc_end", where(build("lt", _a, NEVER / 2), math.inf, -_a), 1)


def _lengths(lengths: Any, name: str, batch: int) -> list[int]:
    if isinstance(lengths, Tensor):
        if lengths.is_floating_point() or lengths.dtype is dtypes.bool:
            raise RuntimeError(f"{name} must be integral")
        lengths = lengths.reshape(-1).tolist()
    elif isinstance(lengths, int):
        lengths = [lengths]
    if len(lengths) != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    if any(n < 0 for n in lengths):
        raise RuntimeError(f"Expected {name} to have value at least 0, but got {min(lengths)}")
    return list(lengths)


def _label_rows(targets: Tensor, lengths: list[int], blank: int, classes: int) -> list[list[int]]:
    """The labels of each sequence, between blanks, filled up with blanks."""
    longest = max(lengths, default=0)
    if targets.ndim == 1:
        flat = targets.tolist()
        if len(flat) != sum(lengths):
            raise RuntimeError(
                f"Expected tensor to have size {sum(lengths)} at dimension 0, but got size "
                f"{len(flat)} for argument #2 'targets' (while checking arguments for "
                "ctc_loss_allocate_outputs)"
            )
        ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
        rows = [flat[end - n : end] for n, end in zip(lengths, ends, strict=True)]
    else:
        if targets.shape[1] < longest:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1, but got size "
                f"{targets.shape[1]} for argument #2 'targets' (while checking arguments for "
                "ctc_loss_allocate_outputs)"
            )
        rows = [row[:n] for row, n in zip(targets.tolist(), lengths, strict=True)]
    between = []
    for row in rows:
        labels = [int(label) for label in row]
        if any(not 0 <= label < classes for label in labels):
            raise RuntimeError(f"ctc_loss: targets must be in [0, {classes}), got {labels}")
        labels += [blank] * (longest - len(labels))
        between.append([blank, *[x for label in labels for x in (label, blank)]])
    return between


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the log-probability of the targets, summed over all their alignments to the steps.

    log_probs is (steps, n, classes) or (steps, classes); targets (n, longest), or one after the
    other. The mean divides each loss by its target's length. Impossible targets cost inf, or 0 with
    gradient 0 if `zero_infinity`. The gradient is that with respect to log_probs themselves.

    >>> log_probs = ad.zeros(4, 1, 3).log_softmax(2)
    >>> F.ctc_loss(log_probs, ad.tensor([[1, 2]]), (4,), (2,))
    tensor(0.8432)
    """
    reduction = reduction_of(None, None, reduction)
    check_tensors("ctc_loss", log_probs=log_probs, targets=targets)
    check_floating("ctc_loss_cpu", log_probs)
    batched = log_probs.ndim == 3
    x = log_probs if batched else log_probs.unsqueeze(1)
    steps, batch, classes = x.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    times = _lengths(input_lengths, "input_lengths", batch)
    sizes = _lengths(target_lengths, "target_lengths", batch)
    if max(times, default=0) > steps:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {steps}, but got value {max(times)} "
            "(while checking arguments for ctc_loss_allocate_outputs)"
        )
    rows = _label_rows(targets, sizes, blank, classes)
    loss = _ctc(x, rows, times, sizes, blank)
    if zero_infinity:
        loss = loss.masked_fill(loss == math.inf, 0.0)
    if not batched:
        loss = loss.squeeze(0)
    if reduction == "mean":
        counts = tensor([max(1, n) for n in sizes], dtype=loss.dtype)
        return (loss / (counts if batched else counts.squeeze(0))).mean()
    return reduced(loss, reduction)


def _ctc(
    x: Tensor, rows: list[list[int]], times: list[int], sizes: list[int], blank: int
) -> Tensor:
    """The losses of checked arguments: the forward recursion, two impossible states in front."""
    steps, batch, _ = x.shape
    width = len(rows[0]) if rows else 1
    labels = tensor(rows, dtype=dtypes.int64).reshape(batch, width)
    scores = x.gather(2, labels.unsqueeze(0).expand(steps, batch, width))
    skips = [
        [0.0 if i > 1 and row[i] not in (blank, row[i - 2]) else NEVER for i in range(width)]
        for row in rows
    ]
    may_skip = tensor(skips, dtype=x.dtype).reshape(batch, width)
    front = full((batch, 2), NEVER, dtype=x.dtype)
    start = full((batch, width), NEVER, dtype=x.dtype)
    start[:, 0] = 0.0
    states = cat([front, start], 1)
    lengths = tensor(times, dtype=dtypes.int64).reshape(batch, 1)
    for t in range(steps):
        stay, one, two = states[:, 2:], states[:, 1:-1], states[:, :-2] + may_skip
        states = cat([front, _step.call(stay, one, two, scores[t], lengths > t)], 1)
    ends = to_dtype(tensor(sizes), dtypes.int64).reshape(batch, 1) * 2
    last, before = states.gather(1, ends + 2), states.gather(1, ends + 1)
    return _ended.call(_either.call(last, before)).squeeze(1)

"""The loss of alignments: connectionist temporal classification (Graves et al., 2006)."""

from __future__ import annotations

import math
from typing import Any

from autodiff import dtypes
from autodiff.expr import Expr, build, inputs
from autodiff.native import refuse_any
from autodiff.nn.functional.reduction import check_floating, check_tensors, reduced, reduction_of
from autodiff.ops.arithmetic import where
from autodiff.ops.convert import tensor
from autodiff.ops.create import arange, full
from autodiff.ops.declare import where as either
from autodiff.ops.join import cat
from autodiff.ops.pointwise import PointwiseOp
from autodiff.tensor import Tensor

__all__ = ["ctc_loss"]

NEVER = -1e30  # the logarithm of a probability of nothing; finite, so that differences are 0
_a, _b, _c, _d, _e = inputs(5)


def _logaddexp(a: Expr, b: Expr) -> Expr:
    less = build("lt", a, b)  # one branch has all derivatives, also where both are equal
    return either(less, b, a) + build("log1p", build("exp", either(less, a - b, b - a)))


_either = PointwiseOp("ctc_either", _logaddexp(_a, _b), 2)
_step = PointwiseOp(
    "ctc_step",
    either(_e, _logaddexp(_logaddexp(_a, _b), _c) + _d, _a),
    5,
    "CtcLossBackward0",
)
_impossible = build("lt", _a, NEVER / 2)
_finite = PointwiseOp("ctc_end", either(_impossible, math.inf, -_a), 1)
_nothing = build("exp", _a * 1e-26)  # 0 where it is impossible, else 1 and of no slope
_ended = PointwiseOp("ctc_end", either(_impossible, -build("log", _nothing), -_a), 1)


def _lengths(lengths: Any, name: str, batch: int) -> Tensor:
    """Of each sequence, as int64; RuntimeError where one is negative, or there is not one each."""
    if not isinstance(lengths, Tensor):
        given = [lengths] if isinstance(lengths, int) else list(lengths)
        lengths = tensor(given, dtype=None if given else dtypes.int64)
    if lengths.is_floating_point() or lengths.dtype is dtypes.bool:
        raise RuntimeError(f"{name} must be integral")
    found: Tensor = lengths.reshape(-1).to(dtypes.int64)
    if found._p.numel != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    _refuse(found, found < 0, f"Expected {name} to have value at least 0, but got {{n}}")
    return found


def _refuse(numbers: Tensor, wrong: Tensor, text: str) -> None:
    """RuntimeError where a number that is not 0 is wrong: {n} in the text."""
    refuse_any((numbers * wrong)._p, RuntimeError, text)


_CHECKED = " (while checking arguments for ctc_loss_allocate_outputs)"


def _label_rows(targets: Tensor, sizes: Tensor, longest: int, classes: int, blank: int) -> Tensor:
    """The labels of each sequence, (batch, longest), filled up with blanks."""
    places, labels = arange(longest), targets.to(dtypes.int64)
    there = places < sizes.unsqueeze(1)
    if targets.ndim == 1:
        count = labels._p.numel
        total, sized = sizes.sum(), f"but got size {count} for argument #2 'targets'{_CHECKED}"
        expected = "Expected tensor to have size {n} at dimension 0, "
        _refuse(total, total != count, expected + sized)
        refuse_any((total != count)._p, RuntimeError, expected.format(n=0) + sized)
        starts = (sizes.cumsum(0) - sizes).unsqueeze(1)
        labels = labels[(starts + places).clamp(max=max(count - 1, 0))] if count else there * 0
    else:
        most, width = sizes.amax() if sizes._p.numel else sizes.sum(), targets.shape[1]
        _refuse(
            most,
            most > width,
            f"Expected tensor to have size at least {{n}} at dimension 1, but got size {width} for "
            f"argument #2 'targets'{_CHECKED}",
        )
        labels = labels[:, :longest]
    wrong = there & ((labels < 0) | (labels >= classes))
    _refuse(labels, wrong, f"ctc_loss: targets must be in [0, {classes}), got {{n}}")
    rows: Tensor = where(there, labels, blank)
    return rows


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
    other. The mean divides each loss by its target's length. Impossible targets cost inf with
    gradient nan, or 0 with gradient 0 if `zero_infinity`. The gradient is that with respect to
    log_probs themselves.

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
    _refuse(
        times,
        times > steps,
        f"Expected input_lengths to have value at most {steps}, but got value {{n}}{_CHECKED}",
    )
    longest = targets.shape[1] if targets.ndim == 2 else targets._p.numel
    longest = min(longest, steps)  # what is longer than the steps is impossible
    if not isinstance(target_lengths, Tensor):
        given = [target_lengths] if isinstance(target_lengths, int) else target_lengths
        longest = min(longest, max(given, default=0))
    labels = _label_rows(targets, sizes, longest, classes, blank)
    loss = (_finite if zero_infinity else _ended).call(_ctc(x, labels, times, sizes, blank))
    if zero_infinity:
        loss = loss.masked_fill(loss == math.inf, 0.0)
    if not batched:
        loss = loss.squeeze(0)
    if reduction == "mean":
        counts = sizes.clamp(min=1).to(loss.dtype)
        return (loss / (counts if batched else counts.squeeze(0))).mean()
    return reduced(loss, reduction)


def _ctc(x: Tensor, labels: Tensor, times: Tensor, sizes: Tensor, blank: int) -> Tensor:
    """The log-probabilities of checked arguments: the recursion, two impossible states in front."""
    steps, batch, _ = x.shape
    width = 2 * labels.shape[1] + 1
    row = full((batch, width), blank)
    row[:, 1::2] = labels
    scores = x.gather(2, row.unsqueeze(0).expand(steps, batch, width))
    may_skip = full((batch, width), NEVER, dtype=x.dtype)
    may_skip[:, 2:].masked_fill_((row[:, 2:] != blank) & (row[:, 2:] != row[:, :-2]), 0.0)
    front = full((batch, 2), NEVER, dtype=x.dtype)
    start = full((batch, width), NEVER, dtype=x.dtype)
    start[:, 0] = 0.0
    states = cat([front, start], 1)
    lengths = times.unsqueeze(1)
    for t in range(steps):
        stay, one, two = states[:, 2:], states[:, 1:-1], states[:, :-2] + may_skip
        states = cat([front, _step.call(stay, one, two, scores[t], lengths > t)], 1)
    ends = (2 * sizes + 1).masked_fill(sizes > labels.shape[1], 0).unsqueeze(1)
    before, last = states.gather(1, ends), states.gather(1, ends + 1)
    return _either.call(last, before).squeeze(1)

"""The loss of alignments: connectionist temporal classification (Graves et al., 2006)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.changes import recorder_here
from autodiff.descriptor import fresh
from autodiff.expr import Expr, build, inputs
from autodiff.native import NULL, describe, descriptors, error, hold, lib, refusal, take_failure
from autodiff.nn.functional.reduction import check_tensors, reduced, reduction_of
from autodiff.node import mode
from autodiff.ops.base import OUTPUT, Op, OpNode
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import contiguous
from autodiff.ops.convert import tensor
from autodiff.ops.create import full
from autodiff.ops.declare import where as either
from autodiff.ops.gather import gather
from autodiff.ops.join import cat
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.reductions import mean
from autodiff.ops.views import expand, narrow, reshape, select, transpose
from autodiff.tensor import Tensor, own, wrap

__all__ = ["ctc_loss"]

NEVER = -1e30  # the logarithm of a probability of nothing; finite, so that differences are 0
LEAST = -80.0  # below it a power of e adds nothing, and takes longer
_a, _b, _c, _d, _e, _f = inputs(6)


def _least(a: Expr, least: float = NEVER) -> Expr:
    return either(build("lt", a, least), least, a)


def _share(apart: Expr) -> Expr:
    return either(build("lt", apart, LEAST), 0.0, build("exp", _least(apart, LEAST)))


def _logaddexp(a: Expr, b: Expr) -> Expr:
    less = build("lt", a, b)  # one branch has all derivatives, also where both are equal
    return either(less, b, a) + build("log1p", _share(either(less, a - b, b - a)))


def _shares() -> tuple[Expr, Expr, Expr]:
    """What each of the three states before it adds to one: all comes from the first at the end."""
    skipped = either(_d, _c, NEVER)
    first = either(build("lt", _a, _b), _b, _a)
    top = either(build("lt", first, skipped), skipped, first)
    here, one, two = (_share(x - top) for x in (_a, _b, skipped))
    total = here + one + two
    return either(_e, here / total, 1.0), either(_e, one / total, 0.0), either(_e, two / total, 0.0)


_step = PointwiseOp(
    "ctc_step",
    either(_f, _least(_logaddexp(_logaddexp(_a, _b), either(_e, _c, NEVER)) + _least(_d)), _a),
    6,
    "CtcLossBackward0",
)
_likely = _logaddexp(_a, _b)
_impossible = build("lt", _likely, NEVER / 2)
_nothing = build("exp", _likely * 1e-26)  # 0 where it is impossible, else 1 and of no slope
# The losses, by whether impossible ones are forgiven: their gradient is 0 then, and else nan.
_ended = {
    True: PointwiseOp("ctc_end", either(_impossible, math.inf, -_likely), 2),
    False: PointwiseOp("ctc_end", either(_impossible, -build("log", _nothing), -_likely), 2),
}
_parts = PointwiseOp("ctc_parts", _shares()[0], 5, also=_shares()[1:])
_last = {
    forgiven: PointwiseOp(
        "ctc_last", either(build("lt", _c, math.inf), -_share(_b + _c) * _a, slope), 3
    )
    for forgiven, slope in ((True, 0.0), (False, math.nan))
}
_back = PointwiseOp("ctc_back", _a * _d + _b * _e + _c * _f, 6)
_by_length = PointwiseOp("ctc_by_length", _a / build("maximum", _b, 1), 2)
_sent = PointwiseOp("ctc_sent", either(_c, either(build("lt", _b, NEVER), 0.0, _a), 0.0), 3)


def _of_ints(given: list[Any]) -> Tensor | None:
    """The tensor of them, in a third of the time that others take; None where some are no ints."""
    if {*map(type, given)} != {int}:
        return None
    try:
        return own(lib.ad_values_i64(_INT64, 1, [len(given)], len(given), given), "ctc_loss")
    except OverflowError:
        return None


def _lengths(lengths: Any, name: str, batch: int) -> Tensor:
    """Of each sequence, as int64; RuntimeError where there is not one each."""
    if not isinstance(lengths, Tensor):
        given = [lengths] if isinstance(lengths, int) else list(lengths)
        lengths = _of_ints(given)
        if lengths is None:
            lengths = tensor(given, dtype=None if given else dtypes.int64)
    if lengths._p.dtype != _INT64 or lengths._p.ndim != 1:
        if lengths.is_floating_point() or lengths.dtype is dtypes.bool:
            raise RuntimeError(f"{name} must be integral")
        lengths = to_dtype(reshape(lengths, -1), dtypes.int64)
    if lengths._p.numel != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    return contiguous(lengths)


_INT64 = dtypes.int64.code
_TAKEN = (dtypes.float32.code, dtypes.float64.code)
_REASONS = list(range(6))


def _refusals(steps: int, classes: int, targets: Any) -> list[str]:
    """What is wrong with lengths or targets, in the order of native reasons."""
    asked = " (while checking arguments for ctc_loss_allocate_outputs)"
    width = targets.shape[targets.ndim - 1]
    named = f"but got size {width} for argument #2 'targets'{asked}"
    return [
        "Expected input_lengths to have value at least 0, but got {n}",
        "Expected target_lengths to have value at least 0, but got {n}",
        f"Expected input_lengths to have value at most {steps}, but got value {{n}}{asked}",
        f"Expected tensor to have size {{n}} at dimension 0, {named}",
        f"Expected tensor to have size at least {{n}} at dimension 1, {named}",
        f"ctc_loss: targets must be in [0, {classes}), got {{n}}",
    ]


def _states(
    x: Tensor, targets: Tensor, times: Tensor, sizes: Tensor, longest: int, blank: int
) -> list[Tensor]:
    """The labels between blanks, which may be skipped to, what steps there are, the last states."""
    labels = contiguous(to_dtype(targets, dtypes.int64))._p
    steps, _, classes = x.shape
    reasons = _REASONS
    if recorder_here():
        texts = _refusals(steps, classes, labels)
        reasons = [refusal(RuntimeError, text) for text in texts]
    outs, given = descriptors([NULL] * 4), (labels, times._p, sizes._p)
    if lib.ad_ctc_states(*given, steps, longest, classes, blank, reasons, outs):
        failure = status, reason, _, n = take_failure()
        if status == lib.AD_REFUSED and not recorder_here():
            raise RuntimeError(_refusals(steps, classes, labels)[reason].format(n=n))
        raise describe(failure, "ctc_loss", *given)
    return [wrap(hold(p)) for p in outs]


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
    if log_probs._p.dtype not in _TAKEN:
        raise NotImplementedError(f'"ctc_loss_cpu" not implemented for {log_probs.dtype.title!r}')
    batched = log_probs.ndim == 3
    x = log_probs if batched else log_probs.unsqueeze(1)
    steps, batch, classes = x.shape
    if not x._p.numel:
        raise RuntimeError("log_probs tensor must not be empty")
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    times = _lengths(input_lengths, "input_lengths", batch)
    sizes = _lengths(target_lengths, "target_lengths", batch)
    longest = targets.shape[1] if targets.ndim == 2 else targets._p.numel
    longest = min(longest, steps)  # what is longer than the steps is impossible
    if not isinstance(target_lengths, Tensor):
        given = [target_lengths] if isinstance(target_lengths, int) else target_lengths
        longest = min(longest, max(0, *given)) if given else 0
    forgives = bool(zero_infinity)
    states = _states(x, targets, times, sizes, longest, blank)
    loss = _op.on([x, *states], _Chart(forgives))
    if zero_infinity:
        loss = loss.masked_fill(loss == math.inf, 0.0)
    if not batched:
        loss = loss.squeeze(0)
    if reduction == "mean":
        return mean(_by_length.call(loss, sizes if batched else sizes.squeeze(0)))
    return reduced(loss, reduction)


# ---- the recursion: states (2 + width, batch), of which two in front are impossible ----


class _Chart:
    """The states of all steps, which the way back needs, and the scores of the labels."""

    __slots__ = ("forgives", "scores", "states")
    scores: Any
    states: Any

    def __init__(self, forgives: bool) -> None:
        self.forgives = forgives


def _part(p: Any, step: int, row: int, shape: Sequence[int]) -> Any:
    """Of all states (steps, rows, batch) those of a shape, from a step and a row on."""
    rows, batch = p.shape[1], shape[2]
    start = (step * rows + row) * batch
    part = lib.ad_as_strided(p, 3, shape, (rows * batch, batch, 1), start)
    return fresh(part, "ctc_loss", p)


def _full(like: Any, value: float, *shape: int) -> Any:
    return fresh(lib.ad_full_f64(like.dtype, len(shape), shape, value), "ctc_loss")


def _scores(x: Tensor, row: Tensor) -> Tensor:
    """Of each step the logarithms of the labels' probabilities, (steps, width, batch)."""
    return gather(transpose(x, 1, 2), 1, expand(row, [x.shape[0], *row.shape]))


def _forward(x: Any, row: Any, may_skip: Any, there: Any, ends: Any, chart: _Chart) -> Any:
    losses = lib.ad_ctc_chart(x, row, may_skip, there, ends)
    if losses:
        chart.scores, chart.states = lib.ad_next(), lib.ad_next()
    return losses


def _losses(states: Tensor, ends: Tensor, chart: _Chart) -> Tensor:
    before, last = gather(states, 0, ends).unbind()
    return _ended[chart.forgives].call(last, before)


def _add(x: Tensor, dim: int, places: Any, values: Tensor) -> None:
    if lib.ad_scatter_add(x._p, dim, places, values._p):
        raise error("ctc_loss", x._p, values._p)


def _sweep(node: OpNode, g: Tensor) -> tuple[Tensor | None, ...]:
    """The cotangents of all states, the last first: each sends shares to those that led to it."""
    chart: _Chart = node.args[0]
    _, row, may_skip, there, ends, y = node.unpack()
    scores, states = chart.scores, chart.states
    steps, width, batch = shape = tuple(scores.shape[0:3])
    shares = [_full(g._p, 0, steps, 2 + width, batch) for _ in range(3)]
    before = [_part(states, 0, at, shape) for at in (2, 1, 0)]
    _parts.write_all([*before, may_skip, there], [_part(p, 0, 0, shape) for p in shares])
    last = gather(select(wrap(states), 0, steps), 0, wrap(ends))
    ended = _last[chart.forgives].call(g, last, wrap(y))
    sums = _full(g._p, 0, steps + 1, 4 + width, batch)
    _add(select(wrap(sums), 0, steps), 0, ends, ended)
    later = [_part(sums, 1, at, shape) for at in (2, 3, 4)]
    sent = [_part(p, 0, at, shape) for at, p in enumerate(shares)]
    _back.write_steps([*later, *sent], _part(sums, 0, 2, shape), True)
    found = wrap(_full(g._p, 0, *node.shape))
    places = expand(wrap(row), (steps, width, batch))._p
    _add(transpose(found, 1, 2), 1, places, _sent.call(*map(wrap, (later[0], scores, there))))
    return found, None, None, None, None


def _rule(node: OpNode, g: Tensor, *saved: Tensor) -> Sequence[Tensor | None]:
    if not mode.grad:  # a walk to chosen inputs, that records nothing
        return _sweep(node, g)
    composed = functools.partial(_composed, node.args[0])
    return cotangents_of(composed, node, g, saved[:-1])


def _composed(
    chart: _Chart, x: Tensor, row: Tensor, may_skip: Tensor, there: Tensor, ends: Tensor
) -> Tensor:
    """The losses by differentiable operations, a step after the other."""
    front = full((2, x.shape[1]), NEVER, dtype=x.dtype)
    states = full((2 + row.shape[0], x.shape[1]), NEVER, dtype=x.dtype)
    states[2] = 0.0
    n = row.shape[0]
    for score, is_there in zip(_scores(x, row).unbind(), there.unbind(), strict=True):
        before = [narrow(states, 0, at, n) for at in (2, 1, 0)]
        states = cat([front, _step.call(*before, score, may_skip, is_there)])
    return _losses(states, ends, chart)


_op: Op = Op(
    "ctc_loss",
    _forward,
    _rule,
    saves=(0, 1, 2, 3, 4, OUTPUT),
    grad_name="CtcLossBackward0",
    sweep=_sweep,
)

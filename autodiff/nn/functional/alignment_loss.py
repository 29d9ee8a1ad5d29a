"""The loss of alignments: connectionist temporal classification (Graves et al., 2006)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from autodiff import dtypes
from autodiff.descriptor import fresh
from autodiff.expr import Expr, build, inputs
from autodiff.native import error, lib, refuse_any
from autodiff.nn.functional.reduction import check_floating, check_tensors, reduced, reduction_of
from autodiff.node import mode
from autodiff.ops.arithmetic import where
from autodiff.ops.base import OUTPUT, Op, OpNode
from autodiff.ops.convert import tensor
from autodiff.ops.create import arange, full
from autodiff.ops.declare import where as either
from autodiff.ops.gather import gather
from autodiff.ops.join import cat, stack
from autodiff.ops.numbers import number_of
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.recompute import cotangents_of
from autodiff.ops.reductions import mean
from autodiff.ops.views import expand, narrow, select, transpose
from autodiff.tensor import Tensor, wrap

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
_either = PointwiseOp("ctc_either", _logaddexp(_a, _b), 2)
_impossible = build("lt", _a, NEVER / 2)
_nothing = build("exp", _a * 1e-26)  # 0 where it is impossible, else 1 and of no slope
# The losses, by whether impossible ones are forgiven: their gradient is 0 then, and else nan.
_ended = {
    True: PointwiseOp("ctc_end", either(_impossible, math.inf, -_a), 1),
    False: PointwiseOp("ctc_end", either(_impossible, -build("log", _nothing), -_a), 1),
}
_parts = PointwiseOp("ctc_parts", _shares()[0], 5, also=_shares()[1:])
_last = {
    forgiven: PointwiseOp(
        "ctc_last", either(build("lt", _c, math.inf), -_share(_b + _c) * _a, slope), 3
    )
    for forgiven, slope in ((True, 0.0), (False, math.nan))
}
_back = PointwiseOp("ctc_back", _a * _d + _b * _e + _c * _f, 6)
# Of integers: those that are wrong, else 0; where a state may be skipped; the last states.
_below = PointwiseOp("ctc_below", either(build("lt", _a, 0), _a, 0), 1)
_above = PointwiseOp("ctc_above", either(build("gt", _a, _b), _a, 0), 2)
_outside = build("logical_or", build("lt", _b, 0), build("ge", _b, _c))
_no_label = PointwiseOp("ctc_no_label", either(build("logical_and", _a, _outside), _b, 0), 3)
_skips = PointwiseOp("ctc_skips", build("logical_and", build("ne", _a, _c), build("ne", _a, _b)), 3)
_ends = PointwiseOp("ctc_ends", either(build("gt", _a, _b), 0, _a * 2 + 1), 2)
_by_length = PointwiseOp("ctc_by_length", _a / build("maximum", _b, 1), 2)
_sent = PointwiseOp("ctc_sent", either(_c, either(build("lt", _b, NEVER), 0.0, _a), 0.0), 3)


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
    _refuse(_below.call(found), f"Expected {name} to have value at least 0, but got {{n}}")
    return found


def _refuse(wrong: Tensor, text: str) -> None:
    """RuntimeError where a number is not 0: {n} in the text."""
    refuse_any(wrong._p, RuntimeError, text)


_CHECKED = " (while checking arguments for ctc_loss_allocate_outputs)"


def _label_rows(targets: Tensor, sizes: Tensor, longest: int, classes: int, blank: int) -> Tensor:
    """The labels of each sequence, (batch, longest), filled up with blanks."""
    places, labels = arange(longest), targets.to(dtypes.int64)
    there = places < sizes.unsqueeze(1)
    if targets.ndim == 1:
        count = labels._p.numel
        total, sized = sizes.sum(), f"but got size {count} for argument #2 'targets'{_CHECKED}"
        expected = "Expected tensor to have size {n} at dimension 0, "
        _refuse(total * (total != count), expected + sized)
        refuse_any((total != count)._p, RuntimeError, expected.format(n=0) + sized)
        starts = (sizes.cumsum(0) - sizes).unsqueeze(1)
        labels = labels[(starts + places).clamp(max=max(count - 1, 0))] if count else there * 0
    else:
        most, width = sizes.amax() if sizes._p.numel else sizes.sum(), targets.shape[1]
        _refuse(
            _above.call(most, number_of(width)),
            f"Expected tensor to have size at least {{n}} at dimension 1, but got size {width} for "
            f"argument #2 'targets'{_CHECKED}",
        )
        labels = labels[:, :longest]
    wrong = _no_label.call(there, labels, number_of(classes))
    _refuse(wrong, f"ctc_loss: targets must be in [0, {classes}), got {{n}}")
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
    if not x._p.numel:
        raise RuntimeError("log_probs tensor must not be empty")
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    times = _lengths(input_lengths, "input_lengths", batch)
    sizes = _lengths(target_lengths, "target_lengths", batch)
    _refuse(
        _above.call(times, number_of(steps)),
        f"Expected input_lengths to have value at most {steps}, but got value {{n}}{_CHECKED}",
    )
    longest = targets.shape[1] if targets.ndim == 2 else targets._p.numel
    longest = min(longest, steps)  # what is longer than the steps is impossible
    if not isinstance(target_lengths, Tensor):
        given = [target_lengths] if isinstance(target_lengths, int) else target_lengths
        longest = min(longest, max(given, default=0))
    labels = _label_rows(targets, sizes, longest, classes, blank)
    loss = _ctc(x, labels, times, sizes, blank, bool(zero_infinity))
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


def _part(p: Any, step: int, row: int, like: Any) -> Any:
    """So many steps and rows of all states (steps, rows, batch), from these on."""
    rows, batch = p.shape[1], p.shape[2]
    shape, start = (like.shape[0], like.shape[1], batch), (step * rows + row) * batch
    part = lib.ad_as_strided(p, 3, shape, (rows * batch, batch, 1), start)
    return fresh(part, "ctc_loss", p)


def _full(like: Any, value: float, *shape: int) -> Any:
    return fresh(lib.ad_full_f64(like.dtype, len(shape), shape, value), "ctc_loss")


def _scores(x: Tensor, row: Tensor) -> Tensor:
    """Of each step the logarithms of the labels' probabilities, (steps, width, batch)."""
    return gather(transpose(x, 1, 2), 1, expand(row, [x.shape[0], *row.shape]))


def _forward(x: Any, row: Any, may_skip: Any, there: Any, ends: Any, chart: _Chart) -> Any:
    scores = chart.scores = _scores(wrap(x), wrap(row))._p
    steps, width, batch = scores.shape[0:3]
    first = _full(x, 0, 1, 1, batch)
    states = chart.states = _full(x, NEVER, steps + 1, 2 + width, batch)
    lib.ad_copy(_part(states, 0, 2, first), first)
    before = [_part(states, 0, at, scores) for at in (2, 1, 0)]
    skips = expand(wrap(may_skip), (steps, width, batch))._p
    _step.write_steps([*before, scores, skips, there], _part(states, 1, 2, scores))
    return lib.ad_alias(_losses(select(wrap(states), 0, steps), wrap(ends), chart)._p)


def _losses(states: Tensor, ends: Tensor, chart: _Chart) -> Tensor:
    before, last = gather(states, 0, ends).unbind()
    return _ended[chart.forgives].call(_either.call(last, before))


def _add(x: Tensor, dim: int, places: Any, values: Tensor) -> None:
    if lib.ad_scatter_add(x._p, dim, places, values._p):
        raise error("ctc_loss", x._p, values._p)


def _sweep(node: OpNode, g: Tensor) -> tuple[Tensor | None, ...]:
    """The cotangents of all states, the last first: each sends shares to those that led to it."""
    chart: _Chart = node.args[0]
    _, row, may_skip, there, ends, y = node.unpack()
    scores, states = chart.scores, chart.states
    steps, width, batch = scores.shape[0:3]
    shares = [_full(g._p, 0, steps, 2 + width, batch) for _ in range(3)]
    before = [_part(states, 0, at, scores) for at in (2, 1, 0)]
    _parts.write_all([*before, may_skip, there], [_part(p, 0, 0, scores) for p in shares])
    last = gather(select(wrap(states), 0, steps), 0, wrap(ends))
    ended = _last[chart.forgives].call(g, last, wrap(y))
    sums = _full(g._p, 0, steps + 1, 4 + width, batch)
    _add(select(wrap(sums), 0, steps), 0, ends, ended)
    later = [_part(sums, 1, at, scores) for at in (2, 3, 4)]
    sent = [_part(p, 0, at, scores) for at, p in enumerate(shares)]
    _back.write_steps([*later, *sent], _part(sums, 0, 2, scores), True)
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


def _ctc(
    x: Tensor, labels: Tensor, times: Tensor, sizes: Tensor, blank: int, forgives: bool
) -> Tensor:
    """The losses of checked arguments."""
    row = full((2 * labels.shape[1] + 1, x.shape[1]), blank)
    row[1::2] = labels.t()
    may_skip = _skips.call(row, row.roll(2, 0), number_of(blank))
    there = arange(x.shape[0]).view(-1, 1, 1) < expand(times, row.shape)
    last = _ends.call(sizes, number_of(labels.shape[1]))
    return _op.on([x, row, may_skip, there, stack([last, last + 1])], _Chart(forgives))

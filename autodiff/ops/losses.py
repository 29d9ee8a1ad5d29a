"""Losses: those of elements, reduced; the negative log-likelihood of classes; cross-entropy."""

from __future__ import annotations

from typing import Any, NamedTuple

from autodiff.dtypes import FLOATS
from autodiff.expr import build, inputs
from autodiff.native import NULL, error, ffi, lib
from autodiff.ops import loss_terms
from autodiff.ops.base import Op, OpNode, fresh
from autodiff.ops.create import arange, ones
from autodiff.ops.declare import where
from autodiff.ops.elementwise import div, mul
from autodiff.ops.gather import Indices, _get
from autodiff.ops.normalize import _softmax_vjp, softmax
from autodiff.ops.pointwise import PointwiseOp, number
from autodiff.ops.reduced import ReducedLoss, reduce_all
from autodiff.ops.views import unsqueeze, zeros_p
from autodiff.tensor import Tensor, wrap

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber",
    "mse",
    "nll",
    "smooth_l1",
    "soft_margin",
]


def _weighted(term: PointwiseOp) -> ReducedLoss:
    """The loss multiplied by a weight, its last operand."""
    n = term.n_in
    *xs, weight = inputs(n + 1)
    name = f"weighted_{term.name}"
    return ReducedLoss(PointwiseOp(name, build(term.name, *xs) * weight, n + 1, term.grad_name))


mse = ReducedLoss(loss_terms.squared_error)
smooth_l1 = ReducedLoss(loss_terms.smooth_l1)
huber = ReducedLoss(loss_terms.huber)
soft_margin = ReducedLoss(loss_terms.soft_margin)
# By whether there is a weight.
binary_cross_entropy = {
    False: ReducedLoss(loss_terms.binary_cross_entropy),
    True: _weighted(loss_terms.binary_cross_entropy),
}
# By whether there is a weight of positives, and of elements.
binary_cross_entropy_with_logits = {
    (False, False): ReducedLoss(loss_terms.binary_cross_entropy_with_logits),
    (False, True): _weighted(loss_terms.binary_cross_entropy_with_logits),
    (True, False): ReducedLoss(loss_terms.binary_cross_entropy_with_pos_weight),
    (True, True): _weighted(loss_terms.binary_cross_entropy_with_pos_weight),
}

# ---- negative log-likelihood: for each row, minus its element of the target class ----


class Picks(NamedTuple):
    """Which elements of the rows a loss is made of, and how they add up."""

    at: tuple[Tensor, Tensor]  # rows and classes
    weights: Tensor  # of the rows; 0 leaves a row out
    total: Tensor | None  # what the sum is divided by, for a mean
    reduced: bool


# A target as an index: 0 where it is ignored; past the end where it is negative, so refused.
_g, _x, _t = inputs(3)
_class = PointwiseOp(
    "nll_class", where(build("eq", _g, _x), 0, where(build("lt", _g, 0), _t, _g)), 3
)
_kept = {d: PointwiseOp("nll_kept", build("ne", _g, _x).to(d), 2) for d in FLOATS}
_weigh = PointwiseOp("nll_weigh", where(build("eq", _x, 0), 0.0, -_g * _x), 2)


def _picks(
    rows: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Picks:
    ignored = number(ignore_index)
    classes = _class.call(target, ignored, number(rows._p.shape[1]))
    weights = _kept[rows.dtype].call(target, ignored)
    if weight is not None:
        weights = mul.call(weights, _get(weight.detach(), Indices([classes])))
    total = weights.sum() if reduction == "mean" else None
    return Picks((arange(target._p.numel), classes), weights, total, reduction != "none")


def _nll_forward(p: Any, pick: Picks) -> Any:
    at = [x._p for x in pick.at]
    found = fresh(lib.ad_index_get(p, 0, 2, at), "nll_loss", p)
    each = _weigh.call(wrap(found), pick.weights)._p
    if not pick.reduced:
        return lib.ad_alias(each)
    if pick.total is None:
        return reduce_all("sum", each)
    return lib.ad_alias(div.call(wrap(fresh(reduce_all("sum", each), "sum")), pick.total)._p)


def _nll_spread_forward(g: Any, pick: Picks, shape: Any) -> Any:
    scaled = g if pick.total is None else div.call(wrap(g), pick.total)._p
    values = _weigh.call(wrap(scaled), pick.weights)._p
    z = zeros_p(g.dtype, shape)
    if lib.ad_index_put(z, 0, 2, [x._p for x in pick.at], values, 0):
        raise error("nll_loss", z, values)
    return lib.ad_alias(z)


# Each is linear, and the other's adjoint.
_nll = Op("nll_loss", _nll_forward, lambda node, g: (_nll_spread(g, node.args[0], node.shape),))
_nll_spread: Op = Op(
    "nll_loss_spread",
    _nll_spread_forward,
    lambda node, g: (_nll(g, node.args[0]),),
    grad_name="NllLossBackwardBackward0",
    shaped=False,
)


def nll(
    rows: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """For rows (m, classes) and int64 targets (m): minus the elements of the target classes.

    Weighted by class; their sum, their mean by weight, or each. IndexError out of bounds.
    """
    try:
        return _nll(rows, _picks(rows, target, weight, ignore_index, reduction))
    except IndexError:
        raise _out_of_bounds(rows, target, ignore_index) from None


def _out_of_bounds(rows: Tensor, target: Tensor, ignore_index: int) -> IndexError:
    count = rows.shape[1]
    worst = next(t for t in target.tolist() if t != ignore_index and not 0 <= t < count)
    return IndexError(f"Target {worst} is out of bounds.")


# ---- cross-entropy: softmax, its logarithm and the negative log-likelihood in one ----


class Classes:
    """How the classes of targets count, with a copy of their weights."""

    __slots__ = ("args", "ignored", "reduction", "saved", "weight")
    saved: Any  # of each row: its largest logit, and the sum of exponentials less that

    def __init__(self, weight: Tensor | None, ignored: int, reduction: str) -> None:
        self.weight = None if weight is None else weight.detach().clone().contiguous()
        self.ignored = ignored
        self.reduction = reduction
        given = NULL if self.weight is None else self.weight._p
        self.args = (given, ignored, _REDUCTIONS[reduction])


_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}
# Of a cotangent, a row's weight and the sum of the weights: 0 where the row counts for nothing.
_row_share = PointwiseOp("nll_row_share", where(build("eq", _x, 0), 0.0, _g * _x / _t), 3)


def _cross_entropy_forward(p: Any, target: Any, classes: Classes) -> Any:
    saved = ffi.new("ad_tensor **")
    loss = lib.ad_cross_entropy(p, target, *classes.args, saved)
    if loss:
        classes.saved = fresh(saved[0], "cross_entropy")
    return loss


def _cross_entropy_rule(
    node: OpNode, g: Tensor, x: Tensor, target: Tensor
) -> tuple[Tensor, Tensor | None]:
    return _cross_entropy_vjp.on((g, x, target), node.args[0]), None


def _cross_entropy_vjp_forward(g: Any, x: Any, target: Any, classes: Classes) -> Any:
    return lib.ad_cross_entropy_vjp(g, x, target, *classes.args, classes.saved)


def _cross_entropy_vjp_rule(
    node: OpNode, h: Tensor, g: Tensor, x: Tensor, target: Tensor
) -> tuple[Tensor, Tensor, None]:
    """Of g w (softmax(x) - [the target]): linear in g; in x, the vjp of softmax."""
    classes: Classes = node.args[0]
    slopes = _cross_entropy_vjp.on((ones(g.shape, dtype=g.dtype), x, target), classes)
    products = mul.call(h, slopes)
    dg = products.sum(1) if classes.reduction == "none" else products.sum()
    pick = _picks(x, target, classes.weight, classes.ignored, classes.reduction)
    scale = _row_share.call(g, pick.weights, number(1.0) if pick.total is None else pick.total)
    share = softmax(x, 1)
    return dg, _softmax_vjp.on((share, mul.call(h, unsqueeze(scale, 1))), 2), None


_cross_entropy = Op(
    "cross_entropy",
    _cross_entropy_forward,
    _cross_entropy_rule,
    saves=(0, 1),
    shaped=False,
    grad_name="NllLossBackward0",
)
_cross_entropy_vjp: Op = Op(
    "cross_entropy_vjp",
    _cross_entropy_vjp_forward,
    _cross_entropy_vjp_rule,
    saves=(0, 1, 2),
    shaped=False,
    grad_name="NllLossBackwardBackward0",
)


def cross_entropy(
    rows: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """`nll` of the logarithm of the rows' softmax."""
    try:
        classes = Classes(weight, ignore_index, reduction)
        target = target if target._p.contiguous else target.contiguous()
        return _cross_entropy.on((rows, target), classes)
    except IndexError:
        raise _out_of_bounds(rows, target, ignore_index) from None

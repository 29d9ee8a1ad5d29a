"""Losses: those of elements, reduced; and the negative log-likelihood of classes."""

from __future__ import annotations

from typing import Any, NamedTuple

from autodiff.dtypes import float32, float64
from autodiff.expr import build, inputs
from autodiff.native import error, lib
from autodiff.ops import loss_terms
from autodiff.ops.base import Op, fresh
from autodiff.ops.create import arange
from autodiff.ops.declare import where
from autodiff.ops.elementwise import div, mul
from autodiff.ops.gather import Indices, _get
from autodiff.ops.pointwise import PointwiseOp, number
from autodiff.ops.reduced import ReducedLoss, reduce_all
from autodiff.ops.views import zeros_p
from autodiff.tensor import Tensor, wrap

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
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
_kept = {d: PointwiseOp("nll_kept", build("ne", _g, _x).to(d), 2) for d in (float32, float64)}
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
    found = fresh(lib.ad_index_get(p, 2, at), "nll_loss", p)
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
    if lib.ad_index_put(z, 2, [x._p for x in pick.at], values, 0):
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
        count = rows.shape[1]
        worst = next(t for t in target.tolist() if t != ignore_index and not 0 <= t < count)
        raise IndexError(f"Target {worst} is out of bounds.") from None

"""Losses: those of elements, reduced; the negative log-likelihood of classes; cross-entropy."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import FLOATS
from autodiff.expr import build, inputs
from autodiff.native import NULL, describe, lib, take_failure
from autodiff.node import mode
from autodiff.ops import loss_terms
from autodiff.ops.base import Op, OpNode
from autodiff.ops.create import ones
from autodiff.ops.declare import where
from autodiff.ops.elementwise import mul
from autodiff.ops.gather import index_along
from autodiff.ops.normalize import _softmax_vjp, softmax
from autodiff.ops.numbers import number
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reduced import ReducedLoss
from autodiff.tensor import Tensor, own, tensor_of


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


class Classes:
    """How the classes of targets count, with a copy of their weights."""

    __slots__ = ("args", "ignored", "reduction", "weight")
    args: tuple[Any, int, int]

    def __init__(self, weight: Tensor | None, ignored: int, reduction: str) -> None:
        self.weight, given = None, NULL
        if weight is not None:
            given = weight._p
            self.weight = own(lib.ad_contiguous(given, given.dtype), "nll_loss", given)
            given = self.weight._p
        self.ignored = ignored
        self.reduction = reduction
        self.args = (given, ignored, REDUCTIONS[reduction])


REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}
IGNORED = -100  # the class that mostly is


def _nll_spread_forward(g: Any, target: Any, classes: Classes, shape: Any) -> Any:
    return lib.ad_nll_spread(g, target, *classes.args, len(shape), shape)


# Each is linear, and the other's adjoint.
_nll = Op("nll_loss", lambda p, target, classes: lib.ad_nll(p, target, *classes.args),
        lambda node, g, target: (_nll_spread.on((g, target), node.args[0], node.shape), None),
        saves=(1,))  # fmt: skip
_nll_spread: Op = Op("nll_loss_spread", _nll_spread_forward,
        lambda node, g, target: (_nll.on((g, target), node.args[0]), None), saves=(1,),
        grad_name="NllLossBackwardBackward0", shaped=False)  # fmt: skip


def _of_targets(
    op: Op, rows: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """Of (n, classes, ...) and int64 targets (n, ...): minus the logarithms of the target classes.

    Weighted by class; their sum, their mean by weight, or each. IndexError out of bounds.
    """
    if weight is not None and weight.requires_grad and mode.grad:
        raise RuntimeError(
            f"The function '{op.name}' is not differentiable with respect to argument 'weight'. "
            "This input cannot have requires_grad True: give weight.detach()."
        )
    classes = Classes(weight, ignore_index, reduction)
    given = [rows, target if target._p.contiguous else target.contiguous()]
    p = op.forward(rows._p, given[1]._p, classes)
    if not p:
        failure = take_failure()
        if failure[0] == lib.AD_BAD_INDEX:  # as the kernel saw it, whoever writes to it now
            raise IndexError(f"Target {failure[1]} is out of bounds.")
        raise describe(failure, op.public, *(x._p for x in given))
    if op is _cross_entropy:  # each row's largest logit, and the sum of exponentials less that
        given.append(tensor_of(lib.ad_next()))
    return op.result_of(given, p, (classes,))


# ---- cross-entropy: softmax, its logarithm and nll in one ----


# A target as an index: 0 where it is ignored.
_g, _x, _t = inputs(3)
_class = PointwiseOp("nll_class", where(build("eq", _g, _x), 0, _g), 2)
_kept = {d: PointwiseOp("nll_kept", build("ne", _g, _x).to(d), 2) for d in FLOATS}
# Of a cotangent, a row's weight and the sum of the weights: 0 where the row counts for nothing.
_row_share = PointwiseOp("nll_row_share", where(build("eq", _x, 0), 0.0, _g * _x / _t), 3)


def _cross_entropy_sweep(node: OpNode, g: Tensor) -> tuple[Tensor, None, None]:
    x, target, kept = node.unpack()
    p = lib.ad_cross_entropy_vjp(g._p, x, target, kept, *node.args[0].args)
    return own(p, "cross_entropy_vjp", g._p, x, target), None, None


def _row_weights(x: Tensor, target: Tensor, classes: Classes) -> Tensor:
    """What rows count for: 0 leaves one out."""
    target, ignored = target.reshape(-1), number(classes.ignored)
    weights = _kept[x.dtype].call(target, ignored)
    if classes.weight is None:
        return weights
    return mul.call(weights, index_along(classes.weight, 0, _class.call(target, ignored)))


def _cross_entropy_vjp_rule(
    node: OpNode, h: Tensor, g: Tensor, x: Tensor, target: Tensor, kept: Tensor
) -> tuple[Tensor, Tensor, None, None]:
    """Of g w (softmax(x) - [the target]): linear in g; in x, the vjp of softmax."""
    classes: Classes = node.args[0]
    slopes = _cross_entropy_vjp.on((ones(g.shape, dtype=g.dtype), x, target, kept), classes)
    products = mul.call(h, slopes)
    dg = products.sum(1).reshape(g.shape) if classes.reduction == "none" else products.sum()
    weights = _row_weights(x, target, classes)
    total = weights.sum() if classes.reduction == "mean" else number(1.0)
    scale = _row_share.call(g.reshape(-1), weights, total).reshape(x.shape[0], 1, *x.shape[2:])
    share = softmax(x, 1)
    return dg, _softmax_vjp.on((share, mul.call(h, scale)), 2), None, None


_cross_entropy = Op("cross_entropy",
        lambda p, target, classes: lib.ad_cross_entropy(p, target, *classes.args),
        lambda node, g, *saved: (_cross_entropy_vjp.on((g, *saved), node.args[0]), None, None),
        saves=(0, 1, 2), shaped=False, grad_name="NllLossBackward0",
        sweep=_cross_entropy_sweep)  # fmt: skip
_cross_entropy_vjp: Op = Op("cross_entropy_vjp",
        lambda g, x, target, kept, classes: lib.ad_cross_entropy_vjp(
            g, x, target, kept, *classes.args),
        _cross_entropy_vjp_rule, saves=(0, 1, 2, 3), shaped=False,
        grad_name="NllLossBackwardBackward0")  # fmt: skip

# By reduction, of rows, targets and None: the losses without weights at once, or None.
_PLAIN = {name: Classes(None, IGNORED, name) for name in REDUCTIONS}
nll_at_once = {
    name: _nll.direct(lib.ad_nll, *classes.args[1:], always=(classes,))
    for name, classes in _PLAIN.items()
}
cross_entropy_at_once = {
    name: _cross_entropy.direct(
        lib.ad_cross_entropy, *classes.args[1:], always=(classes,), beside=True
    )
    for name, classes in _PLAIN.items()
}


# Functions, not `partial`: a batch of samples (`func.vmap`) meets them by their code.


def nll(
    rows: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """`_of_targets` of logarithms that are given."""
    return _of_targets(_nll, rows, target, weight, ignore_index, reduction)


def cross_entropy(
    rows: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str
) -> Tensor:
    """`_of_targets` of the logarithms of the rows' softmax."""
    return _of_targets(_cross_entropy, rows, target, weight, ignore_index, reduction)

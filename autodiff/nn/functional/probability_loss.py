"""Losses of probabilities, of their logarithms, and of their logits."""

from __future__ import annotations

import math
import warnings

from autodiff.expr import build, inputs
from autodiff.grad_mode import no_grad
from autodiff.native import refuse_any
from autodiff.nn.functional.reduction import (
    check_constant,
    check_floating,
    check_tensors,
    in_dtype_of,
    reduced,
    reduction_of,
)
from autodiff.ops import loss_terms, losses
from autodiff.ops.pointwise import PointwiseOp
from autodiff.tensor import Tensor

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "kl_div",
    "poisson_nll_loss",
]  # fmt: skip

(_x,) = inputs(1)
_no_probability = PointwiseOp(
    "no_probability",
    build("logical_not", build("logical_and", build("le", 0, _x), build("le", _x, 1))),
    1,
)


def _check_probabilities(what: str, x: Tensor) -> None:
    outside = _no_probability.call(x)
    refuse_any(outside._p, RuntimeError, f"all elements of {what} should be between 0 and 1")


def _broadcast_weight(weight: Tensor, like: Tensor) -> Tensor:
    """A weight in the dtype and shape of what it multiplies; RuntimeError where it does not fit."""
    return weight.to(like.dtype).expand(like.shape)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """-(target log(input) + (1 - target) log(1 - input)) times the weight: mean, sum or each.

    Logarithms end at -100. RuntimeError for elements outside [0, 1] or another dtype of target.

    >>> F.binary_cross_entropy(ad.tensor([0.5, 0.5]), ad.tensor([0.0, 1.0]))
    tensor(0.6931)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("binary_cross_entropy", input=input, target=target)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape!r}) that is different to the input size "
            f"({input.shape!r}) is deprecated. Please ensure they have the same size."
        )
    check_constant("binary_cross_entropy", weight=weight)
    check_floating("binary_cross_entropy", input)
    if target.dtype is not input.dtype:
        raise RuntimeError(f"Found dtype {target.dtype.title} but expected {input.dtype.title}")
    _check_probabilities("input", input)
    _check_probabilities("target", target)
    loss = losses.binary_cross_entropy[weight is not None]
    if weight is None:
        return loss(reduction, input, target)
    return loss(reduction, input, target, _broadcast_weight(weight, input))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """binary_cross_entropy of sigmoid(input), exact for logits of any size: mean, sum or each.

    pos_weight multiplies what positives (target 1) cost, weight each loss; both broadcast.

    >>> F.binary_cross_entropy_with_logits(ad.zeros(2), ad.tensor([0.0, 1.0]))
    tensor(0.6931)
    """
    name = "binary_cross_entropy_with_logits"
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors(name, input=input, target=target)
    if target.shape != input.shape:
        raise ValueError(
            f"Target size ({target.shape!r}) must be the same as input size ({input.shape!r})"
        )
    check_constant(name, weight=weight, pos_weight=pos_weight)
    check_floating("log_sigmoid_cpu", input)
    if not target.is_floating_point():
        raise RuntimeError(
            f"result type {input.dtype.title} can't be cast to the desired output type "
            f"{target.dtype.title}: {name} takes a floating-point target"
        )
    given = [w for w in (pos_weight, weight) if w is not None]
    loss = losses.binary_cross_entropy_with_logits[pos_weight is not None, weight is not None]
    weights = [_broadcast_weight(w, input) for w in given]
    return in_dtype_of(target, loss(reduction, input, target, *weights))


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """target (log(target) - input), of log-probabilities input: "batchmean", mean, sum or each.

    With log_target, target holds logarithms too. "batchmean" divides the sum by the first size.

    >>> F.kl_div(ad.tensor([0.5, 0.5]).log(), ad.tensor([0.25, 0.75]), reduction="sum")
    tensor(0.1308)
    """
    if reduction == "mean" and size_average is None and reduce is None:
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next major "
            "release.",
            stacklevel=2,
        )
    batch = reduction == "batchmean"
    kind = reduction_of(size_average, reduce, "sum" if batch else reduction)
    check_tensors("kl_div", input=input, target=target)
    if not (input.is_floating_point() and target.is_floating_point()):
        given = " and ".join(x.dtype.title for x in (input, target))
        raise RuntimeError(f"kl_div: Integral inputs not supported. Got {given}.")
    op = loss_terms.kl_div_log if log_target else loss_terms.kl_div
    loss = reduced(op.call(input, target), kind)
    return loss / input.shape[0] if batch and input.ndim else loss


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-density of target under normal distributions of means input and variances var.

    var, which counts as eps where it is less, has the shape of input, or 1 for one dimension, or
    lacks the last. `full` adds the constant log(2 pi) / 2.

    >>> F.gaussian_nll_loss(ad.zeros(2), ad.ones(2), ad.ones(2))
    tensor(0.5000)
    """
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = input.new_full(input.shape, var)
    elif var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        other = [m for n, m in zip(input.shape, var.shape, strict=False) if n != m]
        if var.ndim != input.ndim or other not in ([], [1]):
            raise ValueError("var is of incorrect size")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(reduction + " is not valid")
    refuse_any((var < 0)._p, ValueError, "var has negative entry/entries")
    spread = var.clone()
    with no_grad():  # the gradient goes through the clamp
        spread.clamp_(min=eps)
    loss = (spread.log() + (input - target) ** 2 / spread) * 0.5
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of counts under Poisson distributions of rates input, or exp(it).

    `full` adds Stirling's approximation of log(target!) for targets above 1; eps is added to rates
    that are not logarithms.

    >>> F.poisson_nll_loss(ad.zeros(2), ad.tensor([1.0, 2.0]))
    tensor(1.)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("poisson_nll_loss", input=input, target=target)
    rates, logs = (input.exp(), input) if log_input else (input, (input + eps).log())
    loss = rates - target * logs
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        loss = loss + stirling.masked_fill(target <= 1, 0.0)
    return reduced(loss, reduction)

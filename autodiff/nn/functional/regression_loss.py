"""Losses of numbers: of how far they are from their targets."""

from __future__ import annotations

from typing import Any

from autodiff.nn.functional.reduction import (
    check_floating,
    check_tensors,
    in_dtype_of,
    reduced,
    reduction_of,
    warn_of_broadcast,
)
from autodiff.ops import loss_terms, losses
from autodiff.ops.numbers import number
from autodiff.ops.reduced import ReducedLoss
from autodiff.tensor import TENSOR_TYPES, Tensor

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


def _check_weight(input: Tensor, weight: Tensor) -> None:
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")


def _weighted(loss: Tensor, input: Tensor, weight: Tensor, reduction: str) -> Tensor:
    """The losses times their weights; a mean is over the sum of the weights."""
    _check_weight(input, weight)
    loss = loss * weight
    return loss.sum() / weight.sum() if reduction == "mean" else reduced(loss, reduction)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The squared errors (input - target)^2: their mean, sum, or each ("none").

    >>> F.mse_loss(ad.tensor([1.0, 2.0]), ad.tensor([0.0, 4.0]))
    tensor(2.5000)
    """
    if (
        weight is None
        and size_average is None
        and reduce is None
        and type(input) in TENSOR_TYPES
        and type(target) in TENSOR_TYPES
        and (loss := losses.mse.of_two(input, target, reduction)) is not None
    ):
        return loss
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("mse_loss", input=input, target=target)
    warn_of_broadcast(input, target)
    if weight is None:
        return losses.mse(reduction, input, target)
    return _weighted(losses.mse("none", input, target), input, weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """The absolute errors |input - target|: their mean, sum, or each ("none").

    >>> F.l1_loss(ad.tensor([1.0, 2.0]), ad.tensor([0.0, 4.0]))
    tensor(1.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("l1_loss", input=input, target=target)
    warn_of_broadcast(input, target)
    loss = loss_terms.absolute_error.call(input, target)
    return reduced(loss, reduction) if weight is None else _weighted(loss, input, weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Squared errors / (2 beta) below beta, absolute errors - beta / 2 above: mean, sum or each.

    RuntimeError for a beta below 0; at 0 it is l1_loss.

    >>> F.smooth_l1_loss(ad.tensor([0.0, 0.0]), ad.tensor([0.5, 3.0]), reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("smooth_l1_loss", input=input, target=target)
    warn_of_broadcast(input, target)
    if beta == 0.0:
        return reduced(loss_terms.absolute_error.call(input, target), reduction)
    if not beta >= 0.0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return _of_errors(losses.smooth_l1, "smooth_l1_cpu", input, target, beta, reduction)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """Squared errors / 2 below delta, delta (absolute errors - delta / 2) above: mean, sum or each.

    A weight multiplies each loss. RuntimeError for a delta that is not above 0.

    >>> F.huber_loss(ad.tensor([0.0, 0.0]), ad.tensor([0.5, 3.0]), reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = reduction_of(None, None, reduction)
    check_tensors("huber_loss", input=input, target=target)
    warn_of_broadcast(input, target)
    if not delta > 0.0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None:
        loss = _of_errors(losses.huber, "huber_cpu", input, target, delta, reduction)
        return in_dtype_of(input, loss)
    _check_weight(input, weight)
    loss = _of_errors(losses.huber, "huber_cpu", input, target, delta, "none")
    return reduced(loss * weight, reduction)


def _of_errors(
    op: ReducedLoss, name: str, input: Tensor, target: Tensor, bend: Any, reduction: str
) -> Tensor:
    """A loss that bends at an error of that size."""
    if not target.is_floating_point():
        check_floating(name, input)
    return op(reduction, input, target, number(float(bend)))

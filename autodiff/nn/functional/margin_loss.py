"""Losses of targets 1 and -1: of the side of a margin that an element is on."""

from __future__ import annotations

from autodiff.nn.functional.reduction import (
    check_constant,
    check_tensors,
    in_dtype_of,
    reduced,
    reduction_of,
)
from autodiff.ops import loss_terms, losses
from autodiff.ops.numbers import number
from autodiff.tensor import Tensor

__all__ = ["hinge_embedding_loss", "margin_ranking_loss", "soft_margin_loss"]


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + exp(-target input)), exact for inputs of any size: the mean, sum, or each.

    >>> F.soft_margin_loss(ad.zeros(2), ad.tensor([1.0, -1.0]))
    tensor(0.6931)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("soft_margin_loss", input=input, target=target)
    check_constant("soft_margin_loss", target=target)
    return in_dtype_of(input, losses.soft_margin(reduction, input, target))


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """input where target is 1, max(0, margin - input) where it is -1: the mean, sum, or each.

    >>> F.hinge_embedding_loss(ad.tensor([0.5, 0.5]), ad.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.5000])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("hinge_embedding_loss", input=input, target=target)
    loss = loss_terms.hinge_embedding.call(input, target.detach(), number(margin))
    return in_dtype_of(input, reduced(loss, reduction))


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin - target (input1 - input2)): the mean, sum, or each.

    RuntimeError where the three differ in their number of dimensions.

    >>> F.margin_ranking_loss(ad.tensor([1.0]), ad.tensor([2.0]), ad.tensor([1.0]), margin=0.5)
    tensor(1.5000)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape!r}, input2: {input2.shape!r}, target: {target.shape!r} "
        )
    loss = loss_terms.margin_ranking.call(input1, input2, target, number(margin))
    return reduced(loss, reduction)

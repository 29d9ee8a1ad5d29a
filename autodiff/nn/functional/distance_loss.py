"""Losses of how far vectors are from each other."""

from __future__ import annotations

from collections.abc import Callable

from autodiff.nn.functional.distance import pairwise_distance
from autodiff.nn.functional.reduction import check_reduction, check_tensors, reduced, reduction_of
from autodiff.ops.arithmetic import where
from autodiff.tensor import Tensor

__all__ = ["cosine_embedding_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss"]


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos of the angle where target is 1, max(0, cos - margin) where it is -1.

    Of (n, features) and n targets, or of (features) and one.

    >>> F.cosine_embedding_loss(ad.ones(1, 2), ad.tensor([[1.0, 0.0]]), ad.ones(1))
    tensor(0.2929)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    check_tensors("cosine_embedding_loss", input1=input1, input2=input2, target=target)
    if target.ndim not in (0, 1):
        raise RuntimeError(
            "0D or 1D target tensor expected, multi-target not supported for cosine_embedding_loss"
        )
    if not input1.ndim == input2.ndim == target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    tiny = 1e-12
    products = (input1 * input2).sum(-1)
    lengths = (((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny)).sqrt()
    cosines = products / lengths
    apart = (cosines - margin).clamp(min=0)
    loss = where(target == 1, 1 - cosines, where(target == -1, apart, 0.0))
    return reduced(loss, reduction)


def _check_dims(anchor: Tensor, positive: Tensor, negative: Tensor) -> None:
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs"
        )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + the distance of anchor and positive - that of anchor and negative).

    `swap` takes the distance of positive and negative where that is less. Without a function, the
    distance is the Euclidean one.

    >>> F.triplet_margin_with_distance_loss(ad.zeros(1, 2), 2 * ad.ones(1, 2), ad.ones(1, 2))
    tensor(2.4142)
    """
    check_reduction(reduction)
    check_tensors("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    _check_dims(anchor, positive, negative)
    distance = distance_function or pairwise_distance
    far = distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((margin + distance(anchor, positive) - far).clamp(min=0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The triplet loss of p-norms of differences plus eps over the last dimension.

    >>> F.triplet_margin_loss(ad.zeros(1, 2), 2 * ad.ones(1, 2), ad.ones(1, 2))
    tensor(2.4142)
    """
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
        margin=margin,
        swap=swap,
        reduction=reduction_of(size_average, reduce, reduction),
    )

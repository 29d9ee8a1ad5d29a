"""Losses as modules: of labels, distances, distributions and alignments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autodiff.nn import functional
from autodiff.nn._declared import calls
from autodiff.nn.distance import PairwiseDistance
from autodiff.nn.linear import Linear
from autodiff.nn.loss import _Loss, _WeightedLoss
from autodiff.tensor import Tensor

__all__ = [
    "CTCLoss", "CosineEmbeddingLoss", "GaussianNLLLoss", "LinearCrossEntropyLoss",
    "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss", "PoissonNLLLoss",
    "TripletMarginLoss", "TripletMarginWithDistanceLoss",
]  # fmt: skip


class LinearCrossEntropyLoss(_WeightedLoss):
    """A linear layer with the cross-entropy of its results: `functional.linear_cross_entropy`.

    Its `linear` has a row for each class, and each place of `out_features`.

    >>> nn.LinearCrossEntropyLoss(3, 4)(ad.zeros(2, 3), ad.tensor([0, 1]))
    tensor(1.3863, grad_fn=<NllLossBackward0>)
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        if weight is not None and weight.shape != (num_classes,):
            raise RuntimeError(
                f"LinearCrossEntropyLoss: weight must be [{num_classes}], not {list(weight.shape)}"
            )
        if not 0.0 <= label_smoothing <= 1.0:
            raise RuntimeError(
                f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}"
            )
        super().__init__(weight, reduction=reduction)
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        rows = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, rows, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        linear, heads = self.linear, (self.num_classes, *self.out_features)
        return functional.linear_cross_entropy(
            input,
            linear.weight.reshape(*heads, linear.in_features),
            target,
            linear_bias=None if linear.bias is None else linear.bias.reshape(heads),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, "
            f"reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options=None"
        )


@calls(functional.cosine_embedding_loss)
class CosineEmbeddingLoss(_Loss):
    """1 - cos of the angle of two vectors where target is 1, max(0, cos - margin) where -1.

    >>> nn.CosineEmbeddingLoss()(ad.ones(1, 2), ad.tensor([[1.0, 0.0]]), ad.ones(1))
    tensor(0.2929)
    """

    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


@calls(functional.gaussian_nll_loss)
class GaussianNLLLoss(_Loss):
    """Minus the log-density of target under normal distributions of given means and variances.

    >>> nn.GaussianNLLLoss()(ad.zeros(2), ad.ones(2), ad.ones(2))
    tensor(0.5000)
    """

    _options = ("full", "eps", "reduction")

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(None, None, reduction)
        self.full = full
        self.eps = eps


class PoissonNLLLoss(_Loss):
    """Minus the log-probability of counts under Poisson distributions of given (log-)rates.

    >>> nn.PoissonNLLLoss()(ad.zeros(2), ad.tensor([1.0, 2.0]))
    tensor(1.)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        how = (self.log_input, self.full)
        return functional.poisson_nll_loss(
            log_input, target, *how, eps=self.eps, reduction=self.reduction
        )


@calls(functional.multilabel_margin_loss)
class MultiLabelMarginLoss(_Loss):
    """The margins of labels, up to the first -1 of a row, over all other classes.

    >>> nn.MultiLabelMarginLoss()(ad.tensor([0.1, 0.2, 0.4, 0.8]), ad.tensor([3, 0, -1, 1]))
    tensor(0.8500)
    """


@calls(functional.multilabel_soft_margin_loss)
class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The cross-entropy of sigmoid(input) and labels of 0 and 1, averaged over the classes.

    >>> nn.MultiLabelSoftMarginLoss()(ad.zeros(1, 2), ad.tensor([[0.0, 1.0]]))
    tensor(0.6931)
    """


@calls(functional.multi_margin_loss)
class MultiMarginLoss(_WeightedLoss):
    """The margins, to the power 1 or 2, of the target class over the others.

    >>> nn.MultiMarginLoss()(ad.tensor([[0.1, 0.2, 0.8]]), ad.tensor([2]))
    tensor(0.2333)
    """

    p: int = 1
    margin: float = 1.0
    weight: Tensor | None = None
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def _settle(self) -> None:
        if self.p not in (1, 2):
            raise ValueError("only p == 1 and p == 2 supported")
        if self.weight is not None and self.weight.dim() != 1:
            raise ValueError(
                "MultiMarginLoss: expected weight to be None or 1D tensor, got "
                f"{self.weight.dim()}D instead"
            )


def _check_margin(name: str, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"{name}: expected margin to be greater than 0, got {margin} instead")


@calls(functional.triplet_margin_loss)
class TripletMarginLoss(_Loss):
    """max(0, margin + the distance of anchor and positive - that of anchor and negative).

    >>> nn.TripletMarginLoss()(ad.zeros(1, 2), 2 * ad.ones(1, 2), ad.ones(1, 2))
    tensor(2.4142)
    """

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

    def _settle(self) -> None:
        _check_margin("TripletMarginLoss", self.margin)


@calls(functional.triplet_margin_with_distance_loss)
class TripletMarginWithDistanceLoss(_Loss):
    """The triplet loss of a distance of one's own, by default the Euclidean one.

    >>> loss = nn.TripletMarginWithDistanceLoss(distance_function=nn.PairwiseDistance(p=1))
    >>> loss(ad.zeros(1, 2), 2 * ad.ones(1, 2), ad.ones(1, 2))
    tensor(3.)
    """

    _options = ("distance_function", "margin", "swap", "reduction")

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(None, None, reduction)
        _check_margin("TripletMarginWithDistanceLoss", margin)
        self.distance_function = distance_function or PairwiseDistance()
        self.margin = margin
        self.swap = swap


@calls(functional.ctc_loss)
class CTCLoss(_Loss):
    """Minus the log-probability of targets over all their alignments to the steps.

    >>> log_probs = ad.zeros(4, 1, 3).log_softmax(2)
    >>> nn.CTCLoss()(log_probs, ad.tensor([[1, 2]]), (4,), (2,))
    tensor(0.8432)
    """

    blank: int = 0
    reduction: str = "mean"
    zero_infinity: bool = False

"""Losses as modules: each is one call of its function."""

from __future__ import annotations

from typing import ClassVar

from autodiff.nn import functional
from autodiff.nn._declared import calls
from autodiff.nn.functional.reduction import reduction_of
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "HingeEmbeddingLoss", "HuberLoss",
    "KLDivLoss", "L1Loss", "MSELoss", "MarginRankingLoss", "NLLLoss", "SmoothL1Loss",
    "SoftMarginLoss",
]  # fmt: skip


class _Loss(Module):
    _options: ClassVar[tuple[str, ...]] = ("reduction",)
    _shown = ()

    def __init__(
        self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
    ) -> None:
        super().__init__()
        if size_average is not None or reduce is not None:
            reduction = reduction_of(size_average, reduce, reduction)
        self.reduction = reduction


class _WeightedLoss(_Loss):
    _options: ClassVar[tuple[str, ...]] = ("weight", "reduction")
    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


@calls(functional.mse_loss)
class MSELoss(_Loss):
    """The squared errors: their mean, sum, or each ("none").

    >>> nn.MSELoss()(ad.tensor([1.0, 2.0]), ad.tensor([0.0, 4.0]))
    tensor(2.5000)
    """


@calls(functional.l1_loss)
class L1Loss(_Loss):
    """The absolute errors: their mean, sum, or each ("none").

    >>> nn.L1Loss()(ad.tensor([1.0, 2.0]), ad.tensor([0.0, 4.0]))
    tensor(1.5000)
    """


@calls(functional.smooth_l1_loss)
class SmoothL1Loss(_Loss):
    """Squared errors / (2 beta) below beta, absolute errors - beta / 2 above.

    >>> nn.SmoothL1Loss()(ad.tensor([0.0, 0.0]), ad.tensor([0.5, 3.0]))
    tensor(1.3125)
    """

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"
    beta: float = 1.0


@calls(functional.huber_loss)
class HuberLoss(_Loss):
    """Squared errors / 2 below delta, delta (absolute errors - delta / 2) above.

    >>> nn.HuberLoss()(ad.tensor([0.0, 0.0]), ad.tensor([0.5, 3.0]))
    tensor(1.3125)
    """

    reduction: str = "mean"
    delta: float = 1.0

    def _settle(self) -> None:
        if not isinstance(self.delta, (float, int)):
            raise TypeError(f"delta must be a float or int, got: {type(self.delta)}")


@calls(functional.binary_cross_entropy)
class BCELoss(_WeightedLoss):
    """The cross-entropy of probabilities of two classes.

    >>> nn.BCELoss()(ad.tensor([0.5, 0.5]), ad.tensor([0.0, 1.0]))
    tensor(0.6931)
    """


@calls(functional.binary_cross_entropy_with_logits)
class BCEWithLogitsLoss(_WeightedLoss):
    """The cross-entropy of sigmoid(input), exact for logits of any size.

    >>> nn.BCEWithLogitsLoss()(ad.zeros(2), ad.tensor([0.0, 1.0]))
    tensor(0.6931)
    """

    _options = ("weight", "reduction", "pos_weight")
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)


@calls(functional.kl_div)
class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence of log-probabilities from a target.

    >>> nn.KLDivLoss(reduction="sum")(ad.tensor([0.5, 0.5]).log(), ad.tensor([0.25, 0.75]))
    tensor(0.1308)
    """

    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"
    log_target: bool = False


@calls(functional.nll_loss)
class NLLLoss(_WeightedLoss):
    """The negative log-likelihood of the target classes, of log-probabilities.

    >>> nn.NLLLoss()(ad.tensor([[0.5, 0.5], [0.2, 0.8]]).log(), ad.tensor([0, 1]))
    tensor(0.4581)
    """

    weight: Tensor | None = None
    size_average: bool | None = None
    ignore_index: int = -100
    reduce: bool | None = None
    reduction: str = "mean"


@calls(functional.cross_entropy)
class CrossEntropyLoss(_WeightedLoss):
    """The cross-entropy of softmax(input) against class indices or class probabilities.

    >>> nn.CrossEntropyLoss()(ad.zeros(3, 4), ad.tensor([0, 1, 3]))
    tensor(1.3863)
    """

    weight: Tensor | None = None
    size_average: bool | None = None
    ignore_index: int = -100
    reduce: bool | None = None
    reduction: str = "mean"
    label_smoothing: float = 0.0


@calls(functional.soft_margin_loss)
class SoftMarginLoss(_Loss):
    """log(1 + exp(-target input)) of targets 1 and -1.

    >>> nn.SoftMarginLoss()(ad.zeros(2), ad.tensor([1.0, -1.0]))
    tensor(0.6931)
    """


@calls(functional.hinge_embedding_loss)
class HingeEmbeddingLoss(_Loss):
    """input where target is 1, max(0, margin - input) where it is -1.

    >>> nn.HingeEmbeddingLoss()(ad.tensor([0.5, 0.5]), ad.tensor([1, -1]))
    tensor(0.5000)
    """

    margin: float = 1.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"


@calls(functional.margin_ranking_loss)
class MarginRankingLoss(_Loss):
    """max(0, margin - target (input1 - input2)) of targets 1 and -1.

    >>> nn.MarginRankingLoss(0.5)(ad.tensor([1.0]), ad.tensor([2.0]), ad.tensor([1.0]))
    tensor(1.5000)
    """

    margin: float = 0.0
    size_average: bool | None = None
    reduce: bool | None = None
    reduction: str = "mean"

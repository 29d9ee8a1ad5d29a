"""Distances and similarities as modules."""

from __future__ import annotations

from autodiff.nn import functional
from autodiff.nn._declared import calls
from autodiff.nn.module import Module
from autodiff.tensor import Tensor

__all__ = ["CosineSimilarity", "PairwiseDistance"]


@calls(functional.cosine_similarity)
class CosineSimilarity(Module):
    """The cosine of the angle between vectors along a dimension; norms are at least eps.

    >>> nn.CosineSimilarity()(ad.tensor([[1.0, 0.0]]), ad.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """

    _shown = ()
    dim: int = 1
    eps: float = 1e-8


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps over the last dimension.

    >>> nn.PairwiseDistance(eps=0)(ad.tensor([3.0, 0.0]), ad.tensor([0.0, 4.0]))
    tensor(5.)
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return functional.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)

"""How far vectors are from each other, and how alike their directions are."""

from __future__ import annotations

import math

from autodiff.nn.functional.reduction import check_tensors
from autodiff.tensor import Tensor

__all__ = ["cosine_similarity", "pairwise_distance"]


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension; its gradient is 0 where it is 0."""
    check_tensors("pairwise_distance", x1=x1, x2=x2)
    d = (x1 - x2 + eps).abs()
    if math.isinf(p):
        return d.amax(-1, keepdim) if p > 0 else d.amin(-1, keepdim)
    if p == 0:
        return (d != 0).to(d.dtype).sum(-1, keepdim)
    if p == 1:
        return d.sum(-1, keepdim)
    total = (d**p).sum(-1, keepdim)
    zero = total == 0
    root: Tensor = total.masked_fill(zero, 1.0) ** (1 / p)
    return root.masked_fill(zero, 0.0)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The product of x1 and x2, each divided by its norm or eps, summed over a dimension."""
    check_tensors("cosine_similarity", x1=x1, x2=x2)
    products: Tensor = x1 * x2
    norms = []
    for x in (x1, x2):
        squares = (x * x).expand(products.shape).sum(dim)
        zero = squares == 0
        norm = squares.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)
        held = norm.detach()
        norms.append(norm + (held.clamp(min=eps) - held))
    cosines: Tensor = products.sum(dim) / (norms[0] * norms[1])
    return cosines

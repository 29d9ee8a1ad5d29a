"""Distances and angles between rows, rows of length 1, and bilinear forms."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import HALVES, float32, promote_types
from autodiff.expr import PRIMITIVES, Expr, Primitive, build, inputs
from autodiff.linalg import vector_norm
from autodiff.nn.functional.reduction import check_tensors
from autodiff.ops.base import called
from autodiff.ops.cast import to_dtype
from autodiff.ops.declare import where
from autodiff.ops.einsum import einsum
from autodiff.ops.elementwise import mul
from autodiff.ops.numbers import number_of
from autodiff.ops.out import written
from autodiff.ops.pointwise import PointwiseOp
from autodiff.ops.reductions import sum as total
from autodiff.tensor import Tensor

__all__ = ["bilinear", "cosine_similarity", "normalize", "pairwise_distance"]


@called("NormBackward1")
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norms over the last dimension of x1 - x2 + eps; the two broadcast.

    >>> F.pairwise_distance(ad.tensor([3.0, 0.0]), ad.tensor([0.0, 4.0]), eps=0)
    tensor(5.)
    """
    check_tensors("pairwise_distance", x1=x1, x2=x2)
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


@called("SumBackward1")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between x1 and x2 along `dim`; norms are taken as `eps` at least.

    >>> F.cosine_similarity(ad.tensor([[1.0, 0.0]]), ad.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    check_tensors("cosine_similarity", x1=x1, x2=x2)
    d = promote_types(x1.dtype, x2.dtype)
    if not d.is_floating_point:
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {d.title}"
        )
    wide = float32 if d in HALVES else d  # whose squares 16 bits do not hold
    x, y = to_dtype(x1, wide), to_dtype(x2, wide)
    products = mul.call(x, y)
    shape, sums = products.shape, [total(products, dim)]
    for one in (x, y):
        squares = mul.call(one, one)
        sums.append(total(squares if one.shape == shape else squares.expand(shape), dim))
    return to_dtype(_cosine.call(*sums, number_of(eps)), d)


def _norm(squares: Expr, least: Expr) -> Expr:
    """The root, with a gradient of 0 at 0, and as if it were not for what it is at least."""
    zero = squares == 0
    return build("floored", where(zero, 0.0, build("sqrt", where(zero, 1.0, squares))), least)


PRIMITIVES["floored"] = Primitive(
    "floored", 2, "same", lambda g, y, x, least: (g, None), lambda x, y: build("maximum", x, y)
)
_product, _first, _second, _least = inputs(4)
_cosine = PointwiseOp(
    "cosine_similarity",
    _product / (_norm(_first, _least) * _norm(_second, _least)),
    4,
    "DivBackward0",
)


def normalize(
    input: Tensor,
    p: float | None = 2.0,
    dim: Any = 1,
    eps: float = 1e-12,
    out: Tensor | None = None,
) -> Tensor:
    """input divided by its p-norm along `dim`, or by `eps` where that is larger.

    >>> F.normalize(ad.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    check_tensors("normalize", input=input)
    y = input / vector_norm(input, 2 if p is None else p, dim, keepdim=True).clamp(min=eps)
    return written("normalize", out, y, input)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x1^T W[o] x2 + bias[o] for each o: inputs (..., m) and (..., n), weight (o, m, n).

    >>> F.bilinear(ad.ones(5, 2), ad.ones(5, 3), ad.ones(4, 2, 3)).shape
    torch.Size([5, 4])
    """
    check_tensors("bilinear", input1=input1, input2=input2, weight=weight)
    if bias is not None:
        check_tensors("bilinear", bias=bias)
    if input1.ndim != input2.ndim:
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}"
        )
    for d in range(input1.ndim - 1):
        if input1.shape[d] != input2.shape[d]:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {d}: got "
                f"{input1.shape[d]} and {input2.shape[d]}"
            )
    if weight.ndim != 3:
        refuse = IndexError if weight.ndim < 2 else RuntimeError  # as PyTorch's
        raise refuse(f"bilinear(): weight must have 3 dimensions, not {weight.ndim}")
    for k, x in enumerate((input1, input2), 1):
        if not x.ndim or x.shape[-1] != weight.shape[k]:
            raise RuntimeError(
                f"bilinear(): input{k} size does not match weight size: got "
                f"{x.shape[-1] if x.ndim else 1} but expected {weight.shape[k]}"
            )
    if bias is not None and (bias.ndim > 1 or bias.shape[-1] != weight.shape[0]):
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but "
            f"expected {weight.shape[0]}"
        )
    y = einsum("...m,omn,...n->...o", input1, weight, input2)
    return y if bias is None else y + bias

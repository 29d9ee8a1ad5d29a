"""The bilinear map: of two vectors, a product with a matrix for each output."""

from __future__ import annotations

from autodiff.ops.contraction import matmul
from autodiff.ops.views import permute, reshape, unsqueeze
from autodiff.tensor import TENSOR_TYPES, Tensor

__all__ = ["bilinear"]


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[o] = input1 weight[o] input2 + bias[o], of (..., n), (..., m) and (outputs, n, m)."""
    for i, name in enumerate(("input1", "input2", "weight", "bias"), start=1):
        given = (input1, input2, weight, bias)[i - 1]
        if type(given) not in TENSOR_TYPES and (given is not None or i < 4):
            raise TypeError(
                f"bilinear(): argument '{name}' (position {i}) must be Tensor, not "
                f"{type(given).__name__}"
            )
    if input1.ndim != input2.ndim:
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}"
        )
    for d, (m, n) in enumerate(zip(input1.shape[:-1], input2.shape[:-1], strict=True)):
        if m != n:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {d}: got {m} and {n}"
            )
    for i, x in enumerate((input1, input2), start=1):
        if x.shape[-1] != weight.shape[i]:
            raise RuntimeError(
                f"bilinear(): input{i} size does not match weight size: got {x.shape[-1]} but "
                f"expected {weight.shape[i]}"
            )
    outputs, n, m = weight.shape
    if bias is not None and bias.shape[0] != outputs:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected "
            f"{outputs}"
        )
    by_input = reshape(permute(weight, 1, 0, 2), (n, outputs * m))
    rows = reshape(matmul(input1, by_input), (*input1.shape[:-1], outputs, m))
    y = reshape(matmul(rows, unsqueeze(input2, -1)), (*input1.shape[:-1], outputs))
    return y if bias is None else y + bias

"""Norms of layers."""

from __future__ import annotations

from collections.abc import Sequence

from autodiff.dtypes import SCALAR_NAMES
from autodiff.nn.functional.reduction import check_floating, check_tensors
from autodiff.ops import layer_norm as rows
from autodiff.ops.create import ones_like
from autodiff.ops.halves import mixed, through_float32
from autodiff.shapes import sizes_of
from autodiff.tensor import Tensor

__all__ = ["layer_norm"]


def check_normalized(
    name: str,
    kernel: str,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
) -> tuple[int, ...]:
    """Refuse what a norm of the last dimensions does not take; their sizes."""
    given = {"input": input, "weight": weight, "bias": bias}
    check_tensors(name, input=input)
    if not isinstance(normalized_shape, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not "
            f"{type(normalized_shape).__name__}"
        )
    shape = tuple(sizes_of((normalized_shape,), name))
    check_tensors(name, **{k: x for k, x in given.items() if x is not None})
    check_floating(kernel, input)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    for what, x in (("weight", weight), ("bias", bias)):
        if x is not None and x.shape != shape:
            raise RuntimeError(
                f"Expected {what} to be of same shape as normalized_shape, but got {what} of shape "
                f"{list(x.shape)} and normalized_shape = {list(shape)}"
            )
        if x is not None and x.dtype is not input.dtype and name != "rms_norm":
            raise RuntimeError(
                f"expected scalar type {SCALAR_NAMES[input._p.dtype]} but found "
                f"{SCALAR_NAMES[x._p.dtype]}"
            )
    if input.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size{list(input.shape)}"
        )
    return shape


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """input less its mean, over the square root of its variance plus eps, times weight plus bias.

    Mean and variance (with no correction) are those over the last dimensions, of normalized_shape,
    which weight and bias have too.

    >>> F.layer_norm(ad.tensor([1.0, 3.0]), (2,))
    tensor([-1.0000,  1.0000])
    """
    try:
        scale = ones_like(bias) if weight is None and bias is not None else weight
        return rows.layer_norm(input, normalized_shape, scale, bias, eps)
    except Exception:
        if mixed(input, weight, bias):
            return through_float32(layer_norm, input, normalized_shape, weight, bias, eps)
        check_normalized("layer_norm", "LayerNormKernelImpl", input, normalized_shape, weight, bias)
        raise

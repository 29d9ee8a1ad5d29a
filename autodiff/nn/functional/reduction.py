"""What losses share: their checks, and how they are reduced."""

from __future__ import annotations

import warnings
from typing import Any

from autodiff.dtypes import FIRST_FLOAT
from autodiff.ops.cast import to_dtype
from autodiff.ops.guard import kind_of
from autodiff.tensor import TENSOR_TYPES, Tensor

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(reduction: str) -> None:
    """ValueError where it is none."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")


def reduction_of(size_average: Any, reduce: Any, reduction: str) -> str:
    """The reduction, by the deprecated arguments where either is given."""
    if size_average is None and reduce is None:
        if reduction not in REDUCTIONS:
            check_reduction(reduction)
        return reduction
    each = reduce is not None and not reduce
    average = size_average is None or size_average
    reduction = "none" if each else "mean" if average else "sum"
    warnings.warn(
        "size_average and reduce args will be deprecated, please use "
        f"reduction='{reduction}' instead.",
        stacklevel=3,
    )
    return reduction


def check_tensors(name: str, **args: Any) -> None:
    """TypeError where one of a function's first arguments is no tensor."""
    if TENSOR_TYPES.issuperset(map(type, args.values())):
        return
    for position, (what, x) in enumerate(args.items(), start=1):
        if type(x) not in TENSOR_TYPES:
            raise TypeError(
                f"{name}(): argument '{what}' (position {position}) must be Tensor, "
                f"not {kind_of(x)}"
            )


def check_floating(name: str, input: Tensor) -> None:
    """NotImplementedError for integers and bools."""
    if input._p.dtype < FIRST_FLOAT:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype.title!r}')


def check_constant(name: str, **args: Tensor | None) -> None:
    """RuntimeError where an argument wants a gradient that the loss has not."""
    for what, x in args.items():
        if x is not None and x.requires_grad:
            raise RuntimeError(
                f"The function '{name}' is not differentiable with respect to argument '{what}'. "
                "This input cannot have requires_grad True."
            )


def warn_of_broadcast(input: Tensor, target: Tensor) -> None:
    """A warning where the target has another shape."""
    if input.shape != target.shape:
        warnings.warn(
            f"Using a target size ({target.shape!r}) that is different to the input size "
            f"({input.shape!r}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The losses' mean or sum, or each."""
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.mean()


def in_dtype_of(input: Tensor, loss: Tensor) -> Tensor:
    """A loss in the dtype of one of its operands, where the other's is wider."""
    floats = input.is_floating_point() and loss.dtype is not input.dtype
    return to_dtype(loss, input.dtype) if floats else loss

"""Activations and softmax as functions."""

from __future__ import annotations

import warnings
from typing import Any

from autodiff.dtypes import dtype
from autodiff.ops import activations, arithmetic, elementwise, normalize
from autodiff.ops.pointwise import PointwiseOp, number
from autodiff.tensor import TENSOR_TYPES, Tensor

__all__ = [
    "elu",
    "gelu",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def _activate(op: PointwiseOp, input: Any, numbers: tuple[Any, ...], inplace: bool = False) -> Any:
    """One fused call of the op, or one write over the input."""
    if type(input) not in TENSOR_TYPES:
        return arithmetic.apply(op, (input, *numbers))
    others = [number(value) for value in numbers]
    if not inplace:
        return op.call(input, *others)
    return op.into(input, (input, *others))


tanh = arithmetic.UNARY["tanh"]
sigmoid = arithmetic.UNARY["sigmoid"]


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0)."""
    if inplace or type(input) not in TENSOR_TYPES:
        return _activate(elementwise.relu, input, (), inplace)  # type: ignore[no-any-return]
    return elementwise.relu.call(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input above 0, negative_slope * input below."""
    return _activate(activations.leaky_relu, input, (negative_slope,), inplace)  # type: ignore[no-any-return]


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """input limited to [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _activate(activations.hardtanh, input, (min_val, max_val), inplace)  # type: ignore[no-any-return]


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; input where beta * input is above threshold."""
    return _activate(activations.softplus, input, (beta, threshold))  # type: ignore[no-any-return]


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input above 0, alpha * (exp(input) - 1) below."""
    return _activate(activations.elu, input, (alpha,), inplace)  # type: ignore[no-any-return]


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """input * P(N < input) for N standard normal; approximate "tanh" is a formula near it."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    op = activations.gelu if approximate == "none" else activations.gelu_tanh
    return _activate(op, input, ())  # type: ignore[no-any-return]


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input)."""
    return _activate(activations.silu, input, (), inplace)  # type: ignore[no-any-return]


# ---- softmax ----


def _implicit_dim(name: str, ndim: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. "
        "Change the call to include dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(input: Tensor, dim: int | None = None, *, dtype: dtype | None = None) -> Tensor:
    """exp(input) divided by its sum along `dim`."""
    d = _implicit_dim("softmax", input.ndim) if dim is None else dim
    return normalize.softmax(input, d, dtype=dtype)


def log_softmax(input: Tensor, dim: int | None = None, *, dtype: dtype | None = None) -> Tensor:
    """The logarithm of softmax, exact also where softmax rounds to zero."""
    d = _implicit_dim("log_softmax", input.ndim) if dim is None else dim
    return normalize.log_softmax(input, d, dtype=dtype)

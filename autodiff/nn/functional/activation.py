"""Activations as functions."""

from __future__ import annotations

from typing import Any

from autodiff.dtypes import FIRST_FLOAT, float64, uint8
from autodiff.ops import activations, arithmetic, calling, elementwise
from autodiff.ops.calls import PLAIN
from autodiff.ops.cast import to_dtype
from autodiff.ops.clones import contiguous
from autodiff.ops.create import empty_like
from autodiff.ops.draws import draw_into
from autodiff.ops.gated import glu
from autodiff.ops.numbers import number, numbers, operand
from autodiff.ops.pointwise import PointwiseOp
from autodiff.tensor import TENSOR_TYPES, Tensor

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "logsigmoid", "mish", "prelu", "relu",
    "relu6", "relu_", "rrelu", "rrelu_", "selu", "selu_", "sigmoid", "silu", "softplus",
    "softshrink", "softsign", "tanh", "tanhshrink", "threshold", "threshold_",
]  # fmt: skip


def _activate(
    op: PointwiseOp, input: Any, numbers: tuple[Any, ...], inplace: bool = False
) -> Tensor:
    """One fused call of the op, or one write over the input."""
    if type(input) not in TENSOR_TYPES:
        return calling.apply(op, (input, *numbers))
    if not numbers and not inplace:
        return op.call(input)
    if len(numbers) == 1 and not inplace and type(numbers[0]) in PLAIN:
        return op.call(input, numbers[0])
    if len(numbers) == 2 and not inplace:
        return op.call(input, _number(op, numbers[0]), _number(op, numbers[1]))
    others = [_number(op, value) for value in numbers]
    if not inplace:
        return op.call(input, *others)
    return op.into(input, (input, *others))


def _number(op: PointwiseOp, value: Any) -> Tensor:
    """An argument as an operand. TypeError where it is no number, nor a tensor that holds one."""
    table = numbers.get(type(value))
    x = None if table is None else table.get(value)
    if x is not None:  # as most often
        return x
    x = operand(value)
    if x is not None and x is not value:
        return x
    if x is not None and x.ndim == 0 and not x.requires_grad:
        return number(x.item())
    raise TypeError(f"{op.name}(): argument must be Number, not {type(value).__name__}")


def _limits(input: Any, numbers: tuple[Any, ...]) -> tuple[Any, ...]:
    """The numbers as the input's dtype has them, where it has integers."""
    if type(input) in TENSOR_TYPES and input._p.dtype < FIRST_FLOAT:
        return tuple(int(value) if isinstance(value, float) else value for value in numbers)
    return numbers


tanh = arithmetic.UNARY["tanh"]
sigmoid = arithmetic.UNARY["sigmoid"]


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0).

    >>> F.relu(ad.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """
    if inplace or type(input) not in TENSOR_TYPES:
        return _activate(elementwise.relu, input, (), inplace)
    return elementwise.relu.call(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input above 0, negative_slope * input below.

    >>> F.leaky_relu(ad.tensor([-1.0, 1.0]))
    tensor([-0.0100,  1.0000])
    """
    return _activate(activations.leaky_relu, input, (negative_slope,), inplace)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """input clamped to [min_val, max_val].

    >>> F.hardtanh(ad.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    given = (min_val, max_val)
    limits = _limits(input, given)
    if limits is not given and limits[0] < 0 and input.dtype is uint8:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return _activate(activations.hardtanh, input, limits, inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """input clamped to [0, 6].

    >>> F.relu6(ad.tensor([-1.0, 1.0, 8.0]))
    tensor([0., 1., 6.])
    """
    if not inplace and type(input) in TENSOR_TYPES and input._p.dtype >= FIRST_FLOAT:
        return activations.hardtanh.call(input, *_SIX)  # at once
    return hardtanh(input, 0.0, 6.0, inplace)


_SIX = number(0.0), number(6.0)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """input above threshold, value elsewhere.

    >>> F.threshold(ad.tensor([0.2, 1.0]), 0.5, 9.0)
    tensor([9., 1.])
    """
    numbers = _limits(input, (threshold, value))
    return _activate(activations.threshold, input, numbers, inplace)


_threshold = threshold  # for threshold_, an argument of which has the name


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 within [-lambd, lambd], input elsewhere.

    >>> F.hardshrink(ad.tensor([-1.0, 0.3, 1.0]))
    tensor([-1.,  0.,  1.])
    """
    return _activate(activations.hardshrink, input, (lambd,))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """input moved towards 0 by lambd; 0 within [-lambd, lambd]. RuntimeError for lambd below 0.

    >>> F.softshrink(ad.tensor([-1.0, 0.3, 1.0]))
    tensor([-0.5000,  0.0000,  0.5000])
    """
    if not lambd >= 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found {lambd}")
    return _activate(activations.softshrink, input, (lambd,))


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(input + 3, 0), 6) / 6.

    >>> F.hardsigmoid(ad.tensor([-4.0, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 0.6667])
    """
    return _activate(activations.hardsigmoid, input, (), inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * min(max(input + 3, 0), 6) / 6.

    >>> F.hardswish(ad.tensor([-4.0, 0.0, 1.0]))
    tensor([-0.0000, 0.0000, 0.6667])
    """
    return _activate(activations.hardswish, input, (), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; input where beta * input is above threshold.

    >>> F.softplus(ad.tensor([-1.0, 0.0, 100.0]))
    tensor([  0.3133,   0.6931, 100.0000])
    """
    return _activate(activations.softplus, input, (beta, threshold))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input above 0, alpha * (exp(input) - 1) below.

    >>> F.elu(ad.tensor([-1.0, 1.0]))
    tensor([-0.6321,  1.0000])
    """
    return _activate(activations.elu, input, (alpha,), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """ELU of the alpha, and times the scale, that keep mean 0 and variance 1.

    >>> F.selu(ad.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """
    return _activate(activations.selu, input, (), inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input above 0, alpha * (exp(input / alpha) - 1) below.

    >>> F.celu(ad.tensor([-1.0, 1.0]))
    tensor([-0.6321,  1.0000])
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _activate(activations.celu, input, (alpha,), inplace)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(input)), exact where sigmoid rounds to 0 or 1.

    >>> F.logsigmoid(ad.tensor([-100.0, 0.0]))
    tensor([-100.0000,   -0.6931])
    """
    return _activate(activations.logsigmoid, input, ())


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * tanh(softplus(input)).

    >>> F.mish(ad.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """
    return _activate(activations.mish, input, (), inplace)


def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|).

    >>> F.softsign(ad.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return _activate(activations.softsign, input, ())


def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input).

    >>> F.tanhshrink(ad.tensor([-1.0, 1.0]))
    tensor([-0.2384,  0.2384])
    """
    return _activate(activations.tanhshrink, input, ())


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """input * P(N < input) for N standard normal; approximate "tanh" is a formula near it.

    >>> F.gelu(ad.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """
    if approximate == "none":
        op = activations.gelu
    elif approximate == "tanh":
        op = activations.gelu_tanh
    else:
        raise RuntimeError("approximate argument must be either none or tanh.")
    return op.call(input) if type(input) in TENSOR_TYPES else _activate(op, input, ())


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input).

    >>> F.silu(ad.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """
    if inplace or type(input) not in TENSOR_TYPES:
        return _activate(activations.silu, input, (), inplace)
    return activations.silu.call(input)


# ---- with slopes that are learned or drawn ----


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input above 0, weight * input below; the weight is one number, or one for each channel.

    Channels are dimension 1. RuntimeError where their number is another, or the dtypes differ.

    >>> F.prelu(ad.tensor([-1.0, 1.0]), ad.tensor(0.25))
    tensor([-0.2500,  1.0000])
    """
    if type(input) in TENSOR_TYPES and type(weight) in TENSOR_TYPES:
        x, w = input._p, weight._p
        broadcasts = w.numel == 1 or (x.ndim == 2 and x.shape[1] == w.numel)
        if x.dtype == w.dtype and w.ndim <= 1 <= x.ndim and broadcasts:
            return activations.prelu.call(input, weight)
    for i, (name, x) in enumerate((("input", input), ("weight", weight))):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"prelu(): argument '{name}' (position {i + 1}) must be Tensor, not "
                f"{type(x).__name__}"
            )
    if input.dtype is not weight.dtype:
        given = " and ".join(x.dtype.title for x in (input, weight))
        raise RuntimeError(f"prelu: Type promoting not supported. Got {given}")
    count, ndim = weight.numel(), input.ndim
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    if count == 1:
        return activations.prelu.call(input, weight if ndim else weight.reshape(()))
    if ndim == 0:
        raise RuntimeError("Not allow zero-dim input tensor.")
    channels = input.shape[1] if ndim > 1 else 1
    if count != channels:
        raise RuntimeError(
            "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
            f"{count} and channel size = {channels}."
        )
    return activations.prelu.call(input, weight.reshape(-1, *[1] * (ndim - 2)))


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """input above 0, slope * input below; slopes are drawn from [lower, upper) in training.

    Otherwise the slope is their mean. RuntimeError where lower is above upper.

    >>> F.rrelu(ad.tensor([-1.0, 1.0]))
    tensor([-0.2292,  1.0000])
    """
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    if not training or not isinstance(input, Tensor):
        return _activate(activations.rrelu, input, ((lower + upper) / 2,), inplace)
    below = contiguous(input <= 0)
    draws = empty_like(below, dtype=float64)
    draw_into(draws, "uniform_where", None, float(lower), float(upper), below._p)
    slopes = to_dtype(draws, input.dtype)
    if inplace:
        return activations.rrelu.into(input, (input, slopes))
    return activations.rrelu.call(input, slopes)


# ---- in place ----


def relu_(input: Tensor) -> Tensor:
    """`relu`, written over the input."""
    return relu(input, True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu`, written over the input."""
    return leaky_relu(input, negative_slope, True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh`, written over the input."""
    return hardtanh(input, min_val, max_val, True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold`, written over the input."""
    return _threshold(input, threshold, value, True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu`, written over the input."""
    return elu(input, alpha, True)


def selu_(input: Tensor) -> Tensor:
    """`selu`, written over the input."""
    return selu(input, True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu`, written over the input."""
    return celu(input, alpha, True)


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """`rrelu`, written over the input."""
    return rrelu(input, lower, upper, training, True)

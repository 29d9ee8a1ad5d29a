"""Initial values, written over a tensor outside the graph, with PyTorch's numbers for a seed."""

from __future__ import annotations

import math
import warnings

from autodiff import dtypes
from autodiff.grad_mode import no_grad
from autodiff.ops import draws
from autodiff.ops.arithmetic import where
from autodiff.ops.assign import copy_, fill_
from autodiff.ops.create import empty_like, eye, ones_like, tensor
from autodiff.ops.generator import Generator
from autodiff.tensor import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_LINEAR = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of a layer's output through an activation."""
    if nonlinearity in _LINEAR or nonlinearity == "sigmoid":
        return 1
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        elif isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + param**2))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return gains[nonlinearity]


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on [a, b)."""
    with no_grad():
        return draws.uniform_(tensor, a, b, generator=generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal of the given mean and standard deviation."""
    with no_grad():
        return draws.normal_(tensor, mean, std, generator=generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value."""
    with no_grad():
        return fill_(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix. ValueError unless the tensor is a matrix."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with no_grad():
        return copy_(tensor, eye(*tensor.shape, dtype=tensor.dtype))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal, but only between a and b."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    share = 0.5 * (math.erf((b - mean) / (std * _ROOT2)) - math.erf((a - mean) / (std * _ROOT2)))
    with no_grad():
        if share > 0.3:
            _draw_until_inside(tensor, mean, std, (a, b), generator)
        else:
            _draw_under_the_curve(tensor, mean, std, (a, b), generator)
    return tensor


_ROOT2 = math.sqrt(2.0)


def _draw_until_inside(
    x: Tensor, mean: float, std: float, bounds: tuple[float, float], generator: Generator | None
) -> None:
    """Draw normal numbers, and again those outside the bounds: most are inside."""
    low, high = (tensor(bound, dtype=x.dtype) for bound in bounds)
    draws.normal_(x, mean, std, generator=generator)
    while (outside := (x < low) | (x > high)).any():
        again = draws.normal_(empty_like(x), mean, std, generator=generator)
        copy_(x, where(outside, again, x))


def _draw_under_the_curve(
    x: Tensor, mean: float, std: float, bounds: tuple[float, float], generator: Generator | None
) -> None:
    """Draw uniformly between the bounds, and again what lies above the density's curve.

    ValueError where hardly anything would lie below it.
    """
    low, high = bounds
    peak = max(low, min(mean, high))
    distance = (peak - mean) / std
    if (high - low) / std * max(abs(distance), 1.0) > 1e5:
        raise ValueError(
            f"trunc_normal_: of normal(mean={mean}, std={std}), next to nothing is in the interval "
            f"[{low}, {high}]: give closer bounds"
        )
    pending = ones_like(x, dtype=dtypes.bool)
    while True:
        drawn = draws.uniform_(empty_like(x), low, high, generator=generator)
        copy_(x, where(pending, drawn, x))
        depth = -0.5 * ((drawn - mean) / std) ** 2 + 0.5 * distance**2
        above = draws.uniform_(empty_like(x), generator=generator).log() > depth
        pending = pending & above
        if not pending.any():
            return


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs and outputs a weight (out, in, *kernel) connects."""
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    field = tensor.shape[2:].numel()
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform of variance gain^2 * 2 / (fan_in + fan_out)."""
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / float(sum(_fans(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal of variance gain^2 * 2 / (fan_in + fan_out)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / float(sum(_fans(tensor)))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(
            f"Mode {mode.lower()} not supported, please use one of ['fan_in', 'fan_out']"
        )
    fan = _fans(tensor)[mode.lower() == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _is_empty(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform of variance gain^2 / fan; `a` is the slope of a leaky_relu after the layer."""
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal of variance gain^2 / fan; `a` is the slope of a leaky_relu after the layer."""
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)

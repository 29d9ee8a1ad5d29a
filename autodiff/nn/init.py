"""Initial values, written over a tensor outside the graph, with PyTorch's numbers for a seed."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

from autodiff import dtypes
from autodiff.grad_mode import no_grad
from autodiff.linalg import qr
from autodiff.ops import create, draws
from autodiff.ops.arithmetic import where
from autodiff.ops.assign import copy_, fill_
from autodiff.ops.cast import to_dtype
from autodiff.ops.convert import tensor
from autodiff.ops.create import empty, empty_like, ones_like
from autodiff.ops.generator import Generator
from autodiff.ops.random import randperm
from autodiff.tensor import Tensor

__all__ = [
    "calculate_gain", "constant", "constant_", "dirac", "dirac_", "eye", "eye_", "kaiming_normal",
    "kaiming_normal_", "kaiming_uniform", "kaiming_uniform_", "normal", "normal_", "ones_",
    "orthogonal", "orthogonal_", "sparse", "sparse_", "trunc_normal_", "uniform", "uniform_",
    "xavier_normal", "xavier_normal_", "xavier_uniform", "xavier_uniform_", "zeros_",
]  # fmt: skip

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
    """The factor that keeps the variance of a layer's output through an activation.

    >>> nn.init.calculate_gain("leaky_relu", 0.2)
    1.3867504905630728
    """
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
    """Uniform on [a, b).

    >>> g = ad.manual_seed(0)
    >>> nn.init.uniform_(ad.empty(2), -1, 1)
    tensor([-0.0075,  0.5364])
    """
    with no_grad():
        return draws.uniform_(tensor, a, b, generator=generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal of the given mean and standard deviation.

    >>> g = ad.manual_seed(0)
    >>> nn.init.normal_(ad.empty(2))
    tensor([ 1.5410, -0.2934])
    """
    with no_grad():
        return draws.normal_(tensor, mean, std, generator=generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value.

    >>> nn.init.constant_(ad.empty(2), 0.5)
    tensor([0.5000, 0.5000])
    """
    with no_grad():
        return fill_(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones.

    >>> nn.init.ones_(ad.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros.

    >>> nn.init.zeros_(ad.empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix. ValueError unless the tensor is a matrix.

    >>> nn.init.eye_(ad.empty(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with no_grad():
        return copy_(tensor, create.eye(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The kernel (out, in, *size) of a convolution that copies channels, for each group anew.

    ValueError unless the tensor has 3 to 5 dimensions and `groups` divides the first.

    >>> nn.init.dirac_(ad.empty(2, 2, 1)).flatten()
    tensor([1., 0., 0., 1.])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    each = tensor.shape[0] // groups
    centre = tuple(size // 2 for size in tensor.shape[2:])
    with no_grad():
        fill_(tensor, 0)
        for group in range(groups):
            for channel in range(min(each, tensor.shape[1])):
                index = (group * each + channel, channel, *centre)
                tensor[index] = 1
    return tensor


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal, but only between a and b.

    >>> bool(nn.init.trunc_normal_(ad.empty(99), a=-1, b=1).abs().max() <= 1)
    True
    """
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


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs and outputs a weight (out, in, *kernel) connects."""
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    field = tensor.shape[2:].numel()
    return tensor.shape[1] * field, tensor.shape[0] * field


def _xavier_std(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Uniform of variance gain^2 * 2 / (fan_in + fan_out).

    >>> bool(nn.init.xavier_uniform_(ad.empty(2, 4)).abs().max() <= 1)
    True
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal of variance gain^2 * 2 / (fan_in + fan_out).

    >>> nn.init.xavier_normal_(ad.empty(3, 5), gain=nn.init.calculate_gain("tanh")).shape
    torch.Size([3, 5])
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(
            f"Mode {mode.lower()} not supported, please use one of ['fan_in', 'fan_out']"
        )
    return _calculate_fan_in_and_fan_out(tensor)[mode.lower() == "fan_out"]


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


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
    """Uniform of variance gain^2 / fan; `a` is the slope of a leaky_relu after the layer.

    >>> bool(nn.init.kaiming_uniform_(ad.empty(3, 6), a=1).abs().max() <= 0.5**0.5)
    True
    """
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
    """Normal of variance gain^2 / fan; `a` is the slope of a leaky_relu after the layer.

    >>> nn.init.kaiming_normal_(ad.empty(3, 5), nonlinearity="relu").shape
    torch.Size([3, 5])
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


# ---- matrices ----


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """`gain` times orthonormal rows or columns, whichever are fewer; dimensions from 1 on are one.

    Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks (2013). ValueError unless the tensor has two dimensions or more.

    >>> w = nn.init.orthogonal_(ad.empty(2, 3))
    >>> ad.allclose(w @ w.T, ad.eye(2), atol=1e-6)
    True
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    with no_grad():
        drawn = draws.normal_(empty(rows, columns, dtype=tensor.dtype), generator=generator)
        wide = rows < columns
        found = _orthonormal_rows(drawn if wide else drawn.t())
        copy_(tensor, (found if wide else found.t()).reshape(tensor.shape))
        tensor.mul_(gain)
    return tensor


def _orthonormal_rows(x: Tensor) -> Tensor:
    """Those of the QR decomposition, in float64, of which the diagonal of R is positive."""
    q, r = qr(to_dtype(x, dtypes.float64).t())
    return (q * r.diagonal().sign()).t()


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None
) -> Tensor:
    """Normal, with a fraction `sparsity` of each column, rounded up, set to zero.

    Martens, Deep learning via Hessian-free optimization (2010). Which elements are zero is drawn
    from the default generator. ValueError unless the tensor is a matrix.

    >>> (nn.init.sparse_(ad.empty(4, 2), sparsity=0.5) == 0).sum(0)
    tensor([2, 2])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with no_grad():
        draws.normal_(tensor, 0.0, std, generator=generator)
        for column in range(columns):
            tensor[randperm(rows)[:zeros], column] = 0
    return tensor


# ---- the names of before PyTorch 0.4 ----


def deprecated(function: Callable[..., Tensor], module: str = "nn.init") -> Callable[..., Tensor]:
    """The function under its older name, without "_", which it warns of."""
    new = function.__name__
    old = new[:-1]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Tensor:
        warnings.warn(
            f"`{module}.{old}` is now deprecated in favor of `{module}.{new}`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    call.__name__ = old
    return call


uniform = deprecated(uniform_)
normal = deprecated(normal_)
constant = deprecated(constant_)
eye = deprecated(eye_)
dirac = deprecated(dirac_)
xavier_uniform = deprecated(xavier_uniform_)
xavier_normal = deprecated(xavier_normal_)
kaiming_uniform = deprecated(kaiming_uniform_)
kaiming_normal = deprecated(kaiming_normal_)
orthogonal = deprecated(orthogonal_)
sparse = deprecated(sparse_)

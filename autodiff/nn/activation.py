"""Activations as modules: each forward is one call of its function."""

from __future__ import annotations

from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.nn import functional
from autodiff.nn.init import constant_
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.ops.create import empty
from autodiff.tensor import Tensor

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


def _inplace(flag: bool) -> str:
    return ", inplace=True" if flag else ""


class _InPlace(Module):
    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class _ShownInPlace(_InPlace):
    def extra_repr(self) -> str:
        return _inplace(self.inplace)[2:]


class Tanh(Module):
    """The hyperbolic tangent.

    >>> nn.Tanh()(ad.tensor([-1.0, 1.0]))
    tensor([-0.7616,  0.7616])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.tanh(input)  # type: ignore[no-any-return]


class Sigmoid(Module):
    """1 / (1 + exp(-input)).

    >>> nn.Sigmoid()(ad.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5000, 0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.sigmoid(input)  # type: ignore[no-any-return]


class ReLU(_ShownInPlace):
    """max(input, 0).

    >>> nn.ReLU()(ad.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.relu(input, self.inplace)


class LeakyReLU(Module):
    """input above 0, negative_slope * input below.

    >>> nn.LeakyReLU(0.1)(ad.tensor([-1.0, 1.0]))
    tensor([-0.1000,  1.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return functional.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}{_inplace(self.inplace)}"


class Hardtanh(Module):
    """input limited to [min_val, max_val].

    >>> nn.Hardtanh()(ad.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        if max_val <= min_val:
            raise AssertionError(f"max_val ({max_val}) must be greater than min_val ({min_val})")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return functional.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}{_inplace(self.inplace)}"


class Softplus(Module):
    """log(1 + exp(beta * input)) / beta; input itself where beta * input is above threshold.

    >>> nn.Softplus()(ad.tensor([-1.0, 0.0, 100.0]))
    tensor([  0.3133,   0.6931, 100.0000])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return functional.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class ELU(Module):
    """input above 0, alpha * (exp(input) - 1) below.

    >>> nn.ELU()(ad.tensor([-1.0, 1.0]))
    tensor([-0.6321,  1.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return functional.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{_inplace(self.inplace)}"


class GELU(Module):
    """input * P(N < input) for N standard normal, or its tanh approximation.

    >>> nn.GELU()(ad.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return functional.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(_ShownInPlace):
    """input * sigmoid(input).

    >>> nn.SiLU()(ad.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.silu(input, self.inplace)


class ReLU6(Hardtanh):
    """input limited to [0, 6].

    >>> nn.ReLU6()(ad.tensor([-1.0, 1.0, 8.0]))
    tensor([0., 1., 6.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return _inplace(self.inplace)[2:]


class Threshold(Module):
    """input above threshold, value elsewhere.

    >>> nn.Threshold(0.5, 9.0)(ad.tensor([0.2, 1.0]))
    tensor([9., 1.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return functional.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}{_inplace(self.inplace)}"


class Hardshrink(Module):
    """0 within [-lambd, lambd], input elsewhere.

    >>> nn.Hardshrink()(ad.tensor([-1.0, 0.3, 1.0]))
    tensor([-1.,  0.,  1.])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return functional.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(Module):
    """input moved towards 0 by lambd; 0 within [-lambd, lambd].

    >>> nn.Softshrink()(ad.tensor([-1.0, 0.3, 1.0]))
    tensor([-0.5000,  0.0000,  0.5000])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return functional.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardsigmoid(_InPlace):
    """min(max(input + 3, 0), 6) / 6.

    >>> nn.Hardsigmoid()(ad.tensor([-4.0, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 0.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.hardsigmoid(input, self.inplace)


class Hardswish(_InPlace):
    """input * min(max(input + 3, 0), 6) / 6.

    >>> nn.Hardswish()(ad.tensor([-4.0, 0.0, 1.0]))
    tensor([-0.0000, 0.0000, 0.6667])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.hardswish(input, self.inplace)


class PReLU(Module):
    """input above 0, weight * input below, with a weight to learn: one, or one for each channel.

    Channels are dimension 1. `weight` has shape (num_parameters,), and starts at `init`.

    >>> nn.PReLU()(ad.tensor([-1.0, 1.0])).detach()
    tensor([-0.2500,  1.0000])
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        check_device("PReLU", device)
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty(num_parameters, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to what it starts at."""
        constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return functional.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """input above 0, slope * input below; in training, slopes are drawn from [lower, upper).

    >>> nn.RReLU().eval()(ad.tensor([-1.0, 1.0]))
    tensor([-0.2292,  1.0000])
    """

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return functional.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}{_inplace(self.inplace)}"


class SELU(_ShownInPlace):
    """ELU of the alpha, and times the scale, that keep mean 0 and variance 1.

    >>> nn.SELU()(ad.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.selu(input, self.inplace)


class CELU(Module):
    """input above 0, alpha * (exp(input / alpha) - 1) below.

    >>> nn.CELU()(ad.tensor([-1.0, 1.0]))
    tensor([-0.6321,  1.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return functional.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}{_inplace(self.inplace)}"


class Mish(_ShownInPlace):
    """input * tanh(softplus(input)).

    >>> nn.Mish()(ad.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.mish(input, self.inplace)


class LogSigmoid(Module):
    """log(sigmoid(input)), exact where sigmoid rounds to 0 or 1.

    >>> nn.LogSigmoid()(ad.tensor([-100.0, 0.0]))
    tensor([-100.0000,   -0.6931])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.logsigmoid(input)


class Softsign(Module):
    """input / (1 + |input|).

    >>> nn.Softsign()(ad.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.softsign(input)


class Tanhshrink(Module):
    """input - tanh(input).

    >>> nn.Tanhshrink()(ad.tensor([-1.0, 1.0]))
    tensor([-0.2384,  0.2384])
    """

    def forward(self, input: Tensor) -> Tensor:
        return functional.tanhshrink(input)


class GLU(Module):
    """a * sigmoid(b) for the halves a and b of the input along `dim`.

    >>> nn.GLU()(ad.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return functional.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"

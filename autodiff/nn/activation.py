"""Activations as modules, softmax and its relatives too: each is one call of its function."""

from __future__ import annotations

from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.nn import functional
from autodiff.nn._declared import calls, options
from autodiff.nn.init import constant_
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.ops.create import empty
from autodiff.tensor import Tensor

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
    "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SiLU",
    "Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh",
    "Tanhshrink", "Threshold",
]  # fmt: skip


@options
class _InPlace(Module):
    inplace: bool = False


@calls(functional.tanh)
class Tanh(Module):
    """The hyperbolic tangent.

    >>> nn.Tanh()(ad.tensor([-1.0, 1.0]))
    tensor([-0.7616,  0.7616])
    """


@calls(functional.sigmoid)
class Sigmoid(Module):
    """1 / (1 + exp(-input)).

    >>> nn.Sigmoid()(ad.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5000, 0.7311])
    """


@calls(functional.relu)
class ReLU(_InPlace):
    """max(input, 0).

    >>> nn.ReLU()(ad.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """


@calls(functional.leaky_relu)
class LeakyReLU(Module):
    """input above 0, negative_slope * input below.

    >>> nn.LeakyReLU(0.1)(ad.tensor([-1.0, 1.0]))
    tensor([-0.1000,  1.0000])
    """

    negative_slope: float = 0.01
    inplace: bool = False


@calls(functional.hardtanh)
class Hardtanh(Module):
    """input clamped to [min_val, max_val].

    >>> nn.Hardtanh()(ad.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False

    def _settle(self) -> None:
        if self.max_val <= self.min_val:
            raise AssertionError(
                f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})"
            )


@calls(functional.softplus)
class Softplus(Module):
    """log(1 + exp(beta * input)) / beta; input itself where beta * input is above threshold.

    >>> nn.Softplus()(ad.tensor([-1.0, 0.0, 100.0]))
    tensor([  0.3133,   0.6931, 100.0000])
    """

    beta: float = 1.0
    threshold: float = 20.0


@calls(functional.elu)
class ELU(Module):
    """input above 0, alpha * (exp(input) - 1) below.

    >>> nn.ELU()(ad.tensor([-1.0, 1.0]))
    tensor([-0.6321,  1.0000])
    """

    alpha: float = 1.0
    inplace: bool = False


@calls(functional.gelu)
class GELU(Module):
    """input * P(N < input) for N standard normal, or its tanh approximation.

    >>> nn.GELU()(ad.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """

    approximate: str = "none"


@calls(functional.silu)
class SiLU(_InPlace):
    """input * sigmoid(input).

    >>> nn.SiLU()(ad.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """


class ReLU6(Hardtanh):
    """input clamped to [0, 6].

    >>> nn.ReLU6()(ad.tensor([-1.0, 1.0, 8.0]))
    tensor([0., 1., 6.])
    """

    _shown = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)


@calls(functional.threshold)
class Threshold(Module):
    """input above threshold, value elsewhere.

    >>> nn.Threshold(0.5, 9.0)(ad.tensor([0.2, 1.0]))
    tensor([9., 1.])
    """

    threshold: float
    value: float
    inplace: bool = False


@calls(functional.hardshrink)
class Hardshrink(Module):
    """0 within [-lambd, lambd], input elsewhere.

    >>> nn.Hardshrink()(ad.tensor([-1.0, 0.3, 1.0]))
    tensor([-1.,  0.,  1.])
    """

    lambd: float = 0.5

    def extra_repr(self) -> str:
        return str(self.lambd)


@calls(functional.softshrink)
class Softshrink(Module):
    """input moved towards 0 by lambd; 0 within [-lambd, lambd].

    >>> nn.Softshrink()(ad.tensor([-1.0, 0.3, 1.0]))
    tensor([-0.5000,  0.0000,  0.5000])
    """

    lambd: float = 0.5

    def extra_repr(self) -> str:
        return str(self.lambd)


@calls(functional.hardsigmoid)
class Hardsigmoid(_InPlace):
    """min(max(input + 3, 0), 6) / 6.

    >>> nn.Hardsigmoid()(ad.tensor([-4.0, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 0.6667])
    """

    _shown = ()


@calls(functional.hardswish)
class Hardswish(_InPlace):
    """input * min(max(input + 3, 0), 6) / 6.

    >>> nn.Hardswish()(ad.tensor([-4.0, 0.0, 1.0]))
    tensor([-0.0000, 0.0000, 0.6667])
    """

    _shown = ()


@calls(functional.prelu)
class PReLU(Module):
    """input above 0, weight * input below, with a weight to learn: one, or one for each channel.

    Channels are dimension 1. `weight` has shape (num_parameters,), and starts at `init`.

    >>> nn.PReLU()(ad.tensor([-1.0, 1.0])).detach()
    tensor([-0.2500,  1.0000])
    """

    _options = ("weight",)

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

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


@calls(functional.rrelu)
class RReLU(Module):
    """input above 0, slope * input below; in training, slopes are drawn from [lower, upper).

    >>> nn.RReLU().eval()(ad.tensor([-1.0, 1.0]))
    tensor([-0.2292,  1.0000])
    """

    lower: float = 1.0 / 8
    upper: float = 1.0 / 3
    inplace: bool = False


@calls(functional.selu)
class SELU(_InPlace):
    """ELU of the alpha, and times the scale, that keep mean 0 and variance 1.

    >>> nn.SELU()(ad.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """


@calls(functional.celu)
class CELU(Module):
    """input above 0, alpha * (exp(input / alpha) - 1) below.

    >>> nn.CELU()(ad.tensor([-1.0, 1.0]))
    tensor([-0.6321,  1.0000])
    """

    alpha: float = 1.0
    inplace: bool = False


@calls(functional.mish)
class Mish(_InPlace):
    """input * tanh(softplus(input)).

    >>> nn.Mish()(ad.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """


@calls(functional.logsigmoid)
class LogSigmoid(Module):
    """log(sigmoid(input)), exact where sigmoid rounds to 0 or 1.

    >>> nn.LogSigmoid()(ad.tensor([-100.0, 0.0]))
    tensor([-100.0000,   -0.6931])
    """


@calls(functional.softsign)
class Softsign(Module):
    """input / (1 + |input|).

    >>> nn.Softsign()(ad.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """


@calls(functional.tanhshrink)
class Tanhshrink(Module):
    """input - tanh(input).

    >>> nn.Tanhshrink()(ad.tensor([-1.0, 1.0]))
    tensor([-0.2384,  0.2384])
    """


@calls(functional.glu)
class GLU(Module):
    """a * sigmoid(b) for the halves a and b of the input along `dim`.

    >>> nn.GLU()(ad.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    dim: int = -1


@calls(functional.softmax)
class Softmax(Module):
    """exp(input) divided by its sum along `dim`.

    >>> nn.Softmax(dim=-1)(ad.zeros(2))
    tensor([0.5000, 0.5000])
    """

    dim: int | None = None


@calls(functional.log_softmax)
class LogSoftmax(Module):
    """The logarithm of softmax along `dim`.

    >>> nn.LogSoftmax(dim=-1)(ad.zeros(2))
    tensor([-0.6931, -0.6931])
    """

    dim: int | None = None


@calls(functional.softmin)
class Softmin(Module):
    """softmax of -input along `dim`.

    >>> nn.Softmin(dim=-1)(ad.tensor([0.0, 1.0]))
    tensor([0.7311, 0.2689])
    """

    dim: int | None = None


class Softmax2d(Module):
    """softmax over the channels of images (c, h, w) or (n, c, h, w).

    >>> nn.Softmax2d()(ad.zeros(1, 4, 2, 2)).shape
    torch.Size([1, 4, 2, 2])
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return functional.softmax(input, -3)

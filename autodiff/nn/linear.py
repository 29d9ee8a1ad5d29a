"""Linear layers, and the unit they are rows of."""

from __future__ import annotations

import math
from collections.abc import Callable

from autodiff.devices import check_device
from autodiff.dtypes import dtype
from autodiff.nn import init
from autodiff.nn.activation import Tanh
from autodiff.nn.functional.distance import bilinear
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.ops.contraction import linear
from autodiff.ops.create import empty
from autodiff.tensor import Tensor

__all__ = ["Bilinear", "Linear", "Neuron"]


class Linear(Module):
    """input (..., in_features) times weight (out_features, in_features) transposed, plus bias.

    Both start uniform on +-1/sqrt(in_features), with PyTorch's numbers for the same seed.

    >>> nn.Linear(3, 2)(ad.ones(4, 3)).shape
    torch.Size([4, 2])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        check_device("Linear", device)
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in_features, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_features, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Bilinear(Module):
    """input1 (..., in1_features) times weight[o] times input2 (..., in2_features), plus bias[o].

    Both start uniform on +-1/sqrt(in1_features). ValueError where that is no positive number.

    >>> nn.Bilinear(3, 4, 2)(ad.ones(5, 3), ad.ones(5, 4)).shape
    torch.Size([5, 2])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        check_device("Bilinear", device)
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={in1_features})")
        super().__init__()
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in1_features, in2_features, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(empty(out_features, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1 / math.sqrt(self.in1_features)
        for x in (self.weight, self.bias):
            if x is not None:
                init.uniform_(x, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Neuron(Module):
    """One unit: the weighted sum of its inputs plus a bias, through an activation.

    It maps (..., in_features) to (..., 1). `activation` is a function of a tensor, a module, or a
    class of modules such as the default Tanh; None leaves the sum as it is.

    >>> nn.Neuron(3)(ad.zeros(5, 3)).shape
    torch.Size([5, 1])
    """

    def __init__(
        self,
        in_features: int,
        activation: Callable[..., Tensor] | type[Module] | None = Tanh,
        bias: bool = True,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        self.linear = Linear(in_features, 1, bias=bias, dtype=dtype)
        self.activation = activation() if isinstance(activation, type) else activation

    def forward(self, input: Tensor) -> Tensor:
        y = self.linear(input)
        return y if self.activation is None else self.activation(y)

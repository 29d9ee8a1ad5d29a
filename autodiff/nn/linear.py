"""Linear layers, and the unit they are rows of."""

from __future__ import annotations

import math
from collections.abc import Callable

from autodiff.dtypes import dtype
from autodiff.nn import init
from autodiff.nn.activation import Tanh
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.ops.contraction import linear
from autodiff.ops.create import empty
from autodiff.tensor import Tensor

__all__ = ["Linear", "Neuron"]


class Linear(Module):
    """input (..., in_features) times weight (out_features, in_features) transposed, plus bias.

    Both start uniform on +-1/sqrt(in_features), with PyTorch's numbers for the same seed.
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
        if device not in (None, "cpu"):
            raise RuntimeError(f"Linear: device {device!r} is not supported; only 'cpu' is")
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


class Neuron(Module):
    """One unit: the weighted sum of its inputs plus a bias, through an activation.

    It maps (..., in_features) to (..., 1). `activation` is a function of a tensor, a module, or a
    class of modules such as the default Tanh; None leaves the sum as it is.
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

"""Norms as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autodiff.devices import check_device
from autodiff.dtypes import dtype, plain
from autodiff.nn import functional, init
from autodiff.nn.module import Module
from autodiff.nn.parameter import Parameter
from autodiff.ops.create import empty
from autodiff.tensor import Tensor

__all__ = ["LayerNorm", "RMSNorm"]


def reset_affine(module: Any) -> None:
    """Make a norm's weight ones and its bias zeros, where it has them."""
    if module.weight is not None:
        init.ones_(module.weight)
    if getattr(module, "bias", None) is not None:
        init.zeros_(module.bias)


class _OfLastDims(Module):
    """A norm of the last dimensions: its weight, and what it says of itself."""

    weight: Parameter | None
    eps: float | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None,
        elementwise_affine: bool,
        parameters: Sequence[tuple[str, bool]],
        device: str | None,
        dtype: dtype | None,
    ) -> None:
        check_device(type(self).__name__, device)
        super().__init__()
        sizes: Any = plain(normalized_shape)
        self.normalized_shape: tuple[int, ...] = (
            (sizes,) if isinstance(sizes, int) else tuple(sizes)
        )
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, wanted in parameters:
            made = elementwise_affine and wanted
            given = Parameter(empty(*self.normalized_shape, dtype=dtype)) if made else None
            self.register_parameter(name, given)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Make the weight ones and the bias, if there is one, zeros."""
        reset_affine(self)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class LayerNorm(_OfLastDims):
    """Normalizes the last dimensions, of normalized_shape, and scales and shifts each element.

    The weight starts as ones and the bias as zeros; there are none without elementwise_affine.

    >>> nn.LayerNorm(2, elementwise_affine=False)(ad.tensor([1.0, 3.0]))
    tensor([-1.0000,  1.0000])
    """

    bias: Parameter | None
    eps: float

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        parameters = (("weight", True), ("bias", bias))
        super().__init__(normalized_shape, eps, elementwise_affine, parameters, device, dtype)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bias={self.bias is not None}"

    def forward(self, input: Tensor) -> Tensor:
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(_OfLastDims):
    """input / sqrt(mean of squares + eps), over the last dimensions, of normalized_shape.

    eps None is the dtype's machine epsilon. The weight starts as ones.

    >>> nn.RMSNorm(2, elementwise_affine=False)(ad.tensor([1.0, 7.0]))
    tensor([0.2000, 1.4000])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        parameters = (("weight", True),)
        super().__init__(normalized_shape, eps, elementwise_affine, parameters, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.normalized_shape, self.weight, self.eps)

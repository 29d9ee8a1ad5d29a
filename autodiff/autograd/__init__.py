"""`autodiff.autograd`: gradients as functions."""

from typing import Any

from autodiff.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from autodiff.autograd import functional, graph
from autodiff.autograd.function import Function
from autodiff.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from autodiff.gradcheck import gradcheck, gradgradcheck
from autodiff.graph import backward, grad
from autodiff.tensor import Tensor


class _OfTensors(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_OfTensors):
    """PyTorch's older name of a tensor: every tensor is an instance, and it makes a leaf of one.

    >>> x = ad.autograd.Variable(ad.ones(2), requires_grad=True)
    >>> isinstance(x, ad.autograd.Variable), x
    (True, tensor([1., 1.], requires_grad=True))
    """

    def __new__(cls, data: Any = None, requires_grad: bool = False) -> Tensor:  # type: ignore[misc]
        """A leaf over the memory of `data`; without it, an empty one. TypeError for no tensor."""
        data = Tensor(0) if data is None else data
        if not isinstance(data, Tensor):
            kind = type(data).__name__
            raise TypeError(f"Variable data has to be a tensor, but got {kind}")
        return data.detach().requires_grad_(requires_grad)


__all__ = [
    "Function",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]

"""`autodiff.autograd`: gradients as functions."""

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

__all__ = [
    "Function",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]

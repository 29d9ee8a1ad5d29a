"""`nn.grad`: the gradients of a convolution's input and weight, without a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from autodiff.grad_mode import enable_grad
from autodiff.graph import grad
from autodiff.nn import functional
from autodiff.ops.create import zeros
from autodiff.tensor import Tensor

__all__ = [
    "conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input",
    "conv3d_weight",
]  # fmt: skip


def _of(
    n: int, shape: Sequence[int], grad_output: Tensor, other: Tensor, call: Callable[..., Any]
) -> Tensor:
    """The gradient of a convolution with `other` of zeros, as of anything: it is linear."""
    follow = other.requires_grad or grad_output.requires_grad
    with enable_grad():
        x = zeros(*shape, dtype=grad_output.dtype, requires_grad=True)
        y = call(getattr(functional, f"conv{n}d"), x)
        found: Tensor = grad((y,), (x,), (grad_output,), create_graph=follow)[0]
    return found


def _input(n: int) -> Callable[..., Tensor]:
    def of_input(
        input_size: Sequence[int],
        weight: Tensor,
        grad_output: Tensor,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        options = stride, padding, dilation, groups
        call = lambda conv, x: conv(x, weight, None, *options)  # noqa: E731
        return _of(n, input_size, grad_output, weight, call)

    return _told(of_input, f"conv{n}d_input", n)


def _weight(n: int) -> Callable[..., Tensor]:
    def of_weight(
        input: Tensor, weight_size: Sequence[int], grad_output: Tensor,
        stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        options = stride, padding, dilation, groups
        call = lambda conv, w: conv(input, w, None, *options)  # noqa: E731
        return _of(n, weight_size, grad_output, input, call)

    return _told(of_weight, f"conv{n}d_weight", n)


def _told(function: Callable[..., Tensor], name: str, n: int) -> Callable[..., Tensor]:
    ones = f"ad.ones(1, 1{', 2' * n})"
    first = f"(1, 1{', 2' * n}), {ones}" if name.endswith("input") else f"{ones}, (1, 1{', 2' * n})"
    of = name.partition("_")[2]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"The gradient of the {of} of `conv{n}d`, of the given shape, from that of its result.\n\n"
        f">>> nn.grad.{name}({first}, ad.ones(1, 1{', 1' * n})).shape\n"
        f"torch.Size([1, 1{', 2' * n}])"
    )
    return function


conv1d_input, conv2d_input, conv3d_input = map(_input, (1, 2, 3))
conv1d_weight, conv2d_weight, conv3d_weight = map(_weight, (1, 2, 3))

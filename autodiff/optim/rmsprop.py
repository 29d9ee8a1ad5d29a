"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.optim._native import NativeOptimizer, check_at_least_0, check_lr
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["RMSprop"]


class RMSprop(NativeOptimizer):
    """Steps divided by the square root of a running mean of squared gradients (Hinton, 2012).

    Each step, with g the gradient (negated to maximize) plus weight_decay times the parameter:
    v = alpha v + (1 - alpha) g^2; parameter -= lr g / (sqrt(v) + eps). `centered` subtracts from v
    the square of the gradient's running mean; with momentum, buffer = momentum buffer + g /
    (sqrt(v) + eps) and parameter -= lr buffer.

    `foreach` and `capturable` choose among PyTorch's implementations; here they change nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.RMSprop([w], lr=0.01).step()
    >>> w.detach()
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_at_least_0("epsilon value", eps)
        check_at_least_0("momentum value", momentum)
        check_at_least_0("weight_decay value", weight_decay)
        check_at_least_0("alpha value", alpha)
        names = (
            "lr momentum alpha eps centered weight_decay capturable foreach maximize differentiable"
        )
        super().__init__(params, self._options(locals(), names))

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return _KERNELS[bool(group["centered"]), group["momentum"] > 0]

    def _numbers(self, group: Group) -> Sequence[Any]:
        return group["alpha"], group["eps"], group["momentum"]

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        alpha, momentum = group["alpha"], group["momentum"]
        size = now["square_avg"] = now["square_avg"] * alpha + g * g * (1 - alpha)
        if group["centered"]:
            mean = now["grad_avg"] = now["grad_avg"] + (g - now["grad_avg"]) * (1 - alpha)
            size = size - mean * mean
        way = g / (size.sqrt() + group["eps"])
        if momentum > 0:
            way = now["momentum_buffer"] = now["momentum_buffer"] * momentum + way
        moved: Tensor = x - way * group["lr"]
        return moved


_KERNELS = {
    (False, False): ("rmsprop", ("square_avg", "step")),
    (False, True): ("rmsprop_momentum", ("square_avg", "momentum_buffer", "step")),
    (True, False): ("rmsprop_centered", ("square_avg", "grad_avg", "step")),
    (True, True): (
        "rmsprop_centered_momentum",
        ("square_avg", "momentum_buffer", "grad_avg", "step"),
    ),
}

"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.optim._native import NativeOptimizer, check_at_least_0, check_lr
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["Adadelta"]


class Adadelta(NativeOptimizer):
    """Steps scaled by running means of squared gradients and of squared steps (Zeiler, 2012).

    Each step, with g the gradient (negated to maximize) plus weight_decay times the parameter:
    v = rho v + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(v + eps) g; u = rho u + (1 - rho) d^2;
    parameter -= lr d.

    `foreach` and `capturable` choose among PyTorch's implementations; here they change nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.Adadelta([w]).step()
    >>> w.detach()
    tensor([0.9968])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_at_least_0("epsilon value", eps)
        check_at_least_0("weight_decay value", weight_decay)
        names = "lr rho eps weight_decay maximize capturable foreach differentiable"
        super().__init__(params, self._options(locals(), names))

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return "adadelta", ("square_avg", "acc_delta", "step")

    def _numbers(self, group: Group) -> Sequence[Any]:
        return group["rho"], group["eps"]

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        rho, eps = group["rho"], group["eps"]
        size = now["square_avg"] = now["square_avg"] * rho + g * g * (1 - rho)
        way = (now["acc_delta"] + eps).sqrt() / (size + eps).sqrt() * g
        now["acc_delta"] = now["acc_delta"] * rho + way * way * (1 - rho)
        moved: Tensor = x - way * group["lr"]
        return moved

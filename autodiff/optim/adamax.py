"""Adamax."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.optim._native import NativeOptimizer, check_adam
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["Adamax"]


class Adamax(NativeOptimizer):
    """Adam with a decaying maximum of the gradient for its mean square (Kingma and Ba, 2015).

    Step t, with g the gradient (negated to maximize) plus weight_decay times the parameter:
    m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| + eps); parameter -= lr / (1 - beta1^t) m / u.

    `foreach` and `capturable` choose among PyTorch's implementations; here they change nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.Adamax([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_adam(lr, betas, eps, weight_decay)
        super().__init__(params, self._options(locals()))

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return "adamax", ("exp_avg", "exp_inf", "step")

    def _numbers(self, group: Group) -> Sequence[Any]:
        return (*group["betas"], group["eps"])

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        first, second = group["betas"]
        way = now["exp_avg"] = now["exp_avg"] + (g - now["exp_avg"]) * (1 - first)
        size = now["exp_inf"] = (now["exp_inf"] * second).maximum(g.abs() + group["eps"])
        moved: Tensor = x - way / size * (group["lr"] / (1 - first ** now["step"].item()))
        return moved

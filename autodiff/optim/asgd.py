"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.ops.create import full_like
from autodiff.optim._native import NativeOptimizer, check_at_least_0, check_lr, count, plain
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["ASGD"]


class ASGD(NativeOptimizer):
    """Gradient descent that keeps the average of its parameters (Polyak and Juditsky, 1992).

    Step t, with g the gradient (negated to maximize) plus weight_decay times the parameter and
    eta = lr / (1 + lambd lr (t - 1))^alpha: parameter = (1 - lambd eta) parameter - eta g. The
    state "ax" follows it, from step t0 on as the average.

    `foreach` and `capturable` choose among PyTorch's implementations; here they change nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.ASGD([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.8000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_at_least_0("weight_decay value", weight_decay)
        super().__init__(params, self._options(locals()))

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return "asgd", ("ax", "step", "eta", "mu")

    def _numbers(self, group: Group) -> Sequence[Any]:
        return group["lambd"], group["alpha"], group["t0"]

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        lr, lambd, step = plain(group["lr"]), group["lambd"], now["step"].item()
        rate, weight = now["eta"].item(), now["mu"].item()
        moved: Tensor = x * (1 - lambd * rate) - g * rate
        now["ax"] = moved if weight == 1 else now["ax"] + (moved - now["ax"]) * weight
        now["eta"] = full_like(now["eta"], lr / (1 + lambd * lr * step) ** group["alpha"])
        now["mu"] = full_like(now["mu"], 1 / max(1, step - group["t0"]))
        return moved

    def _start(self, x: Tensor, group: Group) -> dict[str, Any]:
        step = count(group)
        eta, mu = (full_like(step, value) for value in (plain(group["lr"]), 1))
        return {"step": step, "eta": eta, "mu": mu, "ax": full_like(x, 0)}

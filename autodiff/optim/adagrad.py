"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.ops.create import full_like
from autodiff.optim._native import NativeOptimizer, check_at_least_0, check_lr, check_modes, count
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["Adagrad"]


class Adagrad(NativeOptimizer):
    """Steps divided by the square root of the sum of all squared gradients (Duchi et al., 2011).

    Step t, with g the gradient (negated to maximize) plus weight_decay times the parameter:
    sum += g^2; parameter -= lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps). The sums begin at
    initial_accumulator_value.

    `foreach` and `fused` choose among PyTorch's implementations; here they change nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.Adagrad([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_at_least_0("lr_decay value", lr_decay)
        check_at_least_0("weight_decay value", weight_decay)
        check_at_least_0("initial_accumulator_value value", initial_accumulator_value)
        check_at_least_0("epsilon value", eps)
        names = (
            "lr lr_decay eps weight_decay initial_accumulator_value foreach maximize "
            "differentiable fused"
        )
        super().__init__(params, self._options(locals(), names))
        check_modes(differentiable, foreach, fused)
        for group in self.param_groups:
            for x in group["params"]:
                self.state[x].update(self._start(x, group))

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return "adagrad", ("sum", "step")

    def _numbers(self, group: Group) -> Sequence[Any]:
        return group["lr_decay"], group["eps"]

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        size = now["sum"] = now["sum"] + g * g
        rate = group["lr"] / (1 + (now["step"].item() - 1) * group["lr_decay"])
        moved: Tensor = x - g / (size.sqrt() + group["eps"]) * rate
        return moved

    def _start(self, x: Tensor, group: Group) -> dict[str, Any]:
        # as in PyTorch, a group's own initial_accumulator_value is not looked at
        first = self.defaults["initial_accumulator_value"]
        return {"step": count(group), "sum": full_like(x, first)}

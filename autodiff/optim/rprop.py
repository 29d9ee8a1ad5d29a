"""Resilient backpropagation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from autodiff.ops.create import full_like, ones_like, zeros_like
from autodiff.optim._native import NativeOptimizer, check_lr, count, plain
from autodiff.optim.optimizer import Group
from autodiff.tensor import Tensor

__all__ = ["Rprop"]


class Rprop(NativeOptimizer):
    """Steps by the signs of gradients, each element's of a size of its own (Riedmiller, 1993).

    A size begins at lr, is multiplied by etas[1] where the gradient (negated to maximize) kept its
    sign and by etas[0] where that turned, and stays within step_sizes. Where the sign turned, the
    parameter stays, and so does the size at the next step.

    `foreach` and `capturable` choose among PyTorch's implementations; here they change nothing.

    >>> w = ad.tensor([1.0], requires_grad=True)
    >>> w.grad = ad.tensor([2.0])
    >>> optim.Rprop([w], lr=0.1).step()
    >>> w.detach()
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        names = "lr etas step_sizes foreach maximize differentiable capturable"
        super().__init__(params, self._options(locals(), names))

    def _kernel(self, group: Group) -> tuple[str, Sequence[str]]:
        return "rprop", ("prev", "step_size", "step")

    def _numbers(self, group: Group) -> Sequence[Any]:
        return (*group["etas"], *group["step_sizes"])

    def _moved(self, x: Tensor, g: Tensor, now: dict[str, Any], group: Group) -> Tensor:
        slower, faster = group["etas"]
        turn = g * now["prev"]
        factor = ones_like(x).masked_fill(turn > 0, faster).masked_fill(turn < 0, slower)
        size = now["step_size"] = (now["step_size"] * factor).clamp(*group["step_sizes"])
        way = now["prev"] = g.masked_fill(turn < 0, 0)
        moved: Tensor = x - way.sign() * size
        return moved

    def _start(self, x: Tensor, group: Group) -> dict[str, Any]:
        size = full_like(x, plain(group["lr"]))
        return {"step": count(group), "prev": zeros_like(x), "step_size": size}
